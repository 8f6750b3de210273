//! One source, several instruction sets: every kernel is compiled once for each, and one is chosen at run time.
//!
//! A kernel is a [`Kernel`] whose `run` is generic over [`Instructions`] and always inlined. [`InstructionSet::run`]
//! calls it from inside a function that carries `#[target_feature]`, so that the compiler may use those instructions
//! for the kernel's plain loops over [`Lanes`]. What differs between the sets beyond that is little: how many
//! registers a matrix product may occupy or whether there is a unit for it ([`super::amx`]), whether a product and a sum
//! fuse into one instruction, and how lanes become bits and bits lanes, which compilers do not find by themselves.
//!
//! `Plain` is whatever the target guarantees: SSE2 on x86-64, NEON on aarch64.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::lanes::Lanes;
use super::product::{COLUMNS, multiply_panels, register_tile};
#[cfg(test)]
use super::{lanes::WIDTH, parts};

/// What differs between instruction sets.
pub trait Instructions: 'static {
    /// The most rows of a matrix product that are computed at once; see [`super::product`].
    const ROWS: usize;
    /// Whether sixteen lanes are one register, of which there are 32.
    const WIDE: bool;

    /// `factor * lanes + sum`.
    fn multiply_add(factor: f32, lanes: Lanes, sum: Lanes) -> Lanes;

    /// [`Lanes::above`].
    #[inline(always)]
    fn above(lanes: Lanes, other: Lanes) -> u16 {
        lanes.above(other)
    }

    /// [`Lanes::masked`].
    #[inline(always)]
    fn masked(lanes: Lanes, bits: u16) -> Lanes {
        lanes.masked(bits)
    }

    /// Asks for what will be needed soon, where the set has an instruction for it, and does not wait for it.
    #[inline(always)]
    fn fetch<T>(_: &T) {}

    /// Lanes that 32 numbers of a packed operand of a matrix product take.
    const PACKED: usize = 2;

    /// Packs two blocks of channels of a row: 32 depths of a panel of a left operand, whose rows lie in `packed`.
    #[inline(always)]
    fn pack_row(packed: &mut [Lanes], row: usize, channels: [Lanes; 2]) {
        let (low, high) = packed.split_at_mut(packed.len() / 2);
        (low[row], high[row]) = (channels[0], channels[1]);
    }

    /// Packs 32 depths of 32 columns, of a right operand.
    #[inline(always)]
    fn pack_columns(packed: &mut [Lanes], depths: &[[Lanes; 2]; COLUMNS]) {
        packed.copy_from_slice(depths.as_flattened());
    }

    /// Prepares for products of panels of so many rows, 1 to `Self::ROWS`.
    #[inline(always)]
    fn begin(_rows: usize) {}

    /// Ends what [`Instructions::begin`] has begun.
    #[inline(always)]
    fn end() {}

    /// Multiplies panels of `rows` rows, 1 to `Self::ROWS`, with 32 columns, both packed, and fetches `next` meanwhile;
    /// see [`super::product`].
    ///
    /// # Safety
    /// [`Instructions::begin`] was called for as many rows, by this thread, and [`Instructions::end`] not yet.
    unsafe fn multiply(rows: usize, left: &[Lanes], columns: &[Lanes], product: &mut [[Lanes; 2]], next: [&[Lanes]; 2]);
}

/// The instructions that every processor of the target has.
pub struct Plain;

impl Instructions for Plain {
    const ROWS: usize = 6;
    const WIDE: bool = false;

    #[inline(always)]
    fn multiply_add(factor: f32, lanes: Lanes, mut sum: Lanes) -> Lanes {
        for (sum, lane) in sum.0.iter_mut().zip(lanes.0) {
            // A fused product is an instruction on aarch64 and a slow function call on plain x86-64.
            *sum = if cfg!(target_arch = "aarch64") {
                factor.mul_add(lane, *sum)
            } else {
                factor * lane + *sum
            };
        }
        sum
    }

