//! One source, several instruction sets: every kernel is compiled once for each, and one is chosen at run time.
//!
//! A kernel is a [`Kernel`] whose `run` is generic over [`Instructions`] and always inlined. [`InstructionSet::run`]
//! calls it from inside a function that carries `#[target_feature]`, so that the compiler may use those instructions
//! for the kernel's plain loops over [`Lanes`]. What differs between the sets beyond that is little: how many
//! registers a matrix product may occupy, whether a product and a sum fuse into one instruction, and how lanes become
//! bits and bits lanes, which compilers do not find by themselves.
//!
//! `Plain` is whatever the target guarantees: SSE2 on x86-64, NEON on aarch64.

use super::lanes::Lanes;
use super::product::register_tile;

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

    /// Computes as many rows of a matrix product as `product` has, 1 to `Self::ROWS`, and fetches `next` meanwhile; see
    /// [`register_tile`].
    fn multiply(rows: &[Lanes], columns: &[[Lanes; 2]], product: &mut [[Lanes; 2]], next: &[Lanes]);
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
    fn multiply(rows: &[Lanes], columns: &[[Lanes; 2]], product: &mut [[Lanes; 2]], next: &[Lanes]) {
        type Tile = fn(&[Lanes], &[[Lanes; 2]], &mut [[Lanes; 2]], &[Lanes]);
        const TILES: [Tile; Plain::ROWS] = [
            register_tile::<Plain, 1, 1>,
            register_tile::<Plain, 2, 1>,
            register_tile::<Plain, 3, 1>,
            register_tile::<Plain, 4, 1>,
            register_tile::<Plain, 5, 1>,
            register_tile::<Plain, 6, 1>,
        ];
        TILES[product.len() - 1](rows, columns, product, next);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Instructions, Kernel, Lanes, register_tile};

    /// [`register_tile`], compiled for a set of instructions.
    type Tile = unsafe fn(&[Lanes], &[[Lanes; 2]], &mut [[Lanes; 2]], &[Lanes]);

    /// AVX2 and FMA: sixteen registers of eight lanes.
    pub struct Avx2;

    impl Instructions for Avx2 {
        const ROWS: usize = 6;
        const WIDE: bool = false;

        #[inline(always)]
        fn multiply_add(factor: f32, lanes: Lanes, mut sum: Lanes) -> Lanes {
            // SAFETY: this runs inside `run_avx2` alone, and each half is eight of sixteen floats.
            unsafe {
                let factor = _mm256_set1_ps(factor);
                for first in [0, 8] {
                    let (lanes, sum) = (lanes.0.as_ptr().add(first), sum.0.as_mut_ptr().add(first));
                    let product = _mm256_fmadd_ps(factor, _mm256_loadu_ps(lanes), _mm256_loadu_ps(sum));
                    _mm256_storeu_ps(sum, product);
                }
            }
            sum
        }

        #[inline(always)]
        fn above(lanes: Lanes, other: Lanes) -> u16 {
            // SAFETY: this runs inside `run_avx2` alone, and each load reads eight of sixteen floats.
            unsafe {
                let half = |first: usize| {
                    let (a, b) = (lanes.0.as_ptr().add(first), other.0.as_ptr().add(first));
                    let above = _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_loadu_ps(a), _mm256_loadu_ps(b));
                    _mm256_movemask_ps(above) as u16
                };
                half(0) | half(8) << 8
            }
        }

        #[inline(always)]
        fn fetch<T>(soon: &T) {
            // SAFETY: the reference is valid, and nothing but the caches changes.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(soon).cast()) }
        }

        #[inline(always)]
        fn multiply(rows: &[Lanes], columns: &[[Lanes; 2]], product: &mut [[Lanes; 2]], next: &[Lanes]) {
            const TILES: [Tile; Avx2::ROWS] = [tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>];
            #[target_feature(enable = "avx2,fma")]
            fn tile<const ROWS: usize>(
                rows: &[Lanes],
                columns: &[[Lanes; 2]],
                product: &mut [[Lanes; 2]],
                next: &[Lanes],
            ) {
                register_tile::<Avx2, ROWS, 1>(rows, columns, product, next);
            }
            // SAFETY: this runs inside `run_avx2` alone.
            unsafe { TILES[product.len() - 1](rows, columns, product, next) }
        }
    }

    /// AVX-512: 32 registers of sixteen lanes.
    pub struct Avx512;

    impl Instructions for Avx512 {
        const ROWS: usize = 14;
        const WIDE: bool = true;

        #[inline(always)]
        fn multiply_add(factor: f32, lanes: Lanes, mut sum: Lanes) -> Lanes {
            // SAFETY: this runs inside `run_avx512` alone, and sixteen floats are read and written.
            unsafe {
                let (lanes, addend) = (_mm512_loadu_ps(lanes.0.as_ptr()), _mm512_loadu_ps(sum.0.as_ptr()));
                let product = _mm512_fmadd_ps(_mm512_set1_ps(factor), lanes, addend);
                _mm512_storeu_ps(sum.0.as_mut_ptr(), product);
            }
            sum
        }

        #[inline(always)]
        fn above(lanes: Lanes, other: Lanes) -> u16 {
            // SAFETY: this runs inside `run_avx512` alone, and each load reads sixteen floats.
            unsafe {
                let (a, b) = (_mm512_loadu_ps(lanes.0.as_ptr()), _mm512_loadu_ps(other.0.as_ptr()));
                _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b)
            }
        }

        #[inline(always)]
        fn masked(mut lanes: Lanes, bits: u16) -> Lanes {
            // SAFETY: this runs inside `run_avx512` alone, and sixteen floats are read and written.
            unsafe {
                let masked = _mm512_maskz_loadu_ps(bits, lanes.0.as_ptr());
                _mm512_storeu_ps(lanes.0.as_mut_ptr(), masked);
            }
            lanes
        }

        #[inline(always)]
        fn fetch<T>(soon: &T) {
            // SAFETY: the reference is valid, and nothing but the caches changes.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(soon).cast()) }
        }

        #[inline(always)]
        fn multiply(rows: &[Lanes], columns: &[[Lanes; 2]], product: &mut [[Lanes; 2]], next: &[Lanes]) {
            #[rustfmt::skip]
            const TILES: [Tile; Avx512::ROWS] = [
                tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>,
                tile::<8>, tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>,
            ];
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            fn tile<const ROWS: usize>(
                rows: &[Lanes],
                columns: &[[Lanes; 2]],
                product: &mut [[Lanes; 2]],
                next: &[Lanes],
            ) {
                register_tile::<Avx512, ROWS, 2>(rows, columns, product, next);
            }
            // SAFETY: this runs inside `run_avx512` alone.
            unsafe { TILES[product.len() - 1](rows, columns, product, next) }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn run_avx2<K: Kernel>(kernel: K) {
        kernel.run::<Avx2>();
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub fn run_avx512<K: Kernel>(kernel: K) {
        kernel.run::<Avx512>();
    }
}

/// A computation that is compiled for each instruction set.
pub trait Kernel {
    /// Does the work. Must be `#[inline(always)]`, as must all that it calls in its inner loops: a function that is
    /// not inlined is compiled for the target's baseline.
    fn run<I: Instructions>(self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// An instruction set that this processor has: a value exists only after the processor was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
                }
            }
        }
        sets.reverse();
        sets
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
        }
    }

    /// Runs a kernel with these instructions.
    pub fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            Set::Plain => kernel.run::<Plain>(),
            // SAFETY: the value exists, so `available` found these features on this processor.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::run_avx512(kernel) },
        }
    }
}
