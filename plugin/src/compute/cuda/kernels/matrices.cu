// Products of matrices of a few hundred rows, many of them at once: what a distance of moments is made of. They come as a
// table, and each block looks up its own.
//
// A block makes 32 x 32 entries of one product, a thread 2 x 2 of them. Operands have any strides, so that a matrix can be
// taken as its transpose. Of a product that is known to be symmetric, blocks make what is on and below the diagonal, and
// fill in what is above.
#include "device.h"

namespace matrices {

// `result = factor left right + diagonal 1`, row by row. Strides are in numbers: of the left operand from row to row and
// along the depth, of the right one along the depth and from column to column.
struct Product
{
    const void* left;
    const void* right;
    void* result;
    double factor, diagonal;
    int rows, columns, depth, is_symmetric;
    int left_row, left_depth, right_depth, right_column;
};

constexpr int BLOCK = 256, TILE = 32, DEPTH = 16;
// Between rows of shared memory, so that neither reading nor writing them meets in few banks.
constexpr int STRIDE = TILE + 2;

template <class Number>
struct alignas(2 * sizeof(Number)) Pair
{
    Number at[2];
};

// The first row and column of a block's entries.
struct Corner
{
    int row, column;
};

DEVICE Corner corner_of(const Product& product, int tile)
{
    int across = (product.columns + TILE - 1) / TILE;
    if (!product.is_symmetric)
        return {tile / across * TILE, tile % across * TILE};
    // Row by row, each up to the diagonal.
    int row = 0;
    while (tile > row) {
        tile -= row + 1;
        row++;
    }
    return {row * TILE, tile * TILE};
}

// What a thread brings to shared memory of 32 rows of an operand at a time: two numbers, those of neighbouring threads
// being neighbours where the depth is contiguous, and where the rows are.
template <class Number>
struct Operand
{
    const Number* numbers;
    int rows, depth, row_stride, depth_stride, first;

    DEVICE void place(int index, int& row, int& line) const
    {
        row = depth_stride == 1 ? index / DEPTH : index % TILE;
        line = depth_stride == 1 ? index % DEPTH : index / TILE;
    }

    // Zeros beyond the operand.
    DEVICE Pair<Number> fetch(int from) const
    {
        Pair<Number> fetched;
        UNROLL for (int i = 0; i < 2; i++) {
            int row, line;
            place(threadIdx.x + BLOCK * i, row, line);
            row += first, line += from;
            bool is_there = row < rows && line < depth;
            fetched.at[i] = is_there ? numbers[row * row_stride + line * depth_stride] : Number(0);
        }
        return fetched;
    }

    DEVICE void put(const Pair<Number>& fetched, Number (&lines)[DEPTH][STRIDE]) const
    {
        UNROLL for (int i = 0; i < 2; i++) {
            int row, line;
            place(threadIdx.x + BLOCK * i, row, line);
            lines[line][row] = fetched.at[i];
        }
    }
};

template <class Number>
DEVICE Pair<Number> pair(const Number* from)
{
    return *reinterpret_cast<const Pair<Number>*>(from);
}

template <class Number>
DEVICE void multiply(const Product& product)
{
    ALIGNED SHARED Number lefts[DEPTH][STRIDE];
    ALIGNED SHARED Number rights[DEPTH][STRIDE];
    auto [top, start] = corner_of(product, blockIdx.x);
    if (top >= product.rows)
        return;
    Operand<Number> left{static_cast<const Number*>(product.left), product.rows, product.depth,
                         product.left_row, product.left_depth, top};
    Operand<Number> right{static_cast<const Number*>(product.right), product.columns, product.depth,
                          product.right_column, product.right_depth, start};
    int row = threadIdx.x / 16 * 2, column = threadIdx.x % 16 * 2;
    Number sums[2][2] = {};
    Pair<Number> of_left = left.fetch(0), of_right = right.fetch(0);
    for (int from = 0; from < product.depth; from += DEPTH) {
        left.put(of_left, lefts);
        right.put(of_right, rights);
        __syncthreads();
        of_left = left.fetch(from + DEPTH);
        of_right = right.fetch(from + DEPTH);
        // Summed by themselves, as what is rounded away grows with the terms that come one after the other.
        Number parts[2][2] = {};
        UNROLL for (int line = 0; line < DEPTH; line++) {
            Pair<Number> a = pair(&lefts[line][row]), b = pair(&rights[line][column]);
            UNROLL for (int i = 0; i < 2; i++)
                UNROLL for (int j = 0; j < 2; j++)
                    parts[i][j] += a.at[i] * b.at[j];
        }
        UNROLL for (int i = 0; i < 2; i++)
            UNROLL for (int j = 0; j < 2; j++)
                sums[i][j] += parts[i][j];
        __syncthreads();
    }
    auto result = static_cast<Number*>(product.result);
    UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int j = 0; j < 2; j++) {
            int y = top + row + i, x = start + column + j;
            if (y >= product.rows || x >= product.columns || (product.is_symmetric && x > y))
                continue;
            Number diagonal = x == y ? Number(product.diagonal) : Number(0);
            Number entry = Number(product.factor) * sums[i][j] + diagonal;
            result[y * product.columns + x] = entry;
            if (product.is_symmetric)
                result[x * product.columns + y] = entry;
        }
}

// A grid of as many blocks as the largest product takes, by the products.
KERNEL(BLOCK) products_f32(const Product* products) { multiply<float>(products[blockIdx.y]); }
ENTRY(products_f32)

KERNEL(BLOCK) products_f64(const Product* products) { multiply<double>(products[blockIdx.y]); }
ENTRY(products_f64)

} // namespace matrices
