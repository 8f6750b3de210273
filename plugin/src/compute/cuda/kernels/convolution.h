// 3 x 3 convolutions of stride 1 and padding 1, as matrix products: pixels by output channels, over 9 times the input
// channels. The left operand is never written out (an implicit GEMM): at one of the nine taps, a row of it is the channels
// of a neighbouring pixel, which lie side by side, or zeros beyond the border.
//
// A block makes a rectangle of pixels, 16 or 8 rows of 8, in 64 or 128 output channels. Sixteen words of channels at a time,
// it brings the rectangle and a border of one pixel around it to shared memory once, for all nine taps: a tap reads it one
// row or column further on. So of each input 1.4 times as much comes from the second cache as there is, and not nine times.
// Weights come tap by tap, two steps ahead of their use, in a ring of three; the next channels' pixels come meanwhile. A
// step is one barrier: it tells that what it needs has come, and that what is overwritten next was read by all.
//
// Two steps are less than what the card's own memory takes to answer, and all blocks want the same weights at once. So those
// that have the first rectangle ask for them some steps earlier, into the second cache: if all did, it would be too much.
//
// In shared memory an operand stands in four planes, of four words of each of its rows. So eight rows that follow one
// another are 128 bytes without a gap, wherever they begin, which is what a warpgroup's products ask for (warpgroup.h). And
// the planes are set apart so that eight lanes which read four words each, of two rows in all four planes, find them in
// different banks.
//
// Backward is the same with the kernel turned and its channels exchanged, so that only the ends differ: forward adds the
// bias, cuts off below 0 and keeps a bit of what was above; backward lets through what has that bit in the layer below.
// A gradient is therefore always stored as it is after its layer's ReLU has been gone back through.
//
// In TF32 maps and weights have no more digits than tensor cores take. In the draft mode they lie in memory as bfloat16, not
// only on the tensor cores: a word is two channels, and each byte that is brought serves twice the depth. Features that are
// measured are written in float32 as well, unrounded.
#pragma once

#include "tile.h"

namespace convolution {

// Words of an operand's row that are brought at once, in planes of four; pixels of a row of the rectangle; weights on their
// way; rows of an operand that are one run of memory; and how many steps before they are used weights are asked for.
constexpr int DEEP = 16, PLANES = DEEP / 4, RUN = 8, RING = 3, GROUP = 8, EARLY = 12;
constexpr int PATCH_RUN = RUN + 2;

// How far apart planes of so many rows are, in rows: by one or three quarters of all banks, and some times all of them.
constexpr int plane(int rows) { return rows + (10 - rows % 8) % 8; }

// A rectangle of ROWS x 8 pixels of a map, from (`y`, `x`) on, and COLUMNS output channels from `column` on. Blocks that
// have the same pixels follow one another.
template <int ROWS, int COLUMNS>
struct Tile
{
    int height, width, y, x, column;

    DEVICE Tile(int height, int width, int outputs) : height(height), width(width)
    {
        int across = (width + RUN - 1) / RUN, columns = outputs / COLUMNS;
        int rectangle = static_cast<int>(blockIdx.x) / columns;
        column = static_cast<int>(blockIdx.x) % columns * COLUMNS;
        y = rectangle / across * ROWS;
        x = rectangle % across * RUN;
    }

    DEVICE bool has(int y, int x) const { return y >= 0 && y < height && x >= 0 && x < width; }
};

// What is brought to shared memory, of a map `[H W inputs]` and weights `[inputs / 16][9][4][outputs][4]`, in words.
template <int ROWS, int COLUMNS>
struct Source
{
    static constexpr int PATCH = (ROWS + 2) * PATCH_RUN;
    // In words, of planes and of all four.
    static constexpr int PATCH_PLANE = 4 * plane(PATCH), WEIGHTS_PLANE = 4 * plane(COLUMNS);
    static constexpr int PATCH_WORDS = PLANES * PATCH_PLANE, WEIGHTS_WORDS = PLANES * WEIGHTS_PLANE;
    static constexpr int WORDS = 2 * PATCH_WORDS + RING * WEIGHTS_WORDS;
    // A thread copies four words of every 32nd pixel.
    static constexpr int COPIES = (PATCH + 31) / 32;
    const float* input;
    const float* weights;
    float* shared;
    int inputs, outputs;
    // The pixels that this thread copies; below 0 where there are zeros.
    int pixels[COPIES];

    DEVICE Source(const Tile<ROWS, COLUMNS>& tile, const float* input, const float* weights, int inputs, int outputs,
                  float* shared)
        : input(input + threadIdx.x % 4 * 4), weights(weights + tile.column * 4), shared(shared), inputs(inputs),
          outputs(outputs)
    {
        UNROLL for (int i = 0; i < COPIES; i++) {
            int place = threadIdx.x / 4 + 32 * i;
            int y = tile.y + place / PATCH_RUN - 1, x = tile.x + place % PATCH_RUN - 1;
            pixels[i] = tile.has(y, x) ? y * tile.width + x : -1;
        }
    }

