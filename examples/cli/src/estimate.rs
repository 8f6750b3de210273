//! What a render would take, before it is begun: a line for people, or JSON for programs.

use pentimento_host::{Estimate, Job};

use crate::error::Result;
use crate::render::from_plugin;

/// The plugin's estimate for a content and styles of these sizes; `None` when it does not tell.
///
/// # Errors
/// Whatever the plugin refuses.
pub fn ask(job: &Job, content: (u32, u32), styles: &[(u32, u32)]) -> Result<Option<Estimate>> {
    job.estimate(content, styles).transpose().map_err(from_plugin)
}

/// As people say it: "about 40 s, 0.6 GB".
pub fn tell(estimate: &Estimate) -> String {
    let seconds = estimate.seconds;
    let time = match seconds {
        ..1.5 => "1 s".to_owned(),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    };
    format!("about {time}, {:.1} GB", estimate.bytes as f64 / 1e9)
}

/// As programs read it.
pub fn json(estimate: &Estimate) -> String {
    serde_json::json!({ "seconds": estimate.seconds, "bytes": estimate.bytes }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_minutes_and_hours() {
        for (seconds, bytes, told) in [
            (0.2, 40_000_000, "about 1 s, 0.0 GB"),
            (39.6, 640_000_000, "about 40 s, 0.6 GB"),
            (119.0, 1_000_000_000, "about 119 s, 1.0 GB"),
            (200.0, 12_340_000_000, "about 3 min, 12.3 GB"),
            (9000.0, 1 << 40, "about 2 h, 1099.5 GB"),
        ] {
            assert_eq!(tell(&Estimate { seconds, bytes }), told);
        }
    }
}
