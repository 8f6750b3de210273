// Planes of pixels at another size, rows first and columns after, by the taps of canvas/taps.rs. Terms are rounded by
// themselves and summed in order, so all cards give the same bits.
#include "device.h"

namespace resampling {

// Numbers `[outer][length][inner]` become `made [outer][places][inner]`: with an `inner` of 1 along rows, and with a row's
// pixels along columns. At each place the first of the `length` counts that `starts` tells, and those after it, as
// `weights [places][taps]` has them, which may go on beyond the last.
KERNEL(256) resample(const float* planes, const int* starts, const float* weights, int taps, int outer, int length,
                     int places, int inner, float* made)
{
    long long index = element_of_thread();
    if (index >= static_cast<long long>(outer) * places * inner)
        return;
    // Fewer than 2^31, as are all elements of a vector.
    int element = static_cast<int>(index);
    int column = element % inner, row = element / inner, place = row % places, start = starts[place];
    const float* first = planes + (static_cast<long long>(row / places) * length + start) * inner + column;
    const float* shares = weights + static_cast<long long>(place) * taps;
    int count = taps < length - start ? taps : length - start;
    float sum = 0.0f;
    for (int tap = 0; tap < count; tap++)
        sum = plus(sum, times(shares[tap], first[static_cast<long long>(tap) * inner]));
    made[index] = sum;
}
ENTRY(resample)

} // namespace resampling
