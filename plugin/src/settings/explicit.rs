//! What was set by hand: values checked one by one as they come in, kept as text between sessions, resolved for use.

use std::collections::BTreeMap;

use pentimento_host::manifest::{Filter, Kind, Parameter, Value};
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The explicit settings of one filter. Everything else is at the preset's value, or else at its default.
#[derive(Clone, Debug)]
pub struct Settings {
    filter: &'static Filter,
    values: BTreeMap<String, Value>,
}

impl Settings {
    /// Nothing set.
    pub fn new(filter: &'static Filter) -> Self {
        let values = BTreeMap::new();
        Self { filter, values }
    }

    /// The filter that these are the settings of.
    pub fn filter(&self) -> &'static Filter {
        self.filter
    }

    /// Sets a parameter of kind FLOAT, INTEGER or BOOL.
    ///
    /// # Errors
    /// [`Error::Argument`], naming the parameter and what it accepts.
    pub fn set_number(&mut self, id: &str, number: f64) -> Result<()> {
        self.set(id, |parameter| parameter.from_number(number))
    }

    /// Sets a parameter of any kind from text.
    ///
    /// # Errors
    /// As [`Settings::set_number`].
    pub fn set_text(&mut self, id: &str, text: &str) -> Result<()> {
        self.set(id, |parameter| parameter.parse(text))
    }

    /// The settings that [`Settings::state`] wrote.
    ///
    /// # Errors
    /// [`Error::Argument`], naming the parameter at fault, or `state` when the text as a whole is not understood.
    pub fn from_state(filter: &'static Filter, state: &str) -> Result<Self> {
        let written: BTreeMap<String, Value> =
            toml::from_str(state).map_err(|error| Error::argument("state", error.to_string()))?;
        let mut settings = Self::new(filter);
        for (id, value) in written {
            settings.set(&id, |parameter| match (parameter.kind, value) {
                // TOML's `1` is a real number where one is asked for.
                (Kind::Float, Value::Integer(number)) => parameter.from_number(number as f64),
                (_, value) => parameter.check(&value).map(|()| value),
            })?;
        }
        Ok(settings)
    }

    /// The settings as TOML text, `id = value` line by line in the order of their ids.
    pub fn state(&self) -> Result<String> {
        toml::to_string(&self.values).map_err(|error| Error::Internal(error.to_string()))
    }

    /// The settings as a filter reads them: what was set by hand, over the preset's values, over the defaults.
    ///
    /// # Errors
    /// [`Error::Argument`], naming a parameter whose text is not understood.
    pub fn resolve<T: DeserializeOwned>(&self) -> Result<T> {
        let table = toml::Value::try_from(self.resolved()).map_err(|error| Error::Internal(error.to_string()))?;
        serde_path_to_error::deserialize(table)
            .map_err(|error| Error::argument(error.path().to_string(), error.inner().message()))
    }

    /// The value that a parameter has, as text that [`Settings::set_text`] takes.
    ///
    /// # Errors
    /// [`Error::Argument`], naming `id`, when there is no such parameter.
    pub fn value(&self, id: &str) -> Result<String> {
        let parameter = self.parameter(id)?;
        let resolved = self.resolved();
        Ok(resolved.get(id).copied().unwrap_or(&parameter.default).to_string())
    }

    /// Every parameter's value.
    fn resolved(&self) -> BTreeMap<&str, &Value> {
        let mut resolved: BTreeMap<&str, &Value> = BTreeMap::new();
        for parameter in &self.filter.parameters {
            resolved.insert(&parameter.id, &parameter.default);
        }
        if let Some(parameter) = &self.filter.preset_parameter {
            let chosen = self.values.get(parameter).or(resolved.get(parameter.as_str()).copied());
            let preset = chosen.and_then(Value::as_text).and_then(|id| self.filter.preset(id));
            resolved.extend(
                preset
                    .iter()
                    .flat_map(|preset| &preset.values)
                    .map(|(id, value)| (id.as_str(), value)),
            );
        }
        resolved.extend(self.values.iter().map(|(id, value)| (id.as_str(), value)));
        resolved
    }

    fn parameter(&self, id: &str) -> Result<&'static Parameter> {
        self.filter.parameter(id).ok_or_else(|| {
            let known: Vec<_> = self.filter.parameters.iter().map(|known| known.id.as_str()).collect();
            let filter = &self.filter.id;
            Error::argument(
                "id",
                format!("{id:?} is not a parameter of {filter}, which has {}", known.join(", ")),
            )
        })
    }

    fn set(&mut self, id: &str, value: impl FnOnce(&Parameter) -> Result<Value, String>) -> Result<()> {
        let parameter = self.parameter(id)?;
        let value = value(parameter).map_err(|reason| Error::argument(id, reason))?;
        self.values.insert(id.to_owned(), value);
        Ok(())
    }
}
