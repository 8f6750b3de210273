// Holds every kernel, run on emulated threads, against the plainest loops in double. A test of the plugin builds it with
// a C++ compiler and runs it; it prints what each kernel is off by, and fails where that is too much. All of it is done
// once for each of several orders of blocks and warps, and must have the same bits in each.
#include "every.cu"

#include <array>
#include <random>

namespace {

int failures = 0;

// The order of blocks and warps, and the bits of all that has been compared in it.
unsigned order = 0;
std::string bits_of_all;

using Floats = std::vector<float>;
using Bits = std::vector<unsigned>;

Floats noise(size_t count, unsigned seed)
{
    std::mt19937 random(seed);
    Floats values(count);
    for (float& value : values)
        value = static_cast<float>(random()) / 2147483648.0f - 1.0f;
    return values;
}

Bits bits(size_t count, unsigned seed)
{
    std::mt19937 random(seed);
    Bits words(count / 32);
    for (unsigned& word : words)
        word = random();
    return words;
}

bool bit(const Bits& words, size_t index) { return words[index / 32] >> index % 32 & 1; }

template <class... Arguments>
void launch(const char* name, unsigned across, unsigned down, unsigned threads, Arguments... arguments)
{
    void* pointers[] = {&arguments...};
    auto known = emulated::kernels().at(name);
    emulated::launch(known.bind(pointers, known.kernel), {across, down, 1}, {threads, 1, 1}, order);
}

unsigned blocks(size_t count, size_t per_block) { return static_cast<unsigned>((count + per_block - 1) / per_block); }

template <class Got>
void compare(const std::string& what, const std::vector<Got>& got, const std::vector<double>& expected, double bound)
{
    double apart = 0, whole = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        apart += (got[i] - expected[i]) * (got[i] - expected[i]);
        whole += expected[i] * expected[i];
    }
    double error = std::sqrt(apart / whole);
    bool is_good = got.size() == expected.size() && error <= bound;
    if (order == 0 || !is_good)
        std::printf("%s %s is off by %.1e\n", is_good ? "good:" : "FAILED:", what.c_str(), error);
    failures += !is_good;
    bits_of_all.append(reinterpret_cast<const char*>(got.data()), got.size() * sizeof(Got));
}

void expect(const std::string& what, bool holds)
{
    if (!holds)
        std::printf("FAILED: %s\n", what.c_str());
    failures += !holds;
}

struct Mode
{
    const char* suffix;
    double bound;
};
const Mode FLOAT32{"_f32", 1e-6}, TF32{"_tf32", 1e-3};
// What is stored in bfloat16 is off by half of the last of 8 bits at most. Its products are exact.
const Mode BFLOAT16{"_bf16", 1.0 / 256};

// The nearest numbers that maps of a mode can have.
template <class Number>
std::vector<Number> stored(const Floats& values)
{
    return {values.begin(), values.end()};
}

// Weights `[9][inputs][outputs]` as kernels read them: by so many inputs at a time, a quarter of which lie side by side.
template <class Number>
std::vector<Number> in_words(const std::vector<Number>& weights, int inputs, int outputs)
{
    constexpr int DEEP = 64 / sizeof(Number), SIDE = DEEP / 4;
    std::vector<Number> words(weights.size());
    for (int tap = 0; tap < 9; tap++)
        for (int i = 0; i < inputs; i++)
            for (int o = 0; o < outputs; o++)
                words[(((i / DEEP * 9 + tap) * 4 + i % DEEP / SIDE) * outputs + o) * SIDE + i % SIDE] =
                    weights[(tap * inputs + i) * outputs + o];
    return words;
}

// `weights [9][inputs][outputs]`.
template <class Number>
std::vector<double> convolved(const std::vector<Number>& input, const std::vector<Number>& weights, int height, int width,
                              int inputs, int outputs)
{
    std::vector<double> output(static_cast<size_t>(height) * width * outputs);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int tap = 0; tap < 9; tap++) {
                int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
                if (row < 0 || row >= height || column < 0 || column >= width)
                    continue;
                for (int i = 0; i < inputs; i++)
                    for (int o = 0; o < outputs; o++)
                        output[(y * width + x) * outputs + o] +=
                            static_cast<double>(input[(row * width + column) * inputs + i]) *
                            static_cast<double>(weights[(tap * inputs + i) * outputs + o]);
            }
    return output;
}

