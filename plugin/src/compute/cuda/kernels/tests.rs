//! What the PTX says of its kernels beside what is thought of them here.

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
    let of_arithmetics: [(Of, &str); 2] = [(Precision::inject_moments, "inject_moments"), (Precision::rate, "rate")];
    for (of, name) in of_arithmetics {
        check_names(of, name, ["_f32", "_tf32", "_bf16"]);
    }
    let of_numbers: [(Of, &str); 5] = [
        (Precision::picture_forward, "picture_forward"),
        (Precision::pool_average, "pool_average"),
        (Precision::pool_l2, "pool_l2"),
        (Precision::pool_l2_back, "pool_l2_back"),
        (Precision::inject_content, "inject_content"),
    ];
    for (of, name) in of_numbers {
        check_names(of, name, ["", "_tf32", "_bf16"]);
    }
    let of_maps: [(Of, &str); 4] = [
        (Precision::picture_backward, "picture_backward"),
        (Precision::pool_max, "pool_max"),
        (Precision::pool_max_back, "pool_max_back"),
        (Precision::pool_average_back, "pool_average_back"),
    ];
    for (of, name) in of_maps {
        check_names(of, name, ["", "", "_bf16"]);
    }
    check_names(Precision::second_moments, "second_moments", ["_f32", "_tf32", "_tf32"]);
}

#[test]
fn kernels_take_what_the_ptx_says() {
    let everywhere = || Kernel::ALL.into_iter().filter(|kernel| !kernel.may_lack());
    for kernel in everywhere() {
        assert_eq!(declared(kernel.name()), kernel.signature(), "{}", kernel.name());
        let start = PTX.find(&format!(".entry {}(", kernel.name())).unwrap();
        let bound = PTX[start..].find(".maxntid ").map(|at| &PTX[start + at + 9..]).unwrap();
        assert!(bound.starts_with(&kernel.threads().to_string()), "{}", kernel.name());
    }
    assert_eq!(PTX.matches(".entry ").count(), everywhere().count());
    assert_eq!((size_of::<MapWindow>(), size_of::<Scaling>()), (20, 36));
}

#[test]
fn machine_code_is_of_the_same_sources() {
    let origin = PTX.lines().next().unwrap();
    assert!(
        origin.starts_with("// Made by make.py from sources with SHA-256 "),
        "{origin}"
    );
    let last = PACKED.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
    // There is no line's end before it: it comes right after the images.
    assert!(last.ends_with(origin.as_bytes()), "run kernels/make.py");
    assert_eq!(PACKED[..4], [0x50, 0xED, 0x55, 0xBA], "what packed images begin with");
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
/// in which it does so. In a card's own memory it is up to where the pointers point: the emulated card looks at that.
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
    assert_eq!(copying, 29, "of convolutions, moments and the picture");
}

/// The order of atomic operations is the card's, and so would be their sums' last digits.
#[test]
fn nothing_is_atomic() {
    let is_atomic = |word: &str| ["atom.", "red."].iter().any(|name| word.starts_with(name));
    let found = PTX.lines().find(|line| line.split_whitespace().any(is_atomic));
    assert_eq!(found, None);
}
