// Means and second moments of features over a window, weighted pixel by pixel, and what they say to the features.
//
// Sums over many pixels are cut into slices, one to a block, and the slices are added in their order by a second kernel:
// no atomics, so the same bits every time. Second moments are symmetric: only tiles on and above the diagonal are made.
#include "tile.h"

namespace moments {

// Pixels are the depth, and channels both the rows and the columns.
struct Outer
{
    static constexpr int STAGE = 2 * DEPTH * STRIDE_WIDE + DEPTH;
    const float* features;
    const float* weights;
    Window window;
    int channels, row, column, first, last;

    DEVICE static WideWeighted left(const float* stage) { return {stage, stage + 2 * DEPTH * STRIDE_WIDE}; }
    DEVICE static const float* right(const float* stage) { return stage + DEPTH * STRIDE_WIDE; }

    DEVICE void fetch(int step, float* stage) const
    {
        UNROLL for (int i = 0; i < 2; i++) {
            int depth = threadIdx.x / 16 + 8 * i, quad = threadIdx.x % 16 * 4;
            int index = first + step * DEPTH + depth;
            bool is_there = index < last;
            const float* from = features + (is_there ? static_cast<long long>(pixel_of(window, index)) * channels : 0);
            copy_16(stage + depth * STRIDE_WIDE + quad, from + row + quad, is_there);
            copy_16(stage + (DEPTH + depth) * STRIDE_WIDE + quad, from + column + quad, is_there);
        }
        if (threadIdx.x < DEPTH) {
            int index = first + step * DEPTH + threadIdx.x;
            bool counts = weights != nullptr && index < last;
            stage[2 * DEPTH * STRIDE_WIDE + threadIdx.x] = counts ? weights[pixel_of(window, index)] : 1.0f;
        }
    }
};

constexpr int TILE = 64;

template <class Sums>
DEVICE void second_moments(const float* features, const float* weights, Window window, int channels,
                           int pixels_per_slice, float* partial)
{
    constexpr int ROOM = STAGES * Outer::STAGE > TILE * STRIDE_SUMS ? STAGES * Outer::STAGE : TILE * STRIDE_SUMS;
    ALIGNED SHARED float shared[ROOM];
    // Tiles are numbered row by row, each row from the diagonal on.
    int row = 0, column = blockIdx.x, across = channels / TILE;
    while (column >= across - row) {
        column -= across - row;
        row++;
    }
    column += row;
    int first = blockIdx.y * pixels_per_slice, pixels = pixels_in(window);
    int last = first + pixels_per_slice < pixels ? first + pixels_per_slice : pixels;
    int steps = (last - first + DEPTH - 1) / DEPTH;
    Outer source{features, weights, window, channels, row * TILE, column * TILE, first, last};
    multiply<Sums>(source, steps, shared);
    float* to = partial + static_cast<long long>(blockIdx.y) * channels * channels;
    each_sum<TILE>(shared, [&](int i, int j, float sum) {
        to[static_cast<long long>(row * TILE + i) * channels + column * TILE + j] = sum;
    });
}

// Rows are pixels of the window, and the matrix is symmetric.
struct Features
{
    static constexpr int PIXELS = 128;
    static constexpr int STAGE = PIXELS * STRIDE_DEEP + DEPTH * STRIDE_WIDE;
    const float* features;
    const float* matrix;
    Window window;
    int channels, column, first;

    DEVICE static Deep left(const float* stage) { return {stage}; }
    DEVICE static const float* right(const float* stage) { return stage + PIXELS * STRIDE_DEEP; }

