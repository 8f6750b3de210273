//! AMX: the matrix unit of server processors since Sapphire Rapids, put to use for float32.
//!
//! The unit multiplies a tile of 16 rows by 32 depths with one of 32 depths by 16 columns, bfloat16 both, and adds to a
//! tile of float32 sums, 8192 products in the time of 32 instructions of AVX-512, which make 512. So six of parts ([`super::parts`]) in place of each leave more than twice the speed. A tile product
//! adds its 32 depths among each other before it adds to the sums, so these round six times where a chain of float32
//! would round 32 times.
//!
//! There are eight tiles: four of sums (32 rows by 32 columns), two of rows and two of columns. Six products of parts
//! are ordered so that only two tiles have to be loaded between them.
//!
//! The unit takes what is below the smallest normal number for 0, as the least parts of numbers below 1e-33 are.

use std::arch::asm;
use std::mem::offset_of;

use super::lanes::Lanes;
use super::parts::PARTS;
use super::product::COLUMNS;

/// The most rows of a product: two tiles.
pub const ROWS: usize = 2 * TILE;

/// Rows of a tile.
const TILE: usize = 16;

/// What tiles look like: the operand of `ldtilecfg` (Intel's manual, volume 1, chapter 18).
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each tile.
    row: [u16; 16],
    /// Rows of each tile.
    rows: [u8; 16],
}

/// Of a product of so many rows: tiles 0 to 3 are the sums, 4 and 5 rows of the left operand, 6 and 7 columns of the
/// right one. Odd tiles of the left operand, and 2 and 3 of the sums, are those of its lower half.
static CONFIGURATIONS: [Configuration; ROWS + 1] = {
    const EMPTY: Configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [0; 16],
    };
    let mut all = [EMPTY; ROWS + 1];
    let mut rows = 1;
    while rows <= ROWS {
        let upper = upper_rows(rows) as u8;
        // One tile may not have no rows, though nothing is done with it.
        let lower = if rows as u8 > upper { rows as u8 - upper } else { 1 };
        all[rows].rows = [upper, upper, lower, lower, upper, lower, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0];
        rows += 1;
    }
    all
};

/// How many of a product's rows are in the upper of its two tiles.
const fn upper_rows(rows: usize) -> usize {
    if rows <= TILE { rows } else { rows.div_ceil(2) }
}

/// Whether this processor has the unit and this process may use it, which Linux has to be asked once. It refuses where
/// a thread's stack for signals is too small for the tiles.
pub fn is_usable() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        use std::sync::LazyLock;

        /// Intel's manual, volume 2, CPUID: leaf 7, in EDX.
        const AMX_BF16: u32 = 1 << 22;
        const AMX_TILE: u32 = 1 << 24;
        /// Linux's `Documentation/arch/x86/xstate.rst`.
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        static USABLE: LazyLock<bool> = LazyLock::new(|| {
            let leaves = __cpuid(0).eax;
            let has_unit = leaves >= 7 && {
                let features = __cpuid_count(7, 0).edx;
                features & (AMX_BF16 | AMX_TILE) == AMX_BF16 | AMX_TILE
            };
            // SAFETY: the call reads its two numbers alone.
            has_unit && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0
        });
        *USABLE
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

/// Prepares this thread's unit for products of panels of so many rows.
///
/// # Safety
/// [`is_usable`] has to have said so.
#[inline(always)]
pub unsafe fn begin(rows: usize) {
    let configuration = &raw const CONFIGURATIONS[rows];
    // SAFETY: the unit is usable, as the caller says, and the configuration is a valid one. Compiled code uses no tiles.
    unsafe { asm!("ldtilecfg [{}]", in(reg) configuration, options(nostack, readonly, preserves_flags)) }
}

/// Gives the unit's tiles back: until then, each switch to another thread has to save them.
///
/// # Safety
/// [`is_usable`] has to have said so.
#[inline(always)]
pub unsafe fn end() {
    // SAFETY: the unit is usable, as the caller says.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
}

/// What [`multiply`] tells its loops: more than there are registers.
#[repr(C)]
struct Loops {
    /// Bytes from 32 depths of a panel to the next.
    step: usize,
    /// Times 32 depths.
    depths: usize,
    /// Lines to be fetched with each, of two streams.
    lines: [usize; 2],
    /// The first of the right operand.
    columns: *const Lanes,
    /// Where the next panel's product goes.
    product: *mut [Lanes; 2],
    /// Bytes from a panel's product to that of its lower tile.
    lower_product: usize,
    /// Bytes from a panel's product to the next.
    product_step: usize,
}

/// Adds the products of loaded tiles: two of rows, 4 and 5, or one, with two of columns, 6 and 7.
macro_rules! add_products {
    (2) => {
        "tdpbf16ps tmm0, tmm4, tmm6\n tdpbf16ps tmm1, tmm4, tmm7\n tdpbf16ps tmm2, tmm5, tmm6\n tdpbf16ps tmm3, tmm5, tmm7"
    };
    (1) => {
        "tdpbf16ps tmm0, tmm4, tmm6\n tdpbf16ps tmm1, tmm4, tmm7"
    };
}

/// Loads a part, which begins at some byte, of the tiles of rows.
macro_rules! load_rows {
    (2, $at:literal) => {
        concat!(
            "tileloadd tmm4, [{upper} + {row_stride} + ",
            $at,
            "]\n",
            "tileloadd tmm5, [{lower} + {row_stride} + ",
            $at,
            "]"
        )
    };
    (1, $at:literal) => {
        concat!("tileloadd tmm4, [{upper} + {row_stride} + ", $at, "]")
    };
}

