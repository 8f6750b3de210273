// conv1_1, between the picture and 64 channels. With 27 products to a sum it is bound by memory, not by arithmetic: a
// warp goes along a row of pixels with the weights in registers, two channels to a lane. The picture is planar, as it
// crosses the seam, and is brought into the network's input space on the way in, its gradient out of it on the way out.
#include "device.h"

namespace conv1_1 {

constexpr int CHANNELS = 64;
// Pixels that a warp takes one after the other.
constexpr int RUN = 32;

// For each channel of the network: which channel of the picture it takes, and `value = picture * scale + shift`.
struct Normalisation
{
    int channels[3];
    float scale[3], shift[3];
};

template <class Number>
DEVICE void forward(const float* picture, const float* weights, const float* bias, const Normalisation& normalisation,
                    Number* output, float* features, unsigned* positive, int height, int width)
{
    int pixels = height * width;
    float kernel[27][2];
    UNROLL for (int i = 0; i < 27; i++)
        UNROLL for (int half = 0; half < 2; half++)
            kernel[i][half] = weights[i * CHANNELS + 32 * half + lane()];
    float biases[2] = {bias[lane()], bias[32 + lane()]};
    int first = (blockIdx.x * (THREADS / 32) + warp()) * RUN;
    for (int pixel = first; pixel < first + RUN && pixel < pixels; pixel++) {
        int y = pixel / width, x = pixel % width;
        float sums[2] = {biases[0], biases[1]};
        UNROLL for (int channel = 0; channel < 3; channel++) {
            const float* plane = picture + static_cast<long long>(normalisation.channels[channel]) * pixels;
            UNROLL for (int tap = 0; tap < 9; tap++) {
                int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
                if (row < 0 || row >= height || column < 0 || column >= width)
                    continue;
                float sample = plane[row * width + column];
                float value = sample * normalisation.scale[channel] + normalisation.shift[channel];
                UNROLL for (int half = 0; half < 2; half++)
                    sums[half] += value * kernel[channel * 9 + tap][half];
            }
        }
        UNROLL for (int half = 0; half < 2; half++) {
            bool is_above = sums[half] > 0.0f;
            long long element = static_cast<long long>(pixel) * CHANNELS + 32 * half + lane();
            float value = is_above ? sums[half] : 0.0f;
            output[element] = value;
            if (features != nullptr)
                features[element] = value;
            unsigned word = word_of_lanes(is_above);
            if (lane() == 0)
                positive[static_cast<long long>(pixel) * 2 + half] = word;
        }
    }
}

template <class Number>
DEVICE void backward(const Number* gradient, const float* weights, const Normalisation& normalisation, float* output,
                     int height, int width)
{
    int pixels = height * width;
    float kernel[27][2];
    UNROLL for (int i = 0; i < 27; i++)
        UNROLL for (int half = 0; half < 2; half++)
            kernel[i][half] = weights[i * CHANNELS + 32 * half + lane()];
    int first = (blockIdx.x * (THREADS / 32) + warp()) * RUN;
    for (int pixel = first; pixel < first + RUN && pixel < pixels; pixel++) {
        int y = pixel / width, x = pixel % width;
        float sums[3] = {};
        UNROLL for (int tap = 0; tap < 9; tap++) {
            int row = y + 1 - tap / 3, column = x + 1 - tap % 3;
            if (row < 0 || row >= height || column < 0 || column >= width)
                continue;
            const Number* from = gradient + static_cast<long long>(row * width + column) * CHANNELS + lane();
            UNROLL for (int half = 0; half < 2; half++)
                UNROLL for (int channel = 0; channel < 3; channel++)
                    sums[channel] += from[32 * half] * kernel[channel * 9 + tap][half];
        }
        UNROLL for (int channel = 0; channel < 3; channel++) {
            float sum = warp_sum(sums[channel]);
            if (lane() == 0)
                output[static_cast<long long>(normalisation.channels[channel]) * pixels + pixel] = sum * normalisation.scale[channel];
        }
    }
}

// `picture [3][H W]`, `weights [3][9][64]`, `output [H W 64]`, and where it is to be kept in float32 besides, or null.
KERNEL(THREADS) picture_forward(const float* picture, const float* weights, const float* bias,
                                Normalisation normalisation, float* output, float* features, unsigned* positive,
                                int height, int width)
{
    forward(picture, weights, bias, normalisation, output, features, positive, height, width);
}
ENTRY(picture_forward)

KERNEL(THREADS) picture_forward_bf16(const float* picture, const float* weights, const float* bias,
                                     Normalisation normalisation, Bfloat16* output, float* features,
                                     unsigned* positive, int height, int width)
{
    forward(picture, weights, bias, normalisation, output, features, positive, height, width);
}
ENTRY(picture_forward_bf16)

// `gradient [H W 64]`, `output [3][H W]`; the weights are those of `picture_forward`, turned here.
KERNEL(THREADS) picture_backward(const float* gradient, const float* weights, Normalisation normalisation,
                                 float* output, int height, int width)
{
    backward(gradient, weights, normalisation, output, height, width);
}
ENTRY(picture_backward)

KERNEL(THREADS) picture_backward_bf16(const Bfloat16* gradient, const float* weights, Normalisation normalisation,
                                      float* output, int height, int width)
{
    backward(gradient, weights, normalisation, output, height, width);
}
ENTRY(picture_backward_bf16)

} // namespace conv1_1