    DEVICE void fetch(int step, float* stage) const
    {
        UNROLL for (int i = 0; i < PIXELS / 32; i++) {
            int row = threadIdx.x / 4 + 32 * i, quad = threadIdx.x % 4 * 4;
            bool is_there = first + row < pixels_in(window);
            long long element = is_there ? static_cast<long long>(pixel_of(window, first + row)) * channels : 0;
            copy_16(stage + row * STRIDE_DEEP + quad, features + element + step * DEPTH + quad, is_there);
        }
        fetch_matrix(matrix, channels, step * DEPTH, column, stage + PIXELS * STRIDE_DEEP);
    }
};

template <class Sums, class Number>
DEVICE void inject(const float* features, const float* matrix, const float* means, const float* weights,
                   const unsigned* positive, Window window, int channels, float share, Number* gradient)
{
    ALIGNED SHARED float shared[STAGES * Features::STAGE];
    int first = blockIdx.x * Features::PIXELS, column = blockIdx.y * COLUMNS;
    Features source{features, matrix, window, channels, column, first};
    multiply<Sums>(source, channels / DEPTH, shared);
    each_sum<Features::PIXELS>(shared, [&](int row, int at, float sum) {
        if (first + row >= pixels_in(window))
            return;
        int pixel = pixel_of(window, first + row);
        long long element = static_cast<long long>(pixel) * channels + column + at;
        float weight = weights == nullptr ? share : share * weights[pixel];
        if (is_positive(positive, element))
            gradient[element] = gradient[element] + (sum + means[column + at]) * weight;
    });
}

// `features [H W channels]`, `weights [H W]` or null for 1 everywhere, `partial [slice][channels][channels]`; a grid of
// tiles by slices.
KERNEL(THREADS) second_moments_f32(const float* features, const float* weights, Window window, int channels,
                                   int pixels_per_slice, float* partial)
{
    second_moments<Plain<TILE>>(features, weights, window, channels, pixels_per_slice, partial);
}
ENTRY(second_moments_f32)

KERNEL(THREADS) second_moments_tf32(const float* features, const float* weights, Window window, int channels,
                                    int pixels_per_slice, float* partial)
{
    second_moments<TensorCores<Tf32, TILE>>(features, weights, window, channels, pixels_per_slice, partial);
}
ENTRY(second_moments_tf32)

// Adds the slices, multiplies by `scale`, and fills in what is below the diagonal.
KERNEL(256) second_moments_total(const float* partial, int slices, int channels, float scale, float* second)
{
    long long element = element_of_thread(), matrix = static_cast<long long>(channels) * channels;
    if (element >= matrix)
        return;
    long long row = element / channels, column = element % channels;
    long long from = row <= column ? element : column * channels + row;
    float sum = 0.0f;
    for (int slice = 0; slice < slices; slice++)
        sum += partial[slice * matrix + from];
    second[element] = sum * scale;
}
ENTRY(second_moments_total)

// `partial [slice][channels]`; a grid of channels / 64 by slices.
KERNEL(64) means(const float* features, const float* weights, Window window, int channels, int pixels_per_slice,
                 float* partial)
{
    int channel = blockIdx.x * 64 + threadIdx.x;
    int first = blockIdx.y * pixels_per_slice, pixels = pixels_in(window);
    int last = first + pixels_per_slice < pixels ? first + pixels_per_slice : pixels;
    float sum = 0.0f;
    for (int index = first; index < last; index++) {
        int pixel = pixel_of(window, index);
        sum += features[static_cast<long long>(pixel) * channels + channel] * (weights == nullptr ? 1.0f : weights[pixel]);
    }
    partial[static_cast<long long>(blockIdx.y) * channels + channel] = sum;
}
ENTRY(means)

KERNEL(64) means_total(const float* partial, int slices, int channels, float scale, float* mean)
{
    int channel = blockIdx.x * 64 + threadIdx.x;
    float sum = 0.0f;
    for (int slice = 0; slice < slices; slice++)
        sum += partial[static_cast<long long>(slice) * channels + channel];
    mean[channel] = sum * scale;
}
ENTRY(means_total)

// The derivative with respect to a symmetric matrix, from those with respect to each entry on its own.
KERNEL(256) symmetric(const float* derivative, int channels, float* matrix)
{
    long long element = element_of_thread();
    if (element >= static_cast<long long>(channels) * channels)
        return;
    long long row = element / channels, column = element % channels;
    matrix[element] = derivative[element] + derivative[column * channels + row];
}
ENTRY(symmetric)

// Adds `share weights (matrix features + means)` to the gradient where the ReLU lets it through; the matrix is
// symmetric. A grid of the window's pixels / 128 by channels / 64. In the draft mode only the gradient is in bfloat16.
KERNEL(THREADS) inject_moments_f32(const float* features, const float* matrix, const float* means,
                                   const float* weights, const unsigned* positive, Window window, int channels,
                                   float share, float* gradient)
{
    inject<Plain<Features::PIXELS>>(features, matrix, means, weights, positive, window, channels, share, gradient);
}
ENTRY(inject_moments_f32)

KERNEL(THREADS) inject_moments_tf32(const float* features, const float* matrix, const float* means,
                                    const float* weights, const unsigned* positive, Window window, int channels,
                                    float share, float* gradient)
{
    inject<TensorCores<Tf32, Features::PIXELS>>(features, matrix, means, weights, positive, window, channels, share, gradient);
}
ENTRY(inject_moments_tf32)

KERNEL(THREADS) inject_moments_bf16(const float* features, const float* matrix, const float* means,
                                    const float* weights, const unsigned* positive, Window window, int channels,
                                    float share, Bfloat16* gradient)
{
    inject<TensorCores<Tf32, Features::PIXELS>>(features, matrix, means, weights, positive, window, channels, share, gradient);
}
ENTRY(inject_moments_bf16)

} // namespace moments
