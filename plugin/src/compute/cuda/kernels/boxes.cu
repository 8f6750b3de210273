// Between a picture `[3][H][W]` and what the network sees of it: boxes of its padded form are cut out, and their
// gradients folded back, as compute/tiled/margin.rs has it; and the variation of the picture's own pixels.
#include "device.h"

namespace boxes {

// The remainder, 0 or more.
DEVICE int wrapped(int value, int period) { return (value % period + period) % period; }

// Along a side, the pixel at a place, which may be outside: there the picture is reflected, the outermost pixels beside
// themselves.
DEVICE int reflected(int place, int length)
{
    int distance = wrapped(place, 2 * length);
    return distance < length ? distance : 2 * length - 1 - distance;
}

// The box begins at `top` and `left` of the picture, which may be outside.
KERNEL(256) cut_out(const float* picture, int height, int width, int top, int left, float* seen, int rows, int columns)
{
    int index = static_cast<int>(element_of_thread());
    if (index >= rows * columns)
        return;
    int y = reflected(top + index / columns, height), x = reflected(left + index % columns, width);
    seen[static_cast<long long>(blockIdx.y) * rows * columns + index] =
        picture[(static_cast<long long>(blockIdx.y) * height + y) * width + x];
}
ENTRY(cut_out)

// The places from `start` on that show a pixel of a side, in order: on the way there and on the way back, in turn.
struct Places
{
    int place, next, period;

    DEVICE Places(int pixel, int start, int length) : period(2 * length)
    {
        int there = start + wrapped(pixel - start, period), back = start + wrapped(-1 - pixel - start, period);
        place = there < back ? there : back;
        next = there < back ? back : there;
    }

    DEVICE void advance()
    {
        int later = place + period;
        place = next;
        next = later;
    }
};

// Adds the gradient of a box to that of the picture: every pixel receives the gradients of all the places that show it.
// A thread to a place of the box; the first that shows a pixel adds them all.
KERNEL(256) fold(const float* gradient, int rows, int columns, int top, int left, float* sum, int height, int width)
{
    int index = static_cast<int>(element_of_thread());
    if (index >= rows * columns)
        return;
    int y = top + index / columns, x = left + index % columns;
    int row = reflected(y, height), column = reflected(x, width);
    Places down(row, top, height), across(column, left, width);
    if (down.place != y || across.place != x)
        return;
    const float* plane = gradient + static_cast<long long>(blockIdx.y) * rows * columns;
    float* pixel = sum + (static_cast<long long>(blockIdx.y) * height + row) * width + column;
    float value = *pixel;
    for (; down.place < top + rows; down.advance()) {
        const float* values = plane + static_cast<long long>(down.place - top) * columns;
        for (Places along = across; along.place < left + columns; along.advance())
            value = plus(value, values[along.place - left]);
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
