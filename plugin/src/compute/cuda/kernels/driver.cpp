// NVIDIA's driver for tests: one card, whose memory is the processor's and whose threads are emulated (emulated.h). It
// has the functions that the plugin calls, and of those what the plugin needs. A test builds it as libcuda.so and has
// the loader find it first.
//
// EMULATED_CARD_FAILS_AT=N makes the Nth launch fail, and all that comes after, as a card does that has gone wrong; at 0
// the kernels cannot be loaded. EMULATED_CARD_IS_FULL_AT=N leaves no memory to be had from the Nth launch on.
// EMULATED_CARD_REFUSES=NAME:N makes a function refuse its service from the Nth call on. EMULATED_CARD_IS=older leaves it
// without the kernels that are of one generation of cards alone. Compiled with WITHOUT_GRAPHS it has none, as older drivers.
//
// It is as strict as a driver may be. Calls on a thread without a current context are refused, and memory is neither
// given nor taken back while a stream is being captured. Launches differ in the order of their blocks and warps. Around
// memory lie zones that nobody may write to: they are looked at when it is given back. What has not been given back when
// the process ends fails it, and `emulatedCardHolds` tells before.
#include "emulated_card.h"

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
    bool is_older = std::getenv("EMULATED_CARD_IS") != nullptr && std::string(name).find("hopper") != std::string::npos;
    if (known == emulated::kernels().end() || is_older)
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
