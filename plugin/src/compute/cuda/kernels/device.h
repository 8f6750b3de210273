// What the kernels ask of a device: CUDA when nvcc compiles them, an emulated block of threads (emulated.h) when a C++
// compiler does, which is how they are tested without a card. Everything that one of the two does not have by itself
// has its name here.
#pragma once

// Of what is copied to by 16 bytes. Stands before all else of a declaration.
#define ALIGNED alignas(16)

// Words that are read or written at once. They lie at a multiple of their size.
template <int COUNT>
struct alignas(4 * COUNT) Words
{
    unsigned at[COUNT];
};

#ifdef __CUDACC__

// An entry point. `ENTRY` makes it known by name to the emulation; in PTX it is already.
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define ENTRY(name)
#define DEVICE __device__ __forceinline__
#define SHARED __shared__
#define UNROLL _Pragma("unroll")

// 16 bytes to shared memory, on their way when this returns; zeros where there is nothing to read. Both places are
// multiples of 16.
DEVICE void copy_16(void* shared, const void* global, bool is_there)
{
    unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    int bytes = is_there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}

// Has the second cache fetch the 128 bytes around an address.
DEVICE void ask_for(const void* global) { asm volatile("prefetch.global.L2 [%0];" ::"l"(global)); }

// Ends a group of copies.
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until no more than so many of the last groups are on their way.
template <int REMAINING>
DEVICE void await_copies()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(REMAINING) : "memory");
}

// Bit i of the result is what lane i says. All lanes of a warp call this together, as they do the next ones.
DEVICE unsigned word_of_lanes(bool says) { return __ballot_sync(0xffffffffu, says); }

// The word of the lane whose number differs by these bits.
DEVICE unsigned word_of_lane_across(unsigned word, int bits) { return __shfl_xor_sync(0xffffffffu, word, bits); }

// The sum over the lanes of a warp, in an order that is always the same.
template <class Number>
DEVICE Number warp_sum(Number value)
{
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

// Adds products of 16 x 8 and 8 x 8 matrices in TF32 (the low 13 bits are ignored) to 16 x 8 sums, ROWS x COLUMNS of
// them. Where a lane's elements stand in those is the PTX manual's matter: see tile.h.
template <int ROWS, int COLUMNS>
DEVICE void multiply_tf32(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4], const unsigned (&b)[COLUMNS][2])
{
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int j = 0; j < COLUMNS; j++)
            asm volatile(
                "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]), "+f"(sums[i][j][3])
                : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
}

// The same in bfloat16, of 16 x 16 and 16 x 8 matrices: a word is a pair of neighbours along the depth, the first in the
// lower half. In words, everything stands where it does in TF32.
template <int ROWS, int COLUMNS>
DEVICE void multiply_bf16(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4], const unsigned (&b)[COLUMNS][2])
{
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int j = 0; j < COLUMNS; j++)
            asm volatile(
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]), "+f"(sums[i][j][3])
                : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
}

// The nearest bfloat16's 16 bits; of two that are as near, the even one.
DEVICE unsigned short bits_of_nearest(float value)
{
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(0.0f), "f"(value));
    return static_cast<unsigned short>(pair);
}

DEVICE unsigned bits_of(float value) { return __float_as_uint(value); }
DEVICE float of_bits(unsigned bits) { return __uint_as_float(bits); }
DEVICE int lowest_bit(int value) { return __ffs(value) - 1; }

template <int COUNT>
DEVICE Words<COUNT> read_words(const void* from)
{
    return *static_cast<const Words<COUNT>*>(from);
}

template <int COUNT>
DEVICE void write_words(const Words<COUNT>& words, void* to)
{
    *static_cast<Words<COUNT>*>(to) = words;
}

// What is read before this is asked for before anything that comes after. A compiler would rather read each number
// where it is used, to save registers.
DEVICE void end_reading() { asm volatile("" ::: "memory"); }

// Rounded by themselves, where a compiler would make one operation of two.
DEVICE float times(float a, float b) { return __fmul_rn(a, b); }
DEVICE float plus(float a, float b) { return __fadd_rn(a, b); }

#else
#include "emulated.h"
#endif

// A number of 8 significant bits and the range of a float, as maps of the draft mode and an optimiser's
// vectors of halves are kept.
struct Bfloat16
{
    unsigned short bits;
    Bfloat16() = default;
    DEVICE Bfloat16(float value) : bits(bits_of_nearest(value)) {}
    DEVICE operator float() const { return of_bits(static_cast<unsigned>(bits) << 16); }
};

// A float with 10 bits of mantissa, as maps are kept that tensor cores take in TF32. They cut off what is beyond that; so it
// is rounded away here, to the nearest, by adding half of the last place that counts.
struct Tf32Number
{
    float value;
    Tf32Number() = default;
    DEVICE Tf32Number(float exact) : value(of_bits((bits_of(exact) + 0x1000u) & ~0x1fffu)) {}
    DEVICE operator float() const { return value; }
};

