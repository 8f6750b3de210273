//! `pentimento describe`: what there is to choose and to set, for people and for programs.

use std::fmt::Write;

use pentimento_host::manifest::{Filter, Kind, Manifest, Parameter, Range};

use crate::arguments::DescribeArguments;
use crate::error::{Error, Result};
use crate::plugin;

/// The text to show.
pub fn run(arguments: &DescribeArguments) -> Result<String> {
    let manifest = plugin::manifest(plugin::find(arguments.plugin.path.as_deref())?)?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&manifest)
            .map_err(|error| Error::new(crate::error::Kind::Internal, error.to_string(), "please report it"))?;
        return Ok(json + "\n");
    }
    Ok(describe(&manifest))
}

fn describe(manifest: &Manifest) -> String {
    let mut text = format!("{} {} ({})\n", manifest.name, manifest.version, manifest.id);
    for filter in &manifest.filters {
        describe_filter(filter, &mut text).expect("a String takes any text");
    }
    text
}

fn describe_filter(filter: &Filter, text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n{} (--filter {})", filter.label, filter.id)?;
    writeln!(text, "  {}", filter.help)?;
    writeln!(text, "  Takes {}.", styles(filter))?;
    if !filter.presets.is_empty() {
        writeln!(text, "\n  Presets (--preset ID)")?;
        for preset in &filter.presets {
            writeln!(text, "    {:<14} {}", preset.id, preset.help)?;
        }
    }
    // Presets were just told.
    let is_told = |parameter: &Parameter| filter.preset_parameter.as_ref() == Some(&parameter.id);
    let parameters: Vec<_> = filter
        .parameters
        .iter()
        .filter(|parameter| !is_told(parameter))
        .collect();
    let mut groups: Vec<&str> = Vec::new();
    for parameter in &parameters {
        if !groups.contains(&parameter.group.as_str()) {
            groups.push(&parameter.group);
        }
    }
    for group in groups {
        let members = || parameters.iter().filter(|parameter| parameter.group == group);
        let name = if group.is_empty() { "Other" } else { group };
        let advanced = if members().all(|parameter| parameter.advanced) {
            ", advanced"
        } else {
            ""
        };
        writeln!(text, "\n  {name}{advanced} (--set ID=VALUE)")?;
        for parameter in members() {
            describe_parameter(parameter, text)?;
        }
    }
    Ok(())
}

fn styles(filter: &Filter) -> String {
    match (filter.style_min, filter.style_max) {
        (0, 0) => "no style".to_owned(),
        (1, 1) => "1 style".to_owned(),
        (min, max) if min == max => format!("{min} styles"),
        (min, max) => format!("{min} to {max} styles"),
    }
}

fn describe_parameter(parameter: &Parameter, text: &mut String) -> std::fmt::Result {
    let default = match parameter.default.to_string() {
        empty if empty.is_empty() => "(empty)".to_owned(),
        value => value,
    };
    writeln!(text, "    {:<14} {}", parameter.id, parameter.help)?;
    write!(text, "    {:<14} Default {default}", "")?;
    if !parameter.unit.is_empty() {
        write!(text, " {}", parameter.unit)?;
    }
    match parameter.kind {
        Kind::Float | Kind::Integer => {
            let range = |range: &Range| format!("{} to {}", number(range.min), number(range.max));
            write!(text, "; {}", range(&parameter.soft))?;
            if parameter.hard != parameter.soft {
                write!(text, ", at the utmost {}", range(&parameter.hard))?;
            }
            writeln!(
                text,
                "{}.",
                if parameter.kind == Kind::Integer { ", whole" } else { "" }
            )?;
        }
        Kind::Bool => writeln!(text, "; true or false.")?,
        Kind::Text => writeln!(text, ".")?,
        Kind::Choice => {
            writeln!(text, "; one of:")?;
            for choice in &parameter.choices {
                let help = if choice.help.is_empty() {
                    &choice.label
                } else {
                    &choice.help
                };
                writeln!(text, "    {:<14}   {:<12} {help}", "", choice.id)?;
            }
        }
    }
    Ok(())
}

/// A number as people write it: 0.05, 1000, 4294967295, 1e12.
fn number(number: f64) -> String {
    let (plain, scientific) = (number.to_string(), format!("{number:e}"));
    if scientific.len() + 5 < plain.len() {
        scientific
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../../manifest.toml");

    #[test]
    fn everything_that_can_be_set_is_told() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let text = describe(&manifest);
        for filter in &manifest.filters {
            assert!(text.contains(&filter.id) && text.contains(&filter.help));
            for parameter in filter.parameters.iter().filter(|parameter| parameter.id != "preset") {
                assert!(
                    text.contains(&format!("\n    {:<14} {}\n", parameter.id, parameter.help)),
                    "{}",
                    parameter.id
                );
                for choice in &parameter.choices {
                    assert!(text.contains(&choice.id), "{}", choice.id);
                }
            }
            for preset in &filter.presets {
                assert!(
                    text.contains(&format!("{:<14} {}", preset.id, preset.help)),
                    "{}",
                    preset.id
                );
            }
        }
        assert!(
            text.contains("Default 1.0; 0.1 to 10, at the utmost 0 to 1000.\n"),
            "{text}"
        );
        assert!(
            text.contains("Default 0 px; 0 to 2048, at the utmost 0 to 65536, whole.\n"),
            "{text}"
        );
        assert!(text.contains("Default true; true or false.\n"), "{text}");
        assert!(text.contains("  Method, advanced (--set ID=VALUE)\n"), "{text}");
        assert!(
            text.contains("Default 1.0; 0 to 10, at the utmost 0 to 1e12.\n"),
            "{text}"
        );
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }
}
