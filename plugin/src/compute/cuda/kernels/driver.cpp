// NVIDIA's driver for tests: one card, whose memory is the processor's and whose threads are emulated (emulated.h). It
// has the functions that the plugin calls, and of those what the plugin needs. A test builds it as libcuda.so and has
// the loader find it first.
//
// EMULATED_CARD_FAILS_AT=N makes the Nth launch fail, and all that comes after, as a card does that has gone wrong; at 0
// the kernels cannot be loaded. EMULATED_CARD_IS_FULL_AT=N leaves no memory to be had from the Nth launch on.
// EMULATED_CARD_REFUSES=NAME:N makes a function refuse its service from the Nth call on. Compiled with WITHOUT_GRAPHS
// it has none, as older drivers.
//
// It is as strict as a driver may be. Calls on a thread without a current context are refused, and memory is neither
// given nor taken back while a stream is being captured. Launches differ in the order of their blocks and warps. Around
// memory lie zones that nobody may write to: they are looked at when it is given back. What has not been given back when
// the process ends fails it, and `emulatedCardHolds` tells before.
#include "all.cu"

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

extern "C" {

Result cuInit(unsigned) { return SUCCESS; }
Result cuDeviceGetCount(int* count) { return *count = 1, SUCCESS; }
Result cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal == 0 ? SUCCESS : INVALID_DEVICE; }

Result cuDeviceGetName(char* name, int length, int)
{
    std::snprintf(name, static_cast<size_t>(length), "Emulated card");
    return SUCCESS;
}

// How many of a kind have not been given back: contexts, modules, streams, events, graphs, executables, memory, locked.
int emulatedCardHolds(const char* kind)
{
    std::lock_guard guard(bookkeeping());
    return held()[kind];
}

Result cuDevicePrimaryCtxRetain(void** context, int)
{
    hold("contexts", 1);
    *context = &something;
    return SUCCESS;
}

Result cuDevicePrimaryCtxRelease_v2(int)
{
    hold("contexts", -1);
    return SUCCESS;
}

Result cuCtxSetCurrent(void* context)
{
    current = context;
    return ready();
}

Result cuMemGetInfo_v2(size_t* free, size_t* total)
{
    if (Result result = ready())
        return result;
    std::lock_guard guard(bookkeeping());
    *free = left();
    *total = CAPACITY;
    return SUCCESS;
}

Result cuMemAlloc_v2(Address* address, size_t bytes)
{
    if (Result result = may_manage_memory())
        return result;
    return take(*address, bytes);
}

Result cuMemFree_v2(Address address)
{
    if (Result result = may_manage_memory())
        return result;
    return give_back(address);
}

Result cuMemHostAlloc(void** memory, size_t bytes, unsigned)
{
    if (Result result = may_manage_memory())
        return result;
    if (refuses("cuMemHostAlloc"))
        return OUT_OF_MEMORY;
    *memory = std::malloc(bytes);
    hold("locked", 1);
    return SUCCESS;
}

Result cuMemFreeHost(void* memory)
{
    if (Result result = may_manage_memory())
        return result;
    std::free(memory);
    hold("locked", -1);
    return SUCCESS;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream)
{
    if (!is_ours(to, bytes))
        return INVALID_VALUE;
    return ask_now(stream, [=] {
        std::memcpy(reinterpret_cast<void*>(to), from, bytes);
        return work();
    });
}

Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream)
{
    if (!is_ours(from, bytes))
        return INVALID_VALUE;
    return ask_now(stream, [=] {
        std::memcpy(to, reinterpret_cast<void*>(from), bytes);
        return work();
    });
}

Result cuMemsetD8Async(Address at, unsigned char value, size_t bytes, void* stream)
{
    if (!is_ours(at, bytes))
        return INVALID_VALUE;
    return ask(stream, [=] {
        std::memset(reinterpret_cast<void*>(at), value, bytes);
        return work();
    });
}

Result cuStreamCreate(Stream** stream, unsigned) { return make("streams", *stream, Stream{}); }
Result cuStreamDestroy_v2(Stream* stream) { return destroy("streams", stream); }
Result cuStreamSynchronize(void* stream) { return ask_now(stream, work); }

Result cuEventCreate(Event** event, unsigned) { return make("events", *event, Event{}); }
Result cuEventDestroy_v2(Event* event) { return destroy("events", event); }

Result cuEventRecord(Event* event, void* stream)
{
    return ask_now(stream, [=] {
        *event = std::chrono::steady_clock::now();
        return work();
    });
}

Result cuEventElapsedTime(float* milliseconds, Event* from, Event* to)
{
    if (Result result = ready())
        return result;
    *milliseconds = std::chrono::duration<float, std::milli>(*to - *from).count();
    return work();
}

#ifndef WITHOUT_GRAPHS

Result cuStreamBeginCapture_v2(Stream* stream, int mode)
{
    if (Result result = ready())
        return result;
    if (refuses("cuStreamBeginCapture_v2") || stream->is_captured)
        return NOT_SUPPORTED;
    *stream = Stream{true, mode, std::this_thread::get_id(), false, {}};
    std::lock_guard guard(bookkeeping());
    captures().insert(stream);
    return SUCCESS;
}

Result cuStreamEndCapture(Stream* stream, Graph** graph)
{
    if (Result result = ready())
        return result;
    {
        std::lock_guard guard(bookkeeping());
        captures().erase(stream);
    }
    Stream captured = std::exchange(*stream, Stream{});
    *graph = nullptr;
    if (refuses("cuStreamEndCapture") || !captured.is_captured || captured.is_spoilt)
        return CAPTURE_INVALIDATED;
    return make_graph("graphs", *graph, std::move(captured.tasks), 4096);
}

Result cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long)
{
    if (refuses("cuGraphInstantiateWithFlags"))
        return OUT_OF_MEMORY;
    return make_graph("executables", *executable, graph->tasks, 65536);
}

Result cuGraphLaunch(Graph* executable, void* stream)
{
    if (refuses("cuGraphLaunch"))
        return OUT_OF_MEMORY;
    for (const Task& task : executable->tasks)
        if (Result result = ask(stream, task))
            return result;
    return SUCCESS;
}

Result cuGraphDestroy(Graph* graph) { return destroy_graph("graphs", graph); }
Result cuGraphExecDestroy(Graph* executable) { return destroy_graph("executables", executable); }

#endif

Result cuModuleLoadData(std::string** module, const void* image)
{
    std::string ptx = static_cast<const char*>(image);
    if (fails_at() == 0 || ptx.find(".version") == std::string::npos)
        return NO_BINARY;
    return make("modules", *module, std::move(ptx));
}

Result cuModuleUnload(std::string* module) { return destroy("modules", module); }

Result cuModuleGetFunction(void** function, void*, const char* name)
{
    auto known = emulated::kernels().find(name);
    if (known == emulated::kernels().end())
        return NOT_FOUND;
    *function = &known->second;
    return SUCCESS;
}

Result cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned, void* stream, void** arguments, void**)
{
    if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz > 1024)
        return INVALID_VALUE;
    auto known = static_cast<emulated::Known*>(function);
    auto bound = known->bind(arguments, known->kernel);
    return ask(stream, [=] {
        static std::atomic<int> launches = 0;
        int launch = ++launches;
        if (launch == fails_at())
            has_failed = true;
        if (launch == launch_in("EMULATED_CARD_IS_FULL_AT"))
            is_full = true;
        if (!has_failed)
            emulated::launch(bound, {gx, gy, gz}, {bx, by, bz}, static_cast<unsigned>(launch));
        return work();
    });
}

} // extern "C"
