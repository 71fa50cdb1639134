//! What Linux tells of the process, under the names that Prometheus clients use everywhere.

use std::{fmt::Write as _, fs};

use cumulo_core::object::Timestamp;

use super::number;

/// The text of these metrics; elsewhere than on Linux only the start.
pub(super) fn metrics(started: Timestamp) -> String {
    let mut text = String::with_capacity(16 * 1024);
    let mut add = |name: &str, described: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            let value = number::show(value);
            // Strings take everything.
            let _ =
                writeln!(text, "# HELP {name} {described}\n# TYPE {name} {kind}\n{name} {value}");
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |name| Some(number_after(&status, name)? * 1024.0);
    let described = "Virtual memory size in bytes.";
    add("process_virtual_memory_bytes", described, "gauge", memory("VmSize:"));
    let described = "Resident memory size in bytes.";
    add("process_resident_memory_bytes", described, "gauge", memory("VmRSS:"));
    let described = "Start time of the process since unix epoch in seconds.";
    #[expect(clippy::cast_precision_loss, reason = "it fits until the year 287396")]
    let seconds = started.0 as f64 / 1000.0;
    add("process_start_time_seconds", described, "gauge", Some(seconds));
    let described = "Total user and system CPU time spent in seconds.";
    add("process_cpu_seconds_total", described, "counter", cpu_seconds());
    #[expect(clippy::cast_precision_loss, reason = "nobody opens so many files")]
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    add("process_open_fds", "Number of open file descriptors.", "gauge", open);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let described = "Maximum number of open file descriptors.";
    add("process_max_fds", described, "gauge", number_after(&limits, "Max open files"));
    text
}

/// The first number behind this name.
fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/self/stat`, in ticks, of which there are 100 in a second.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_told_of() {
        let text = metrics(Timestamp(1_700_000_000_000));
        let value = |name| number_after(&text, name).unwrap();
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") < value("process_max_fds"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(text.contains("\nprocess_start_time_seconds 1.7e+09\n"), "{text}");
    }
}
