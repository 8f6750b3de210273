// conv1_1, between the picture and 64 channels: a block deals with 8 x 32 pixels. With 27 products to a sum, arithmetic
// takes nearly as long as memory, and only if it waits for nothing else: so what is read goes to shared memory first,
// and what a thread reads from there counts in several sums. The picture is planar, as it crosses the seam, and is
// brought into the network's input space on the way in, its gradient out of it on the way out.
#include "device.h"

namespace conv1_1 {

constexpr int CHANNELS = 64;
// Of a block's pixels, and with those around them.
constexpr int HEIGHT = 8, WIDTH = 32;
constexpr int HALO_HEIGHT = HEIGHT + 2, HALO_WIDTH = WIDTH + 2, HALO = HALO_HEIGHT * HALO_WIDTH;

// For each channel of the network: which channel of the picture it takes, and `value = picture * scale + shift`.
struct Normalisation
{
    int channels[3];
    float scale[3], shift[3];
};

// A map, and where in it the block's pixels begin.
struct Tile
{
    int height, width, top, left;

    DEVICE Tile(int height, int width) : height(height), width(width)
    {
        int across = (width + WIDTH - 1) / WIDTH;
        top = blockIdx.x / across * HEIGHT;
        left = blockIdx.x % across * WIDTH;
    }

    // Where a pixel is in the map that has this place in a block's, or -1 outside.
    DEVICE int pixel(int row, int column) const
    {
        int y = top + row, x = left + column;
        return y >= 0 && y < height && x >= 0 && x < width ? y * width + x : -1;
    }

    // Where a channel of the picture begins.
    DEVICE long long plane(int channel) const { return static_cast<long long>(channel) * height * width; }

