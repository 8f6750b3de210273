//! `include/pentimento.h` says in C what `src/abi.rs` says in Rust: it is generated from it, compared with what is
//! committed, and compiled with every warning an error.
//!
//! `UPDATE_HEADER=1 cargo test -p pentimento-host --test header` writes it anew.

mod support;

use std::collections::HashMap;
use std::fmt::Write;
use std::{env, fs};

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use pentimento_host::abi;
use support::{compile, root};

const ABI_SOURCE: &str = include_str!("../src/abi.rs");

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = root().join("include/pentimento.h");
    let generated = generate();
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let difference = committed
        .lines()
        .zip(generated.lines())
        .position(|(committed, generated)| committed != generated);
    let line = difference.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1;
    assert!(
        committed == generated,
        "include/pentimento.h differs from src/abi.rs from line {line} on; \
         run UPDATE_HEADER=1 cargo test -p pentimento-host --test header, and commit it"
    );
}

#[test]
fn the_header_compiles_as_c11_and_as_cpp17() {
    let folder = tempfile::tempdir().unwrap();
    for (standard, name) in [("c11", "twice.c"), ("c++17", "twice.cpp")] {
        let source = folder.path().join(name);
        fs::write(
            &source,
            "#include \"pentimento.h\"\n#include \"pentimento.h\"\nint defined;\n",
        )
        .unwrap();
        compile(standard, &["-c"], &source, &source.with_extension("o"));
    }
}

/// The assertions in the header would hold of an empty list too; this one would not hold of another size.
#[test]
fn the_header_freezes_every_table() {
    let header = generate();
    for table in names("pub struct ").into_iter().filter(|name| *name != "Job") {
        let assertion = format!("PENTIMENTO_ASSERT(sizeof({}) == ", c_type(table));
        assert!(header.contains(&assertion), "{table} is not frozen");
    }
    let offset = std::mem::offset_of!(abi::Plugin, extension);
    assert!(header.contains(&format!("offsetof(pentimento_plugin, extension) == {offset}")));
}

/// What follows `keyword` in the contract, up to the end of the name.
fn names(keyword: &str) -> Vec<&'static str> {
    let end = |text: &'static str| text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
    ABI_SOURCE
        .lines()
        .filter_map(|line| end(line.strip_prefix(keyword)?))
        .collect()
}

/// `RenderRequest` is `pentimento_render_request` in C.
fn c_type(name: &str) -> String {
    let mut c_name = "pentimento".to_owned();
    for letter in name.chars() {
        if letter.is_uppercase() {
            c_name.push('_');
        }
        c_name.extend(letter.to_lowercase());
    }
    // In C, types and functions share their names, and the function has the better right to this one.
    if name == "Entry" { c_name + "_function" } else { c_name }
}

/// Each name of the contract and what it is called in C.
fn renames() -> HashMap<String, String> {
    let types = ["pub struct ", "pub type "].into_iter().flat_map(names);
    let types = types.map(|name| (name.to_owned(), c_type(name)));
    let constants = names("pub const ")
        .into_iter()
        .map(|name| (name.to_owned(), format!("PENTIMENTO_{name}")));
    types.chain(constants).collect()
}

fn generate() -> String {
    let renames = renames();
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        documentation_style: DocumentationStyle::C99,
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        header: Some(preamble()),
        after_includes: Some(before_types()),
        trailer: Some(after_types()),
        line_length: 120,
        tab_width: 4,
        usize_is_size_t: true,
        ..Config::default()
    };
    // An opaque type has no members in C, and texts are no constants to cbindgen: both are written by hand.
    config.export.exclude = vec!["Job".to_owned()];
    config.export.include = ["pub struct ", "pub type "]
        .into_iter()
        .flat_map(names)
        .map(str::to_owned)
        .collect();
    config.export.rename = renames.clone();
    let bindings = Builder::new()
        .with_config(config)
        .with_src(root().join("src/abi.rs"))
        .generate()
        .unwrap();
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    in_c_words(&String::from_utf8(bytes).unwrap(), &renames)
}

