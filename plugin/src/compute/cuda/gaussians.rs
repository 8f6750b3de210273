//! Distances between Gaussians on a card: what `kernels/distances.cu` and `kernels/matrices.cu` are launched on, in which
//! order. The distance itself is that of `crate::objective::wasserstein`.

use bytemuck::{Pod, Zeroable};

use super::kernels::Kernel;
use super::layout::Places;
use super::pass::ELEMENTS;
use super::products::{Matrix, Product};
use super::roots::{Step, steps};
use super::tables::Writer;
use crate::Result;
use crate::compute::GaussianTarget;

/// Rows of a distance's derivative that a block makes.
const ROWS: usize = 8;
/// Tables of distances that are launched, and of products beside those of the roots.
const TABLES: usize = 4;
const PRODUCTS: usize = 4;
/// Products of a step of the roots.
const PRODUCTS_OF_STEP: usize = 3;

/// A distance, as kernels take it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Row {
    second: u64,
    mean: u64,
    wanted_mean: u64,
    lengths: u64,
    own_mean: u64,
    covariance: u64,
    turned: u64,
    root: u64,
    inverse: u64,
    factor: u64,
    known: u64,
    values: u64,
    trace: f64,
    slope: f64,
    constant: f64,
    linear: f64,
    noise: f64,
    channels: i32,
    kept: i32,
}

/// Where a distance has its things: offsets in bytes.
pub struct Room {
    wanted_mean: usize,
    lengths: usize,
    directions: usize,
    own_mean: usize,
    /// `[C, C]`.
    covariance: usize,
    /// `[k, C]`: the covariance with the directions on one side, and later the inverse root.
    left: usize,
    /// `[k, k]`.
    turned: usize,
    /// `[k, k]`, in float64: two of each, which take turns.
    roots: [usize; 2],
    inverses: [usize; 2],
    factor: usize,
    known: usize,
}

impl Room {
    /// For so many directions of so many channels.
    pub fn new(kept: usize, channels: usize, places: &mut Places) -> Self {
        let (float, double) = (size_of::<f32>(), size_of::<f64>());
        let mut exact = || places.take(kept * kept * double);
        let (roots, inverses, factor) = ([exact(), exact()], [exact(), exact()], exact());
        Self {
            wanted_mean: places.take(channels * float),
            lengths: places.take(kept * double),
            directions: places.take(kept * channels * float),
            own_mean: places.take(channels * float),
            covariance: places.take(channels * channels * float),
            left: places.take(kept * channels * float),
            turned: places.take(kept * kept * float),
            roots,
            inverses,
            factor,
            known: places.take(2 * double),
        }
    }
}

/// What the tables of so many distances take.
pub fn bytes_of_tables(distances: usize) -> usize {
    let products = PRODUCTS + PRODUCTS_OF_STEP * steps().len();
    TABLES * Writer::bytes::<Row>(distances) + products * Writer::bytes::<Product>(distances)
}

/// A distance of the moments at two addresses, `[C, C]` and `[C]`.
pub struct Distance<'a> {
    pub moments: [u64; 2],
    pub target: &'a GaussianTarget,
    pub room: Room,
    /// The offset where its values go.
    pub values: usize,
    /// What it counts.
    pub slope: f64,
}

impl Distance<'_> {
    fn channels(&self) -> usize {
        self.target.mean.len()
    }

    fn kept(&self) -> usize {
        self.target.lengths.len()
    }

    /// What is known of the style.
    fn write(&self, writer: &Writer) -> Result<()> {
        writer.put(self.room.wanted_mean, &self.target.mean)?;
        writer.put(self.room.lengths, &self.target.lengths)?;
        writer.put(self.room.directions, &self.target.directions)
    }

    /// With the root and the inverse that a launch deals with.
    fn row(&self, writer: &Writer, root: usize, inverse: usize, first: Step) -> Row {
        let Self {
            moments: [second, mean],
            target,
            room,
            values,
            slope,
        } = self;
        let at = |offset: usize| writer.at(offset);
        Row {
            second: *second,
            mean: *mean,
            wanted_mean: at(room.wanted_mean),
            lengths: at(room.lengths),
            own_mean: at(room.own_mean),
            covariance: at(room.covariance),
            turned: at(room.turned),
            root: at(root),
            inverse: at(inverse),
            factor: at(room.factor),
            known: at(room.known),
            values: at(*values),
            trace: target.trace,
            slope: *slope,
            constant: first.constant,
            linear: first.linear,
            noise: target.noise,
            channels: self.channels() as i32,
            kept: self.kept() as i32,
        }
    }

    fn directions(&self, writer: &Writer) -> Matrix {
        Matrix::new(writer.at(self.room.directions), self.kept(), self.channels())
    }

    fn covariance(&self, writer: &Writer) -> Matrix {
        Matrix::new(writer.at(self.room.covariance), self.channels(), self.channels())
    }

    fn left(&self, writer: &Writer) -> Matrix {
        Matrix::new(writer.at(self.room.left), self.kept(), self.channels())
    }

    /// One of the matrices `[k, k]`.
    fn square(&self, writer: &Writer, offset: usize) -> Matrix {
        Matrix::new(writer.at(offset), self.kept(), self.kept())
    }
}

