// A block of CUDA threads on the processor, for tests: each thread is a fiber with a stack of its own, and a scheduler
// runs them in turn until they wait for one another. It is strict where cards are lax or undefined: a warp's
// collective that not all of its lanes come to, or a barrier that some threads never reach, ends the program. A copy to
// shared memory comes at the last moment, when its own thread waits for it; until then there is no number in its place.
//
// Blocks run one after the other, and so do a block's warps, up to a barrier. A card takes them in any order, and so is a
// launch told in which: what misses a barrier, or depends on another block, comes out differently in one of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define KERNEL(threads) static void
#define ENTRY(name) static emulated::Entry entry_of_##name(#name, &name);
#define DEVICE inline
// One copy for all threads of a block, which share a thread of the system.
#define SHARED static thread_local
#define UNROLL

namespace emulated {

struct Place
{
    unsigned x = 0, y = 0, z = 0;
};

} // namespace emulated

inline thread_local emulated::Place threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

// Something that a warp does together: it is given what each lane passed.
using Collective = void (*)(void* (&lanes)[32]);

enum class State { Ready, AtWarp, AtBlock, Done };

// 16 bytes on their way to shared memory, and the number of their thread's group.
struct Copy
{
    size_t group;
    float* shared;
    const float* global;
    bool is_there;
};

struct Fiber
{
    std::vector<char> stack = std::vector<char>(128 * 1024);
    ucontext_t start;
    jmp_buf resume;
    bool has_begun;
    State state;
    Collective collective;
    void* passed;
    // Its copies on their way, in their order, and how many groups it has ended.
    std::vector<Copy> copies;
    size_t groups;
};

struct Block
{
    std::vector<Fiber> fibers;
    jmp_buf scheduler;
    size_t current;
    const std::function<void()>* kernel;
};

inline thread_local Block block;

[[noreturn]] inline void refuse(const char* what)
{
    std::fprintf(stderr, "emulated block (%u, %u, %u): %s\n", blockIdx.x, blockIdx.y, blockIdx.z, what);
    std::abort();
}

// Hands over to the scheduler until what the fiber waits for has come.
__attribute__((noinline)) inline void wait(State state)
{
    Fiber& fiber = block.fibers[block.current];
    fiber.state = state;
    if (_setjmp(fiber.resume) == 0)
        _longjmp(block.scheduler, 1);
}

// What is no number, be it read as one of any kind, or rounded to fewer bits.
inline void spoil(void* memory, size_t bytes)
{
    constexpr unsigned char PATTERN[] = {0xf8, 0xff};
    auto to = static_cast<unsigned char*>(memory);
    size_t done = std::min(bytes, sizeof PATTERN);
    std::memcpy(to, PATTERN, done);
    while (done < bytes) {
        size_t more = std::min(done, bytes - done);
        std::memcpy(to + done, to, more);
        done += more;
    }
}

// Has those of the thread's copies come that are of no group after the first so many.
inline void arrive(size_t groups)
{
    auto& copies = block.fibers[block.current].copies;
    auto next = copies.begin();
    for (; next != copies.end() && next->group < groups; ++next)
        for (int i = 0; i < 4; i++)
            next->shared[i] = next->is_there ? next->global[i] : 0.0f;
    copies.erase(copies.begin(), next);
}

inline void run_fiber()
{
    (*block.kernel)();
    if (!block.fibers[block.current].copies.empty())
        refuse("a thread ended before its copies had come");
    block.fibers[block.current].state = State::Done;
    _longjmp(block.scheduler, 1);
}

__attribute__((noinline)) inline void resume(size_t index)
{
    Fiber& fiber = block.fibers[index];
    block.current = index;
    threadIdx.x = static_cast<unsigned>(index);
    if (_setjmp(block.scheduler) != 0)
        return;
    if (fiber.has_begun)
        _longjmp(fiber.resume, 1);
    fiber.has_begun = true;
    setcontext(&fiber.start);
}

// Runs a warp until all of its lanes wait for the block or are done. Whether any waits.
inline bool run_warp(size_t first, bool is_backward)
{
    auto lanes = block.fibers.begin() + first;
    auto are = [&](State state) { return std::count_if(lanes, lanes + 32, [=](auto& f) { return f.state == state; }); };
    for (;;) {
        for (size_t turn = 0; turn < 32; turn++) {
            size_t lane = is_backward ? 31 - turn : turn;
            if (lanes[lane].state == State::Ready)
                resume(first + lane);
        }
        auto waiting = are(State::AtWarp);
        if (waiting == 0)
            return are(State::AtBlock) > 0;
        if (waiting != 32)
            refuse("not all lanes of a warp came to a collective");
        void* passed[32];
        for (size_t lane = 0; lane < 32; lane++) {
            passed[lane] = lanes[lane].passed;
            if (lanes[lane].collective != lanes[0].collective)
                refuse("lanes of a warp came to different collectives");
            lanes[lane].state = State::Ready;
        }
        lanes[0].collective(passed);
    }
}

