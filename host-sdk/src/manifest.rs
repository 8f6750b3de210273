//! `manifest.toml`: what a menu and a dialog need to know of a plugin, without loading it.
//!
//! One text is the source of everything that is said about filters and their parameters. The plugin embeds it and
//! answers the ABI's describe functions from it; a host that reads the file beside the library builds its menus in a
//! millisecond, long before a network is unpacked. Parsing therefore checks more than types: whatever comes out of
//! [`Manifest::parse`] can be relied upon (ids are unique, defaults and presets lie within their ranges, text holds no
//! NUL), and whatever is refused is refused with its line, its column and its key.
//!
//! The file's own shape is in `file`, values and their text forms in `value`.

mod file;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use value::Value;

/// The name of the file that lies beside a plugin's library.
pub const FILE_NAME: &str = "manifest.toml";

/// A plugin, as its manifest tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// The ABI number that the library speaks; always [`crate::abi::ABI`] in a manifest that was parsed.
    pub abi: u32,
    /// Stable identifier of the plugin, such as "org.pentimento.plugin".
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its version, "major.minor.patch".
    pub version: String,
    /// The base name of the library, without the system's prefix and suffix; never a path.
    pub library: String,
    /// What the plugin offers, in the order of the file.
    pub filters: Vec<Filter>,
}

/// What one menu item does, and what can be set about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Filter {
    /// Stable identifier, unique in the manifest.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// Where a menu should show it, parts separated by '/'.
    pub menu: String,
    /// One or two sentences of help.
    pub help: String,
    /// The fewest styles that it takes.
    pub style_min: u32,
    /// The most styles that it takes.
    pub style_max: u32,
    /// Sets of values to start from, in the order of the file.
    pub presets: Vec<Preset>,
    /// The parameter that chooses among `presets`, declared as `kind = "preset"`; `None` when there is none.
    pub preset_parameter: Option<String>,
    /// Everything that can be set, in the order of the file.
    pub parameters: Vec<Parameter>,
}

/// A set of values that stand in for the defaults. What is set by hand goes before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// Stable identifier, unique in the filter.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// One sentence of help.
    pub help: String,
    /// Values by the id of their parameter, each of that parameter's kind and within its range.
    pub values: BTreeMap<String, Value>,
}

/// Something that can be set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parameter {
    /// Stable identifier, unique in the filter.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// One or two sentences of help.
    pub help: String,
    /// The group that it is shown in, or "".
    pub group: String,
    /// Whether it belongs under "Advanced".
    pub advanced: bool,
    /// What its values are.
    pub kind: Kind,
    /// Its value while nothing was set.
    pub default: Value,
    /// What is allowed, of numbers; 0 to 1 for BOOL, 0 to 0 for CHOICE and TEXT.
    pub hard: Range,
    /// What a slider should span, inside `hard`; the same as `hard` unless the manifest says otherwise.
    pub soft: Range,
    /// A sensible increment, above 0 for numbers; 0 for CHOICE and TEXT.
    pub step: f64,
    /// Its unit, such as "px", or "".
    pub unit: String,
    /// The values of a CHOICE, in the order in which they should be shown; otherwise empty.
    pub choices: Vec<Choice>,
}

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Finite real numbers.
    Float,
    /// Whole numbers, no larger in size than 2^53, so that the ABI's `double` carries each of them.
    Integer,
    /// True or false.
    Bool,
    /// The ids of the parameter's choices.
    Choice,
    /// Any text without NUL.
    Text,
}

/// One of the values of a parameter of kind [`Kind::Choice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Stable identifier, the value to set.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// One sentence of help, or "".
    pub help: String,
}

/// All numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Range {
    /// Whether a number lies in it. NaN lies in no range.
    pub fn contains(&self, number: f64) -> bool {
        self.min <= number && number <= self.max
    }
}

impl Manifest {
    /// Reads and checks the text of a `manifest.toml`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        file::parse(text)
    }

    /// The filter with this id.
    pub fn filter(&self, id: &str) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.id == id)
    }
}

impl Filter {
    /// The parameter with this id.
    pub fn parameter(&self, id: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.id == id)
    }

    /// The preset with this id.
    pub fn preset(&self, id: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.id == id)
    }
}

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {}{reason}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ManifestError {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// The key at fault, such as "filter.parameter.default", with the ids on the way to it where they are known:
    /// "filter style-transfer, parameter seed, default". Empty for an error of TOML's syntax.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}
