// How far moments are from a style's, and the derivatives of that, where the moments are: nothing has to go to main memory
// and back between the way up the network and the way down. Derivatives take the moments' places, each times what its
// distance counts.
//
// The distance between Gaussians asks for the root of a matrix and the root's inverse. On the processor eigenvalues give
// both; here they are the limits of products of matrices (Higham 2008, section 6.7): from `Y = M`, `Z = 1`, with
// `T = (3 - Z Y) / 2`, go `Y <- Y T` and `Z <- T Z` to `M^(1/2)` and `M^(-1/2)`. See ../roots.rs for the factors that make
// that quick, ../../../objective/wasserstein.rs for the distance, and matrices.cu for the products.
#include "device.h"

namespace distances {

// What comes back of each distance: the sums of so many blocks, or a few numbers.
constexpr int VALUES = 64;

// The distance of second moments `[C, C]` from others, and the mean of the same features `[C]`.
struct Second
{
    float* second;
    float* mean;
    const float* wanted;
    double* values;
    double slope;
    long long channels;
};

// The sum of squares in VALUES parts, and its derivatives. A grid of VALUES blocks by distances.
KERNEL(256) second_distances(const Second* distances)
{
    const Second& own = distances[blockIdx.y];
    double sums[1] = {};
    float slope = static_cast<float>(2.0 * own.slope);
    long long elements = own.channels * own.channels, apart = gridDim.x * blockDim.x;
    for (long long index = element_of_thread(); index < elements; index += apart) {
        float difference = own.second[index] - own.wanted[index];
        sums[0] += static_cast<double>(difference) * difference;
        own.second[index] = slope * difference;
    }
    for (long long index = element_of_thread(); index < own.channels; index += apart)
        own.mean[index] = 0.0f;
    add_up(sums, own.values);
}
ENTRY(second_distances)

// The distance of the Gaussian that has these moments from a style's. Of a style there are its mean, k directions
// `[k][C]` and the roots of the variances along them; the other matrices are room for what is made on the way.
struct Gaussian
{
    float* second;
    float* mean;
    const float* wanted_mean;
    const double* lengths;
    // `[C]`: the mean as it was.
    float* own_mean;
    // `[C, C]`: the covariance, and later the derivative of the root.
    float* covariance;
    // `[k, k]`: the covariance along the directions, and later the inverse root between them.
    float* turned;
    // `[k, k]`: a root, its inverse, and the last factor of both.
    double* root;
    double* inverse;
    const double* factor;
    // The trace of the matrix that has the root, and the distance but for the root.
    double* known;
    // The distance, and what the trace of the last factor is beyond that of 1.
    double* values;
    // The trace of the style's covariance, and what the distance counts.
    double trace, slope;
    // Of the first step's factor: `constant - linear Y`.
    double constant, linear;
    double noise;
    int channels, kept;
};

// A grid of as many blocks as the largest has elements / 256, by distances; so are the next two.
KERNEL(256) covariances(const Gaussian* distances)
{
    const Gaussian& own = distances[blockIdx.y];
    int index = static_cast<int>(element_of_thread());
    if (index < own.channels)
        own.own_mean[index] = own.mean[index];
    if (index < own.channels * own.channels)
        own.covariance[index] = own.second[index] - own.mean[index / own.channels] * own.mean[index % own.channels];
}
ENTRY(covariances)

// Sums that all threads of a block get.
template <int SUMS>
DEVICE void share(double (&sums)[SUMS])
{
    SHARED double totals[SUMS];
    double total = block_total(sums);
    if (threadIdx.x < SUMS)
        totals[threadIdx.x] = total;
    __syncthreads();
    UNROLL for (int k = 0; k < SUMS; k++)
        sums[k] = totals[k];
}

// The matrix whose root is wanted, over its trace, which no eigenvalue exceeds, and after it the inverse root's first step.
KERNEL(256) begin_roots(const Gaussian* distances)
{
    const Gaussian& own = distances[blockIdx.y];
    int index = static_cast<int>(element_of_thread()), kept = own.kept;
    if (static_cast<int>(blockIdx.x * blockDim.x) >= kept * kept)
        return;
    // Energies of the features, of their mean, and of what that is from the style's; of the covariance, and of noise, as the
    // style weighs their directions.
    double sums[5] = {};
    for (int channel = threadIdx.x; channel < own.channels; channel += blockDim.x) {
        double mean = own.mean[channel], apart = mean - own.wanted_mean[channel];
        sums[0] += own.second[channel * (own.channels + 1)];
        sums[1] += mean * mean;
        sums[2] += apart * apart;
    }
    for (int row = threadIdx.x; row < kept; row += blockDim.x) {
        double weight = own.lengths[row] * own.lengths[row];
        sums[3] += weight * own.turned[row * (kept + 1)];
        sums[4] += weight;
    }
    share(sums);
    double noise = own.noise * sums[0], trace = sums[3] + noise * sums[4];
    if (index == 0) {
        own.known[0] = trace;
        own.known[1] = sums[2] + sums[0] - sums[1] + own.channels * noise + own.trace;
    }
    if (index >= kept * kept)
        return;
    int row = index / kept, column = index % kept;
    double one = row == column ? 1.0 : 0.0;
    double entry = own.lengths[row] * own.lengths[column] * (own.turned[index] + noise * one) / trace;
    own.root[index] = entry;
    own.inverse[index] = own.constant * one - own.linear * entry;
}
ENTRY(begin_roots)

// The inverse root as the style weighs its directions.
KERNEL(256) end_roots(const Gaussian* distances)
{
    const Gaussian& own = distances[blockIdx.y];
    int index = static_cast<int>(element_of_thread());
    if (index >= own.kept * own.kept)
        return;
    double weight = own.lengths[index / own.kept] * own.lengths[index % own.kept];
    own.turned[index] = static_cast<float>(weight * own.inverse[index] / sqrt(own.known[0]));
}
ENTRY(end_roots)

// The distance and its derivatives, of which a warp makes a row. A grid of as many blocks as the most channels are / 8, by
// distances.
KERNEL(256) gaussian_distances(const Gaussian* distances)
{
    const Gaussian& own = distances[blockIdx.y];
    int channels = own.channels, row = blockIdx.x * 8 + warp();
    if (static_cast<int>(blockIdx.x) * 8 >= channels)
        return;
    // Traces of the derivative of the root, of the root, and of the last factor less 1.
    double sums[3] = {};
    for (int channel = threadIdx.x; channel < channels; channel += blockDim.x)
        sums[0] += own.covariance[channel * (channels + 1)];
    for (int kept = threadIdx.x; kept < own.kept; kept += blockDim.x) {
        sums[1] += own.root[kept * (own.kept + 1)];
        sums[2] += own.factor[kept * (own.kept + 1)] - 1.0;
    }
    share(sums);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        own.values[0] = own.known[1] - 2.0 * sqrt(own.known[0]) * sums[1];
        own.values[1] = sums[2];
    }
    auto slope = static_cast<float>(own.slope), of_noise = static_cast<float>(own.noise * (channels - sums[0]));
    float along = 0.0f;
    for (int column = lane(); column < channels; column += 32) {
        float one = row == column ? 1.0f : 0.0f, derivative = one - own.covariance[row * channels + column];
        along += derivative * own.own_mean[column];
        own.second[row * channels + column] = slope * (derivative + of_noise * one);
    }
    along = warp_sum(along);
    if (lane() == 0)
        own.mean[row] = slope * 2.0f * (own.own_mean[row] - own.wanted_mean[row] - along);
}
ENTRY(gaussian_distances)

// A content distance: its partial sums, as many as a block has threads, and in place of the first what the difference of
// features is multiplied by.
struct Content
{
    double* sums;
    double* values;
    double slope;
};

// A grid of a block by distances.
KERNEL(256) content_distances(const Content* distances)
{
    const Content& own = distances[blockIdx.y];
    double sums[1] = {own.sums[threadIdx.x]};
    share(sums);
    if (threadIdx.x == 0) {
        own.values[0] = sums[0];
        *reinterpret_cast<float*>(own.sums) = static_cast<float>(own.slope);
    }
}
ENTRY(content_distances)

} // namespace distances
