//! The instruction sets of x86-64 beyond SSE2.

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::super::product::{COLUMNS, multiply_panels, register_tile};
use super::super::{amx, parts};
use super::{Instructions, Kernel, Lanes};

/// [`register_tile`], compiled for a set of instructions.
type Tile = unsafe fn(&[Lanes], &[Lanes], &mut [[Lanes; 2]], &[Lanes]);

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
    unsafe fn multiply(
        rows: usize,
        left: &[Lanes],
        columns: &[Lanes],
        product: &mut [[Lanes; 2]],
        next: [&[Lanes]; 2],
    ) {
        const TILES: [Tile; Avx2::ROWS] = [tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>];
        #[target_feature(enable = "avx2,fma")]
        fn tile<const ROWS: usize>(rows: &[Lanes], columns: &[Lanes], product: &mut [[Lanes; 2]], next: &[Lanes]) {
            register_tile::<Avx2, ROWS, 1>(rows, columns, product, next);
        }
        multiply_panels(rows, left, columns, product, next, |left, columns, product, next| {
            // SAFETY: this runs inside `run_avx2` alone.
            unsafe { TILES[rows - 1](left, columns, product, next) }
        });
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
    unsafe fn multiply(
        rows: usize,
        left: &[Lanes],
        columns: &[Lanes],
        product: &mut [[Lanes; 2]],
        next: [&[Lanes]; 2],
    ) {
        #[rustfmt::skip]
        const TILES: [Tile; Avx512::ROWS] = [
            tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>,
            tile::<8>, tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>,
        ];
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn tile<const ROWS: usize>(rows: &[Lanes], columns: &[Lanes], product: &mut [[Lanes; 2]], next: &[Lanes]) {
            register_tile::<Avx512, ROWS, 2>(rows, columns, product, next);
        }
        multiply_panels(rows, left, columns, product, next, |left, columns, product, next| {
            // SAFETY: this runs inside `run_avx512` alone.
            unsafe { TILES[rows - 1](left, columns, product, next) }
        });
    }
}

/// AVX-512, with the matrix unit for products.
pub struct Amx;

impl Instructions for Amx {
    const ROWS: usize = amx::ROWS;
    const WIDE: bool = true;
    const PACKED: usize = parts::PARTS;

    #[inline(always)]
    fn multiply_add(factor: f32, lanes: Lanes, sum: Lanes) -> Lanes {
        Avx512::multiply_add(factor, lanes, sum)
    }

    #[inline(always)]
    fn above(lanes: Lanes, other: Lanes) -> u16 {
        Avx512::above(lanes, other)
    }

    #[inline(always)]
    fn masked(lanes: Lanes, bits: u16) -> Lanes {
        Avx512::masked(lanes, bits)
    }

    #[inline(always)]
    fn fetch<T>(soon: &T) {
        Avx512::fetch(soon);
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
    fn begin(rows: usize) {
        // SAFETY: this runs inside `run_amx` alone.
        unsafe { amx::begin(rows) }
    }

    #[inline(always)]
    fn end() {
        // SAFETY: this runs inside `run_amx` alone.
        unsafe { amx::end() }
    }

    #[inline(always)]
    unsafe fn multiply(
        rows: usize,
        left: &[Lanes],
        columns: &[Lanes],
        product: &mut [[Lanes; 2]],
        next: [&[Lanes]; 2],
    ) {
        // SAFETY: as the caller says.
        unsafe { amx::multiply(rows, left, columns, product, next) }
    }
}

/// Whether this processor executes AVX-512 on units of eight lanes, as AMD's do that say so (AMD64 Architecture
/// Programmer's Manual, volume 3, CPUID: leaf 8000001A, in EAX; Zen 4 has units of 256 bits, Zen 5 of 512). Others do not
/// say. It is asked once: each plan asks for every layer, and on a virtual machine each answer is its host's.
pub fn units_are_halves() -> bool {
    const OPTIMISATIONS: u32 = 0x8000_001a;
    const FP256: u32 = 1 << 2;
    const FP512: u32 = 1 << 3;
    static HALVES: LazyLock<bool> = LazyLock::new(|| {
        __cpuid(0x8000_0000).eax >= OPTIMISATIONS && __cpuid(OPTIMISATIONS).eax & (FP256 | FP512) == FP256
    });
    *HALVES
}

#[target_feature(enable = "avx2,fma")]
pub fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<Avx2>();
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
pub fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<Avx512>();
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
pub fn run_amx<K: Kernel>(kernel: K) {
    kernel.run::<Amx>();
}
