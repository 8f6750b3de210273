// What the kernels ask of a device (device.h), as a block of emulated threads does it (emulated_block.h).
#pragma once

#include "emulated_block.h"

inline void __syncthreads() { emulated::wait(emulated::State::AtBlock); }

inline void copy_16(void* shared, const void* global, bool is_there)
{
    if (reinterpret_cast<uintptr_t>(shared) % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0)
        emulated::refuse("a copy of 16 bytes from or to no multiple of 16");
    emulated::spoil(shared, 16);
    emulated::Fiber& fiber = emulated::block.fibers[emulated::block.current];
    fiber.copies.push_back({fiber.groups, static_cast<float*>(shared), static_cast<const float*>(global), is_there});
}

inline void ask_for(const void*) {}

inline void commit_copies() { emulated::block.fibers[emulated::block.current].groups++; }

template <int REMAINING>
void await_copies()
{
    size_t groups = emulated::block.fibers[emulated::block.current].groups;
    if (groups > REMAINING)
        emulated::arrive(groups - REMAINING);
}

inline unsigned word_of_lanes(bool says)
{
    unsigned word = says;
    emulated::collective(
        [](void* (&lanes)[32]) {
            unsigned word = 0;
            for (int lane = 0; lane < 32; lane++)
                word |= *static_cast<unsigned*>(lanes[lane]) << lane;
            for (void* lane : lanes)
                *static_cast<unsigned*>(lane) = word;
        },
        &word);
    return word;
}

inline unsigned word_of_lane_across(unsigned word, int bits)
{
    struct Passed
    {
        unsigned word, bits;
    } mine{word, static_cast<unsigned>(bits)};
    emulated::collective(
        [](void* (&lanes)[32]) {
            unsigned words[32];
            for (unsigned lane = 0; lane < 32; lane++)
                words[lane] = static_cast<Passed*>(lanes[lane])->word;
            for (unsigned lane = 0; lane < 32; lane++) {
                auto passed = static_cast<Passed*>(lanes[lane]);
                passed->word = words[lane ^ passed->bits];
            }
        },
        &mine);
    return mine.word;
}

template <class Number>
Number warp_sum(Number value)
{
    emulated::collective(emulated::Sum<Number>::over, &value);
    return value;
}

inline unsigned bits_of(float value)
{
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float of_bits(unsigned bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned short bits_of_nearest(float value)
{
    unsigned bits = bits_of(value);
    // As the hardware has it, whatever the number is not.
    if (value != value)
        return 0x7fff;
    return static_cast<unsigned short>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

template <int COUNT>
Words<COUNT> read_words(const void* from)
{
    if (reinterpret_cast<uintptr_t>(from) % sizeof(Words<COUNT>) != 0)
        emulated::refuse("words read at once from no multiple of their size");
    Words<COUNT> words;
    std::memcpy(&words, from, sizeof words);
    return words;
}

template <int COUNT>
void write_words(const Words<COUNT>& words, void* to)
{
    if (reinterpret_cast<uintptr_t>(to) % sizeof words != 0)
        emulated::refuse("words written at once to no multiple of their size");
    std::memcpy(to, &words, sizeof words);
}

inline void end_reading() {}

// Compiled without contraction of the two.
inline float times(float a, float b) { return a * b; }
inline float plus(float a, float b) { return a + b; }

inline int lowest_bit(int value) { return __builtin_ctz(static_cast<unsigned>(value)); }

namespace emulated {

// Operands of a product of matrices, whose depth is eight words of so many numbers.
struct Tf32
{
    static constexpr int NUMBERS = 1;
    static float number(unsigned word, int) { return of_bits(word & ~0x1fffu); }
};

struct Bf16
{
    static constexpr int NUMBERS = 2;
    static float number(unsigned word, int which) { return of_bits(which == 0 ? word << 16 : word & 0xffff0000u); }
};

template <class Format, int ROWS, int COLUMNS>
void multiply(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4], const unsigned (&b)[COLUMNS][2])
{
    struct Fragments
    {
        float (*sums)[COLUMNS][4];
        const unsigned (*a)[4];
        const unsigned (*b)[2];
    } mine{sums, a, b};
    collective(
        [](void* (&lanes)[32]) {
            auto of = [&](int lane) -> Fragments& { return *static_cast<Fragments*>(lanes[lane]); };
            constexpr int NUMBERS = Format::NUMBERS;
            float left[16 * ROWS][8 * NUMBERS], right[8 * NUMBERS][8 * COLUMNS];
            for (int lane = 0; lane < 32; lane++) {
                int group = lane / 4, member = lane % 4;
                for (int which = 0; which < NUMBERS; which++) {
                    for (int i = 0; i < ROWS; i++)
                        for (int e = 0; e < 4; e++)
                            left[16 * i + group + 8 * (e % 2)][(member + 4 * (e / 2)) * NUMBERS + which] =
                                Format::number(of(lane).a[i][e], which);
                    for (int j = 0; j < COLUMNS; j++)
                        for (int e = 0; e < 2; e++)
                            right[(member + 4 * e) * NUMBERS + which][8 * j + group] =
                                Format::number(of(lane).b[j][e], which);
                }
            }
            static thread_local float products[16 * ROWS][8 * COLUMNS];
            for (int row = 0; row < 16 * ROWS; row++) {
                std::fill_n(products[row], 8 * COLUMNS, 0.0f);
                for (int k = 0; k < 8 * NUMBERS; k++)
                    for (int column = 0; column < 8 * COLUMNS; column++)
                        products[row][column] += left[row][k] * right[k][column];
            }
            for (int lane = 0; lane < 32; lane++)
                for (int i = 0; i < ROWS; i++)
                    for (int j = 0; j < COLUMNS; j++)
                        for (int e = 0; e < 4; e++)
                            of(lane).sums[i][j][e] +=
                                products[16 * i + lane / 4 + 8 * (e / 2)][8 * j + lane % 4 * 2 + e % 2];
        },
        &mine);
}

} // namespace emulated

template <int ROWS, int COLUMNS>
void multiply_tf32(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4], const unsigned (&b)[COLUMNS][2])
{
    emulated::multiply<emulated::Tf32>(sums, a, b);
}

template <int ROWS, int COLUMNS>
void multiply_bf16(float (&sums)[ROWS][COLUMNS][4], const unsigned (&a)[ROWS][4], const unsigned (&b)[COLUMNS][2])
{
    emulated::multiply<emulated::Bf16>(sums, a, b);
}
