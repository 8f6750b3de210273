// What a card can do at most, for profiles to compare kernels with: products that stay in registers, and a copy.
#include "tile.h"

namespace rates {

constexpr int ROWS = 4, ACROSS = 4;

// Of a block of 128 threads: in each round, 4 x 4 products of 16 x 8 and 8 x 8 words by each warp. `one` is 1, which the
// compiler is not to know; a thread's sums come to 64 times the depth of a product times the rounds.
template <class Format>
DEVICE void multiply_in_registers(float* totals, int rounds, unsigned ones)
{
    float sums[ROWS][ACROSS][4] = {};
    unsigned lefts[ROWS][4], rights[ACROSS][2];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int e = 0; e < 4; e++)
            lefts[i][e] = ones;
    UNROLL for (int j = 0; j < ACROSS; j++)
        UNROLL for (int e = 0; e < 2; e++)
            rights[j][e] = ones;
    for (int round = 0; round < rounds; round++)
        Format::multiply(sums, lefts, rights);
    float total = 0.0f;
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int j = 0; j < ACROSS; j++)
            UNROLL for (int e = 0; e < 4; e++)
                total += sums[i][j][e];
    totals[element_of_thread()] = total;
}

// As many operations on as many sums.
KERNEL(THREADS) rate_f32(float* totals, int rounds, float one)
{
    constexpr int SUMS = 64, DEEP = 8;
    float sums[SUMS] = {};
    for (int round = 0; round < rounds; round++)
        UNROLL for (int depth = 0; depth < DEEP; depth++)
            UNROLL for (int i = 0; i < SUMS; i++)
                sums[i] = sums[i] * one + one;
    float total = 0.0f;
    UNROLL for (int i = 0; i < SUMS; i++)
        total += sums[i];
    totals[element_of_thread()] = total;
}
ENTRY(rate_f32)

KERNEL(THREADS) rate_tf32(float* totals, int rounds, float one)
{
    multiply_in_registers<Tf32>(totals, rounds, bits_of(one));
}
ENTRY(rate_tf32)

KERNEL(THREADS) rate_bf16(float* totals, int rounds, float one)
{
    unsigned upper = bits_of(one);
    multiply_in_registers<Bf16>(totals, rounds, upper | upper >> 16);
}
ENTRY(rate_bf16)

// A block to 1024 numbers.
KERNEL(256) copy(const float* from, float* to, int numbers)
{
    UNROLL for (int i = 0; i < 4; i++) {
        long long number = static_cast<long long>(blockIdx.x) * 1024 + 256 * i + threadIdx.x;
        if (number < numbers)
            to[number] = from[number];
    }
}
ENTRY(copy)

} // namespace rates
