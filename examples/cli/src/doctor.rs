//! `pentimento doctor`: whether everything is in place, and what to do where it is not.

use std::fmt::Write;

use pentimento_host::discover::{Discovery, PATH_VARIABLE, user_folder};
use pentimento_host::{Plugin, discover};
use toml::{Table, Value};

use crate::arguments::PluginArguments;
use crate::error::{Error, Kind, Result};
use crate::{install, plugin, print};

/// The key of a report under which a plugin lists what is wrong with it, as texts.
const PROBLEMS: &str = "problems";

/// Examines the installation and prints what it finds.
///
/// # Errors
/// When no plugin was found, or it cannot be used, or it reports a problem.
pub fn run(arguments: &PluginArguments) -> Result<()> {
    let discovery = discover(arguments.path.as_deref());
    print(&search(&discovery))?;
    print(&editors())?;
    let Some(found) = discovery.found.first() else {
        return Err(Error::new(Kind::Plugin, "no plugin was found", install_hint()));
    };
    let plugin = plugin::load(found)?;
    print(&format!(
        "\nPlugin\n  {:<20} {} {} ({})\n  {:<20} {}\n",
        "name",
        plugin.name(),
        plugin.version(),
        plugin.id(),
        "library",
        plugin.path().display()
    ))?;
    let mut problems = Vec::new();
    if let Some(manifest) = &found.manifest
        && manifest.version != plugin.version()
    {
        problems.push(format!(
            "the manifest beside the library is of version {}, the library of {}",
            manifest.version,
            plugin.version()
        ));
    }
    let report = report(&plugin)?;
    print(&tell(&report))?;
    if let Some(Value::Array(reported)) = report.get(PROBLEMS) {
        problems.extend(reported.iter().map(plain));
    }
    if problems.is_empty() {
        return print("\nEverything is in place.\n");
    }
    Err(Error::new(
        Kind::Plugin,
        problems.join("; "),
        "install the plugin again, or mend what is named",
    ))
}

/// What was looked for, and where.
fn search(discovery: &Discovery) -> String {
    let mut text = "Search\n".to_owned();
    for place in &discovery.searched {
        let found = discovery.found.iter().any(|found| found.library.starts_with(place));
        let state = match (place.exists(), found) {
            (false, _) => "not there",
            (true, false) => "no plugin",
            (true, true) => "plugin found",
        };
        line(&mut text, state, &place.display().to_string());
    }
    for problem in &discovery.problems {
        line(&mut text, "passed over", &problem.to_string());
    }
    for other in discovery.found.iter().skip(1) {
        line(&mut text, "also there", &other.library.display().to_string());
    }
    text
}

/// What each editor would find.
fn editors() -> String {
    let survey = install::survey();
    if survey.is_empty() {
        return String::new();
    }
    let mut text = "\nEditors\n".to_owned();
    for (editor, state) in survey {
        _ = writeln!(text, "  {editor}\n      {state}");
    }
    text
}

fn install_hint() -> String {
    let folder = user_folder().map_or_else(|| "a folder".to_owned(), |folder| folder.display().to_string());
    format!("put the plugin into {folder}, or set {PATH_VARIABLE} to its folder")
}

/// The plugin's own report.
fn report(plugin: &Plugin) -> Result<Table> {
    let unusable = |reason: &dyn std::fmt::Display, remedy: &str| {
        Error::new(
            Kind::Plugin,
            format!("the plugin's report on itself failed: {reason}"),
            remedy,
        )
    };
    match plugin.diagnostics() {
        None => Ok(Table::new()),
        Some(Err(error)) => Err(unusable(&error, "please report it")),
        Some(Ok(text)) => text.parse().map_err(|error| unusable(&error, "please report it")),
    }
}

/// What people call the values of a report whose keys do not say it well.
const NAMES: [(&str, &str); 3] = [
    ("memory_total", "memory"),
    ("memory_available", "memory free"),
    ("seconds_per_evaluation_at_256", "step at 256 x 256"),
];

/// A report for people: a heading for each table, a line for each value.
fn tell(report: &Table) -> String {
    let mut text = "\nReport\n".to_owned();
    if report.is_empty() {
        line(&mut text, "none", "the plugin offers no report on itself");
    }
    for (key, value) in report
        .iter()
        .filter(|(key, value)| *key != PROBLEMS && !value.is_table())
    {
        line(&mut text, &name(key), &readable(key, value));
    }
    for (key, value) in report {
        if let Value::Table(table) = value {
            writeln!(text, "  {}", name(key)).expect("a String takes any text");
            for (key, value) in table {
                line(&mut text, &format!("  {}", name(key)), &readable(key, value));
            }
        }
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "  {name:<20} {value}").expect("a String takes any text");
}

fn name(key: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == key);
    known.map_or_else(|| key.replace('_', " "), |(_, name)| (*name).to_owned())
}

/// A value with its unit, which the key tells: bytes of memory become GB, and seconds seconds.
fn readable(key: &str, value: &Value) -> String {
    match value {
        Value::Integer(bytes) if key.starts_with("memory") || key.ends_with("bytes") => {
            format!("{:.1} GB", *bytes as f64 / 1e9)
        }
        Value::Float(seconds) if key.starts_with("seconds") => format!("{seconds:.3} s"),
        Value::Float(number) => format!("{number:.3}"),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    }
}

/// A value without TOML's quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_readably() {
        let report: Table = "
            version = '0.1.0'
            threads = 8
            memory_total = 8589934592
            devices = ['cpu', 'cuda:0']
            problems = ['the driver is too old']
            seconds_per_evaluation_at_256 = 0.15321
            [card]
            share = 0.64321
            scratch_bytes = 1500000000
        "
        .parse()
        .unwrap();
        let text = tell(&report);
        for line in [
            "  memory               8.6 GB",
            "  step at 256 x 256    0.153 s",
            "  threads              8",
            "  version              0.1.0",
            "  devices              cpu, cuda:0",
            "  card",
            "    share              0.643",
            "    scratch bytes      1.5 GB",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(!text.contains("driver"), "{text}");
        assert!(tell(&Table::new()).contains("offers no report"));
    }
}
