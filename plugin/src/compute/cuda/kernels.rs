//! The kernels by name, and what they are called with.
//!
//! The driver takes a list of pointers to arguments on trust, so their types are written down here and checked at every
//! call; a test holds them against the PTX.

use std::ffi::c_void;

/// The kernels, for compute capability 8.0 and up; made by `kernels/make.py`.
pub const PTX: &str = include_str!("kernels/kernels.ptx");

/// Machine code of them, for cards of today and drivers of CUDA 13 and up, which load it in no time.
const PACKED: &[u8] = include_bytes!("kernels/kernels.fatbin");

/// What kernels can be loaded from: of PTX, drivers make machine code by themselves, which takes them seconds at first.
pub const IMAGES: [&[u8]; 2] = [PACKED, PTX.as_bytes()];

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(usize);

/// Name, threads of a block, and the kinds of the arguments: `p`ointer, `i`nt, `f`loat, `w`indow, `n`ormalisation.
const TABLE: [(&str, u32, &str); 88] = [
    ("convolve_forward_f32", 128, "ppppppiiii"),
    ("convolve_forward_wide_tf32", 128, "ppppppiiii"),
    ("convolve_forward_narrow_tf32", 128, "ppppppiiii"),
    ("convolve_forward_small_tf32", 128, "ppppppiiii"),
    ("convolve_forward_wide_bf16", 128, "ppppppiiii"),
    ("convolve_forward_narrow_bf16", 128, "ppppppiiii"),
    ("convolve_forward_small_bf16", 128, "ppppppiiii"),
    ("convolve_forward_hopper_wide_tf32", 128, "ppppppiiii"),
    ("convolve_forward_hopper_narrow_tf32", 128, "ppppppiiii"),
    ("convolve_forward_hopper_small_tf32", 128, "ppppppiiii"),
    ("convolve_forward_hopper_wide_bf16", 128, "ppppppiiii"),
    ("convolve_forward_hopper_narrow_bf16", 128, "ppppppiiii"),
    ("convolve_forward_hopper_small_bf16", 128, "ppppppiiii"),
    ("convolve_backward_f32", 128, "ppppiiii"),
    ("convolve_backward_wide_tf32", 128, "ppppiiii"),
    ("convolve_backward_narrow_tf32", 128, "ppppiiii"),
    ("convolve_backward_small_tf32", 128, "ppppiiii"),
    ("convolve_backward_wide_bf16", 128, "ppppiiii"),
    ("convolve_backward_narrow_bf16", 128, "ppppiiii"),
    ("convolve_backward_small_bf16", 128, "ppppiiii"),
    ("convolve_backward_hopper_wide_tf32", 128, "ppppiiii"),
    ("convolve_backward_hopper_narrow_tf32", 128, "ppppiiii"),
    ("convolve_backward_hopper_small_tf32", 128, "ppppiiii"),
    ("convolve_backward_hopper_wide_bf16", 128, "ppppiiii"),
    ("convolve_backward_hopper_narrow_bf16", 128, "ppppiiii"),
    ("convolve_backward_hopper_small_bf16", 128, "ppppiiii"),
    ("picture_forward", 128, "pppnpppii"),
    ("picture_forward_tf32", 128, "pppnpppii"),
    ("picture_forward_bf16", 128, "pppnpppii"),
    ("picture_backward", 128, "ppnpii"),
    ("picture_backward_bf16", 128, "ppnpii"),
    ("pool_max", 256, "pppiii"),
    ("pool_max_bf16", 256, "pppiii"),
    ("pool_max_back", 256, "ppppiii"),
    ("pool_max_back_bf16", 256, "ppppiii"),
    ("pool_average", 256, "ppiii"),
    ("pool_average_tf32", 256, "ppiii"),
    ("pool_average_bf16", 256, "ppiii"),
    ("pool_average_back", 256, "pppiii"),
    ("pool_average_back_bf16", 256, "pppiii"),
    ("pool_l2", 256, "ppfiii"),
    ("pool_l2_tf32", 256, "ppfiii"),
    ("pool_l2_bf16", 256, "ppfiii"),
    ("pool_l2_back", 256, "pppppfiii"),
    ("pool_l2_back_tf32", 256, "pppppfiii"),
    ("pool_l2_back_bf16", 256, "pppppfiii"),
    ("second_moments_f32", 128, "ppwiip"),
    ("second_moments_tf32", 128, "ppwiip"),
    ("second_moments_total", 256, "piifp"),
    ("means", 256, "ppwiip"),
    ("means_total", 256, "piifp"),
    ("inject_moments_f32", 128, "pppppwifp"),
    ("inject_moments_tf32", 128, "pppppwifp"),
    ("inject_moments_bf16", 128, "pppppwifp"),
    ("hold", 256, "pwip"),
    ("squared_distance", 256, "ppwip"),
    ("inject_content", 256, "ppppwip"),
    ("inject_content_tf32", 256, "ppppwip"),
    ("inject_content_bf16", 256, "ppppwip"),
    ("symmetric", 256, "pip"),
    ("second_distances", 256, "p"),
    ("content_distances", 256, "p"),
    ("covariances", 256, "p"),
    ("begin_roots", 256, "p"),
    ("end_roots", 256, "p"),
    ("gaussian_distances", 256, "p"),
    ("products_f32", 256, "p"),
    ("products_f64", 256, "p"),
    ("rate_f32", 128, "pif"),
    ("rate_tf32", 128, "pif"),
    ("rate_bf16", 128, "pif"),
    ("copy", 256, "ppi"),
    ("combine", 256, "pfpfppppiip"),
    ("dots", 256, "pppppppppiip"),
    ("dots_total", 256, "pip"),
    ("add_multiples", 256, "pppppppppffffffffii"),
    ("compare", 256, "ppppip"),
    ("free_pixels", 256, "pppi"),
    ("adam", 256, "ppfppffffffffipi"),
    ("cells", 256, "piip"),
    ("turn", 256, "ppifffffffffiii"),
    ("scale_locally", 256, "ppiii"),
    ("halve", 256, "ppii"),
    ("add_doubled", 256, "ppfffii"),
    ("cut_out", 256, "piiiipii"),
    ("fold", 256, "piiiipii"),
    ("vary", 256, "ppffiip"),
    ("resample", 256, "pppiiiiip"),
];

