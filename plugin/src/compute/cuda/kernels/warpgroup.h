// Products that the four warps of a warpgroup make together, on cards of compute capability 9.0: both operands are read from
// shared memory, while the threads go on (PTX manual, "Asynchronous Warpgroup Level Matrix Instructions").
#pragma once

#include "device.h"

// An operand of 64 rows, or of as many as there are columns, and a depth of eight words: pieces of eight rows and four words,
// 128 bytes without a gap. From one piece to the next it is so many words along the depth, and so many across the rows.
struct Operand
{
    const float* at;
    int along, across;
};

#ifdef __CUDACC__

// As the instruction takes it: an address and two distances in units of 16 bytes, and nothing swizzled.
DEVICE unsigned long long description(Operand operand)
{
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(operand.at));
    auto units = [](int words) { return static_cast<unsigned long long>(words / 4); };
    return (address & 0x3ffff) >> 4 | units(operand.along) << 16 | units(operand.across) << 32;
}

// What this thread has copied, or has seen come, becomes what products see.
DEVICE void publish_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Before the first of some products: the sums are theirs from now on.
DEVICE void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Ends a group of products.
DEVICE void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until all are done.
DEVICE void await_products() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// A product's operands: the sums of eight and of sixteen pairs, as they are named and as they are given.
#define SUMS_OF(pair) "+f"(sums[pair][0]), "+f"(sums[pair][1]), "+f"(sums[pair][2]), "+f"(sums[pair][3])
#define EIGHT_FROM(pair)                                                                                               \
    SUMS_OF(pair), SUMS_OF(pair + 1), SUMS_OF(pair + 2), SUMS_OF(pair + 3), SUMS_OF(pair + 4), SUMS_OF(pair + 5),      \
        SUMS_OF(pair + 6), SUMS_OF(pair + 7)
#define NAMES_OF_8                                                                                                     \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15,"                                            \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_OF_16                                                                                                    \
    NAMES_OF_8                                                                                                         \
    ",%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47,"                                 \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// Adds products of 64 rows and COLUMNS columns to sums. Warp w has rows 16 w to 16 w + 15, its lanes as in a warp's
// products.
#define MULTIPLY(name, shape, last)                                                                                    \
    DEVICE void name(float (&sums)[8][4], Operand a, Operand b)                                                        \
    {                                                                                                                  \
        asm volatile("wgmma.mma_async.sync.aligned.m64n64" shape " {" NAMES_OF_8 "}, %32, %33, " last                  \
                     : EIGHT_FROM(0)                                                                                   \
                     : "l"(description(a)), "l"(description(b)));                                                      \
    }                                                                                                                  \
    DEVICE void name(float (&sums)[16][4], Operand a, Operand b)                                                       \
    {                                                                                                                  \
        asm volatile("wgmma.mma_async.sync.aligned.m64n128" shape " {" NAMES_OF_16 "}, %64, %65, " last                \
                     : EIGHT_FROM(0), EIGHT_FROM(8)                                                                    \
                     : "l"(description(a)), "l"(description(b)));                                                      \
    }

MULTIPLY(multiply_tf32, "k8.f32.tf32.tf32", "1, 1, 1;")
MULTIPLY(multiply_bf16, "k16.f32.bf16.bf16", "1, 1, 1, 0, 0;")

#undef MULTIPLY
#undef NAMES_OF_16
#undef NAMES_OF_8
#undef EIGHT_FROM
#undef SUMS_OF

#else
#include "emulated_warpgroup.h"
#endif
