// The card behind the driver of the tests (driver.cpp): what it has given and is to be given back, when it fails or is full,
// and what its streams do or write down.
#pragma once

#include "every.cu"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>

namespace {

using Address = unsigned long long;

// Of the driver's codes, those that are used here.
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NO_BINARY = 209,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
};

constexpr size_t CAPACITY = size_t(1) << 30;

// Before and after what is allocated.
constexpr size_t ZONE = 256;

// Held while something is taken, given back or looked up: several jobs may use the card at once.
std::mutex& bookkeeping()
{
    static std::mutex mutex;
    return mutex;
}

// Sizes of what is allocated, by address.
std::map<Address, size_t>& allocations()
{
    static std::map<Address, size_t> all;
    return all;
}

// How many there are of each kind that is to be given back.
std::map<std::string, int>& held()
{
    static std::map<std::string, int> all;
    return all;
}

void hold(const char* kind, int more)
{
    std::lock_guard guard(bookkeeping());
    held()[kind] += more;
}

// What is held when the process ends.
struct Rest
{
    // All that its end looks at is to outlive it.
    Rest()
    {
        bookkeeping();
        held();
    }

    ~Rest()
    {
        for (auto& [kind, count] : held())
            if (count != 0) {
                std::fprintf(stderr, "emulated card: %d of %s were not given back\n", count, kind.c_str());
                std::_Exit(1);
            }
    }
} rest;

size_t used()
{
    size_t sum = 0;
    for (auto& [address, bytes] : allocations())
        sum += bytes;
    return sum;
}

// Whether a range lies within one allocation.
bool is_ours(Address address, size_t bytes)
{
    std::lock_guard guard(bookkeeping());
    auto after = allocations().upper_bound(address);
    if (after == allocations().begin())
        return false;
    auto& [start, size] = *std::prev(after);
    return address - start <= size && bytes <= size - (address - start);
}

// The launch that a variable of the environment tells, -1 without it.
int launch_in(const char* variable)
{
    const char* launch = std::getenv(variable);
    return launch == nullptr ? -1 : std::atoi(launch);
}

int fails_at() { return launch_in("EMULATED_CARD_FAILS_AT"); }

std::atomic<bool> has_failed = false, is_full = false;

size_t left() { return is_full ? 0 : CAPACITY - used(); }

Result work() { return has_failed ? LAUNCH_FAILED : SUCCESS; }

// Whether a function, which is being called, is to refuse its service.
bool refuses(const std::string& function)
{
    static std::map<std::string, int> calls;
    const char* told = std::getenv("EMULATED_CARD_REFUSES");
    if (told == nullptr)
        return false;
    std::lock_guard guard(bookkeeping());
    std::string refused = told;
    size_t colon = refused.find(':');
    return refused.substr(0, colon) == function && ++calls[function] >= std::stoi(refused.substr(colon + 1));
}

// What a stream does, or writes down while it is captured.
using Task = std::function<Result()>;

struct Graph
{
    std::vector<Task> tasks;
    // Graphs take some of the card's memory, as real ones do.
    Address memory = 0;
};

// How far a capture forbids to others what cannot be captured, as the driver numbers it.
enum Mode { GLOBAL = 0, OF_THREAD = 1 };

struct Stream
{
    bool is_captured = false;
    int mode = GLOBAL;
    std::thread::id by;
    // Whether it was asked for what cannot be captured.
    bool is_spoilt = false;
    std::vector<Task> tasks;
};

using Event = std::chrono::steady_clock::time_point;

int something;

// Of each thread, the context that it has made its own.
thread_local void* current = nullptr;

// Whether the thread may ask for anything.
Result ready()
{
    std::lock_guard guard(bookkeeping());
    return current == &something && held()["contexts"] > 0 ? SUCCESS : INVALID_CONTEXT;
}

std::set<Stream*>& captures()
{
    static std::set<Stream*> all;
    return all;
}

// Whether memory may be taken or given back: not while a stream is captured, which is spoilt by the attempt.
Result may_manage_memory()
{
    if (Result result = ready())
        return result;
    std::lock_guard guard(bookkeeping());
    for (Stream* stream : captures())
        if (stream->mode == GLOBAL || (stream->mode == OF_THREAD && stream->by == std::this_thread::get_id())) {
            stream->is_spoilt = true;
            return CAPTURE_UNSUPPORTED;
        }
    return SUCCESS;
}

// Memory between two zones that are known again.
Result take(Address& address, size_t bytes)
{
    std::lock_guard guard(bookkeeping());
    if (bytes > left())
        return OUT_OF_MEMORY;
    size_t whole = (bytes + 2 * ZONE + ZONE - 1) / ZONE * ZONE;
    char* start = static_cast<char*>(std::aligned_alloc(ZONE, whole));
    emulated::spoil(start, ZONE);
    emulated::spoil(start + ZONE, bytes);
    emulated::spoil(start + ZONE + bytes, ZONE);
    address = reinterpret_cast<Address>(start + ZONE);
    allocations()[address] = bytes;
    held()["memory"]++;
    return SUCCESS;
}

Result give_back(Address address)
{
    std::lock_guard guard(bookkeeping());
    auto found = allocations().find(address);
    if (found == allocations().end())
        return INVALID_VALUE;
    char zone[ZONE], *start = reinterpret_cast<char*>(address);
    emulated::spoil(zone, ZONE);
    for (char* around : {start - ZONE, start + found->second})
        if (std::memcmp(around, zone, ZONE) != 0) {
            std::fprintf(stderr, "emulated card: somebody wrote %s memory of %zu bytes\n",
                         around < start ? "before" : "behind", found->second);
            std::abort();
        }
    std::free(start - ZONE);
    allocations().erase(found);
    held()["memory"]--;
    return SUCCESS;
}

Result ask(void* stream, Task task)
{
    if (Result result = ready())
        return result;
    auto to = static_cast<Stream*>(stream);
    if (!to->is_captured)
        return task();
    if (to->is_spoilt)
        return CAPTURE_INVALIDATED;
    to->tasks.push_back(std::move(task));
    return SUCCESS;
}

// Something that does not go into a graph, or only from locked memory.
Result ask_now(void* stream, Task task)
{
    if (Result result = ready())
        return result;
    auto to = static_cast<Stream*>(stream);
    if (!to->is_captured)
        return task();
    to->is_spoilt = true;
    return CAPTURE_UNSUPPORTED;
}

// Makes something that is to be given back, and takes it back.
template <class Thing>
Result make(const char* kind, Thing*& thing, Thing value)
{
    if (Result result = ready())
        return result;
    thing = new Thing(std::move(value));
    hold(kind, 1);
    return SUCCESS;
}

template <class Thing>
Result destroy(const char* kind, Thing* thing)
{
    if (Result result = ready())
        return result;
    delete thing;
    hold(kind, -1);
    return SUCCESS;
}

#ifndef WITHOUT_GRAPHS

Result make_graph(const char* kind, Graph*& graph, std::vector<Task> tasks, size_t bytes)
{
    Address memory;
    if (Result result = take(memory, bytes))
        return result;
    return make(kind, graph, Graph{std::move(tasks), memory});
}

Result destroy_graph(const char* kind, Graph* graph)
{
    if (Result result = give_back(graph->memory))
        return result;
    return destroy(kind, graph);
}

#endif

} // namespace
