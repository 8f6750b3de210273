//! The shape of the file, and the checks between its entries.
//!
//! serde and toml check types and names; what is left is checked here, on values that still know where in the text
//! they stand.

use std::collections::BTreeMap;
use std::ops;

use serde::Deserialize;
use toml::Spanned;

use super::value::INTEGER_MAX;
use super::{Choice, Filter, Kind, Manifest, ManifestError, Parameter, Preset, Range, Value};
use crate::abi;

/// What is read before anything else: the rest of the file may look different in another ABI.
#[derive(Deserialize)]
struct Head {
    abi: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    abi: u32,
    id: Identifier,
    name: Text,
    version: Text,
    library: Identifier,
    #[serde(default, rename = "filter")]
    filters: Vec<FilterEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterEntry {
    id: Spanned<Identifier>,
    label: Text,
    menu: Text,
    help: Text,
    style_min: u32,
    style_max: Spanned<u32>,
    #[serde(default, rename = "preset")]
    presets: Vec<PresetEntry>,
    #[serde(default, rename = "parameter")]
    parameters: Vec<ParameterEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetEntry {
    id: Spanned<Identifier>,
    label: Text,
    help: Text,
    values: BTreeMap<Spanned<String>, Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterEntry {
    id: Spanned<Identifier>,
    label: Text,
    help: Text,
    #[serde(default)]
    group: Text,
    #[serde(default)]
    advanced: bool,
    kind: Spanned<KindEntry>,
    default: Spanned<Value>,
    hard: Option<Spanned<[f64; 2]>>,
    soft: Option<Spanned<[f64; 2]>>,
    step: Option<Spanned<f64>>,
    #[serde(default)]
    unit: Text,
    choices: Option<Spanned<Vec<ChoiceEntry>>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum KindEntry {
    Float,
    Integer,
    Bool,
    Choice,
    /// A choice among the filter's presets.
    Preset,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceEntry {
    id: Spanned<Identifier>,
    label: Text,
    #[serde(default)]
    help: Text,
}

/// A name that is safe in C strings, in settings, on command lines and in file names.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Identifier(String);

impl TryFrom<String> for Identifier {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(format!(
                "{text:?} is not an identifier: letters, digits, '_', '-' and '.', one or more"
            ));
        }
        Ok(Self(text))
    }
}

/// A text that C can carry.
#[derive(Default, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("contains a NUL character".to_owned());
        }
        Ok(Self(text))
    }
}

pub(super) fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let head: Head = toml::from_str(text).map_err(|error| from_toml(text, error))?;
    if *head.abi.get_ref() != abi::ABI {
        let reason = format!(
            "{} is not the ABI that this host speaks, {}",
            head.abi.get_ref(),
            abi::ABI
        );
        return Err(Fault::new(head.abi.span(), "abi", reason).locate(text));
    }
    let file: File = toml::from_str(text).map_err(|error| from_toml(text, error))?;
    unique(file.filters.iter().map(|filter| &filter.id)).map_err(|fault| fault.within("filter").locate(text))?;
    let filters = file.filters.into_iter().map(|entry| {
        let place = format!("filter {}", entry.id.get_ref().0);
        filter(entry).map_err(|fault| fault.within(&place).locate(text))
    });
    Ok(Manifest {
        filters: filters.collect::<Result<_, _>>()?,
        abi: file.abi,
        id: file.id.0,
        name: file.name.0,
        version: file.version.0,
        library: file.library.0,
    })
}

/// Something wrong at a place in the text.
struct Fault {
    span: ops::Range<usize>,
    key: String,
    reason: String,
}

impl Fault {
    fn new(span: ops::Range<usize>, key: &str, reason: impl Into<String>) -> Self {
        let (key, reason) = (key.to_owned(), reason.into());
        Self { span, key, reason }
    }

    fn within(mut self, place: &str) -> Self {
        self.key = format!("{place}, {}", self.key);
        self
    }

    fn locate(self, text: &str) -> ManifestError {
        let before = text.get(..self.span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ManifestError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: self.key,
            reason: self.reason,
        }
    }
}

/// toml keeps the path to the key in question for its own display, which follows the message when no text is attached.
fn from_toml(text: &str, mut error: toml::de::Error) -> ManifestError {
    error.set_input(None);
    let shown = error.to_string();
    let path = shown.strip_prefix(error.message()).unwrap_or_default().trim();
    let key = path
        .strip_prefix("in `")
        .and_then(|path| path.strip_suffix('`'))
        .unwrap_or_default();
    // Without a span there is nothing to point at but the end.
    let span = error.span().unwrap_or(text.len()..text.len());
    Fault::new(span, key, error.message()).locate(text)
}

