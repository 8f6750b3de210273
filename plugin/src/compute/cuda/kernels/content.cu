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
    // Four channels at a time, and so many of those that are read before the first counts.
    constexpr int AT_ONCE = 4;
    double sums[1] = {};
    long long elements = elements_in(window, channels), apart = 4ll * gridDim.x * blockDim.x;
    for (long long first = 4 * element_of_thread(); first < elements; first += AT_ONCE * apart) {
        Four values[AT_ONCE], others[AT_ONCE];
        UNROLL for (int k = 0; k < AT_ONCE; k++) {
            // What is past the end is read where the end is.
            long long index = first + k * apart < elements ? first + k * apart : elements - 4;
            values[k] = four(features + element_of(window, index, channels));
            others[k] = held == nullptr ? Four{} : four(held + index);
        }
        end_reading();
        UNROLL for (int k = 0; k < AT_ONCE; k++)
            UNROLL for (int j = 0; j < 4; j++) {
                double difference = first + k * apart < elements ? values[k][j] - others[k][j] : 0.0f;
                sums[0] += difference * difference;
            }
    }
    add_up(sums, partial);
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

KERNEL(256) inject_content_tf32(const float* features, const float* held, const float* slope, const unsigned* positive,
                                Window window, int channels, Tf32Number* gradient)
{
    inject(features, held, slope, positive, window, channels, gradient);
}
ENTRY(inject_content_tf32)

KERNEL(256) inject_content_bf16(const float* features, const float* held, const float* slope, const unsigned* positive,
                                Window window, int channels, Bfloat16* gradient)
{
    inject(features, held, slope, positive, window, channels, gradient);
}
ENTRY(inject_content_bf16)

} // namespace content
