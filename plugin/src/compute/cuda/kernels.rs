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
const TABLE: [(&str, u32, &str); 54] = [
    ("convolve_forward_f32", 128, "ppppppiiii"),
    ("convolve_forward_tf32", 128, "ppppppiiii"),
    ("convolve_forward_bf16", 128, "ppppppiiii"),
    ("convolve_backward_f32", 128, "ppppiiii"),
    ("convolve_backward_tf32", 128, "ppppiiii"),
    ("convolve_backward_bf16", 128, "ppppiiii"),
    ("picture_forward", 128, "pppnpppii"),
    ("picture_forward_bf16", 128, "pppnpppii"),
    ("picture_backward", 128, "ppnpii"),
    ("picture_backward_bf16", 128, "ppnpii"),
    ("pool_max", 256, "pppiii"),
    ("pool_max_bf16", 256, "pppiii"),
    ("pool_max_back", 256, "ppppiii"),
    ("pool_max_back_bf16", 256, "ppppiii"),
    ("pool_average", 256, "ppiii"),
    ("pool_average_bf16", 256, "ppiii"),
    ("pool_average_back", 256, "pppiii"),
    ("pool_average_back_bf16", 256, "pppiii"),
    ("pool_l2", 256, "ppfiii"),
    ("pool_l2_bf16", 256, "ppfiii"),
    ("pool_l2_back", 256, "pppppfiii"),
    ("pool_l2_back_bf16", 256, "pppppfiii"),
    ("second_moments_f32", 128, "ppwiip"),
    ("second_moments_tf32", 128, "ppwiip"),
    ("second_moments_total", 256, "piifp"),
    ("means", 64, "ppwiip"),
    ("means_total", 64, "piifp"),
    ("inject_moments_f32", 128, "pppppwifp"),
    ("inject_moments_tf32", 128, "pppppwifp"),
    ("inject_moments_bf16", 128, "pppppwifp"),
    ("hold", 256, "pwip"),
    ("squared_distance", 256, "ppwip"),
    ("inject_content", 256, "ppppwip"),
    ("inject_content_bf16", 256, "ppppwip"),
    ("symmetric", 256, "pip"),
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
];

impl Kernel {
    pub const SECOND_MOMENTS_TOTAL: Self = Self::named("second_moments_total");
    pub const MEANS: Self = Self::named("means");
    pub const MEANS_TOTAL: Self = Self::named("means_total");
    pub const HOLD: Self = Self::named("hold");
    pub const SQUARED_DISTANCE: Self = Self::named("squared_distance");
    pub const SYMMETRIC: Self = Self::named("symmetric");
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