// In which order blocks and warps run: 0 is forward, 1 backward, and any other number mixes them.
class Order
{
    unsigned number;
    std::minstd_rand random;

  public:
    explicit Order(unsigned number) : number(number), random(number) {}

    // So many things in this order, each time differently where they are mixed.
    std::vector<size_t> of(size_t count)
    {
        std::vector<size_t> all(count);
        std::iota(all.begin(), all.end(), 0);
        if (number == 1)
            std::reverse(all.begin(), all.end());
        else if (number > 1)
            std::shuffle(all.begin(), all.end(), random);
        return all;
    }
};

inline void run_block(const std::function<void()>& kernel, size_t threads, Order& order)
{
    block.kernel = &kernel;
    block.fibers.resize(threads);
    for (Fiber& fiber : block.fibers) {
        fiber.has_begun = false;
        fiber.state = State::Ready;
        fiber.groups = 0;
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.data();
        fiber.start.uc_stack.ss_size = fiber.stack.size();
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, run_fiber, 0);
    }
    for (;;) {
        size_t waiting = 0;
        bool is_backward = order.of(2)[0] == 1;
        for (size_t warp : order.of(threads / 32))
            waiting += run_warp(32 * warp, is_backward);
        if (waiting == 0)
            return;
        for (Fiber& fiber : block.fibers) {
            if (fiber.state != State::AtBlock)
                refuse("not all threads came to a barrier");
            fiber.state = State::Ready;
        }
    }
}

inline void launch(const std::function<void()>& kernel, Place grid, Place threads, unsigned number_of_order)
{
    if (threads.x % 32 != 0 || threads.y != 1 || threads.z != 1)
        refuse("blocks are rows of whole warps");
    blockDim = threads;
    gridDim = grid;
    threadIdx = Place{};
    Order order(number_of_order);
    for (size_t index : order.of(size_t(grid.x) * grid.y * grid.z)) {
        size_t row = index / grid.x;
        blockIdx.x = static_cast<unsigned>(index % grid.x);
        blockIdx.y = static_cast<unsigned>(row % grid.y);
        blockIdx.z = static_cast<unsigned>(row / grid.y);
        run_block(kernel, threads.x, order);
    }
}

inline void collective(Collective what, void* passed)
{
    Fiber& fiber = block.fibers[block.current];
    fiber.collective = what;
    fiber.passed = passed;
    wait(State::AtWarp);
}

// A kernel as the driver calls it: its arguments are where a list of pointers points, and are copied from there.
using Bound = std::function<void()> (*)(void** arguments, void (*kernel)());

struct Known
{
    Bound bind;
    void (*kernel)();
};

inline std::map<std::string, Known>& kernels()
{
    static std::map<std::string, Known> known;
    return known;
}

template <class... Arguments, size_t... INDEX>
std::function<void()> bind(void** arguments, void (*kernel)(Arguments...), std::index_sequence<INDEX...>)
{
    std::tuple<Arguments...> values{*static_cast<Arguments*>(arguments[INDEX])...};
    return [=] { std::apply(kernel, values); };
}

struct Entry
{
    template <class... Arguments>
    Entry(const char* name, void (*kernel)(Arguments...))
    {
        kernels()[name] = Known{
            [](void** arguments, void (*erased)()) {
                auto typed = reinterpret_cast<void (*)(Arguments...)>(erased);
                return bind(arguments, typed, std::index_sequence_for<Arguments...>());
            },
            reinterpret_cast<void (*)()>(kernel)};
    }
};

template <class Number>
struct Sum
{
    static void over(void* (&lanes)[32])
    {
        // The butterfly's order.
        Number values[32];
        for (int lane = 0; lane < 32; lane++)
            values[lane] = *static_cast<Number*>(lanes[lane]);
        for (int distance = 16; distance > 0; distance /= 2) {
            Number before[32];
            std::copy(values, values + 32, before);
            for (int lane = 0; lane < 32; lane++)
                values[lane] = before[lane] + before[lane ^ distance];
        }
        for (int lane = 0; lane < 32; lane++)
            *static_cast<Number*>(lanes[lane]) = values[lane];
    }
};

} // namespace emulated

inline void __syncthreads() { emulated::wait(emulated::State::AtBlock); }

inline void copy_16(float* shared, const float* global, bool is_there)
{
    if (reinterpret_cast<uintptr_t>(shared) % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0)
        emulated::refuse("a copy of 16 bytes from or to no multiple of 16");
    emulated::spoil(shared, 16);
    emulated::Fiber& fiber = emulated::block.fibers[emulated::block.current];
    fiber.copies.push_back({fiber.groups, shared, global, is_there});
}

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