fn unique<'a>(ids: impl Iterator<Item = &'a Spanned<Identifier>>) -> Result<(), Fault> {
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if !seen.insert(&id.get_ref().0) {
            return Err(Fault::new(
                id.span(),
                "id",
                format!("{:?} is there twice", id.get_ref().0),
            ));
        }
    }
    Ok(())
}

fn filter(entry: FilterEntry) -> Result<Filter, Fault> {
    let style_max = *entry.style_max.get_ref();
    if style_max < entry.style_min {
        let reason = format!("{style_max} is less than style_min, {}", entry.style_min);
        return Err(Fault::new(entry.style_max.span(), "style_max", reason));
    }
    unique(entry.presets.iter().map(|preset| &preset.id)).map_err(|fault| fault.within("preset"))?;
    unique(entry.parameters.iter().map(|parameter| &parameter.id)).map_err(|fault| fault.within("parameter"))?;

    let preset_choices: Vec<_> = entry.presets.iter().map(PresetEntry::as_choice).collect();
    let mut preset_parameter = None;
    let mut parameters = Vec::new();
    for entry in entry.parameters {
        let place = format!("parameter {}", entry.id.get_ref().0);
        if *entry.kind.get_ref() == KindEntry::Preset {
            let id = entry.id.get_ref().0.clone();
            if let Some(first) = preset_parameter.replace(id) {
                let reason = format!("{first} is a choice of presets already");
                return Err(Fault::new(entry.kind.span(), "kind", reason).within(&place));
            }
        }
        parameters.push(parameter(entry, &preset_choices).map_err(|fault| fault.within(&place))?);
    }
    let mut filter = Filter {
        id: entry.id.into_inner().0,
        label: entry.label.0,
        menu: entry.menu.0,
        help: entry.help.0,
        style_min: entry.style_min,
        style_max,
        presets: Vec::new(),
        preset_parameter,
        parameters,
    };
    for entry in entry.presets {
        let place = format!("preset {}", entry.id.get_ref().0);
        let preset = preset(entry, &filter).map_err(|fault| fault.within(&place))?;
        filter.presets.push(preset);
    }
    Ok(filter)
}

impl PresetEntry {
    fn as_choice(&self) -> Choice {
        Choice {
            id: self.id.get_ref().0.clone(),
            label: self.label.0.clone(),
            help: self.help.0.clone(),
        }
    }
}

fn preset(entry: PresetEntry, filter: &Filter) -> Result<Preset, Fault> {
    let mut values = BTreeMap::new();
    for (id, value) in entry.values {
        let place = format!("values.{}", id.get_ref());
        let Some(parameter) = filter.parameter(id.get_ref()) else {
            let reason = format!("the filter has no parameter {:?}", id.get_ref());
            return Err(Fault::new(id.span(), &place, reason));
        };
        if filter.preset_parameter.as_ref() == Some(id.get_ref()) {
            return Err(Fault::new(id.span(), &place, "a preset cannot choose a preset"));
        }
        let value = of_kind(parameter, value).map_err(|fault| Fault { key: place, ..fault })?;
        values.insert(id.into_inner(), value);
    }
    Ok(Preset {
        id: entry.id.into_inner().0,
        label: entry.label.0,
        help: entry.help.0,
        values,
    })
}

/// A value as the parameter has it: TOML's `1` is a real number where one is asked for.
fn of_kind(parameter: &Parameter, value: Spanned<Value>) -> Result<Value, Fault> {
    let span = value.span();
    let value = match (parameter.kind, value.into_inner()) {
        (Kind::Float, Value::Integer(number)) => Value::Float(number as f64),
        (_, value) => value,
    };
    parameter
        .check(&value)
        .map_err(|reason| Fault::new(span, "default", reason))?;
    Ok(value)
}