// Neighbouring channels of a pixel, as a thread takes them at once: the first is a multiple of four.
struct Four
{
    float channels[4];
    DEVICE float& operator[](int i) { return channels[i]; }
    DEVICE float operator[](int i) const { return channels[i]; }
};

DEVICE Four four(const float* from)
{
    auto [a, b, c, d] = read_words<4>(from).at;
    return {of_bits(a), of_bits(b), of_bits(c), of_bits(d)};
}

DEVICE Four four(const Tf32Number* from) { return four(&from->value); }

DEVICE Four four(const Bfloat16* from)
{
    auto [ab, cd] = read_words<2>(from).at;
    return {of_bits(ab << 16), of_bits(ab & 0xffff0000u), of_bits(cd << 16), of_bits(cd & 0xffff0000u)};
}

DEVICE void put(const Four& value, float* to)
{
    write_words<4>({bits_of(value[0]), bits_of(value[1]), bits_of(value[2]), bits_of(value[3])}, to);
}

DEVICE void put(const Four& value, Tf32Number* to)
{
    put(Four{{Tf32Number(value[0]), Tf32Number(value[1]), Tf32Number(value[2]), Tf32Number(value[3])}}, &to->value);
}

DEVICE void put(const Four& value, Bfloat16* to)
{
    unsigned bits[4];
    UNROLL for (int i = 0; i < 4; i++)
        bits[i] = bits_of_nearest(value[i]);
    write_words<2>({bits[0] | bits[1] << 16, bits[2] | bits[3] << 16}, to);
}

// Of words that lanes have, those of LANES neighbours together.
template <int LANES>
DEVICE unsigned union_of_lanes(unsigned word)
{
    UNROLL for (int distance = 1; distance < LANES; distance *= 2)
        word |= word_of_lane_across(word, distance);
    return word;
}

// A lane's place in its warp, and the warp's in its block.
DEVICE int lane() { return threadIdx.x % 32; }
DEVICE int warp() { return threadIdx.x / 32; }

// A block's threads, where there is no reason for another number.
constexpr int THREADS = 128;

// A map has fewer than 2^31 pixels, but may have more elements. Channels are a power of two, and come last: so pixel and
// channel of an element are had without dividing.
struct Element
{
    int pixel, channel;
    DEVICE Element(long long index, int channels)
        : pixel(static_cast<int>(index >> lowest_bit(channels))), channel(static_cast<int>(index) & (channels - 1))
    {
    }
};

// A rectangle of a feature map that is `stride` pixels wide, walked row by row.
struct Window
{
    int stride, top, left, height, width;
};

DEVICE int pixel_of(const Window& window, int index)
{
    return (window.top + index / window.width) * window.stride + window.left + index % window.width;
}

DEVICE int pixels_in(const Window& window) { return window.height * window.width; }

DEVICE long long elements_in(const Window& window, int channels)
{
    return static_cast<long long>(pixels_in(window)) * channels;
}

// Where an element of a window is in the map.
DEVICE long long element_of(const Window& window, long long index, int channels)
{
    Element element(index, channels);
    return static_cast<long long>(pixel_of(window, element.pixel)) * channels + element.channel;
}

// Whether an activation was above 0: one bit each, 32 channels in a word.
DEVICE bool is_positive(const unsigned* positive, long long element)
{
    return positive[element / 32] >> (element % 32) & 1;
}

// Four bits, of as many channels, the lowest that of the first.
DEVICE unsigned four_positive(const unsigned* positive, long long element)
{
    return positive[element / 32] >> (element % 32) & 15;
}

// The element that a thread of a one-dimensional grid deals with.
DEVICE long long element_of_thread() { return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; }

// Adds up what the 256 threads of a block have of some sums; the first threads, one to each sum, get the totals.
template <int SUMS>
DEVICE double block_total(double (&sums)[SUMS])
{
    SHARED double of_warps[SUMS][8];
    UNROLL for (int k = 0; k < SUMS; k++) {
        double sum = warp_sum(sums[k]);
        if (lane() == 0)
            of_warps[k][warp()] = sum;
    }
    __syncthreads();
    double total = 0.0;
    if (threadIdx.x < SUMS)
        for (int from = 0; from < 8; from++)
            total += of_warps[threadIdx.x][from];
    return total;
}

// Ends the sums of a block of a one-dimensional grid: `partial [SUMS][blocks]`.
template <int SUMS>
DEVICE void add_up(double (&sums)[SUMS], double* partial)
{
    double total = block_total(sums);
    if (threadIdx.x < SUMS)
        partial[threadIdx.x * gridDim.x + blockIdx.x] = total;
}