impl Kernel {
    pub const SECOND_MOMENTS_TOTAL: Self = Self::named("second_moments_total");
    pub const MEANS: Self = Self::named("means");
    pub const MEANS_TOTAL: Self = Self::named("means_total");
    pub const HOLD: Self = Self::named("hold");
    pub const SQUARED_DISTANCE: Self = Self::named("squared_distance");
    pub const SYMMETRIC: Self = Self::named("symmetric");
    pub const SECOND_DISTANCES: Self = Self::named("second_distances");
    pub const CONTENT_DISTANCES: Self = Self::named("content_distances");
    pub const COVARIANCES: Self = Self::named("covariances");
    pub const BEGIN_ROOTS: Self = Self::named("begin_roots");
    pub const END_ROOTS: Self = Self::named("end_roots");
    pub const GAUSSIAN_DISTANCES: Self = Self::named("gaussian_distances");
    pub const PRODUCTS_F32: Self = Self::named("products_f32");
    pub const PRODUCTS_F64: Self = Self::named("products_f64");
    pub const COPY: Self = Self::named("copy");
    pub const COMBINE: Self = Self::named("combine");
    pub const DOTS: Self = Self::named("dots");
    pub const DOTS_TOTAL: Self = Self::named("dots_total");
    pub const ADD_MULTIPLES: Self = Self::named("add_multiples");
    pub const COMPARE: Self = Self::named("compare");
    pub const FREE_PIXELS: Self = Self::named("free_pixels");
    pub const ADAM: Self = Self::named("adam");
    pub const CELLS: Self = Self::named("cells");
    pub const TURN: Self = Self::named("turn");
    pub const SCALE_LOCALLY: Self = Self::named("scale_locally");
    pub const HALVE: Self = Self::named("halve");
    pub const ADD_DOUBLED: Self = Self::named("add_doubled");
    pub const CUT_OUT: Self = Self::named("cut_out");
    pub const FOLD: Self = Self::named("fold");
    pub const VARY: Self = Self::named("vary");
    pub const RESAMPLE: Self = Self::named("resample");

    /// The one of this name, which the table has: otherwise this does not compile.
    pub(super) const fn named(name: &str) -> Self {
        let mut index = 0;
        while !equal(TABLE[index].0.as_bytes(), name.as_bytes()) {
            index += 1;
        }
        Self(index)
    }