    // As `pixel`, of the places around a block's as well, row by row.
    DEVICE int pixel_of_halo(int index) const { return pixel(index / HALO_WIDTH - 1, index % HALO_WIDTH - 1); }
};

// Eight lanes have words of eight times four bits, the first of them lowest. Lane i gets the i-th four of every lane.
DEVICE unsigned transpose(unsigned word)
{
    // Of two lanes, one gets the lower halves of both, and the other the upper ones; then halves are halved.
    constexpr unsigned LOWER[] = {0x0000ffffu, 0x00ff00ffu, 0x0f0f0f0fu};
    UNROLL for (int step = 0; step < 3; step++) {
        int distance = 4 >> step;
        unsigned lower = LOWER[step], other = word_of_lane_across(word, distance);
        unsigned lower_of_both = (word & lower) | (other << 4 * distance & ~lower);
        unsigned upper_of_both = (word & ~lower) | (other >> 4 * distance & lower);
        word = lane() & distance ? upper_of_both : lower_of_both;
    }
    return word;
}

// 16 threads make all channels of a run of pixels, four channels each.
template <class Number>
DEVICE void forward(const float* picture, const float* weights, const float* bias, const Normalisation& normalisation,
                    Number* output, float* features, unsigned* positive, Tile tile)
{
    constexpr int RUN = 8, QUADS = CHANNELS / 4;
    // Rows begin where four pixels can be read at once.
    constexpr int APART = (HALO_WIDTH + 3) / 4 * 4;
    ALIGNED SHARED float inputs[3][HALO_HEIGHT][APART];
    ALIGNED SHARED float kernel[27 * CHANNELS];
    for (int index = threadIdx.x; index < 27 * QUADS; index += THREADS)
        copy_16(kernel + 4 * index, weights + 4 * index, true);
    commit_copies();
    for (int index = threadIdx.x; index < HALO; index += THREADS) {
        int pixel = tile.pixel_of_halo(index);
        UNROLL for (int channel = 0; channel < 3; channel++) {
            // Around the network's input there are zeros, whatever that is in the picture.
            float value = 0.0f;
            if (pixel >= 0) {
                float sample = picture[tile.plane(normalisation.channels[channel]) + pixel];
                value = sample * normalisation.scale[channel] + normalisation.shift[channel];
            }
            inputs[channel][index / HALO_WIDTH][index % HALO_WIDTH] = value;
        }
    }
    await_copies<0>();
    __syncthreads();
    int quad = threadIdx.x % QUADS * 4;
    Four biases = four(bias + quad);
    for (int first = 0; first < HEIGHT * WIDTH / RUN; first += THREADS / QUADS) {
        int run = first + threadIdx.x / QUADS;
        int row = run / (WIDTH / RUN), column = run % (WIDTH / RUN) * RUN;
        Four sums[RUN];
        UNROLL for (int i = 0; i < RUN; i++)
            sums[i] = biases;
        UNROLL for (int line = 0; line < 9; line++) {
            Four values[RUN / 4 + 1];
            UNROLL for (int i = 0; i <= RUN / 4; i++)
                values[i] = four(&inputs[line / 3][row + line % 3][column + 4 * i]);
            UNROLL for (int tap = 0; tap < 3; tap++) {
                Four factors = four(kernel + (line * 3 + tap) * CHANNELS + quad);
                UNROLL for (int i = 0; i < RUN; i++)
                    UNROLL for (int j = 0; j < 4; j++)
                        sums[i][j] += values[(i + tap) / 4][(i + tap) % 4] * factors[j];
            }
        }
        int y = tile.top + row, x = tile.left + column;
        long long first_pixel = static_cast<long long>(y) * tile.width + x, element = first_pixel * CHANNELS + quad;
        unsigned bits = 0;
        UNROLL for (int i = 0; i < RUN; i++) {
            UNROLL for (int j = 0; j < 4; j++) {
                bits |= sums[i][j] > 0.0f ? 1u << (4 * i + j) : 0;
                sums[i][j] = sums[i][j] > 0.0f ? sums[i][j] : 0.0f;
            }
            if (y >= tile.height || x + i >= tile.width)
                continue;
            put(sums[i], output + element + i * CHANNELS);
            if (features != nullptr)
                put(sums[i], features + element + i * CHANNELS);
        }
        // Eight lanes have the channels of a word, for eight pixels, of which each lane takes one.
        bits = transpose(bits);
        if (y < tile.height && x + lane() % 8 < tile.width)
            positive[(first_pixel + lane() % 8) * 2 + quad / 32] = bits;
    }
}

// The gradient comes 16 channels at a time, the next while these are dealt with. Each warp takes four of them, at all
// of the block's pixels: a lane those of a column. In the end the warps' sums are added.
template <class Number>
DEVICE void backward(const Number* gradient, const float* weights, const Normalisation& normalisation, float* output,
                     Tile tile)
{
    constexpr int WARPS = THREADS / 32, CHUNK = 4 * WARPS, CHUNKS = CHANNELS / CHUNK;
    // Channels in 16 bytes, which stand together; those of the next pixel follow. Such groups are so many pixels apart
    // that a warp's copies fall into different banks.
    constexpr int GROUP = 16 / sizeof(Number), GROUPS = CHUNK / GROUP, APART = HALO + 2;
    constexpr int GRADIENT = GROUPS * APART * 4, STAGE = GRADIENT + 27 * CHUNK;
    ALIGNED SHARED float stages[2 * STAGE];
    // Where they are in the map.
    ALIGNED SHARED int pixels[HALO];
    for (int index = threadIdx.x; index < HALO; index += THREADS)
        pixels[index] = tile.pixel_of_halo(index);
    __syncthreads();
    auto fetch = [&](int chunk) {
        float* stage = stages + chunk % 2 * STAGE;
        int group = threadIdx.x % GROUPS;
        const Number* from = gradient + chunk * CHUNK + group * GROUP;
        for (int place = threadIdx.x / GROUPS; place < HALO; place += THREADS / GROUPS) {
            int pixel = pixels[place];
            long long element = pixel < 0 ? 0 : static_cast<long long>(pixel) * CHANNELS;
            copy_16(stage + (group * APART + place) * 4, from + element, pixel >= 0);
        }
        static_assert(27 * WARPS <= THREADS);
        if (threadIdx.x < 27 * WARPS) {
            int tap = threadIdx.x / WARPS, quad = threadIdx.x % WARPS * 4;
            copy_16(stage + GRADIENT + threadIdx.x * 4, weights + tap * CHANNELS + chunk * CHUNK + quad, true);
        }
        commit_copies();
    };
    float sums[HEIGHT][3] = {};
    fetch(0);
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        await_copies<0>();
        __syncthreads();
        if (chunk + 1 < CHUNKS)
            fetch(chunk + 1);
        const float* stage = stages + chunk % 2 * STAGE;
        const float* kernel = stage + GRADIENT + warp() * 4;
        auto values = reinterpret_cast<const Number*>(stage + warp() * 4 / GROUP * APART * 4) + warp() * 4 % GROUP;
        UNROLL for (int across = 0; across < 3; across++) {
            Four factors[3][3];
            UNROLL for (int channel = 0; channel < 3; channel++)
                UNROLL for (int down = 0; down < 3; down++)
                    factors[channel][down] = four(kernel + (channel * 9 + down * 3 + across) * CHUNK);
            UNROLL for (int row = 0; row < HALO_HEIGHT; row++) {
                Four value = four(values + (row * HALO_WIDTH + lane() + 2 - across) * GROUP);
                UNROLL for (int down = 0; down < 3; down++) {
                    int to = row + down - 2;
                    if (to < 0 || to >= HEIGHT)
                        continue;
                    UNROLL for (int channel = 0; channel < 3; channel++)
                        UNROLL for (int j = 0; j < 4; j++)
                            sums[to][channel] += value[j] * factors[channel][down][j];
                }
            }
        }
    }
    // The sums take the stages' place.
    __syncthreads();
    UNROLL for (int row = 0; row < HEIGHT; row++)
        UNROLL for (int channel = 0; channel < 3; channel++)
            stages[((warp() * HEIGHT + row) * 3 + channel) * WIDTH + lane()] = sums[row][channel];
    __syncthreads();
    for (int row = warp(); row < HEIGHT; row += WARPS) {
        int pixel = tile.pixel(row, lane());
        if (pixel < 0)
            continue;
        UNROLL for (int channel = 0; channel < 3; channel++) {
            float sum = 0.0f;
            UNROLL for (int from = 0; from < WARPS; from++)
                sum += stages[((from * HEIGHT + row) * 3 + channel) * WIDTH + lane()];
            output[tile.plane(normalisation.channels[channel]) + pixel] = sum * normalisation.scale[channel];
        }
    }
}