    DEVICE const float* patch(int chunk) const { return shared + chunk % 2 * PATCH_WORDS; }
    DEVICE const float* of_weights(int slot) const { return shared + 2 * PATCH_WORDS + slot * WEIGHTS_WORDS; }

    DEVICE void fetch_patch(int chunk) const
    {
        float* to = shared + chunk % 2 * PATCH_WORDS + threadIdx.x % 4 * PATCH_PLANE;
        UNROLL for (int i = 0; i < COPIES; i++) {
            int place = threadIdx.x / 4 + 32 * i;
            bool is_there = pixels[i] >= 0;
            long long from = is_there ? static_cast<long long>(pixels[i]) * inputs + chunk * DEEP : 0;
            if (place < PATCH)
                copy_16(to + 4 * place, input + from, is_there);
        }
    }

    // Of a step, which is a tap of some channels.
    DEVICE void fetch_weights(int step, int slot) const
    {
        const float* from = weights + static_cast<long long>(step) * outputs * DEEP;
        float* to = shared + 2 * PATCH_WORDS + slot * WEIGHTS_WORDS;
        UNROLL for (int i = 0; i < COLUMNS * PLANES / THREADS; i++) {
            int piece = threadIdx.x + THREADS * i, plane = piece / COLUMNS, row = piece % COLUMNS;
            copy_16(to + plane * WEIGHTS_PLANE + 4 * row, from + (plane * outputs + row) * 4, true);
        }
    }

    // To the second cache, a run of 128 bytes by each of as many threads as it takes, of the blocks that are to do so.
    DEVICE void ask_for_weights(int step) const
    {
        constexpr int LINE = 32, LINES = COLUMNS * 4 / LINE;
        int plane = threadIdx.x / LINES, line = threadIdx.x % LINES;
        if (plane < PLANES && static_cast<int>(blockIdx.x) < outputs / COLUMNS)
            ask_for(weights + (static_cast<long long>(step) * DEEP + plane * 4) * outputs + line * LINE);
    }
};

// A pair of neighbouring channels, the first of which is even.
struct Pair
{
    float first, second;
};

DEVICE Pair pair(const float* from)
{
    auto [first, second] = read_words<2>(from).at;
    return {of_bits(first), of_bits(second)};
}

// Of a lane's sums of one product on tensor cores, those of the upper or the lower of its two rows.
DEVICE Pair pair_of_row(const float (&sums)[4], int row) { return {sums[2 * row], sums[2 * row + 1]}; }

DEVICE void put(Pair value, float* to) { write_words<2>({bits_of(value.first), bits_of(value.second)}, to); }

DEVICE void put(Pair value, Tf32Number* to)
{
    put(Pair{Tf32Number(value.first), Tf32Number(value.second)}, &to->value);
}

DEVICE void put(Pair value, Bfloat16* to)
{
    write_words<1>({bits_of_nearest(value.first) | static_cast<unsigned>(bits_of_nearest(value.second)) << 16}, to);
}

// The place of a pixel in a plane of a patch, in words, as the first tap sees it.
DEVICE int word_of(int row, int column) { return (row * PATCH_RUN + column) * 4; }

// The sums of a block's tile.
template <class Sums, int ROWS, int COLUMNS>
DEVICE void multiply(Sums& sums, const Source<ROWS, COLUMNS>& source)
{
    int chunks = source.inputs / DEEP, steps = 9 * chunks;
    source.fetch_patch(0);
    source.fetch_weights(0, 0);
    commit_copies();
    source.fetch_weights(1, 1);
    commit_copies();
    for (int step = 2; step < EARLY && step < steps; step++)
        source.ask_for_weights(step);
    for (int chunk = 0; chunk < chunks; chunk++)
        for (int down = 0; down < 3; down++)
            UNROLL for (int right = 0; right < 3; right++) {
                int step = 9 * chunk + 3 * down + right;
                await_copies<RING - 2>();
                sums.settle();
                __syncthreads();
                if (step + 2 < steps)
                    source.fetch_weights(step + 2, (right + 2) % RING);
                if (step + EARLY < steps)
                    source.ask_for_weights(step + EARLY);
                if (down == 0 && right == 0 && chunk + 1 < chunks)
                    source.fetch_patch(chunk + 1);
                commit_copies();
                sums.add(source.patch(chunk) + word_of(down, right), source.of_weights(right));
            }
    sums.settle();
}

// `end(sums, number, pixel, pair)` for every word of 32 channels of every pixel that a thread has a part in: the pixel's
// number in the map or -1, its number among the thread's, and the first of the thread's pairs of channels there. All lanes of
// a warp come together.
template <class Sums, int ROWS, int COLUMNS, class End>
DEVICE void convolve(const Tile<ROWS, COLUMNS>& tile, const float* input, const float* weights, int inputs, int outputs,
                     End end)
{
    using From = Source<ROWS, COLUMNS>;
    ALIGNED SHARED float shared[From::WORDS];
    Sums sums;
    multiply(sums, From(tile, input, weights, inputs, outputs, shared));
    UNROLL for (int pixel = 0; pixel < Sums::PIXELS; pixel++) {
        int y = tile.y + Sums::row(pixel), x = tile.x + Sums::column(pixel);
        int number = tile.has(y, x) ? y * tile.width + x : -1;
        UNROLL for (int pair = 0; pair < Sums::PAIRS; pair += Sums::PAIRS_OF_WORD)
            end(sums, number, pixel, pair);
    }
}

// How numbers of a map stand in words: one, or two neighbouring channels. Weights do so by input channels.
template <class Number>
DEVICE const float* words(const Number* numbers)
{
    return reinterpret_cast<const float*>(numbers);
}

template <class Number>
constexpr int PER_WORD = sizeof(float) / sizeof(Number);

template <class Sums, int ROWS, int COLUMNS, class Number>
DEVICE void forward(const Number* input, const float* weights, const float* bias, Number* output, float* features,
                    unsigned* positive, int height, int width, int inputs, int outputs)
{
    Tile<ROWS, COLUMNS> tile(height, width, outputs);
    auto end = [&](const Sums& sums, int number, int pixel, int first) {
        long long element = static_cast<long long>(number) * outputs;
        unsigned word = 0;
        UNROLL for (int pair = first; pair < first + Sums::PAIRS_OF_WORD; pair++) {
            int channel = tile.column + Sums::channel(pair);
            Pair sum = sums.pair(pixel, pair), biases = convolution::pair(bias + channel);
            float a = sum.first + biases.first, b = sum.second + biases.second;
            word |= (a > 0.0f ? 1u : 0u) << channel % 32 | (b > 0.0f ? 2u : 0u) << channel % 32;
            Pair value{a > 0.0f ? a : 0.0f, b > 0.0f ? b : 0.0f};
            if (number >= 0) {
                put(value, output + element + channel);
                if (features != nullptr)
                    put(value, features + element + channel);
            }
        }
        word = union_of_lanes<Sums::SHARERS>(word);
        if (number >= 0 && lane() % Sums::SHARERS == 0)
            positive[(element + tile.column + Sums::channel(first)) / 32] = word;
    };
    convolve<Sums>(tile, words(input), weights, inputs / PER_WORD<Number>, outputs, end);
}

template <class Sums, int ROWS, int COLUMNS, class Number>
DEVICE void backward(const Number* gradient, const float* weights, const unsigned* positive, Number* output, int height,
                     int width, int inputs, int outputs)
{
    Tile<ROWS, COLUMNS> tile(height, width, outputs);
    auto end = [&](const Sums& sums, int number, int pixel, int first) {
        if (number < 0)
            return;
        long long element = static_cast<long long>(number) * outputs + tile.column;
        unsigned word = positive == nullptr ? ~0u : positive[(element + Sums::channel(first)) / 32];
        UNROLL for (int pair = first; pair < first + Sums::PAIRS_OF_WORD; pair++) {
            int channel = Sums::channel(pair);
            unsigned bits = word >> channel % 32;
            Pair sum = sums.pair(pixel, pair);
            Pair value{bits & 1 ? sum.first : 0.0f, bits & 2 ? sum.second : 0.0f};
            put(value, output + element + channel);
        }
    };
    convolve<Sums>(tile, words(gradient), weights, inputs / PER_WORD<Number>, outputs, end);
}

} // namespace convolution