/// Everything from moments to values, and to the derivatives in the moments' places.
///
/// # Errors
/// When the card fails.
pub fn write(distances: &[Distance], writer: &mut Writer) -> Result<()> {
    for distance in distances {
        distance.write(writer)?;
    }
    let most = |count: fn(&Distance) -> usize| distances.iter().map(count).max().unwrap_or(0);
    let elements = most(|distance| distance.channels().pow(2).div_ceil(ELEMENTS));
    let between = most(|distance| distance.kept().pow(2).div_ceil(ELEMENTS));
    let steps = steps();
    let (first, last) = (steps[0], steps.len() % 2);
    let rows = |writer: &Writer, root: usize, inverse: usize| -> Vec<Row> {
        let row = |distance: &Distance| {
            let room = &distance.room;
            distance.row(writer, room.roots[root], room.inverses[inverse], first)
        };
        distances.iter().map(row).collect()
    };
    let products = |writer: &Writer, make: &dyn Fn(&Distance, &Writer) -> Product| -> Vec<Product> {
        distances.iter().map(|distance| make(distance, writer)).collect()
    };

    writer.launch(Kernel::COVARIANCES, elements, &rows(writer, 0, 1))?;
    let turned = products(writer, &|distance, at| {
        let left = distance.left(at).address;
        Product::new(distance.directions(at), distance.covariance(at), left, false)
    });
    writer.multiply(Kernel::PRODUCTS_F32, &turned)?;
    let turned = products(writer, &|distance, at| {
        let right = distance.directions(at).transposed();
        Product::new(distance.left(at), right, at.at(distance.room.turned), true)
    });
    writer.multiply(Kernel::PRODUCTS_F32, &turned)?;

    // The first step's factor is the inverse root itself.
    writer.launch(Kernel::BEGIN_ROOTS, between, &rows(writer, 0, 1))?;
    let root = products(writer, &|distance, at| {
        let [from, to] = distance.room.roots;
        let inverse = distance.square(at, distance.room.inverses[1]);
        Product::new(distance.square(at, from), inverse, at.at(to), true)
    });
    writer.multiply(Kernel::PRODUCTS_F64, &root)?;
    for (number, Step { constant, linear }) in steps.into_iter().enumerate().skip(1) {
        let (from, to) = (number % 2, (number + 1) % 2);
        let factor = products(writer, &|distance, at| {
            let inverse = distance.square(at, distance.room.inverses[from]);
            let root = distance.square(at, distance.room.roots[from]);
            // Not by halves: see [`super::roots`].
            Product::new(inverse, root, at.at(distance.room.factor), false).scaled(-linear, constant)
        });
        writer.multiply(Kernel::PRODUCTS_F64, &factor)?;
        let mut next = products(writer, &|distance, at| {
            let factor = distance.square(at, distance.room.factor);
            let root = distance.square(at, distance.room.roots[from]);
            Product::new(root, factor, at.at(distance.room.roots[to]), true)
        });
        next.extend(products(writer, &|distance, at| {
            let factor = distance.square(at, distance.room.factor);
            let inverse = distance.square(at, distance.room.inverses[from]);
            Product::new(factor, inverse, at.at(distance.room.inverses[to]), true)
        }));
        writer.multiply(Kernel::PRODUCTS_F64, &next)?;
    }

    writer.launch(Kernel::END_ROOTS, between, &rows(writer, last, last))?;
    let derivative = products(writer, &|distance, at| {
        let inverse = distance.square(at, distance.room.turned);
        Product::new(inverse, distance.directions(at), distance.left(at).address, false)
    });
    writer.multiply(Kernel::PRODUCTS_F32, &derivative)?;
    let derivative = products(writer, &|distance, at| {
        let left = distance.directions(at).transposed();
        Product::new(left, distance.left(at), distance.covariance(at).address, true)
    });
    writer.multiply(Kernel::PRODUCTS_F32, &derivative)?;
    let blocks = most(|distance| distance.channels().div_ceil(ROWS));
    writer.launch(Kernel::GAUSSIAN_DISTANCES, blocks, &rows(writer, last, last))
}
