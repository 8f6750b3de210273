// Vectors of pixels, as optimisers see them: elements are changed one by one, and products of them are summed.
//
// An optimiser's operations are few sums of scaled and masked vectors, and products that are wanted next are taken while
// a vector passes by: one kernel does for nearly all of them. L-BFGS wants a vector with each of its history: two more
// take several of those at once, so that the vector is read once for all of them. Elements are rounded after each
// operation, as on the processor, so both give the same ones. Products are formed and summed in double: in a fixed
// number of blocks for a length, whose sums are added in an order that is always the same, so that the same card always
// gives the same bits.
//
// Double is slow on cards for games, a 64th of float. A term takes about two such instructions, and at 1024 x 1024 a
// product with a vector of the history about 0.07 ms on a card of 28 multiprocessors, whose memory takes 0.02 ms; with 10
// pairs, some 30 of them are 1 % of a step. So sums of two floats, which cannot hold what double can, would
// gain next to nothing.
#include "device.h"

namespace vectors {

// What a vector is made of, and how `combine` makes one.
enum Flag {
    A_IN_HALVES = 1,
    B_IN_HALVES = 2,
    WEIGHT_IN_HALVES = 4,
    S_IN_HALVES = 8,
    Y_IN_HALVES = 16,
    INTO_HALVES = 32,
    INTO_BOX = 64,
    STEP_FROM_A = 128,
};

DEVICE float element(const void* vector, bool is_in_halves, long long index)
{
    if (is_in_halves)
        return static_cast<const Bfloat16*>(vector)[index];
    return static_cast<const float*>(vector)[index];
}

// `out = alpha a + beta weight b`, clamped to 0 ... 1 where it goes into the box; the sums of `out s` and of
// `weight s y`. `a`, `b`, `weight`, `s`, `y`, `out` and `partial` may be null, which is to be without them. The first
// sum is of `(out - a) s` where the step from `a` is asked for. `out` may be `a` or `b`.
KERNEL(256) combine(const void* a, float alpha, const void* b, float beta, const void* weight, const void* s,
                    const void* y, void* out, int flags, int count, double* partial)
{
    double sums[2] = {};
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        float own = a == nullptr ? 0.0f : element(a, flags & A_IN_HALVES, index);
        float share = weight == nullptr ? 1.0f : element(weight, flags & WEIGHT_IN_HALVES, index);
        float value = times(alpha, own);
        if (b != nullptr) {
            float other = times(beta, times(share, element(b, flags & B_IN_HALVES, index)));
            value = a == nullptr ? other : plus(value, other);
        }
        // Written so that a NaN stays one.
        if (flags & INTO_BOX)
            value = value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
        if (s != nullptr) {
            float factor = element(s, flags & S_IN_HALVES, index);
            float along = flags & STEP_FROM_A ? plus(value, -own) : value;
            sums[0] += static_cast<double>(along) * factor;
            if (y != nullptr)
                sums[1] += share * (static_cast<double>(factor) * element(y, flags & Y_IN_HALVES, index));
        }
        if (out != nullptr && flags & INTO_HALVES)
            static_cast<Bfloat16*>(out)[index] = value;
        else if (out != nullptr)
            static_cast<float*>(out)[index] = value;
    }
    if (partial != nullptr)
        add_up(sums, partial);
}
ENTRY(combine)

// Vectors that are taken at once.
constexpr int GROUP = 8;

// The sums of `a b` for each vector `b` of a group: `partial [GROUP][blocks]`, 0 where `b` is null. Bit k of `in_halves` is
// set where the k-th is in halves, and the bit after those of the group where `a` is.
KERNEL(256) dots(const void* a, const void* b0, const void* b1, const void* b2, const void* b3, const void* b4,
                 const void* b5, const void* b6, const void* b7, int in_halves, int count, double* partial)
{
    const void* group[GROUP] = {b0, b1, b2, b3, b4, b5, b6, b7};
    double sums[GROUP] = {};
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        double own = element(a, in_halves >> GROUP & 1, index);
        UNROLL for (int k = 0; k < GROUP; k++)
            if (group[k] != nullptr)
                sums[k] += own * element(group[k], in_halves >> k & 1, index);
    }
    add_up(sums, partial);
}
ENTRY(dots)

