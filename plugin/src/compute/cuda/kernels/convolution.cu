// 3 x 3 convolutions of stride 1 and padding 1, as matrix products: pixels by output channels, over 9 times the input
// channels. The left operand is never written out (an implicit GEMM): a row of it at one of the nine taps is the
// channels of a neighbouring pixel, which lie side by side, or zeros beyond the border.
//
// Backward is the same with the kernel turned and its channels exchanged, so that only the ends differ: forward adds the
// bias, cuts off below 0 and keeps a bit of what was above; backward lets through what has that bit in the layer below.
// A gradient is therefore always stored as it is after its layer's ReLU has been gone back through.
//
// In the draft mode maps and weights lie in memory as bfloat16, not only on the tensor cores. A step of a block brings 12
// KB for its 128 x 64 sums, and to float32 that is a depth of 16: 21 operations a byte, where an H100 does some 75 in
// TF32, and 150 in bfloat16, for a byte that comes from its second cache, and 3 words are read from shared memory for
// 2 products of tensor cores either way. So rounding operands that lie in float32 would gain nothing, and as bfloat16 each
// byte serves twice the depth. Features that are measured are written in float32 as well, unrounded.
#include "tile.h"

namespace convolution {

constexpr int PIXELS = 128;

// Of a map `[H W inputs]` and weights `[9 inputs][outputs]`, counted in words.
struct Neighbours
{
    static constexpr int STAGE = PIXELS * STRIDE_DEEP + DEPTH * STRIDE_WIDE;
    const float* input;
    const float* weights;
    int height, width, inputs, outputs, column;
    // Of the rows that this thread copies: they stay the same from step to step.
    int ys[PIXELS / 32], xs[PIXELS / 32];

    DEVICE Neighbours(const float* input, const float* weights, int height, int width, int inputs, int outputs,
                      int first, int column)
        : input(input), weights(weights), height(height), width(width), inputs(inputs), outputs(outputs), column(column)
    {
        UNROLL for (int i = 0; i < PIXELS / 32; i++) {
            int pixel = first + threadIdx.x / 4 + 32 * i;
            ys[i] = pixel / width;
            xs[i] = pixel % width;
        }
    }

    DEVICE static Deep left(const float* stage) { return {stage}; }
    DEVICE static const float* right(const float* stage) { return stage + PIXELS * STRIDE_DEEP; }

