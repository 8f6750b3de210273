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
    // Its part in a warpgroup's products on their way (emulated_warpgroup.h), and whether they see what was copied.
    std::vector<std::function<void()>> products;
    bool sees_copies;
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
    block.fibers[block.current].sees_copies = false;
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
    if (!block.fibers[block.current].products.empty())
        refuse("a thread ended before its products were made");
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
        fiber.sees_copies = false;
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
