//! Values, their text forms, and what a parameter accepts.
//!
//! A value's text is what hosts keep in presets and undo records, so it has to come back as the same value, bit for
//! bit: real numbers are written in the shortest form that reads back exactly.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Kind, Parameter};

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Of [`Kind::Float`].
    Float(f64),
    /// Of [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Choice`] (the choice's id) and [`Kind::Text`].
    Text(String),
}

/// The text form, which [`Parameter::parse`] turns into the same value again: "0.5", "12", "true", "canvas".
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The debug form is the shortest that reads back exactly, and says 1e300 in five characters.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Value {
    /// The value as the ABI's functions for numbers carry it; `None` for text.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Self::Float(number) => Some(number),
            Self::Integer(number) => Some(number as f64),
            Self::Bool(truth) => Some(f64::from(u8::from(truth))),
            Self::Text(_) => None,
        }
    }

    /// The value as text; `None` for numbers and truth values.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, true, false or a string")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Float(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
                let number = i64::try_from(number).map_err(|_| E::custom(format!("{number} is too large")))?;
                Ok(Value::Integer(number))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
                Ok(Value::Bool(truth))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The largest size of a whole number up to which a `double` holds every one of them.
pub(super) const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

impl Parameter {
    /// Reads a value of this parameter from its text form, and checks it. Blanks around anything but text do not
    /// matter; 1 and 0 are taken for true and false.
    ///
    /// # Errors
    /// A clause that says what is wrong, to be put behind the parameter's name.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let value = match self.kind {
            Kind::Float => Value::Float(trimmed.parse().map_err(|_| format!("{text:?} is not a number"))?),
            Kind::Integer => Value::Integer(
                trimmed
                    .parse()
                    .map_err(|_| format!("{text:?} is not a whole number from {}", self.hard_range()))?,
            ),
            Kind::Bool => match trimmed {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => return Err(format!("{text:?} is neither true nor false")),
            },
            Kind::Choice => Value::Text(trimmed.to_owned()),
            Kind::Text => Value::Text(text.to_owned()),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Makes a value of this parameter from a number, as the ABI carries it, and checks it.
    ///
    /// # Errors
    /// As [`Parameter::parse`]; also when the parameter takes text.
    pub fn from_number(&self, number: f64) -> Result<Value, String> {
        let value = match self.kind {
            Kind::Float => Value::Float(number),
            Kind::Integer if number.fract() == 0.0 && number.abs() <= INTEGER_MAX => Value::Integer(number as i64),
            Kind::Integer => return Err(format!("{number:?} is not a whole number from {}", self.hard_range())),
            Kind::Bool if number == 0.0 || number == 1.0 => Value::Bool(number == 1.0),
            Kind::Bool => return Err(format!("{number:?} is neither 0 nor 1")),
            Kind::Choice | Kind::Text => return Err(format!("takes text, not the number {number:?}")),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Whether a value is one that this parameter can have: of its kind, finite, in its hard range, a known choice.
    ///
    /// # Errors
    /// As [`Parameter::parse`].
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match (self.kind, value) {
            (Kind::Float, Value::Float(number)) if self.hard.contains(*number) => Ok(()),
            // A hard range is never wider than what a double holds exactly, so neither comparison rounds.
            (Kind::Integer, Value::Integer(number))
                if self.hard.min as i64 <= *number && *number <= self.hard.max as i64 =>
            {
                Ok(())
            }
            (Kind::Float, Value::Float(_)) | (Kind::Integer, Value::Integer(_)) => {
                Err(format!("{value} is outside {}", self.hard_range()))
            }
            (Kind::Bool, Value::Bool(_)) => Ok(()),
            (Kind::Choice, Value::Text(id)) => {
                if self.choices.iter().any(|choice| choice.id == *id) {
                    return Ok(());
                }
                let known: Vec<_> = self.choices.iter().map(|choice| choice.id.as_str()).collect();
                Err(format!("{id:?} is none of {}", known.join(", ")))
            }
            (Kind::Text, Value::Text(text)) if text.contains('\0') => Err("contains a NUL character".to_owned()),
            (Kind::Text, Value::Text(_)) => Ok(()),
            (kind, _) => Err(format!("{value:?} is not {}", kind.describe())),
        }
    }

    fn hard_range(&self) -> String {
        format!("{} to {}", self.hard.min, self.hard.max)
    }
}

impl Kind {
    /// What a value of this kind is, for messages.
    fn describe(self) -> &'static str {
        match self {
            Self::Float => "a number",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::Choice => "the id of a choice",
            Self::Text => "a text",
        }
    }
}