    DEVICE void fetch(int step, float* stage) const
    {
        int steps_per_tap = inputs / DEPTH;
        int tap = step / steps_per_tap, channel = step % steps_per_tap * DEPTH;
        UNROLL for (int i = 0; i < PIXELS / 32; i++) {
            int row = threadIdx.x / 4 + 32 * i, quad = threadIdx.x % 4 * 4;
            int y = ys[i] + tap / 3 - 1, x = xs[i] + tap % 3 - 1;
            bool is_there = y >= 0 && y < height && x >= 0 && x < width;
            long long from = is_there ? (static_cast<long long>(y) * width + x) * inputs + channel + quad : 0;
            copy_16(stage + row * STRIDE_DEEP + quad, input + from, is_there);
        }
        fetch_matrix(weights, outputs, static_cast<long long>(step) * DEPTH, column, stage + PIXELS * STRIDE_DEEP);
    }
};

// `end(element, channel, sum)` for every element of the output; all lanes of a warp come with the same pixel.
template <class Sums, class End>
DEVICE void convolve(const float* input, const float* weights, int height, int width, int inputs, int outputs, End end)
{
    ALIGNED SHARED float shared[STAGES * Neighbours::STAGE];
    static_assert(STAGES * Neighbours::STAGE >= PIXELS * STRIDE_SUMS, "the sums take the stages' place");
    int first = blockIdx.x * PIXELS, column = blockIdx.y * COLUMNS;
    Neighbours source(input, weights, height, width, inputs, outputs, first, column);
    multiply<Sums>(source, 9 * inputs / DEPTH, shared);
    each_sum<PIXELS>(shared, [&](int row, int at, float sum) {
        if (first + row < height * width)
            end(static_cast<long long>(first + row) * outputs + column + at, column + at, sum);
    });
}

// How numbers of a map stand in words: one, or two neighbouring channels. Weights do so by input channels.
template <class Number>
DEVICE const float* words(const Number* numbers)
{
    return reinterpret_cast<const float*>(numbers);
}

template <class Number>
constexpr int PER_WORD = sizeof(float) / sizeof(Number);

template <class Sums, class Number>
DEVICE void forward(const Number* input, const float* weights, const float* bias, Number* output, float* features,
                    unsigned* positive, int height, int width, int inputs, int outputs)
{
    auto end = [&](long long element, int channel, float sum) {
        float value = sum + bias[channel];
        bool is_above = value > 0.0f;
        value = is_above ? value : 0.0f;
        output[element] = value;
        if (features != nullptr)
            features[element] = value;
        unsigned word = word_of_lanes(is_above);
        if (lane() == 0)
            positive[element / 32] = word;
    };
    convolve<Sums>(words(input), weights, height, width, inputs / PER_WORD<Number>, outputs, end);
}

template <class Sums, class Number>
DEVICE void backward(const Number* gradient, const float* weights, const unsigned* positive, Number* output, int height,
                     int width, int inputs, int outputs)
{
    auto end = [&](long long element, int, float sum) {
        output[element] = positive == nullptr || is_positive(positive, element) ? sum : 0.0f;
    };
    convolve<Sums>(words(gradient), weights, height, width, inputs / PER_WORD<Number>, outputs, end);
}

// `input [H W inputs]`, `weights [9 inputs][outputs]` (of bfloat16, pairs of inputs in a word), `output [H W outputs]`, and
// where it is to be kept in float32 besides, or null; a grid of H W / 128 by outputs / 64.
KERNEL(THREADS) convolve_forward_f32(const float* input, const float* weights, const float* bias, float* output,
                                     float* features, unsigned* positive, int height, int width, int inputs, int outputs)
{
    forward<Plain<PIXELS>>(input, weights, bias, output, features, positive, height, width, inputs, outputs);
}
ENTRY(convolve_forward_f32)

KERNEL(THREADS) convolve_forward_tf32(const float* input, const float* weights, const float* bias, float* output,
                                      float* features, unsigned* positive, int height, int width, int inputs, int outputs)
{
    forward<TensorCores<Tf32, PIXELS>>(input, weights, bias, output, features, positive, height, width, inputs, outputs);
}
ENTRY(convolve_forward_tf32)

KERNEL(THREADS) convolve_forward_bf16(const Bfloat16* input, const float* weights, const float* bias, Bfloat16* output,
                                      float* features, unsigned* positive, int height, int width, int inputs, int outputs)
{
    forward<TensorCores<Bf16, PIXELS>>(input, weights, bias, output, features, positive, height, width, inputs, outputs);
}
ENTRY(convolve_forward_bf16)

// The same backward: `positive` of the layer below, or null where a pooling lies between.
KERNEL(THREADS) convolve_backward_f32(const float* gradient, const float* weights, const unsigned* positive,
                                      float* output, int height, int width, int inputs, int outputs)
{
    backward<Plain<PIXELS>>(gradient, weights, positive, output, height, width, inputs, outputs);
}
ENTRY(convolve_backward_f32)

KERNEL(THREADS) convolve_backward_tf32(const float* gradient, const float* weights, const unsigned* positive,
                                       float* output, int height, int width, int inputs, int outputs)
{
    backward<TensorCores<Tf32, PIXELS>>(gradient, weights, positive, output, height, width, inputs, outputs);
}
ENTRY(convolve_backward_tf32)

KERNEL(THREADS) convolve_backward_bf16(const Bfloat16* gradient, const float* weights, const unsigned* positive,
                                       Bfloat16* output, int height, int width, int inputs, int outputs)
{
    backward<TensorCores<Bf16, PIXELS>>(gradient, weights, positive, output, height, width, inputs, outputs);
}
ENTRY(convolve_backward_bf16)

} // namespace convolution