    #[inline(always)]
    unsafe fn multiply(
        rows: usize,
        left: &[Lanes],
        columns: &[Lanes],
        product: &mut [[Lanes; 2]],
        next: [&[Lanes]; 2],
    ) {
        type Tile = fn(&[Lanes], &[Lanes], &mut [[Lanes; 2]], &[Lanes]);
        const TILES: [Tile; Plain::ROWS] = [
            register_tile::<Plain, 1, 1>,
            register_tile::<Plain, 2, 1>,
            register_tile::<Plain, 3, 1>,
            register_tile::<Plain, 4, 1>,
            register_tile::<Plain, 5, 1>,
            register_tile::<Plain, 6, 1>,
        ];
        multiply_panels(rows, left, columns, product, next, TILES[rows - 1]);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

/// The matrix unit as it is defined, on any processor: to test what is packed for it where there is none.
#[cfg(test)]
struct Emulated;

#[cfg(test)]
impl Instructions for Emulated {
    const ROWS: usize = 2 * WIDTH;
    const WIDE: bool = false;
    const PACKED: usize = parts::PARTS;

    #[inline(always)]
    fn multiply_add(factor: f32, lanes: Lanes, sum: Lanes) -> Lanes {
        Plain::multiply_add(factor, lanes, sum)
    }

    #[inline(always)]
    fn pack_row(packed: &mut [Lanes], row: usize, channels: [Lanes; 2]) {
        parts::pack_row(packed, row, channels);
    }

    #[inline(always)]
    fn pack_columns(packed: &mut [Lanes], depths: &[[Lanes; 2]; COLUMNS]) {
        parts::pack_columns(packed, depths);
    }

    #[inline(always)]
    unsafe fn multiply(rows: usize, left: &[Lanes], columns: &[Lanes], product: &mut [[Lanes; 2]], _: [&[Lanes]; 2]) {
        parts::multiply(rows, left, columns, product);
    }
}

/// A computation that is compiled for each instruction set.
pub trait Kernel {
    /// Does the work. Must be `#[inline(always)]`, as must all that it calls in its inner loops: a function that is
    /// not inlined is compiled for the target's baseline.
    fn run<I: Instructions>(self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Set {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(test)]
    Emulated,
}

/// An instruction set that this processor has: a value exists only after the processor was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstructionSet(Set);

impl InstructionSet {
    /// All that this processor has, the fastest first. The last is always the plain one.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "only x86-64 has more than one")]
        let mut sets = vec![Self(Set::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self(Set::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    sets.push(Self(Set::Avx512));
                    if amx::is_usable() {
                        sets.push(Self(Set::Amx));
                    }
                }
            }
        }
        sets.reverse();
        sets
    }

    /// [`available`](Self::available), and the matrix unit emulated.
    #[cfg(test)]
    pub fn tested() -> Vec<Self> {
        let mut sets = Self::available();
        sets.push(Self(Set::Emulated));
        sets
    }

    /// Whether operands of matrix products are packed in parts of their numbers.
    pub fn multiplies_parts(self) -> bool {
        self.packed() != Plain::PACKED
    }

    /// Whether sixteen lanes take several turns of the units that multiply, so that these are slow beside the caches.
    pub fn takes_turns(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::units_are_halves(),
            #[cfg(target_arch = "x86_64")]
            Set::Amx => false,
            _ => true,
        }
    }

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Set::Amx => "AMX",
            #[cfg(test)]
            Set::Emulated => "emulated AMX",
        }
    }

    /// [`Instructions::ROWS`] of this set.
    pub fn rows(self) -> usize {
        match self.0 {
            Set::Plain => Plain::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => x86::Avx2::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::Avx512::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::Amx => x86::Amx::ROWS,
            #[cfg(test)]
            Set::Emulated => Emulated::ROWS,
        }
    }

    /// [`Instructions::PACKED`] of this set.
    pub fn packed(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => x86::Amx::PACKED,
            #[cfg(test)]
            Set::Emulated => Emulated::PACKED,
            _ => Plain::PACKED,
        }
    }

    /// Runs a kernel with these instructions.
    pub fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            Set::Plain => kernel.run::<Plain>(),
            #[cfg(test)]
            Set::Emulated => kernel.run::<Emulated>(),
            // SAFETY: the value exists, so `available` found these features on this processor.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::run_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Amx => unsafe { x86::run_amx(kernel) },
        }
    }
}
