// NVIDIA's driver for tests: one card, whose memory is the processor's and whose threads are emulated (emulated.h). It
// has the functions that the plugin calls, and of those what the plugin needs. A test builds it as libcuda.so and has
// the loader find it first.
//
// EMULATED_CARD_FAILS_AT=N makes the Nth launch fail, and all that comes after, as a card does that has gone wrong; at 0
// the kernels cannot be loaded. EMULATED_CARD_IS_FULL_AT=N leaves no memory to be had from the Nth launch on.
#include "all.cu"

#include <atomic>
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
    *free = left();
    *total = CAPACITY;
    return SUCCESS;
}

Result cuMemAlloc_v2(Address* address, size_t bytes)
{
    std::lock_guard guard(bookkeeping());
    if (bytes > left())
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

Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void*)
{
    if (!is_ours(to, bytes))
        return INVALID_VALUE;
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return work();
}

Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void*)
{
    if (!is_ours(from, bytes))
        return INVALID_VALUE;
    std::memcpy(to, reinterpret_cast<void*>(from), bytes);
    return work();
}

Result cuMemsetD8Async(Address at, unsigned char value, size_t bytes, void*)
{
    if (!is_ours(at, bytes))
        return INVALID_VALUE;
    std::memset(reinterpret_cast<void*>(at), value, bytes);
    return work();
}

Result cuStreamCreate(void** stream, unsigned) { return *stream = &something, SUCCESS; }
Result cuStreamDestroy_v2(void*) { return SUCCESS; }
Result cuStreamSynchronize(void*) { return work(); }

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
                      unsigned, void*, void** arguments, void**)
{
    static std::atomic<int> launches = 0;
    int launch = ++launches;
    if (launch == fails_at())
        has_failed = true;
    if (launch == launch_in("EMULATED_CARD_IS_FULL_AT"))
        is_full = true;
    if (has_failed)
        return LAUNCH_FAILED;
    if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz > 1024)
        return INVALID_VALUE;
    auto known = static_cast<emulated::Known*>(function);
    emulated::launch(known->bind(arguments, known->kernel), {gx, gy, gz}, {bx, by, bz});
    return SUCCESS;
}

} // extern "C"
