// Means and second moments of features over a window, weighted pixel by pixel, and what they say to the features.
//
// Sums over many pixels are cut into slices, one to a block, and the slices are added by a second kernel, in an order
// that is always the same: no atomics, so the same bits every time. Second moments are symmetric: only tiles on and
// above the diagonal are made.
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

// The first row and column of one of the tiles on and above the diagonal. They are numbered row by row, each from the
// diagonal on.
struct Corner
{
    int row, column;
};

DEVICE Corner corner_of_tile(int tile, int channels)
{
    int row = 0, column = tile, across = channels / TILE;
    while (column >= across - row) {
        column -= across - row;
        row++;
    }
    return {row * TILE, (row + column) * TILE};
}

// Rows that a thread reads before it adds the first, or changes it: what is asked of memory at once decides how fast it
// comes.
constexpr int ROWS_AT_ONCE = 8;

// Adds up `row(index, quad)` for each of 64 columns. A thread of the block's 256 takes four of them, from `quad` on,
// and every sixteenth row; the first 64 threads get the totals.
template <class Row>
DEVICE float sum_of_rows(int first, int last, Row row)
{
    constexpr int APART = 256 / (TILE / 4);
    ALIGNED SHARED float of_threads[APART][TILE];
    int quad = threadIdx.x % (TILE / 4) * 4, start = threadIdx.x / (TILE / 4);
    Four sums = {};
    for (int index = first + start; index < last; index += APART * ROWS_AT_ONCE) {
        Four rows[ROWS_AT_ONCE];
        // What is past the end is read where the end is.
        UNROLL for (int k = 0; k < ROWS_AT_ONCE; k++)
            rows[k] = row(index + APART * k < last ? index + APART * k : last - 1, quad);
        end_reading();
        UNROLL for (int k = 0; k < ROWS_AT_ONCE; k++)
            UNROLL for (int j = 0; j < 4; j++)
                sums[j] += index + APART * k < last ? rows[k][j] : 0.0f;
    }
    put(sums, &of_threads[start][quad]);
    __syncthreads();
    float total = 0.0f;
    if (threadIdx.x < TILE)
        for (int thread = 0; thread < APART; thread++)
            total += of_threads[thread][threadIdx.x];
    return total;
}

template <class Sums>
DEVICE void second_moments(const float* features, const float* weights, Window window, int channels,
                           int pixels_per_slice, float* partial)
{
    constexpr int ROOM = STAGES * Outer::STAGE > TILE * STRIDE_SUMS ? STAGES * Outer::STAGE : TILE * STRIDE_SUMS;
    ALIGNED SHARED float shared[ROOM];
    Corner corner = corner_of_tile(blockIdx.x, channels);
    int first = blockIdx.y * pixels_per_slice, pixels = pixels_in(window);
    int last = first + pixels_per_slice < pixels ? first + pixels_per_slice : pixels;
    int steps = (last - first + DEPTH - 1) / DEPTH;
    Outer source{features, weights, window, channels, corner.row, corner.column, first, last};
    multiply<Sums>(source, steps, shared);
    float* to = partial + static_cast<long long>(blockIdx.y) * channels * channels;
    each_sum<TILE>(shared, [&](int i, int j, float sum) {
        to[static_cast<long long>(corner.row + i) * channels + corner.column + j] = sum;
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
    constexpr int ROWS_APART = THREADS / (COLUMNS / 4);
    ALIGNED SHARED float shared[STAGES * Features::STAGE];
    int first = blockIdx.x * Features::PIXELS, column = blockIdx.y * COLUMNS;
    Features source{features, matrix, window, channels, column, first};
    multiply<Sums>(source, channels / DEPTH, shared);
    int quad = threadIdx.x % (COLUMNS / 4) * 4, pixels = pixels_in(window);
    Four constant = four(means + column + quad);
    for (int i = 0; i < Features::PIXELS / ROWS_APART; i += ROWS_AT_ONCE) {
        int top = threadIdx.x / (COLUMNS / 4) + i * ROWS_APART;
        long long elements[ROWS_AT_ONCE];
        Four before[ROWS_AT_ONCE];
        unsigned passes[ROWS_AT_ONCE];
        float weight[ROWS_AT_ONCE];
        UNROLL for (int k = 0; k < ROWS_AT_ONCE; k++) {
            // What is past the end is read where the end is.
            int index = first + top + k * ROWS_APART;
            int pixel = pixel_of(window, index < pixels ? index : pixels - 1);
            elements[k] = static_cast<long long>(pixel) * channels + column + quad;
            before[k] = four(gradient + elements[k]);
            passes[k] = four_positive(positive, elements[k]);
            weight[k] = weights == nullptr ? share : share * weights[pixel];
        }
        UNROLL for (int k = 0; k < ROWS_AT_ONCE; k++) {
            int row = top + k * ROWS_APART;
            Four sums = four(shared + row * STRIDE_SUMS + quad);
            UNROLL for (int j = 0; j < 4; j++)
                before[k][j] += passes[k] >> j & 1 ? (sums[j] + constant[j]) * weight[k] : 0.0f;
            if (first + row < pixels)
                put(before[k], gradient + elements[k]);
        }
    }
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

// A grid of tiles by their rows. Adds the slices, multiplies by `scale`, and fills in what is below the diagonal.
KERNEL(256) second_moments_total(const float* partial, int slices, int channels, float scale, float* second)
{
    Corner corner = corner_of_tile(blockIdx.x, channels);
    int row = corner.row + blockIdx.y, column = corner.column + threadIdx.x;
    const float* from = partial + row * channels + corner.column;
    float sum = scale * sum_of_rows(0, slices, [&](int slice, int quad) {
        return four(from + static_cast<long long>(slice) * channels * channels + quad);
    });
    if (threadIdx.x < TILE && row <= column)
        second[row * channels + column] = second[column * channels + row] = sum;
}
ENTRY(second_moments_total)

// `partial [slice][channels]`; a grid of channels / 64 by slices.
KERNEL(256) means(const float* features, const float* weights, Window window, int channels, int pixels_per_slice,
                  float* partial)
{
    int column = blockIdx.x * TILE;
    int first = blockIdx.y * pixels_per_slice, pixels = pixels_in(window);
    int last = first + pixels_per_slice < pixels ? first + pixels_per_slice : pixels;
    float sum = sum_of_rows(first, last, [&](int index, int quad) {
        int pixel = pixel_of(window, index);
        Four value = four(features + static_cast<long long>(pixel) * channels + column + quad);
        float weight = weights == nullptr ? 1.0f : weights[pixel];
        UNROLL for (int j = 0; j < 4; j++)
            value[j] *= weight;
        return value;
    });
    if (threadIdx.x < TILE)
        partial[static_cast<long long>(blockIdx.y) * channels + column + threadIdx.x] = sum;
}
ENTRY(means)

// A grid of channels / 64.
KERNEL(256) means_total(const float* partial, int slices, int channels, float scale, float* mean)
{
    int column = blockIdx.x * TILE;
    float sum = sum_of_rows(0, slices, [&](int slice, int quad) {
        return four(partial + static_cast<long long>(slice) * channels + column + quad);
    });
    if (threadIdx.x < TILE)
        mean[column + threadIdx.x] = sum * scale;
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
                                    float share, Tf32Number* gradient)
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