// What a block makes: rows of 8 pixels, and channels.
struct Tile
{
    const char* name;
    int rows, columns;
};

template <class Number>
void convolutions(Tile tile, Mode mode, int height, int width, int inputs, int outputs)
{
    if (outputs % tile.columns != 0)
        return;
    size_t pixels = static_cast<size_t>(height) * width, elements = pixels * outputs;
    auto input = stored<Number>(noise(pixels * inputs, 1)), weights = stored<Number>(noise(9ull * inputs * outputs, 2));
    Floats bias = noise(outputs, 3), features(elements, 9.0f);
    auto sums = convolved(input, weights, height, width, inputs, outputs);
    auto words = in_words(weights, inputs, outputs);
    auto numbers = reinterpret_cast<const float*>(words.data());
    unsigned grid = blocks(height, tile.rows) * blocks(width, 8) * (outputs / tile.columns);
    std::string kind = std::string(tile.name) + mode.suffix;
    Bits below = bits(elements, 4), positive(elements / 32);
    std::string size = std::to_string(height) + " x " + std::to_string(width) + kind;
    std::vector<Number> output(elements, 9.0f);
    launch(("convolve_forward" + kind).c_str(), grid, 1, 128, input.data(), numbers, bias.data(), output.data(),
           features.data(), positive.data(), height, width, inputs, outputs);
    std::vector<double> expected = sums;
    bool are_bits_right = true;
    for (size_t i = 0; i < elements; i++) {
        expected[i] = std::max(0.0, expected[i] + bias[i % outputs]);
        are_bits_right &= bit(positive, i) == (features[i] > 0.0f);
    }
    compare("a convolution of " + size, output, expected, mode.bound);
    compare("its features", features, expected, mode.suffix == TF32.suffix ? TF32.bound : FLOAT32.bound);
    expect("bits of a convolution of " + size, are_bits_right);

    for (bool is_masked : {true, false}) {
        const unsigned* mask = is_masked ? below.data() : nullptr;
        launch(("convolve_backward" + kind).c_str(), grid, 1, 128, input.data(), numbers, mask, output.data(), height, width,
               inputs, outputs);
        expected = sums;
        for (size_t i = 0; is_masked && i < elements; i++)
            expected[i] *= bit(below, i);
        compare("its gradient, masked or not,", output, expected, mode.bound);
    }
}

