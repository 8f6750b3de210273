// How far features are from the content's over a window, and what that says to them. What is held of the content is the
// window alone, `[pixels of the window][channels]`.
#include "device.h"

namespace content {

KERNEL(256) hold(const float* features, Window window, int channels, float* held)
{
    long long element = element_of_thread();
    if (element < elements_in(window, channels))
        held[element] = features[element_of(window, element, channels)];
}
ENTRY(hold)

// The sum of squares of each block's share; `held` may be null, for the distance from 0.
KERNEL(256) squared_distance(const float* features, const float* held, Window window, int channels, double* partial)
{
    SHARED double sums[8];
    long long elements = elements_in(window, channels);
    double sum = 0.0;
    for (long long element = element_of_thread(); element < elements;
         element += static_cast<long long>(gridDim.x) * blockDim.x) {
        float value = features[element_of(window, element, channels)];
        float apart = held == nullptr ? value : value - held[element];
        sum += static_cast<double>(apart) * apart;
    }
    sum = warp_sum(sum);
    if (lane() == 0)
        sums[warp()] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = 0.0;
        for (int from = 0; from < 8; from++)
            total += sums[from];
        partial[blockIdx.x] = total;
    }
}
ENTRY(squared_distance)

// Adds `slope (features - held)` to the gradient where the ReLU lets it through. The slope changes from step to step,
// so that it is read where the other derivatives are.
template <class Number>
DEVICE void inject(const float* features, const float* held, const float* slope, const unsigned* positive, Window window,
                   int channels, Number* gradient)
{
    long long index = element_of_thread();
    if (index >= elements_in(window, channels))
        return;
    long long element = element_of(window, index, channels);
    if (is_positive(positive, element))
        gradient[element] = gradient[element] + *slope * (features[element] - held[index]);
}

KERNEL(256) inject_content(const float* features, const float* held, const float* slope, const unsigned* positive,
                           Window window, int channels, float* gradient)
{
    inject(features, held, slope, positive, window, channels, gradient);
}
ENTRY(inject_content)

KERNEL(256) inject_content_bf16(const float* features, const float* held, const float* slope, const unsigned* positive,
                                Window window, int channels, Bfloat16* gradient)
{
    inject(features, held, slope, positive, window, channels, gradient);
}
ENTRY(inject_content_bf16)

} // namespace content
