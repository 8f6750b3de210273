// Convolutions by products of warpgroups, which are in the module for compute capability 9.0 alone (every.cu): no other has
// such products, and those of warps reach some 60 % of what its tensor cores can do, at most.
#include "convolution.h"
#include "warpgroup.h"

namespace convolution {

// The sums of a warpgroup, which is the block: products of 8 rows of 8 pixels and all channels. Of those, warp w has rows
// 2 w and 2 w + 1, and in them lane 4 g + t has pixel g, and of eight channels 2 t and 2 t + 1.
template <class Format, int ROWS, int COLUMNS>
struct OfWarpgroup
{
    static constexpr int DOWN = ROWS / 8;
    using From = Source<ROWS, COLUMNS>;
    static constexpr int PIXELS = 2 * DOWN, PAIRS = COLUMNS / 8, PAIRS_OF_WORD = 4, SHARERS = 4;
    float sums[DOWN][PAIRS][4] = {};

    DEVICE static int row(int pixel) { return 8 * (pixel / 2) + 2 * warp() + pixel % 2; }
    DEVICE static int column(int) { return lane() / 4; }
    DEVICE static int channel(int pair) { return 8 * pair + lane() % 4 * 2; }
    DEVICE Pair pair(int pixel, int pair) const { return pair_of_row(sums[pixel / 2][pair], pixel % 2); }

    // The products of the step before are made, and the copies of this one can be seen by its own.
    DEVICE void settle() const
    {
        await_products();
        publish_copies();
    }

    DEVICE void add(const float* patch, const float* weights)
    {
        begin_products();
        UNROLL for (int plane = 0; plane < PLANES; plane += 2)
            UNROLL for (int i = 0; i < DOWN; i++) {
                Operand left{patch + plane * From::PATCH_PLANE + word_of(8 * i, 0), From::PATCH_PLANE, word_of(1, 0)};
                Operand right{weights + plane * From::WEIGHTS_PLANE, From::WEIGHTS_PLANE, 4 * GROUP};
                Format::multiply(sums[i], left, right);
            }
        commit_products();
    }
};

struct TogetherInTf32
{
    template <int PAIRS>
    DEVICE static void multiply(float (&sums)[PAIRS][4], Operand a, Operand b)
    {
        multiply_tf32(sums, a, b);
    }
};

struct TogetherInBf16
{
    template <int PAIRS>
    DEVICE static void multiply(float (&sums)[PAIRS][4], Operand a, Operand b)
    {
        multiply_bf16(sums, a, b);
    }
};

using HopperWideTf32 = OfWarpgroup<TogetherInTf32, 16, 128>;
using HopperNarrowTf32 = OfWarpgroup<TogetherInTf32, 16, 64>;
using HopperSmallTf32 = OfWarpgroup<TogetherInTf32, 8, 64>;
CONVOLUTIONS(hopper_wide_tf32, HopperWideTf32, 16, 128, Tf32Number)
CONVOLUTIONS(hopper_narrow_tf32, HopperNarrowTf32, 16, 64, Tf32Number)
CONVOLUTIONS(hopper_small_tf32, HopperSmallTf32, 8, 64, Tf32Number)

using HopperWideBf16 = OfWarpgroup<TogetherInBf16, 16, 128>;
using HopperNarrowBf16 = OfWarpgroup<TogetherInBf16, 16, 64>;
using HopperSmallBf16 = OfWarpgroup<TogetherInBf16, 8, 64>;
CONVOLUTIONS(hopper_wide_bf16, HopperWideBf16, 16, 128, Bfloat16)
CONVOLUTIONS(hopper_narrow_bf16, HopperNarrowBf16, 16, 64, Bfloat16)
CONVOLUTIONS(hopper_small_bf16, HopperSmallBf16, 8, 64, Bfloat16)

} // namespace convolution