// Kernels of a kind of tile, `convolve_forward_KIND` and `convolve_backward_KIND`.
//
// Forward: `input [H W inputs]`, `weights [inputs / 16][9][4][outputs][4]` (of bfloat16, 32 inputs in place of 16, and 8 in
// place of 4), `output [H W outputs]`, and where it is to be kept in float32
// besides, or null; a grid of rectangles of ROWS x 8 pixels times outputs / COLUMNS. Backward the same, with `positive` of the
// layer below, or null where a pooling lies between.
#define CONVOLUTIONS(KIND, SUMS, ROWS, COLUMNS, NUMBER)                                                                      \
    KERNEL(THREADS) convolve_forward_##KIND(const NUMBER* input, const float* weights, const float* bias, NUMBER* output,   \
                                            float* features, unsigned* positive, int height, int width, int inputs,        \
                                            int outputs)                                                                    \
    {                                                                                                                        \
        forward<SUMS, ROWS, COLUMNS>(input, weights, bias, output, features, positive, height, width, inputs, outputs);     \
    }                                                                                                                        \
    ENTRY(convolve_forward_##KIND)                                                                                           \
    KERNEL(THREADS) convolve_backward_##KIND(const NUMBER* gradient, const float* weights, const unsigned* positive,        \
                                             NUMBER* output, int height, int width, int inputs, int outputs)                \
    {                                                                                                                        \
        backward<SUMS, ROWS, COLUMNS>(gradient, weights, positive, output, height, width, inputs, outputs);                 \
    }                                                                                                                        \
    ENTRY(convolve_backward_##KIND)