template <class Number>
void picture(const std::string& suffix, double bound, int height, int width)
{
    int pixels = height * width;
    conv1_1::Normalisation normalisation{{1, 2, 0}, {2.0f, 3.0f, 0.5f}, {-0.3f, 0.2f, 0.1f}};
    Floats planes = noise(3 * pixels, 1), weights = noise(27 * 64, 2), bias = noise(64, 3);
    Floats normal(3 * pixels), taps_first(27 * 64), turned(27 * 64);
    for (int channel = 0; channel < 3; channel++) {
        for (int pixel = 0; pixel < pixels; pixel++)
            normal[pixel * 3 + channel] = planes[normalisation.channels[channel] * pixels + pixel] *
                                              normalisation.scale[channel] + normalisation.shift[channel];
        for (int tap = 0; tap < 9; tap++)
            for (int o = 0; o < 64; o++) {
                taps_first[(tap * 3 + channel) * 64 + o] = weights[(channel * 9 + tap) * 64 + o];
                turned[((8 - tap) * 64 + o) * 3 + channel] = weights[(channel * 9 + tap) * 64 + o];
            }
    }
    auto expected = convolved(normal, taps_first, height, width, 3, 64);
    std::vector<Number> output(64 * pixels);
    Floats features(64 * pixels);
    Bits positive(2 * pixels);
    unsigned tiles = blocks(height, 8) * blocks(width, 32);
    launch(("picture_forward" + suffix).c_str(), tiles, 1, 128, planes.data(), weights.data(), bias.data(),
           normalisation, output.data(), features.data(), positive.data(), height, width);
    bool are_bits_right = true;
    for (size_t i = 0; i < expected.size(); i++) {
        expected[i] = std::max(0.0, expected[i] + bias[i % 64]);
        are_bits_right &= bit(positive, i) == (features[i] > 0.0f);
    }
    compare("conv1_1" + suffix, output, expected, bound);
    compare("its features", features, expected, 1e-6);
    expect("bits of conv1_1" + suffix, are_bits_right);

    auto gradient = stored<Number>(noise(64 * pixels, 4));
    Floats back(3 * pixels);
    auto at_normal = convolved(Floats(gradient.begin(), gradient.end()), turned, height, width, 64, 3);
    std::vector<double> at_planes(3 * pixels);
    for (int channel = 0; channel < 3; channel++)
        for (int pixel = 0; pixel < pixels; pixel++)
            at_planes[normalisation.channels[channel] * pixels + pixel] =
                at_normal[pixel * 3 + channel] * normalisation.scale[channel];
    // A gradient of fewer digits is a gradient of floats.
    std::string backward = "picture_backward" + (suffix == TF32.suffix ? "" : suffix);
    launch(backward.c_str(), tiles, 1, 128, gradient.data(), weights.data(), normalisation, back.data(), height, width);
    compare("its gradient", back, at_planes, 1e-6);
}

template <class Number>
void poolings(const std::string& suffix, double bound, int height, int width, int channels)
{
    int rows = height / 2, columns = width / 2;
    size_t inside = static_cast<size_t>(height) * width * channels, outside = static_cast<size_t>(rows) * columns * channels;
    Floats features = noise(inside, 1);
    // Ties, and windows of zeros.
    for (float& value : features)
        value = std::max(0.0f, std::round(value * 2.0f));
    auto input = stored<Number>(features), gradient = stored<Number>(noise(outside, 2));
    Bits positive = bits(inside, 3);
    for (std::string name : {"max", "average", "l2"}) {
        // What leaves digits as they are is not there for fewer of them.
        if (name == "max" && suffix == TF32.suffix)
            continue;
        std::string back_suffix = name == "average" && suffix == TF32.suffix ? "" : suffix;
        float scale = 1.56f;
        std::vector<Number> output(outside), back(inside, 9.0f);
        std::vector<unsigned char> winners(outside);
        std::vector<double> expected(outside), expected_back(inside);
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                for (int channel = 0; channel < channels; channel++) {
                    size_t at = (row * columns + column) * channels + channel, members[4];
                    for (int m = 0; m < 4; m++)
                        members[m] = ((2 * row + m / 2) * width + 2 * column + m % 2) * channels + channel;
                    double sum = 0, squares = 0;
                    int winner = 0;
                    for (int m = 0; m < 4; m++) {
                        sum += input[members[m]];
                        squares += static_cast<double>(input[members[m]]) * static_cast<double>(input[members[m]]);
                        winner = input[members[m]] > input[members[winner]] ? m : winner;
                    }
                    double root = std::sqrt(squares / 4);
                    double largest = input[members[winner]];
                    expected[at] = name == "max" ? largest : name == "average" ? sum / 4 : scale * root;
                    for (int m = 0; m < 4; m++) {
                        double l2 = root > 0 ? scale * input[members[m]] / (4 * root) : 0;
                        double share = name == "max" ? m == winner : name == "average" ? 0.25 : l2;
                        expected_back[members[m]] = bit(positive, members[m]) * share * gradient[at];
                    }
                }
        unsigned out = blocks(outside, 256), in = blocks((height + 1) / 2 * ((width + 1) / 2) * channels / 4, 256);
        auto call = [&](const char* end, unsigned across, auto... arguments) {
            std::string kind = *end == 0 ? suffix : back_suffix;
            launch(("pool_" + name + end + kind).c_str(), across, 1, 256, arguments..., height, width, channels);
        };
        if (name == "max") {
            call("", out, input.data(), output.data(), winners.data());
            call("_back", in, gradient.data(), winners.data(), positive.data(), back.data());
        } else if (name == "average") {
            call("", out, input.data(), output.data());
            call("_back", in, gradient.data(), positive.data(), back.data());
        } else {
            call("", out, input.data(), output.data(), scale);
            call("_back", in, gradient.data(), features.data(), output.data(), positive.data(), back.data(), scale);
        }
        compare("pooling by " + name + suffix, output, expected, bound);
        // Of L2, the output has been rounded as well.
        compare("its gradient", back, expected_back, name == "l2" ? 2 * bound : bound);
    }
}

