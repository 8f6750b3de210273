// NVIDIA's driver for tests: one card, whose memory is the processor's and whose threads are emulated (emulated.h). It
// has the functions that the plugin calls, and of those what the plugin needs. A test builds it as libcuda.so and has
// the loader find it first.
//
// EMULATED_CARD_FAILS_AT=N makes the Nth launch fail, and all that comes after, as a card does that has gone wrong; at 0
// the kernels cannot be loaded. EMULATED_CARD_REFUSES=NAME:N makes a function refuse its service from the Nth
// call on. Compiled with WITHOUT_GRAPHS it has none, as older drivers.
#include "all.cu"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace {

using Address = unsigned long long;

// Of the driver's codes, those that are used here.
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    NO_BINARY = 209,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
};

constexpr size_t CAPACITY = size_t(1) << 30;

// Held while memory is taken, given back or looked up: several jobs may use the card at once.
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

int fails_at()
{
    const char* launch = std::getenv("EMULATED_CARD_FAILS_AT");
    return launch == nullptr ? -1 : std::atoi(launch);
}

std::atomic<bool> has_failed = false;

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

struct Stream
{
    bool is_captured = false;
    // Whether it was asked for what cannot be captured.
    bool is_spoilt = false;
    std::vector<Task> tasks;
};

using Event = std::chrono::steady_clock::time_point;

Result ask(void* stream, Task task)
{
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
    auto to = static_cast<Stream*>(stream);
    if (!to->is_captured)
        return task();
    to->is_spoilt = true;
    return CAPTURE_UNSUPPORTED;
}

int something;

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

Result cuDevicePrimaryCtxRetain(void** context, int) { return *context = &something, SUCCESS; }
Result cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
Result cuCtxSetCurrent(void* context) { return context == &something ? SUCCESS : INVALID_VALUE; }

Result cuMemGetInfo_v2(size_t* free, size_t* total)
{
    std::lock_guard guard(bookkeeping());
    *free = CAPACITY - used();
    *total = CAPACITY;
    return SUCCESS;
}

Result cuMemAlloc_v2(Address* address, size_t bytes)
{
    std::lock_guard guard(bookkeeping());
    if (bytes > CAPACITY - used())
        return OUT_OF_MEMORY;
    char* memory = new char[bytes];
    // Not a number, whatever it is read as.
    std::memset(memory, 0xff, bytes);
    *address = reinterpret_cast<Address>(memory);
    allocations()[*address] = bytes;
    return SUCCESS;
}

Result cuMemFree_v2(Address address)
{
    std::lock_guard guard(bookkeeping());
    if (allocations().erase(address) == 0)
        return INVALID_VALUE;
    delete[] reinterpret_cast<char*>(address);
    return SUCCESS;
}

Result cuMemHostAlloc(void** memory, size_t bytes, unsigned)
{
    if (refuses("cuMemHostAlloc"))
        return OUT_OF_MEMORY;
    *memory = std::malloc(bytes);
    return SUCCESS;
}

Result cuMemFreeHost(void* memory)
{
    std::free(memory);
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

Result cuStreamCreate(void** stream, unsigned) { return *stream = new Stream, SUCCESS; }
Result cuStreamDestroy_v2(void* stream) { return delete static_cast<Stream*>(stream), SUCCESS; }
Result cuStreamSynchronize(void* stream) { return ask_now(stream, work); }

Result cuEventCreate(Event** event, unsigned) { return *event = new Event, SUCCESS; }
Result cuEventDestroy_v2(Event* event) { return delete event, SUCCESS; }

Result cuEventRecord(Event* event, void* stream)
{
    return ask_now(stream, [=] {
        *event = std::chrono::steady_clock::now();
        return work();
    });
}

Result cuEventElapsedTime(float* milliseconds, Event* from, Event* to)
{
    *milliseconds = std::chrono::duration<float, std::milli>(*to - *from).count();
    return work();
}

#ifndef WITHOUT_GRAPHS

Result cuStreamBeginCapture_v2(void* stream, int)
{
    auto captured = static_cast<Stream*>(stream);
    if (refuses("cuStreamBeginCapture_v2") || captured->is_captured)
        return NOT_SUPPORTED;
    *captured = Stream{true, false, {}};
    return SUCCESS;
}

Result cuStreamEndCapture(void* stream, Graph** graph)
{
    Stream captured;
    std::swap(captured, *static_cast<Stream*>(stream));
    *graph = nullptr;
    if (refuses("cuStreamEndCapture") || !captured.is_captured || captured.is_spoilt)
        return CAPTURE_INVALIDATED;
    *graph = new Graph{std::move(captured.tasks)};
    return cuMemAlloc_v2(&(*graph)->memory, 4096);
}

Result cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long)
{
    if (refuses("cuGraphInstantiateWithFlags"))
        return OUT_OF_MEMORY;
    *executable = new Graph{graph->tasks};
    return cuMemAlloc_v2(&(*executable)->memory, 65536);
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

Result cuGraphDestroy(Graph* graph)
{
    Result result = cuMemFree_v2(graph->memory);
    delete graph;
    return result;
}

Result cuGraphExecDestroy(Graph* executable) { return cuGraphDestroy(executable); }

#endif

Result cuModuleLoadData(void** module, const void* image)
{
    *module = &something;
    if (fails_at() == 0)
        return NO_BINARY;
    return std::strstr(static_cast<const char*>(image), ".version") != nullptr ? SUCCESS : NO_BINARY;
}

Result cuModuleUnload(void*) { return SUCCESS; }

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
        if (++launches == fails_at())
            has_failed = true;
        if (!has_failed)
            emulated::launch(bound, {gx, gy, gz}, {bx, by, bz});
        return work();
    });
}

} // extern "C"
