//! What the system says of this process, for the tests and benches of the plugin and of what loads it.

/// Bytes that Linux counts for this process under a name (`VmHWM:` for the most ever in memory, `VmRSS:` for what is now);
/// `None` elsewhere.
pub fn memory(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}