void statistics(int height, int width, Window window, int channels, bool is_weighted)
{
    int pixels = height * width, inside = window.height * window.width;
    size_t elements = static_cast<size_t>(pixels) * channels;
    Floats features = noise(elements, 1), all = noise(pixels, 2), held(static_cast<size_t>(inside) * channels);
    for (float& weight : all)
        weight = std::abs(weight);
    const float* weights = is_weighted ? all.data() : nullptr;
    auto weight_of = [&](int pixel) { return is_weighted ? static_cast<double>(all[pixel]) : 1.0; };
    std::vector<int> seen;
    for (int index = 0; index < inside; index++)
        seen.push_back((window.top + index / window.width) * width + window.left + index % window.width);

    std::vector<double> second(channels * channels), mean(channels);
    for (int pixel : seen)
        for (int i = 0; i < channels; i++) {
            double value = weight_of(pixel) * features[pixel * channels + i];
            mean[i] += 0.5 * value;
            for (int j = 0; j < channels; j++)
                second[i * channels + j] += 0.5 * value * features[pixel * channels + j];
        }
    int per_slice = 48, slices = (inside + per_slice - 1) / per_slice, tiles = channels / 64 * (channels / 64 + 1) / 2;
    Floats partial(static_cast<size_t>(slices) * channels * channels, NAN), got(channels * channels), got_mean(channels);
    int per_mean = 144, means = (inside + per_mean - 1) / per_mean;
    launch("means", channels / 64, means, 256, features.data(), weights, window, channels, per_mean, partial.data());
    launch("means_total", channels / 64, 1, 256, partial.data(), means, channels, 0.5f, got_mean.data());
    compare("means", got_mean, mean, 1e-6);

    Floats derivative = noise(channels * channels, 3), matrix(channels * channels), slopes = noise(channels, 4), begun = noise(elements, 5);
    std::vector<double> symmetrical(channels * channels);
    for (int i = 0; i < channels; i++)
        for (int j = 0; j < channels; j++)
            symmetrical[i * channels + j] = static_cast<double>(derivative[i * channels + j]) + derivative[j * channels + i];
    launch("symmetric", blocks(channels * channels, 256), 1, 256, derivative.data(), channels, matrix.data());
    compare("a derivative made symmetric", matrix, symmetrical, 1e-6);
    Bits positive = bits(elements, 6);
    // What the moments' derivatives say to a feature.
    auto pull = [&](int pixel, int channel) {
        double sum = slopes[channel];
        for (int j = 0; j < channels; j++)
            sum += static_cast<double>(matrix[channel * channels + j]) * features[pixel * channels + j];
        return bit(positive, pixel * channels + channel) ? 0.5 * sum * weight_of(pixel) : 0.0;
    };
    for (Mode mode : {FLOAT32, TF32}) {
        launch((std::string("second_moments") + mode.suffix).c_str(), tiles, slices, 128, features.data(), weights,
               window, channels, per_slice, partial.data());
        launch("second_moments_total", tiles, 64, 256, partial.data(), slices, channels, 0.5f, got.data());
        compare(std::string("second moments") + mode.suffix, got, second, mode.bound);

        // In TF32, to as many digits.
        auto fewer = stored<Tf32Number>(begun);
        Floats gradient = mode.suffix == TF32.suffix ? Floats(fewer.begin(), fewer.end()) : begun;
        std::vector<double> expected(gradient.begin(), gradient.end());
        launch((std::string("inject_moments") + mode.suffix).c_str(), blocks(inside, 128), channels / 64, 128,
               features.data(), matrix.data(), slopes.data(), weights, positive.data(), window, channels, 0.5f,
               gradient.data());
        for (int pixel : seen)
            for (int i = 0; i < channels; i++)
                expected[pixel * channels + i] += pull(pixel, i);
        compare(std::string("their gradient") + mode.suffix, gradient, expected, mode.bound);
    }
    // In the draft mode, products in TF32 are added to a gradient in bfloat16.
    auto draft = stored<Bfloat16>(begun);
    std::vector<double> expected_draft(draft.begin(), draft.end());
    launch("inject_moments_bf16", blocks(inside, 128), channels / 64, 128, features.data(), matrix.data(), slopes.data(),
           weights, positive.data(), window, channels, 0.5f, draft.data());
    for (int pixel : seen)
        for (int i = 0; i < channels; i++)
            expected_draft[pixel * channels + i] += pull(pixel, i);
    compare("their gradient_bf16", draft, expected_draft, TF32.bound + BFLOAT16.bound);

    Floats content = noise(elements, 7), gradient = begun;
    launch("hold", blocks(held.size(), 256), 1, 256, content.data(), window, channels, held.data());
    std::vector<double> expected(begun.begin(), begun.end()), distances(2), got_distances(2);
    for (int pixel : seen)
        for (int i = 0; i < channels; i++) {
            size_t element = pixel * channels + i;
            double apart = static_cast<double>(features[element]) - content[element];
            distances[0] += apart * apart;
            distances[1] += static_cast<double>(features[element]) * features[element];
            expected[element] += bit(positive, element) ? 0.75 * apart : 0.0;
        }
    for (int i = 0; i < 2; i++) {
        std::vector<double> sums(5);
        launch("squared_distance", 5, 1, 256, features.data(), i == 0 ? held.data() : nullptr, window, channels, sums.data());
        for (double sum : sums)
            got_distances[i] += sum;
    }
    compare("distances from content and from 0", got_distances, distances, 1e-6);
    float slope = 0.75f;
    launch("inject_content", blocks(held.size(), 256), 1, 256, features.data(), held.data(), &slope, positive.data(),
           window, channels, gradient.data());
    compare("their gradient", gradient, expected, 1e-6);
    auto fewer = stored<Tf32Number>(begun);
    launch("inject_content_tf32", blocks(held.size(), 256), 1, 256, features.data(), held.data(), &slope, positive.data(),
           window, channels, fewer.data());
    compare("their gradient_tf32", fewer, expected, TF32.bound);
    draft = stored<Bfloat16>(begun);
    launch("inject_content_bf16", blocks(held.size(), 256), 1, 256, features.data(), held.data(), &slope, positive.data(),
           window, channels, draft.data());
    compare("their gradient_bf16", draft, expected, 2 * BFLOAT16.bound);
}