fn parameter(entry: ParameterEntry, presets: &[Choice]) -> Result<Parameter, Fault> {
    let kind = match entry.kind.get_ref() {
        KindEntry::Float => Kind::Float,
        KindEntry::Integer => Kind::Integer,
        KindEntry::Bool => Kind::Bool,
        KindEntry::Choice | KindEntry::Preset => Kind::Choice,
        KindEntry::Text => Kind::Text,
    };
    let numeric = matches!(kind, Kind::Float | Kind::Integer);
    if !numeric {
        let spans = [
            ("hard", entry.hard.as_ref().map(Spanned::span)),
            ("soft", entry.soft.as_ref().map(Spanned::span)),
            ("step", entry.step.as_ref().map(Spanned::span)),
        ];
        if let Some((key, span)) = spans.into_iter().find_map(|(key, span)| Some((key, span?))) {
            return Err(Fault::new(span, key, "only numbers have one"));
        }
    }
    let (hard, soft) = match kind {
        Kind::Float | Kind::Integer => {
            let Some(hard) = &entry.hard else {
                return Err(Fault::new(entry.id.span(), "hard", "missing: every number has a range"));
            };
            let hard = range("hard", hard, kind)?;
            let soft = entry
                .soft
                .as_ref()
                .map_or(Ok(hard), |soft| within("soft", soft, kind, hard))?;
            (hard, soft)
        }
        Kind::Bool => (Range { min: 0.0, max: 1.0 }, Range { min: 0.0, max: 1.0 }),
        Kind::Choice | Kind::Text => (Range { min: 0.0, max: 0.0 }, Range { min: 0.0, max: 0.0 }),
    };
    let step = match (&entry.step, kind) {
        (Some(step), _) => increment(step, kind)?,
        (None, Kind::Integer | Kind::Bool) => 1.0,
        // A hundredth of the slider; an empty one has no use for an increment, but the promise is "above 0".
        (None, Kind::Float) if soft.max > soft.min => (soft.max - soft.min) / 100.0,
        (None, Kind::Float) => 1.0,
        (None, Kind::Choice | Kind::Text) => 0.0,
    };
    let choices = choices(&entry, presets)?;
    let mut parameter = Parameter {
        id: entry.id.into_inner().0,
        label: entry.label.0,
        help: entry.help.0,
        group: entry.group.0,
        advanced: entry.advanced,
        kind,
        default: entry.default.get_ref().clone(),
        hard,
        soft,
        step,
        unit: entry.unit.0,
        choices,
    };
    parameter.default = of_kind(&parameter, entry.default)?;
    Ok(parameter)
}

fn range(key: &str, entry: &Spanned<[f64; 2]>, kind: Kind) -> Result<Range, Fault> {
    let [min, max] = *entry.get_ref();
    let whole = |number: f64| number.fract() == 0.0 && number.abs() <= INTEGER_MAX;
    let reason = if !(min.is_finite() && max.is_finite()) {
        "both ends must be finite".to_owned()
    } else if min > max {
        format!("{min} is more than {max}")
    } else if kind == Kind::Integer && !(whole(min) && whole(max)) {
        "both ends must be whole numbers, no larger in size than 2^53".to_owned()
    } else {
        return Ok(Range { min, max });
    };
    Err(Fault::new(entry.span(), key, reason))
}

fn within(key: &str, entry: &Spanned<[f64; 2]>, kind: Kind, hard: Range) -> Result<Range, Fault> {
    let soft = range(key, entry, kind)?;
    if hard.contains(soft.min) && hard.contains(soft.max) {
        return Ok(soft);
    }
    let reason = format!(
        "{} to {} reaches outside hard, {} to {}",
        soft.min, soft.max, hard.min, hard.max
    );
    Err(Fault::new(entry.span(), key, reason))
}

fn increment(entry: &Spanned<f64>, kind: Kind) -> Result<f64, Fault> {
    let step = *entry.get_ref();
    let reason = if !(step.is_finite() && step > 0.0) {
        format!("{step} is not above 0")
    } else if kind == Kind::Integer && step.fract() != 0.0 {
        format!("{step} is not a whole number")
    } else {
        return Ok(step);
    };
    Err(Fault::new(entry.span(), "step", reason))
}

fn choices(entry: &ParameterEntry, presets: &[Choice]) -> Result<Vec<Choice>, Fault> {
    match (entry.kind.get_ref(), &entry.choices) {
        (KindEntry::Choice, Some(list)) if !list.get_ref().is_empty() => {
            unique(list.get_ref().iter().map(|choice| &choice.id)).map_err(|fault| fault.within("choices"))?;
            let choice = |entry: &ChoiceEntry| Choice {
                id: entry.id.get_ref().0.clone(),
                label: entry.label.0.clone(),
                help: entry.help.0.clone(),
            };
            Ok(list.get_ref().iter().map(choice).collect())
        }
        (KindEntry::Choice, list) => {
            let span = list.as_ref().map_or(entry.id.span(), Spanned::span);
            Err(Fault::new(span, "choices", "missing: a choice needs one at least"))
        }
        (KindEntry::Preset, None) if presets.is_empty() => Err(Fault::new(
            entry.kind.span(),
            "kind",
            "the filter has no presets to choose from",
        )),
        (KindEntry::Preset, None) => Ok(presets.to_vec()),
        (_, None) => Ok(Vec::new()),
        (_, Some(list)) => Err(Fault::new(list.span(), "choices", "only kind = \"choice\" has them")),
    }
}