    /// All of them.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self(0); TABLE.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = Self(index);
            index += 1;
        }
        all
    };

    /// Its place in [`Kernel::ALL`].
    pub fn index(self) -> usize {
        self.0
    }

    /// Its name in the PTX.
    pub fn name(self) -> &'static str {
        TABLE[self.0].0
    }

    /// Whether a card may be without it, as it is made for one generation of them.
    pub fn may_lack(self) -> bool {
        self.name().contains("_hopper_")
    }

    /// The threads of a block.
    pub fn threads(self) -> u32 {
        TABLE[self.0].1
    }

    /// The kinds of its arguments.
    pub fn signature(self) -> &'static str {
        TABLE[self.0].2
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// How products are made, and what maps are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Products in float32.
    Float32,
    /// Products on tensor cores, of maps and weights that are kept to 10 bits; sums are in float32.
    Tf32,
    /// A draft: maps, gradients and weights are in bfloat16, of 8 bits, and so are the operands of convolutions, on tensor
    /// cores; sums are in float32. Statistics are as with TF32, of features that were not rounded.
    Bfloat16,
}

impl Precision {
    /// The bytes of a number in a map.
    pub(super) fn bytes_of_number(self) -> usize {
        match self {
            Self::Float32 | Self::Tf32 => size_of::<f32>(),
            Self::Bfloat16 => size_of::<half::bf16>(),
        }
    }

    /// Of a kernel for each arithmetic, which follow one another in the table; the first is in float32.
    fn of_arithmetics(self, float32: Kernel) -> Kernel {
        Kernel(float32.0 + self as usize)
    }

    /// Of a kernel for maps of floats, be they kept to fewer bits or not, and one for maps in bfloat16 after it.
    fn of_maps(self, float32: Kernel) -> Kernel {
        Kernel(float32.0 + usize::from(self == Self::Bfloat16))
    }

    pub(super) fn picture_forward(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("picture_forward") })
    }

    pub(super) fn picture_backward(self) -> Kernel {
        self.of_maps(const { Kernel::named("picture_backward") })
    }

    pub(super) fn pool_max(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_max") })
    }

    pub(super) fn pool_max_back(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_max_back") })
    }

    pub(super) fn pool_average(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("pool_average") })
    }

    pub(super) fn pool_average_back(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_average_back") })
    }

    pub(super) fn pool_l2(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("pool_l2") })
    }

    pub(super) fn pool_l2_back(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("pool_l2_back") })
    }

    pub(super) fn second_moments(self) -> Kernel {
        const FLOAT32: Kernel = Kernel::named("second_moments_f32");
        Kernel(FLOAT32.0 + usize::from(self != Self::Float32))
    }

    pub(super) fn inject_moments(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("inject_moments_f32") })
    }

    pub(super) fn inject_content(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("inject_content") })
    }

    /// What measures how many products can be made.
    pub(super) fn rate(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("rate_f32") })
    }
}

/// A rectangle of a feature map, as kernels take it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct MapWindow {
    /// The map's columns.
    pub stride: i32,
    pub top: i32,
    pub left: i32,
    pub height: i32,
    pub width: i32,
}

/// How a picture is brought into the network's input space, as kernels take it: `value = picture * scale + shift`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Scaling {
    /// For each channel of the network, which channel of the picture it takes.
    pub channels: [i32; 3],
    pub scale: [f32; 3],
    pub shift: [f32; 3],
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub enum Argument {
    /// An address on the card.
    Pointer(u64),
    Int(i32),
    Float(f32),
    Window(MapWindow),
    Scaling(Scaling),
}

impl Argument {
    /// No address.
    pub const NULL: Self = Self::Pointer(0);

    /// A size. Those that do not fit are refused before: maps have fewer than 2^31 pixels.
    pub fn size(size: usize) -> Self {
        Self::Int(size as i32)
    }

    /// Its letter in [`Kernel::signature`].
    pub fn kind(&self) -> char {
        match self {
            Self::Pointer(_) => 'p',
            Self::Int(_) => 'i',
            Self::Float(_) => 'f',
            Self::Window(_) => 'w',
            Self::Scaling(_) => 'n',
        }
    }

    /// Where the driver finds it.
    pub fn pointer(&mut self) -> *mut c_void {
        match self {
            Self::Pointer(value) => std::ptr::from_mut(value).cast(),
            Self::Int(value) => std::ptr::from_mut(value).cast(),
            Self::Float(value) => std::ptr::from_mut(value).cast(),
            Self::Window(value) => std::ptr::from_mut(value).cast(),
            Self::Scaling(value) => std::ptr::from_mut(value).cast(),
        }
    }
}

#[cfg(test)]
mod tests;