// Several products of one table: of all sizes, each operand as it is and transposed, and one that is symmetric.
template <class Number>
void products(const char* name, double bound)
{
    using matrices::Product;
    std::vector<std::vector<Number>> lefts, rights, results;
    std::vector<std::vector<double>> expected;
    std::vector<Product> table;
    unsigned most = 0, seed = 1;
    for (auto [rows, columns, depth, transposed] :
         {std::array{5, 3, 1, 0}, {33, 64, 17, 1}, {70, 31, 40, 2}, {20, 34, 16, 3}, {45, 45, 21, -1}}) {
        bool is_symmetric = transposed < 0, left_turned = !is_symmetric && transposed & 1, right_turned = transposed & 2;
        Floats a = noise(rows * depth, seed++), b = is_symmetric ? a : noise(depth * columns, seed++);
        auto& left = lefts.emplace_back(a.begin(), a.end());
        auto& right = rights.emplace_back(b.begin(), b.end());
        auto& result = results.emplace_back(rows * columns, static_cast<Number>(NAN));
        Product product{left.data(), right.data(), result.data(), -0.5, 2.0, rows, columns, depth, is_symmetric,
                        left_turned ? 1 : depth, left_turned ? rows : 1, right_turned ? 1 : columns, right_turned ? depth : 1};
        auto& wanted = expected.emplace_back();
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                double sum = 0;
                for (int k = 0; k < depth; k++)
                    sum += static_cast<double>(left[i * product.left_row + k * product.left_depth]) *
                           right[k * product.right_depth + j * product.right_column];
                wanted.push_back(-0.5 * sum + (i == j ? 2.0 : 0.0));
            }
        unsigned across = blocks(columns, 32), down = blocks(rows, 32);
        most = std::max(most, is_symmetric ? down * (down + 1) / 2 : across * down);
        table.push_back(product);
    }
    launch(name, most, static_cast<unsigned>(table.size()), 256, table.data());
    for (size_t i = 0; i < table.size(); i++)
        compare(name + (" " + std::to_string(i)), results[i], expected[i], bound);
}

