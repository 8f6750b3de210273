// A warpgroup's products (warpgroup.h), as a block of emulated threads makes them: each thread its own sums, at the last
// moment, when it waits for them.
#pragma once

#include "emulated.h"

inline void publish_copies() { emulated::block.fibers[emulated::block.current].sees_copies = true; }
inline void begin_products() {}
inline void commit_products() {}

inline void await_products()
{
    auto products = std::exchange(emulated::block.fibers[emulated::block.current].products, {});
    for (auto& product : products)
        product();
}

namespace emulated {

template <class Format, int PAIRS>
void multiply_together(float (&sums)[PAIRS][4], Operand a, Operand b)
{
    Fiber& fiber = block.fibers[block.current];
    if (!fiber.sees_copies)
        refuse("products of what they do not see yet");
    size_t warp = block.current / 32, group = block.current % 32 / 4, member = block.current % 4;
    float(*to)[4] = sums;
    fiber.products.push_back([=] {
        auto word = [](const Operand& of, size_t row, size_t depth) {
            return bits_of(of.at[row / 8 * of.across + depth / 4 * of.along + row % 8 * 4 + depth % 4]);
        };
        float left[2][8 * Format::NUMBERS], right[8 * Format::NUMBERS];
        auto read = [&](float* into, const Operand& of, size_t row) {
            for (size_t k = 0; k < 8 * Format::NUMBERS; k++)
                into[k] = Format::number(word(of, row, k / Format::NUMBERS), k % Format::NUMBERS);
        };
        for (size_t half = 0; half < 2; half++)
            read(left[half], a, 16 * warp + group + 8 * half);
        for (size_t j = 0; j < PAIRS; j++)
            for (size_t e = 0; e < 2; e++) {
                read(right, b, 8 * j + 2 * member + e);
                for (size_t half = 0; half < 2; half++) {
                    float sum = 0.0f;
                    for (size_t k = 0; k < 8 * Format::NUMBERS; k++)
                        sum += left[half][k] * right[k];
                    to[j][2 * half + e] += sum;
                }
            }
    });
}

} // namespace emulated

template <int PAIRS>
void multiply_tf32(float (&sums)[PAIRS][4], Operand a, Operand b)
{
    emulated::multiply_together<emulated::Tf32>(sums, a, b);
}

template <int PAIRS>
void multiply_bf16(float (&sums)[PAIRS][4], Operand a, Operand b)
{
    emulated::multiply_together<emulated::Bf16>(sums, a, b);
}
