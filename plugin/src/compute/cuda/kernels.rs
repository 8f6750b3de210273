//! The kernels by name, and what they are called with.
//!
//! The driver takes a list of pointers to arguments on trust, so their types are written down here and checked at every
//! call; a test holds them against the PTX.

use std::ffi::c_void;

/// The kernels, for compute capability 8.0 and up; made by `kernels/make.py`.
pub const PTX: &str = include_str!("kernels/kernels.ptx");

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(usize);

/// Name, threads of a block, and the kinds of the arguments: `p`ointer, `i`nt, `f`loat, `w`indow, `n`ormalisation.
const TABLE: [(&str, u32, &str); 34] = [
    ("convolve_forward_f32", 128, "pppppiiii"),
    ("convolve_forward_tf32", 128, "pppppiiii"),
    ("convolve_backward_f32", 128, "ppppiiii"),
    ("convolve_backward_tf32", 128, "ppppiiii"),
    ("picture_forward", 128, "pppnppii"),
    ("picture_backward", 128, "ppnpii"),
    ("pool_max", 256, "pppiii"),
    ("pool_max_back", 256, "ppppiii"),
    ("pool_average", 256, "ppiii"),
    ("pool_average_back", 256, "pppiii"),
    ("pool_l2", 256, "ppfiii"),
    ("pool_l2_back", 256, "pppppfiii"),
    ("second_moments_f32", 128, "ppwiip"),
    ("second_moments_tf32", 128, "ppwiip"),
    ("second_moments_total", 256, "piifp"),
    ("means", 64, "ppwiip"),
    ("means_total", 64, "piifp"),
    ("inject_moments_f32", 128, "pppppwip"),
    ("inject_moments_tf32", 128, "pppppwip"),
    ("hold", 256, "pwip"),
    ("squared_distance", 256, "ppwip"),
    ("inject_content", 256, "ppfpwip"),
    ("combine", 256, "pfpfppppiip"),
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
];

impl Kernel {
    pub const POOL_MAX: Self = Self(6);
    pub const POOL_MAX_BACK: Self = Self(7);
    pub const POOL_AVERAGE: Self = Self(8);
    pub const POOL_AVERAGE_BACK: Self = Self(9);
    pub const POOL_L2: Self = Self(10);
    pub const POOL_L2_BACK: Self = Self(11);
    pub const PICTURE_FORWARD: Self = Self(4);
    pub const PICTURE_BACKWARD: Self = Self(5);
    pub const SECOND_MOMENTS_TOTAL: Self = Self(14);
    pub const MEANS: Self = Self(15);
    pub const MEANS_TOTAL: Self = Self(16);
    pub const HOLD: Self = Self(19);
    pub const SQUARED_DISTANCE: Self = Self(20);
    pub const INJECT_CONTENT: Self = Self(21);
    pub const COMBINE: Self = Self(22);
    pub const COMPARE: Self = Self(23);
    pub const FREE_PIXELS: Self = Self(24);
    pub const ADAM: Self = Self(25);
    pub const CELLS: Self = Self(26);
    pub const TURN: Self = Self(27);
    pub const SCALE_LOCALLY: Self = Self(28);
    pub const HALVE: Self = Self(29);
    pub const ADD_DOUBLED: Self = Self(30);
    pub const CUT_OUT: Self = Self(31);
    pub const FOLD: Self = Self(32);
    pub const VARY: Self = Self(33);

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

    /// The threads of a block.
    pub fn threads(self) -> u32 {
        TABLE[self.0].1
    }

    /// The kinds of its arguments.
    pub fn signature(self) -> &'static str {
        TABLE[self.0].2
    }
}

/// How products are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// In float32.
    Float32,
    /// Of operands rounded to 10 bits, on tensor cores; sums are in float32.
    Tf32,
}

impl Precision {
    fn of(self, float32: usize) -> Kernel {
        Kernel(float32 + usize::from(self == Self::Tf32))
    }

    pub(super) fn convolve_forward(self) -> Kernel {
        self.of(0)
    }

    pub(super) fn convolve_backward(self) -> Kernel {
        self.of(2)
    }

    pub(super) fn second_moments(self) -> Kernel {
        self.of(12)
    }

    pub(super) fn inject_moments(self) -> Kernel {
        self.of(17)
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
mod tests {
    use super::*;

    /// The kinds of a kernel's parameters in the PTX, which has sizes only.
    fn declared(name: &str) -> String {
        let start = PTX.find(&format!(".entry {name}(")).expect("an entry");
        let parameters = &PTX[start..start + PTX[start..].find(')').unwrap()];
        let kinds = parameters.lines().filter(|line| line.contains(".param")).map(|line| {
            let kind = line.trim().trim_start_matches(".param ");
            match kind.split_whitespace().next().unwrap() {
                ".u64" | ".u64.ptr" => 'p',
                ".u32" => 'i',
                ".f32" => 'f',
                ".align" if kind.contains("[20]") => 'w',
                ".align" if kind.contains("[36]") => 'n',
                other => panic!("{other} in {line}"),
            }
        });
        kinds.collect()
    }

    #[test]
    fn kernels_take_what_the_ptx_says() {
        for kernel in Kernel::ALL {
            assert_eq!(declared(kernel.name()), kernel.signature(), "{}", kernel.name());
            let start = PTX.find(&format!(".entry {}(", kernel.name())).unwrap();
            let bound = PTX[start..].find(".maxntid ").map(|at| &PTX[start + at + 9..]).unwrap();
            assert!(bound.starts_with(&kernel.threads().to_string()), "{}", kernel.name());
        }
        assert_eq!(PTX.matches(".entry ").count(), Kernel::ALL.len());
        assert_eq!((size_of::<MapWindow>(), size_of::<Scaling>()), (20, 36));
    }
}
