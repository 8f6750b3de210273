// Convolutions by products of warps, on tensor cores as all cards have them, and in float32.
#include "convolution.h"

namespace convolution {

// Sums of tensor cores. Two by two warps have half of the rows and of the channels each; a product is of two rows of 8
// pixels and of 8 channels. In it lane 4 g + t has the sums of pixel g of either row and of channels 2 t and 2 t + 1.
//
// A depth of a product may be walked in any order, so a lane takes four words that lie side by side for its two depths of
// two products, from both operands.
template <class Format, int ROWS, int COLUMNS>
struct OfWarps
{
    static constexpr int DOWN = ROWS / 4, ACROSS = COLUMNS / 16;
    using From = Source<ROWS, COLUMNS>;
    // A lane's pixels, and its pairs of channels; those of a word of 32 channels, and the lanes that share it.
    static constexpr int PIXELS = 2 * DOWN, PAIRS = ACROSS, PAIRS_OF_WORD = 4, SHARERS = 4;
    float sums[DOWN][ACROSS][4] = {};

    DEVICE static int row(int pixel) { return warp() / 2 * PIXELS + pixel; }
    DEVICE static int column(int) { return lane() / 4; }
    DEVICE static int first_channel() { return warp() % 2 * (COLUMNS / 2); }
    DEVICE static int channel(int pair) { return first_channel() + 8 * pair + lane() % 4 * 2; }
    DEVICE Pair pair(int pixel, int pair) const { return pair_of_row(sums[pixel / 2][pair], pixel % 2); }

    DEVICE void settle() const {}

    DEVICE void add(const float* patch, const float* weights)
    {
        int group = lane() / 4, member = lane() % 4;
        Four lefts[DOWN][2], rights[ACROSS];
        UNROLL for (int i = 0; i < DOWN; i++)
            UNROLL for (int half = 0; half < 2; half++)
                lefts[i][half] = four(patch + member * From::PATCH_PLANE + word_of(row(2 * i + half), group));
        UNROLL for (int j = 0; j < ACROSS; j++)
            rights[j] = four(weights + member * From::WEIGHTS_PLANE + 4 * (first_channel() + 8 * j + group));
        UNROLL for (int product = 0; product < 2; product++) {
            unsigned a[DOWN][4], b[ACROSS][2];
            UNROLL for (int i = 0; i < DOWN; i++)
                UNROLL for (int half = 0; half < 2; half++) {
                    a[i][half] = bits_of(lefts[i][half][2 * product]);
                    a[i][half + 2] = bits_of(lefts[i][half][2 * product + 1]);
                }
            UNROLL for (int j = 0; j < ACROSS; j++) {
                b[j][0] = bits_of(rights[j][2 * product]);
                b[j][1] = bits_of(rights[j][2 * product + 1]);
            }
            Format::multiply(sums, a, b);
        }
    }
};

// Sums in float32: a thread has a row of pixels, and pairs of channels.
template <int ROWS, int COLUMNS>
struct InFloat32
{
    static_assert(ROWS * RUN == THREADS, "eight threads to a row");
    using From = Source<ROWS, COLUMNS>;
    static constexpr int PIXELS = RUN, PAIRS = COLUMNS / 16, PAIRS_OF_WORD = 2, SHARERS = 8;
    float sums[PIXELS][2 * PAIRS] = {};

    DEVICE static int row(int) { return threadIdx.x / 8; }
    DEVICE static int column(int pixel) { return pixel; }
    DEVICE static int channel(int pair) { return 16 * pair + threadIdx.x % 8 * 2; }
    DEVICE Pair pair(int pixel, int pair) const { return {sums[pixel][2 * pair], sums[pixel][2 * pair + 1]}; }

    DEVICE void settle() const {}

    DEVICE void add(const float* patch, const float* weights)
    {
        UNROLL for (int plane = 0; plane < PLANES; plane++) {
            Four rights[2 * PAIRS];
            UNROLL for (int j = 0; j < 2 * PAIRS; j++)
                rights[j] = four(weights + plane * From::WEIGHTS_PLANE + 4 * (channel(j / 2) + j % 2));
            UNROLL for (int i = 0; i < PIXELS; i++) {
                Four left = four(patch + plane * From::PATCH_PLANE + word_of(row(i), column(i)));
                UNROLL for (int j = 0; j < 2 * PAIRS; j++)
                    UNROLL for (int depth = 0; depth < 4; depth++)
                        sums[i][j] += left[depth] * rights[j][depth];
            }
        }
    }
};

using Plain = InFloat32<16, 64>;
CONVOLUTIONS(f32, Plain, 16, 64, float)

using WideTf32 = OfWarps<Tf32, 16, 128>;
using NarrowTf32 = OfWarps<Tf32, 16, 64>;
using SmallTf32 = OfWarps<Tf32, 8, 64>;
CONVOLUTIONS(wide_tf32, WideTf32, 16, 128, Tf32Number)
CONVOLUTIONS(narrow_tf32, NarrowTf32, 16, 64, Tf32Number)
CONVOLUTIONS(small_tf32, SmallTf32, 8, 64, Tf32Number)

using WideBf16 = OfWarps<Bf16, 16, 128>;
using NarrowBf16 = OfWarps<Bf16, 16, 64>;
using SmallBf16 = OfWarps<Bf16, 8, 64>;
CONVOLUTIONS(wide_bf16, WideBf16, 16, 128, Bfloat16)
CONVOLUTIONS(narrow_bf16, NarrowBf16, 16, 64, Bfloat16)
CONVOLUTIONS(small_bf16, SmallBf16, 8, 64, Bfloat16)

} // namespace convolution