// A rate is worth what is known to be done for it.
void ceilings()
{
    for (auto [name, depth] : {std::pair{"rate_f32", 8}, {"rate_tf32", 8}, {"rate_bf16", 16}}) {
        Floats totals(256, NAN);
        launch(name, 2, 1, 128, totals.data(), 3, 1.0f);
        compare(name, totals, std::vector<double>(256, 64.0 * depth * 3), 0.0);
    }
    Floats from = noise(1500, 1), to(1500);
    launch("copy", 2, 1, 256, from.data(), to.data(), 1500);
    compare("a copy", to, std::vector<double>(from.begin(), from.end()), 0.0);
}

void all()
{
    // A border within a block's pixels, fewer pixels than a block has, and one row.
    for (auto [height, width, inputs, outputs] : {std::array{9, 21, 64, 128}, {2, 3, 128, 64}, {1, 130, 64, 64}}) {
        convolutions<float>({"", 16, 64}, FLOAT32, height, width, inputs, outputs);
        for (Tile tile : {Tile{"_wide", 16, 128}, {"_narrow", 16, 64}, {"_small", 8, 64}, {"_hopper_wide", 16, 128},
                          {"_hopper_narrow", 16, 64}, {"_hopper_small", 8, 64}}) {
            convolutions<Tf32Number>(tile, TF32, height, width, inputs, outputs);
            convolutions<Bfloat16>(tile, BFLOAT16, height, width, inputs, outputs);
        }
    }
    // Less than a block of pixels, and a part of several.
    for (auto [height, width] : {std::pair{5, 21}, {19, 67}}) {
        picture<float>("", 1e-6, height, width);
        picture<Tf32Number>("_tf32", TF32.bound, 13, 21);
    picture<Bfloat16>("_bf16", BFLOAT16.bound, height, width);
    }
    for (auto [height, width, channels] : {std::array{6, 8, 64}, {7, 5, 128}}) {
        poolings<float>("", 1e-6, height, width, channels);
        poolings<Tf32Number>("_tf32", TF32.bound, height, width, channels);
        poolings<Bfloat16>("_bf16", BFLOAT16.bound, height, width, channels);
    }
    statistics(9, 17, {17, 0, 0, 9, 17}, 64, false);
    statistics(11, 20, {20, 2, 3, 7, 16}, 128, true);
    products<float>("products_f32", 1e-6);
    products<double>("products_f64", 1e-14);
    ceilings();
}

} // namespace

int main()
{
    all();
    std::string forward = std::exchange(bits_of_all, "");
    for (order = 1; order <= 3; order++) {
        all();
        expect("order " + std::to_string(order) + " has the bits of the first", std::exchange(bits_of_all, "") == forward);
    }
    std::printf("%d failures\n", failures);
    return failures != 0;
}