/// Rust's names in documentation, as links or in code spans, become those of C.
fn in_c_words(text: &str, renames: &HashMap<String, String>) -> String {
    let mut text = text.replace("[`", "`").replace("`]", "`");
    for (name, c_name) in renames {
        text = text.replace(&format!("`{name}`"), &format!("`{c_name}`"));
        text = text.replace(&format!("`{name}::"), &format!("`{c_name}::"));
    }
    // A field is a member in C. A number below 0 is two tokens, which a macro must hold together.
    let lines = text.replace("::", ".");
    let lines = lines.lines().map(|line| match line.split_once(" -") {
        Some((define, number)) if define.starts_with("#define ") => format!("{define} (-{number})\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The contract's own essay, as a comment of C.
fn preamble() -> String {
    let mut comment = "/*\n".to_owned();
    for line in ABI_SOURCE.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.replace("`include/pentimento.h` is generated from this file.", "");
        writeln!(comment, " *{}", line.trim_end()).unwrap();
    }
    comment
        + " *\n * Generated from host-sdk/src/abi.rs by host-sdk/tests/header.rs; not to be edited.\n */\n\n#ifndef PENTIMENTO_H\n#define PENTIMENTO_H"
}

fn before_types() -> String {
    let mut text = String::from("\n");
    for (docs, rest) in documented("pub const ") {
        if let Some((name, value)) = rest.split_once(": &str = ") {
            write!(
                text,
                "{docs}#define PENTIMENTO_{name} {}\n\n",
                value.trim_end_matches(';')
            )
            .unwrap();
        }
    }
    for (docs, rest) in documented("pub struct ") {
        if rest.starts_with("Job ") {
            writeln!(text, "{docs}typedef struct pentimento_job pentimento_job;").unwrap();
        }
    }
    text
}

/// Each item of the contract that begins with `keyword`: its documentation in comments of C, and the rest of its line.
fn documented(keyword: &str) -> Vec<(String, &'static str)> {
    let mut docs = String::new();
    let mut items = Vec::new();
    for line in ABI_SOURCE.lines() {
        if let Some(doc) = line.strip_prefix("///") {
            writeln!(docs, "//{doc}").unwrap();
        } else if let Some(rest) = line.strip_prefix(keyword) {
            items.push((std::mem::take(&mut docs), rest));
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    items
}

fn after_types() -> String {
    let mut text = String::from(
        "\
#ifdef __cplusplus
extern \"C\" {
#endif

// The one symbol of a plugin, see `PENTIMENTO_ENTRY_SYMBOL`: its table, or NULL when it does not speak that ABI.
// `[any-thread]` Hosts look it up in the library; plugins define it and export it.
const pentimento_plugin *pentimento_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

// The offsets of a shipped table, frozen.
#ifdef __cplusplus
#define PENTIMENTO_ASSERT(condition) static_assert(condition, #condition)
#else
#define PENTIMENTO_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#if UINTPTR_MAX == UINT64_MAX
",
    );
    for (table, size, fields) in frozen() {
        let table = c_type(table);
        for (field, offset) in fields {
            writeln!(text, "PENTIMENTO_ASSERT(offsetof({table}, {field}) == {offset});").unwrap();
        }
        writeln!(text, "PENTIMENTO_ASSERT(sizeof({table}) == {size});").unwrap();
    }
    text + "#endif\n#undef PENTIMENTO_ASSERT\n\n#endif // PENTIMENTO_H"
}

/// A table, its size, and its fields with their offsets.
type Frozen = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// What the `freeze!` lines of the contract say; the compiler has checked it by the time this runs.
fn frozen() -> Vec<Frozen> {
    let parse = |text: &'static str| {
        let (table, rest) = text.split_once(": ").unwrap();
        let (size, rest) = rest.split_once(" {").unwrap();
        let (fields, _) = rest.split_once('}').unwrap();
        let fields = fields
            .split(',')
            .filter_map(|field| field.trim().split_once(": "))
            .collect();
        (table, size, fields)
    };
    ABI_SOURCE.split("\nfreeze!(").skip(1).map(parse).collect()
}
