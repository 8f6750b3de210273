// Matrix products by tiles: a block of 128 threads makes M x 64 sums over a depth that is walked 16 at a time.
//
// Operands are copied to shared memory two steps ahead of their use, in a ring of three stages. A step is one barrier:
// it tells that the stage has come, and that the one which is to be overwritten next has been read by everybody.
//
// Two arithmetics share everything else, `Plain`, fused multiply-adds in float32, and `TensorCores`, with float32 sums of
// operands in one of two formats. `Tf32` has 10 bits and the sign of the mantissa's 23; operands are rounded to the
// nearest by adding half of the last place that counts, as the hardware itself would cut them off. `Bf16` has 7, and two
// operands lie in a word, so that a step of as many words goes through twice the depth. All that is said of
// depths here is in words: the copies do not know what they copy.
#pragma once

#include "device.h"

constexpr int DEPTH = 16;
constexpr int COLUMNS = 64;
constexpr int STAGES = 3;
// Strides at which a warp's reads fall into different banks: `STRIDE_DEEP` where rows are along the depth (16 of 20),
// `STRIDE_WIDE` where they are across it (64 of 72).
constexpr int STRIDE_DEEP = 20;
constexpr int STRIDE_WIDE = 72;
// Of the sums, on their way out.
constexpr int STRIDE_SUMS = 68;

// How an operand stands in shared memory.
struct Deep
{
    const float* at;
    DEVICE float operator()(int row, int depth) const { return at[row * STRIDE_DEEP + depth]; }
};

struct WideWeighted
{
    const float* at;
    const float* weights;
    DEVICE float operator()(int row, int depth) const { return at[depth * STRIDE_WIDE + row] * weights[depth]; }
};

// Float32: a thread has every sixteenth row and two times four columns.
template <int M>
struct Plain
{
    float sums[M / 16][8] = {};

    DEVICE static int row(int i) { return threadIdx.x / 8 + 16 * i; }
    DEVICE static int column(int j) { return threadIdx.x % 8 * 4 + j % 4 + j / 4 * 32; }

    template <class A>
    DEVICE void add(A a, const float* b)
    {
        UNROLL for (int depth = 0; depth < DEPTH; depth++) {
            float right[8];
            UNROLL for (int j = 0; j < 8; j++)
                right[j] = b[depth * STRIDE_WIDE + column(j)];
            UNROLL for (int i = 0; i < M / 16; i++) {
                float left = a(row(i), depth);
                UNROLL for (int j = 0; j < 8; j++)
                    sums[i][j] += left * right[j];
            }
        }
    }

    DEVICE void store(float* to) const
    {
        UNROLL for (int i = 0; i < M / 16; i++)
            UNROLL for (int j = 0; j < 8; j++)
                to[row(i) * STRIDE_SUMS + column(j)] = sums[i][j];
    }
};

struct Tf32
{
    DEVICE static unsigned operand(float word) { return bits_of(word) + 0x1000u; }

    template <int ROWS, int COLUMNS>
    DEVICE static void multiply(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4],
                                const unsigned (&b)[COLUMNS][2])
    {
        multiply_tf32(sums, a, b);
    }
};

struct Bf16
{
    template <int ROWS, int COLUMNS>
    DEVICE static void multiply(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4],
                                const unsigned (&b)[COLUMNS][2])
    {
        multiply_bf16(sums, a, b);
    }
};

// Two by two warps have half of the rows and columns each. In a left operand of 16 rows and 8 words, lane 4 g + t has rows
// g and g + 8 at depths t and t + 4; in a right one of 8 columns, column g at those depths; of the sums, columns 2 t and
// 2 t + 1.
template <class Format, int M>
struct TensorCores
{
    static constexpr int DOWN = M / 32, ACROSS = COLUMNS / 16;
    float sums[DOWN][ACROSS][4] = {};

    DEVICE static int top() { return warp() / 2 * (M / 2); }
    DEVICE static int left() { return warp() % 2 * (COLUMNS / 2); }

    template <class A>
    DEVICE void add(A a, const float* b)
    {
        int group = lane() / 4, member = lane() % 4;
        UNROLL for (int depth = 0; depth < DEPTH; depth += 8) {
            unsigned lefts[DOWN][4], rights[ACROSS][2];
            UNROLL for (int i = 0; i < DOWN; i++)
                UNROLL for (int e = 0; e < 4; e++)
                    lefts[i][e] = Format::operand(a(top() + 16 * i + group + 8 * (e % 2), depth + member + 4 * (e / 2)));
            UNROLL for (int j = 0; j < ACROSS; j++)
                UNROLL for (int e = 0; e < 2; e++)
                    rights[j][e] = Format::operand(b[(depth + member + 4 * e) * STRIDE_WIDE + left() + 8 * j + group]);
            Format::multiply(sums, lefts, rights);
        }
    }

    DEVICE void store(float* to) const
    {
        UNROLL for (int i = 0; i < DOWN; i++)
            UNROLL for (int j = 0; j < ACROSS; j++)
                UNROLL for (int e = 0; e < 4; e++) {
                    int row = top() + 16 * i + lane() / 4 + 8 * (e / 2);
                    to[row * STRIDE_SUMS + left() + 8 * j + lane() % 4 * 2 + e % 2] = sums[i][j][e];
                }
    }
};

// Sums over `steps` steps of what `source` brings; they are left in `shared`, `STRIDE_SUMS` apart.
template <class Sums, class Source>
DEVICE void multiply(const Source& source, int steps, float* shared)
{
    Sums sums;
    for (int step = 0; step < STAGES - 1; step++) {
        if (step < steps)
            source.fetch(step, shared + step * Source::STAGE);
        commit_copies();
    }
    for (int step = 0; step < steps; step++) {
        await_copies<STAGES - 2>();
        __syncthreads();
        int ahead = step + STAGES - 1;
        if (ahead < steps)
            source.fetch(ahead, shared + ahead % STAGES * Source::STAGE);
        commit_copies();
        const float* stage = shared + step % STAGES * Source::STAGE;
        sums.add(Source::left(stage), Source::right(stage));
    }
    // The sums take the stages' place.
    await_copies<0>();
    __syncthreads();
    sums.store(shared);
    __syncthreads();
}

// Hands out M rows of 64 sums, 32 columns to a warp at a time: `use(row, column, sum)`. All lanes come along.
template <int M, class Use>
DEVICE void each_sum(const float* shared, Use use)
{
    for (int run = warp(); run < 2 * M; run += THREADS / 32) {
        int row = run / 2, column = run % 2 * 32 + lane();
        use(row, column, shared[row * STRIDE_SUMS + column]);
    }
}

// A matrix `[depth][columns]`, of which 16 x 64 go into a stage.
DEVICE void fetch_matrix(const float* matrix, int columns, long long depth, int column, float* to)
{
    UNROLL for (int i = 0; i < 2; i++) {
        int row = threadIdx.x / 16 + 8 * i, quad = threadIdx.x % 16 * 4;
        copy_16(to + row * STRIDE_WIDE + quad, matrix + (depth + row) * columns + column + quad, true);
    }
}