// What the blocks of `dots` found, added up: a block to each sum.
KERNEL(256) dots_total(const double* partial, int blocks, double* totals)
{
    double sums[1] = {};
    for (int block = static_cast<int>(threadIdx.x); block < blocks; block += static_cast<int>(blockDim.x))
        sums[0] += partial[static_cast<long long>(blockIdx.x) * blocks + block];
    double total = block_total(sums);
    if (threadIdx.x == 0)
        totals[blockIdx.x] = total;
}
ENTRY(dots_total)

// `a + sum f_k b_k` over the vectors of a group that are not null, one after the other, in the memory of `a`. Bits of
// `in_halves` are as above.
KERNEL(256) add_multiples(float* a, const void* b0, const void* b1, const void* b2, const void* b3, const void* b4,
                          const void* b5, const void* b6, const void* b7, float f0, float f1, float f2, float f3,
                          float f4, float f5, float f6, float f7, int in_halves, int count)
{
    const void* group[GROUP] = {b0, b1, b2, b3, b4, b5, b6, b7};
    float factors[GROUP] = {f0, f1, f2, f3, f4, f5, f6, f7};
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        float value = a[index];
        UNROLL for (int k = 0; k < GROUP; k++)
            if (group[k] != nullptr)
                value = plus(value, times(factors[k], element(group[k], in_halves >> k & 1, index)));
        a[index] = value;
    }
}
ENTRY(add_multiples)

// The sums of `s s`, `y y`, `s y` and `s g1`, with `s = x1 - x0` and `y = g1 - g0`.
KERNEL(256) compare(const float* x0, const float* x1, const float* g0, const float* g1, int count, double* partial)
{
    double sums[4] = {};
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        double s = plus(x1[index], -x0[index]), y = plus(g1[index], -g0[index]);
        sums[0] += s * s;
        sums[1] += y * y;
        sums[2] += s * y;
        sums[3] += s * g1[index];
    }
    add_up(sums, partial);
}
ENTRY(compare)

// In halves: 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box.
KERNEL(256) free_pixels(const float* x, const float* gradient, Bfloat16* free, int count)
{
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        bool is_held = (x[index] <= 0.0f && gradient[index] >= 0.0f) || (x[index] >= 1.0f && gradient[index] <= 0.0f);
        free[index] = is_held ? 0.0f : 1.0f;
    }
}
ENTRY(free_pixels)

// Adam's step (Kingma and Ba 2015): moments are changed where they are, and `out` is where the pixels go. `shares` are
// what gradients, and their squares, count in the moments, and `corrections` what their bias is taken out by.
KERNEL(256) adam(const float* x, const float* gradient, float unit, float* first, float* second, float decay_first,
                 float share_first, float correction_first, float decay_second, float share_second,
                 float correction_second, float epsilon, float rate, int flags, float* out, int count)
{
    for (long long index = element_of_thread(); index < count;
         index += static_cast<long long>(gridDim.x) * blockDim.x) {
        float slope = times(unit, gradient[index]);
        float mean = plus(times(first[index], decay_first), times(slope, share_first));
        float square = plus(times(second[index], decay_second), times(times(slope, slope), share_second));
        first[index] = mean;
        second[index] = square;
        float scale = plus(std::sqrt(times(square, correction_second)), epsilon);
        float value = plus(x[index], -times(times(mean, correction_first) / scale, rate));
        if (flags & INTO_BOX)
            value = value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
        out[index] = value;
    }
}
ENTRY(adam)

} // namespace vectors