// `picture [3][H W]`, `weights [3][9][64]`, `output [H W 64]`, and where it is to be kept in float32 besides, or null.
// A grid of as many blocks as it takes for 8 x 32 pixels each, row by row; so all of these.
KERNEL(THREADS) picture_forward(const float* picture, const float* weights, const float* bias,
                                Normalisation normalisation, float* output, float* features, unsigned* positive,
                                int height, int width)
{
    forward(picture, weights, bias, normalisation, output, features, positive, {height, width});
}
ENTRY(picture_forward)

KERNEL(THREADS) picture_forward_tf32(const float* picture, const float* weights, const float* bias,
                                     Normalisation normalisation, Tf32Number* output, float* features,
                                     unsigned* positive, int height, int width)
{
    forward(picture, weights, bias, normalisation, output, features, positive, {height, width});
}
ENTRY(picture_forward_tf32)

KERNEL(THREADS) picture_forward_bf16(const float* picture, const float* weights, const float* bias,
                                     Normalisation normalisation, Bfloat16* output, float* features,
                                     unsigned* positive, int height, int width)
{
    forward(picture, weights, bias, normalisation, output, features, positive, {height, width});
}
ENTRY(picture_forward_bf16)

// `gradient [H W 64]`, `output [3][H W]`; the weights are those of `picture_forward`, turned here.
KERNEL(THREADS) picture_backward(const float* gradient, const float* weights, Normalisation normalisation,
                                 float* output, int height, int width)
{
    backward(gradient, weights, normalisation, output, {height, width});
}
ENTRY(picture_backward)

KERNEL(THREADS) picture_backward_bf16(const Bfloat16* gradient, const float* weights, Normalisation normalisation,
                                      float* output, int height, int width)
{
    backward(gradient, weights, normalisation, output, {height, width});
}
ENTRY(picture_backward_bf16)

} // namespace conv1_1