/// Loads a part, whose two tiles begin at some bytes, of the columns.
macro_rules! load_columns {
    ($low:literal, $high:literal) => {
        concat!(
            "tileloadd tmm6, [{columns} + {column_stride} + ",
            $low,
            "]\n",
            "tileloadd tmm7, [{columns} + {column_stride} + ",
            $high,
            "]"
        )
    };
}

/// Stores the sums.
macro_rules! store_sums {
    (2) => {
        concat!(
            store_sums!(1),
            "\n tilestored [{line} + {columns}], tmm2\n tilestored [{line} + {columns} + 64], tmm3"
        )
    };
    (1) => {
        "tilestored [{lower} + {columns}], tmm0\n tilestored [{lower} + {columns} + 64], tmm1"
    };
}

/// The loops of [`multiply`], for panels of one or two tiles of rows.
macro_rules! multiply_panels {
    ($tiles:tt, $panels:expr, $rows:expr, $lower:expr, $next:expr, $loops:expr) => {
        asm!(
            // A panel.
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "mov {columns}, [{loops} + {first_column}]",
            "mov {depths}, [{loops} + {all_depths}]",
            // 32 depths: high low, high middle, middle middle, middle high, low high, high high.
            "3:",
            load_columns!(4096, 5120),
            load_rows!($tiles, 0),
            add_products!($tiles),
            load_columns!(2048, 3072),
            add_products!($tiles),
            load_rows!($tiles, 64),
            add_products!($tiles),
            load_columns!(0, 1024),
            add_products!($tiles),
            load_rows!($tiles, 128),
            add_products!($tiles),
            load_rows!($tiles, 0),
            add_products!($tiles),
            "mov {line}, [{loops} + {lines}]",
            "test {line}, {line}",
            "jz 5f",
            "4:",
            "prefetcht1 [{next}]",
            "add {next}, 64",
            "dec {line}",
            "jnz 4b",
            "5:",
            "mov {line}, [{loops} + {other_lines}]",
            "test {line}, {line}",
            "jz 7f",
            "6:",
            "prefetcht1 [{other}]",
            "add {other}, 64",
            "dec {line}",
            "jnz 6b",
            "7:",
            "add {upper}, [{loops} + {step}]",
            "add {lower}, [{loops} + {step}]",
            "add {columns}, 6144",
            "dec {depths}",
            "jnz 3b",
            // The two rows of tiles are as far apart in the next panel.
            "mov {depths}, {lower}",
            "mov {columns:e}, 128",
            "mov {lower}, [{loops} + {product}]",
            "mov {line}, {lower}",
            "add {line}, [{loops} + {lower_product}]",
            store_sums!($tiles),
            "add {lower}, [{loops} + {product_step}]",
            "mov [{loops} + {product}], {lower}",
            "mov {lower}, {depths}",
            "dec {panels}",
            "jnz 2b",
            loops = in(reg) $loops,
            panels = inout(reg) $panels => _,
            upper = inout(reg) $rows => _,
            lower = inout(reg) $lower => _,
            next = inout(reg) $next[0] => _,
            other = inout(reg) $next[1] => _,
            line = out(reg) _,
            columns = out(reg) _,
            depths = out(reg) _,
            row_stride = in(reg) PARTS * size_of::<Lanes>(),
            column_stride = in(reg) size_of::<Lanes>(),
            step = const offset_of!(Loops, step),
            all_depths = const offset_of!(Loops, depths),
            lines = const offset_of!(Loops, lines),
            other_lines = const offset_of!(Loops, lines) + size_of::<usize>(),
            first_column = const offset_of!(Loops, columns),
            product = const offset_of!(Loops, product),
            lower_product = const offset_of!(Loops, lower_product),
            product_step = const offset_of!(Loops, product_step),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// The products of panels of `rows` rows with 32 columns. Meanwhile, what will be needed `next` is fetched, a share of it
/// with each 32 depths.
///
/// # Safety
/// [`begin`] has to have been called for as many rows.
#[inline(always)]
pub unsafe fn multiply(
    rows: usize,
    left: &[Lanes],
    columns: &[Lanes],
    product: &mut [[Lanes; 2]],
    next: [&[Lanes]; 2],
) {
    let depths = columns.len() / (COLUMNS * PARTS);
    assert!((1..=ROWS).contains(&rows) && depths > 0);
    let panels = product.len() / rows;
    let step = rows * PARTS;
    assert!(panels > 0 && left.len() >= panels * depths * step);
    let upper = upper_rows(rows);
    let mut loops = Loops {
        step: step * size_of::<Lanes>(),
        depths,
        lines: next.map(|next| next.len().div_ceil(depths * panels)),
        columns: columns.as_ptr(),
        product: product.as_mut_ptr(),
        lower_product: upper * size_of::<[Lanes; 2]>(),
        product_step: rows * size_of::<[Lanes; 2]>(),
    };
    let next = next.map(<[Lanes]>::as_ptr);
    let first = left.as_ptr();
    // SAFETY: the unit is usable, as the caller says. Tiles are loaded from `panels` times `depths` times `rows` rows and
    // from `depths` times 32 columns, which the slices hold, and stored into `panels` times `rows` rows of the product:
    // the configuration's tiles have as many rows. A prefetch may be of any address.
    unsafe {
        let lower = first.add(if rows > TILE { upper * PARTS } else { 0 });
        if rows > TILE {
            multiply_panels!(2, panels, first, lower, next, &raw mut loops);
        } else {
            multiply_panels!(1, panels, first, lower, next, &raw mut loops);
        }
    }
}
