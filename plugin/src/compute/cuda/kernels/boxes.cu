// Between a picture `[3][H][W]` and what the network sees of it: boxes of its padded form are cut out, and their
// gradients folded back, as compute/tiled/margin.rs has it; and the variation of the picture's own pixels.
#include "device.h"

namespace boxes {

DEVICE int clamped(int index, int length) { return index < 0 ? 0 : index < length ? index : length - 1; }

// The box begins at `top` and `left` of the picture, which may be outside; its border is repeated there.
KERNEL(256) cut_out(const float* picture, int height, int width, int top, int left, float* seen, int rows, int columns)
{
    int index = static_cast<int>(element_of_thread());
    if (index >= rows * columns)
        return;
    int y = clamped(top + index / columns, height), x = clamped(left + index % columns, width);
    seen[static_cast<long long>(blockIdx.y) * rows * columns + index] =
        picture[(static_cast<long long>(blockIdx.y) * height + y) * width + x];
}
ENTRY(cut_out)

// What a box shows of a line of pixels: `count` from `first` on, the first and the last of them so many times more.
struct Line
{
    int first, count, before, after;

    DEVICE Line(int start, int shown, int length) : first(clamped(start, length))
    {
        count = clamped(start + shown - 1, length) + 1 - first;
        before = first - start < shown - count ? first - start : shown - count;
        before = before < 0 ? 0 : before;
        after = shown - count - before;
    }
};

// Adds the gradient of a box to that of the picture: every pixel receives the gradients of all its repetitions. A
// thread to a pixel that the box shows.
KERNEL(256) fold(const float* gradient, int rows, int columns, int top, int left, float* sum, int height, int width)
{
    Line down(top, rows, height), across(left, columns, width);
    int index = static_cast<int>(element_of_thread());
    if (index >= down.count * across.count)
        return;
    const float* plane = gradient + static_cast<long long>(blockIdx.y) * rows * columns;
    int y = index / across.count, x = index % across.count;
    int from = y == 0 ? 0 : down.before + y, to = y == down.count - 1 ? rows : down.before + y + 1;
    int begin = x == 0 ? 0 : across.before + x, end = x == across.count - 1 ? columns : across.before + x + 1;
    float* pixel = sum + (static_cast<long long>(blockIdx.y) * height + down.first + y) * width + across.first + x;
    float value = *pixel;
    for (int column = begin; column < end; column++) {
        float repeated = 0.0f;
        for (int row = from; row < to; row++)
            repeated = plus(repeated, plane[static_cast<long long>(row) * columns + column]);
        value = plus(value, repeated);
    }
    *pixel = value;
}
ENTRY(fold)

// Adds `factor` times the gradient of the variation, as objective/variation.rs has it with its `slope`, and sums the
// squares of the steps between neighbours.
KERNEL(256) vary(const float* picture, float* gradient, float slope, float factor, int height, int width, double* partial)
{
    double sums[1] = {};
    long long count = 3ll * height * width;
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        int x = static_cast<int>(index % width), y = static_cast<int>(index / width % height);
        float own = picture[index], change = 0.0f;
        if (y > 0)
            change = plus(change, times(plus(own, -picture[index - width]), slope));
        if (x > 0)
            change = plus(change, times(plus(own, -picture[index - 1]), slope));
        if (x + 1 < width) {
            float step = plus(picture[index + 1], -own);
            sums[0] += static_cast<double>(step) * step;
            change = plus(change, -times(step, slope));
        }
        if (y + 1 < height) {
            float step = plus(picture[index + width], -own);
            sums[0] += static_cast<double>(step) * step;
            change = plus(change, -times(step, slope));
        }
        gradient[index] = plus(gradient[index], times(change, factor));
    }
    add_up(sums, partial);
}
ENTRY(vary)

} // namespace boxes
