// Poolings over 2 x 2 windows, a thread to a value, and their gradients, a thread to four channels of a window. An odd
// last row or column belongs to no window.
// For its gradient the maximum keeps who won, a byte each; the mean nothing; L2 its input, in float32, and its output.
#include "device.h"

namespace pooling {

struct Sizes
{
    int height, width, channels;
    DEVICE int half_height() const { return height / 2; }
    DEVICE int half_width() const { return width / 2; }
};

// The first of a window's four values, for the value of the output with this index.
DEVICE long long window_of(const Sizes& sizes, long long index)
{
    Element element(index, sizes.channels);
    int row = element.pixel / sizes.half_width(), column = element.pixel % sizes.half_width();
    return static_cast<long long>(2 * row * sizes.width + 2 * column) * sizes.channels + element.channel;
}

DEVICE long long member_of(const Sizes& sizes, long long window, int member)
{
    return window + (static_cast<long long>(member / 2) * sizes.width + member % 2) * sizes.channels;
}

DEVICE bool is_output(const Sizes& sizes, long long index)
{
    return index < static_cast<long long>(sizes.half_height()) * sizes.half_width() * sizes.channels;
}

// A thread deals with four channels of a window, whose gradient it reads once. `shares(pooled, elements)` reads what
// else there is, where the window is and where its members are. It returns `share(member, channel)`, what each member
// gets of the gradient where its ReLU lets it through.
template <class Number, class Shares>
DEVICE void pull_back(const Number* gradient, const unsigned* positive, Number* output, Sizes sizes, Shares shares)
{
    // With those windows that an odd last row or column cuts off.
    int down = (sizes.height + 1) / 2, across = (sizes.width + 1) / 2;
    Element place(element_of_thread(), sizes.channels / 4);
    int row = place.pixel / across, column = place.pixel % across;
    if (row >= down)
        return;
    long long elements[4];
    UNROLL for (int member = 0; member < 4; member++) {
        int pixel = (2 * row + member / 2) * sizes.width + 2 * column + member % 2;
        elements[member] = static_cast<long long>(pixel) * sizes.channels + 4 * place.channel;
    }
    if (row >= sizes.half_height() || column >= sizes.half_width()) {
        UNROLL for (int member = 0; member < 4; member++)
            if (2 * row + member / 2 < sizes.height && 2 * column + member % 2 < sizes.width)
                put({}, output + elements[member]);
        return;
    }
    int window = row * sizes.half_width() + column;
    long long pooled = static_cast<long long>(window) * sizes.channels + 4 * place.channel;
    Four slopes = four(gradient + pooled);
    auto share = shares(pooled, elements);
    unsigned passes[4];
    UNROLL for (int member = 0; member < 4; member++)
        passes[member] = four_positive(positive, elements[member]);
    UNROLL for (int member = 0; member < 4; member++) {
        Four values;
        UNROLL for (int j = 0; j < 4; j++)
            values[j] = passes[member] >> j & 1 ? slopes[j] * share(member, j) : 0.0f;
        put(values, output + elements[member]);
    }
}

template <class Number>
DEVICE void by_maximum(const Number* input, Number* output, unsigned char* winners, Sizes sizes)
{
    long long index = element_of_thread();
    if (!is_output(sizes, index))
        return;
    long long window = window_of(sizes, index);
    float largest = input[window];
    int winner = 0;
    UNROLL for (int member = 1; member < 4; member++) {
        float value = input[member_of(sizes, window, member)];
        if (value > largest) {
            largest = value;
            winner = member;
        }
    }
    output[index] = largest;
    winners[index] = static_cast<unsigned char>(winner);
}

template <class Number>
DEVICE void maximum_back(const Number* gradient, const unsigned char* winners, const unsigned* positive, Number* output,
                         Sizes sizes)
{
    pull_back(gradient, positive, output, sizes, [&](long long pooled, const long long*) {
        unsigned of_four = read_words<1>(winners + pooled).at[0];
        return [=](int member, int j) { return static_cast<int>(of_four >> 8 * j & 255) == member ? 1.0f : 0.0f; };
    });
}

template <class Number>
DEVICE void by_average(const Number* input, Number* output, Sizes sizes)
{
    long long index = element_of_thread();
    if (!is_output(sizes, index))
        return;
    long long window = window_of(sizes, index);
    float sum = 0.0f;
    UNROLL for (int member = 0; member < 4; member++)
        sum += input[member_of(sizes, window, member)];
    output[index] = 0.25f * sum;
}

template <class Number>
DEVICE void average_back(const Number* gradient, const unsigned* positive, Number* output, Sizes sizes)
{
    pull_back(gradient, positive, output, sizes, [](long long, const long long*) {
        return [](int, int) { return 0.25f; };
    });
}

template <class Number>
DEVICE void by_l2(const Number* input, Number* output, float scale, Sizes sizes)
{
    long long index = element_of_thread();
    if (!is_output(sizes, index))
        return;
    long long window = window_of(sizes, index);
    float sum = 0.0f;
    UNROLL for (int member = 0; member < 4; member++) {
        float value = input[member_of(sizes, window, member)];
        sum += value * value;
    }
    output[index] = scale * sqrtf(0.25f * sum);
}

// With `p = scale sqrt(sum x^2 / 4)`, `dp/dx = scale^2 x / (4 p)`, and 0 where all is 0.
template <class Number>
DEVICE void l2_back(const Number* gradient, const float* input, const Number* pooled, const unsigned* positive,
                    Number* output, float scale, Sizes sizes)
{
    pull_back(gradient, positive, output, sizes, [&](long long at, const long long* elements) {
        Four roots = four(pooled + at), inputs[4];
        UNROLL for (int member = 0; member < 4; member++)
            inputs[member] = four(input + elements[member]);
        return [=](int member, int j) {
            return roots[j] > 0.0f ? 0.25f * scale * scale * inputs[member][j] / roots[j] : 0.0f;
        };
    });
}

KERNEL(256) pool_max(const float* input, float* output, unsigned char* winners, int height, int width, int channels)
{
    by_maximum(input, output, winners, {height, width, channels});
}
ENTRY(pool_max)

KERNEL(256) pool_max_bf16(const Bfloat16* input, Bfloat16* output, unsigned char* winners, int height, int width,
                          int channels)
{
    by_maximum(input, output, winners, {height, width, channels});
}
ENTRY(pool_max_bf16)

KERNEL(256) pool_max_back(const float* gradient, const unsigned char* winners, const unsigned* positive, float* output,
                          int height, int width, int channels)
{
    maximum_back(gradient, winners, positive, output, {height, width, channels});
}
ENTRY(pool_max_back)

KERNEL(256) pool_max_back_bf16(const Bfloat16* gradient, const unsigned char* winners, const unsigned* positive,
                               Bfloat16* output, int height, int width, int channels)
{
    maximum_back(gradient, winners, positive, output, {height, width, channels});
}
ENTRY(pool_max_back_bf16)

KERNEL(256) pool_average(const float* input, float* output, int height, int width, int channels)
{
    by_average(input, output, {height, width, channels});
}
ENTRY(pool_average)

KERNEL(256) pool_average_tf32(const Tf32Number* input, Tf32Number* output, int height, int width, int channels)
{
    by_average(input, output, {height, width, channels});
}
ENTRY(pool_average_tf32)

KERNEL(256) pool_average_bf16(const Bfloat16* input, Bfloat16* output, int height, int width, int channels)
{
    by_average(input, output, {height, width, channels});
}
ENTRY(pool_average_bf16)

KERNEL(256) pool_average_back(const float* gradient, const unsigned* positive, float* output, int height, int width,
                              int channels)
{
    average_back(gradient, positive, output, {height, width, channels});
}
ENTRY(pool_average_back)

KERNEL(256) pool_average_back_bf16(const Bfloat16* gradient, const unsigned* positive, Bfloat16* output, int height,
                                   int width, int channels)
{
    average_back(gradient, positive, output, {height, width, channels});
}
ENTRY(pool_average_back_bf16)

KERNEL(256) pool_l2(const float* input, float* output, float scale, int height, int width, int channels)
{
    by_l2(input, output, scale, {height, width, channels});
}
ENTRY(pool_l2)

KERNEL(256) pool_l2_tf32(const Tf32Number* input, Tf32Number* output, float scale, int height, int width, int channels)
{
    by_l2(input, output, scale, {height, width, channels});
}
ENTRY(pool_l2_tf32)

KERNEL(256) pool_l2_bf16(const Bfloat16* input, Bfloat16* output, float scale, int height, int width, int channels)
{
    by_l2(input, output, scale, {height, width, channels});
}
ENTRY(pool_l2_bf16)

KERNEL(256) pool_l2_back(const float* gradient, const float* input, const float* pooled, const unsigned* positive,
                         float* output, float scale, int height, int width, int channels)
{
    l2_back(gradient, input, pooled, positive, output, scale, {height, width, channels});
}
ENTRY(pool_l2_back)

KERNEL(256) pool_l2_back_tf32(const Tf32Number* gradient, const float* input, const Tf32Number* pooled,
                              const unsigned* positive, Tf32Number* output, float scale, int height, int width,
                              int channels)
{
    l2_back(gradient, input, pooled, positive, output, scale, {height, width, channels});
}
ENTRY(pool_l2_back_tf32)

KERNEL(256) pool_l2_back_bf16(const Bfloat16* gradient, const float* input, const Bfloat16* pooled,
                              const unsigned* positive, Bfloat16* output, float scale, int height, int width,
                              int channels)
{
    l2_back(gradient, input, pooled, positive, output, scale, {height, width, channels});
}
ENTRY(pool_l2_back_bf16)

} // namespace pooling
