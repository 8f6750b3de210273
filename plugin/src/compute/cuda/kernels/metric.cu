// What optimise/picture_metric.rs, octaves.rs and local_scale.rs do to pictures `[3][H][W]`, on a card: the same
// operations in the same order.
#include "device.h"

namespace metric {

// Pixels along the side of a cell that has a scale of its own.
constexpr int CELL = 16;
// (1, 3, 3, 1) / 8, twice every second of it.
constexpr float NEAR = 0.75f, FAR = 0.25f;

// The mean square of a gradient over each cell, `squares [rows][columns]` of cells: a block to a cell, a thread to a pixel.
KERNEL(256) cells(const float* gradient, int height, int width, double* squares)
{
    double sums[1] = {};
    int top = blockIdx.y * CELL, left = blockIdx.x * CELL;
    int y = top + threadIdx.x / CELL, x = left + threadIdx.x % CELL;
    if (y < height && x < width)
        UNROLL for (int plane = 0; plane < 3; plane++) {
            double sample = gradient[(static_cast<long long>(plane) * height + y) * width + x];
            sums[0] += sample * sample;
        }
    double total = block_total(sums);
    if (threadIdx.x == 0) {
        int rows = height - top < CELL ? height - top : CELL, columns = width - left < CELL ? width - left : CELL;
        squares[blockIdx.y * gridDim.x + blockIdx.x] = total / (rows * columns);
    }
}
ENTRY(cells)

// The root of the scale at a pixel: between the two rows of cells whose centres are nearest; 1 without `roots`.
DEVICE float root_at(const float* roots, int rows, int width, int y, int x)
{
    if (roots == nullptr)
        return 1.0f;
    float at = plus((static_cast<float>(y) + 0.5f) / CELL, -0.5f);
    float before = std::floor(at);
    int upper = static_cast<int>(before), lower = upper + 1;
    upper = upper < 0 ? 0 : upper < rows ? upper : rows - 1;
    lower = lower < rows ? lower : rows - 1;
    float above = roots[upper * width + x], below = roots[lower * width + x];
    return plus(above, times(plus(at, -before), plus(below, -above)));
}

// Each pixel's three samples times the matrix of rows r, g and b, and times the root of its scale; `roots [rows][W]`.
KERNEL(256) turn(float* planes, const float* roots, int rows, float rr, float rg, float rb, float gr, float gg, float gb,
                 float br, float bg, float bb, int root_first, int height, int width)
{
    int pixel = static_cast<int>(element_of_thread()), pixels = height * width;
    if (pixel >= pixels)
        return;
    float root = root_at(roots, rows, width, pixel / width, pixel % width);
    float matrix[3][3] = {{rr, rg, rb}, {gr, gg, gb}, {br, bg, bb}}, sample[3];
    UNROLL for (int plane = 0; plane < 3; plane++) {
        sample[plane] = planes[static_cast<long long>(plane) * pixels + pixel];
        if (root_first)
            sample[plane] = times(root, sample[plane]);
    }
    UNROLL for (int plane = 0; plane < 3; plane++) {
        float along = plus(plus(times(matrix[plane][0], sample[0]), times(matrix[plane][1], sample[1])),
                           times(matrix[plane][2], sample[2]));
        planes[static_cast<long long>(plane) * pixels + pixel] = root_first ? along : times(root, along);
    }
}
ENTRY(turn)

// Each sample times its pixel's scale.
KERNEL(256) scale_locally(float* planes, const float* roots, int rows, int height, int width)
{
    int pixel = static_cast<int>(element_of_thread()), pixels = height * width;
    if (pixel >= pixels)
        return;
    float root = root_at(roots, rows, width, pixel / width, pixel % width);
    UNROLL for (int plane = 0; plane < 3; plane++) {
        float* sample = planes + static_cast<long long>(plane) * pixels + pixel;
        *sample = times(times(root, root), *sample);
    }
}
ENTRY(scale_locally)

// Planes of half as many rows and columns, rounded up. Beyond the border are zeros.
KERNEL(256) halve(const float* planes, float* smaller, int height, int width)
{
    int rows = (height + 1) / 2, columns = (width + 1) / 2;
    int index = static_cast<int>(element_of_thread());
    if (index >= rows * columns)
        return;
    int row = index / columns, column = index % columns;
    const float* plane = planes + static_cast<long long>(blockIdx.y) * height * width;
    float taps[4];
    UNROLL for (int i = 0; i < 4; i++) {
        int x = 2 * column + i - 1;
        taps[i] = 0.0f;
        UNROLL for (int j = 0; j < 4; j++) {
            int y = 2 * row + j - 1;
            float weight = j == 0 || j == 3 ? 0.25f * FAR : 0.25f * NEAR;
            if (x >= 0 && x < width && y >= 0 && y < height)
                taps[i] = plus(taps[i], times(weight, plane[static_cast<long long>(y) * width + x]));
        }
    }
    float value = plus(times(FAR, plus(taps[0], taps[3])), times(NEAR, plus(taps[1], taps[2])));
    smaller[static_cast<long long>(blockIdx.y) * rows * columns + index] = value;
}
ENTRY(halve)

// Each plane times its own gain, and what was halved brought back to the full size; nothing of that where it is null.
KERNEL(256) add_doubled(float* planes, const float* smaller, float first, float second, float third, int height, int width)
{
    int index = static_cast<int>(element_of_thread());
    if (index >= height * width)
        return;
    float own = blockIdx.y == 0 ? first : blockIdx.y == 1 ? second : third;
    float* sample = planes + static_cast<long long>(blockIdx.y) * height * width + index;
    float value = times(own, *sample);
    if (smaller != nullptr) {
        int rows = (height + 1) / 2, columns = (width + 1) / 2;
        const float* plane = smaller + static_cast<long long>(blockIdx.y) * rows * columns;
        int y = index / width, x = index % width;
        int near = y / 2, far = y % 2 == 0 ? near - 1 : near + 1;
        auto along = [&](int column) {
            if (column < 0 || column >= columns)
                return 0.0f;
            float sum = times(NEAR, plane[static_cast<long long>(near) * columns + column]);
            if (far < 0 || far >= rows)
                return sum;
            return plus(sum, times(FAR, plane[static_cast<long long>(far) * columns + column]));
        };
        float doubled = plus(times(NEAR, along(x / 2)), times(FAR, along(x % 2 == 0 ? x / 2 - 1 : x / 2 + 1)));
        value = plus(value, doubled);
    }
    *sample = value;
}
ENTRY(add_doubled)

} // namespace metric