    /// The one of this name, which the table has: otherwise this does not compile.
    const fn named(name: &str) -> Self {
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
    /// Products of operands rounded to 10 bits, on tensor cores; sums and maps are in float32.
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

    /// Of a kernel for maps in float32, and one for maps in bfloat16 after it.
    fn of_maps(self, float32: Kernel) -> Kernel {
        Kernel(float32.0 + usize::from(self == Self::Bfloat16))
    }

    pub(super) fn convolve_forward(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("convolve_forward_f32") })
    }

    pub(super) fn convolve_backward(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("convolve_backward_f32") })
    }

    pub(super) fn picture_forward(self) -> Kernel {
        self.of_maps(const { Kernel::named("picture_forward") })
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
        self.of_maps(const { Kernel::named("pool_average") })
    }

    pub(super) fn pool_average_back(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_average_back") })
    }

    pub(super) fn pool_l2(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_l2") })
    }

    pub(super) fn pool_l2_back(self) -> Kernel {
        self.of_maps(const { Kernel::named("pool_l2_back") })
    }

    pub(super) fn second_moments(self) -> Kernel {
        const FLOAT32: Kernel = Kernel::named("second_moments_f32");
        Kernel(FLOAT32.0 + usize::from(self != Self::Float32))
    }

    pub(super) fn inject_moments(self) -> Kernel {
        self.of_arithmetics(const { Kernel::named("inject_moments_f32") })
    }

    pub(super) fn inject_content(self) -> Kernel {
        self.of_maps(const { Kernel::named("inject_content") })
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

    /// A precision's kernel for some purpose.
    type Of = fn(Precision) -> Kernel;

    fn check_names(of: Of, name: &str, suffixes: [&str; 3]) {
        let precisions = [Precision::Float32, Precision::Tf32, Precision::Bfloat16];
        for (precision, suffix) in precisions.into_iter().zip(suffixes) {
            assert_eq!(of(precision).name(), format!("{name}{suffix}"));
        }
    }

    #[test]
    fn a_precision_has_its_own_kernels() {
        let of_arithmetics: [(Of, &str); 4] = [
            (Precision::convolve_forward, "convolve_forward"),
            (Precision::convolve_backward, "convolve_backward"),
            (Precision::inject_moments, "inject_moments"),
            (Precision::rate, "rate"),
        ];
        for (of, name) in of_arithmetics {
            check_names(of, name, ["_f32", "_tf32", "_bf16"]);
        }
        let of_maps: [(Of, &str); 9] = [
            (Precision::picture_forward, "picture_forward"),
            (Precision::picture_backward, "picture_backward"),
            (Precision::pool_max, "pool_max"),
            (Precision::pool_max_back, "pool_max_back"),
            (Precision::pool_average, "pool_average"),
            (Precision::pool_average_back, "pool_average_back"),
            (Precision::pool_l2, "pool_l2"),
            (Precision::pool_l2_back, "pool_l2_back"),
            (Precision::inject_content, "inject_content"),
        ];
        for (of, name) in of_maps {
            check_names(of, name, ["", "", "_bf16"]);
        }
        check_names(Precision::second_moments, "second_moments", ["_f32", "_tf32", "_tf32"]);
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

    /// The bytes that an instruction reads or writes in shared memory at once.
    fn shared_width(instruction: &str) -> Option<usize> {
        let name = instruction.split_whitespace().find(|word| !word.starts_with('@'))?;
        if name.starts_with("cp.async.") && name.contains(".shared.") {
            return Some(16);
        }
        let kind = name
            .strip_prefix("ld.shared.")
            .or_else(|| name.strip_prefix("st.shared."))?;
        let (count, kind) = match kind.split_once('.') {
            Some(("v2", kind)) => (2, kind),
            Some(("v4", kind)) => (4, kind),
            _ => (1, kind),
        };
        let bits: usize = kind.trim_start_matches(['b', 'u', 's', 'f']).parse().unwrap();
        Some(count * bits / 8)
    }

    /// What a kernel reads or writes at once begins at a multiple of its width, and so must the arrays of shared memory
    /// in which it does so. Vectors in a card's own memory would be up to where its pointers point: there are none.
    #[test]
    fn shared_memory_is_aligned_for_what_reads_it() {
        let mut copying = 0;
        for body in PTX.split(".entry ").skip(1) {
            let name = &body[..body.find('(').unwrap()];
            let widest = body.lines().filter_map(shared_width).max().unwrap_or(1);
            for declared in body
                .lines()
                .filter_map(|line| line.trim().strip_prefix(".shared .align "))
            {
                let alignment: usize = declared.split(' ').next().unwrap().parse().unwrap();
                assert!(
                    alignment.is_multiple_of(widest),
                    "{name} uses {widest} bytes at once, aligned to {alignment}"
                );
                copying += usize::from(body.contains("cp.async.cg.shared."));
            }
        }
        assert_eq!(copying, 11, "of convolutions and moments");
        assert!(
            !PTX.lines()
                .any(|line| line.contains(".global.v") || line.contains("global.nc.v"))
        );
    }

    /// The order of atomic operations is the card's, and so would be their sums' last digits.
    #[test]
    fn nothing_is_atomic() {
        let is_atomic = |word: &str| ["atom.", "red."].iter().any(|name| word.starts_with(name));
        let found = PTX.lines().find(|line| line.split_whitespace().any(is_atomic));
        assert_eq!(found, None);
    }
}
