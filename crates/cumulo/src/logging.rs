//! Logs, on the standard error.

use std::io;

use anyhow::Context as _;
use cumulo_core::settings::{LogFormat, Settings};
use tracing_subscriber::EnvFilter;

use crate::args::Common;

/// Sets up logs for the rest of the process.
pub(crate) fn start(settings: &Settings, args: &Common) -> anyhow::Result<()> {
    let filter = filter(settings, args)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => logs.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error)).context("can't set up logs")
}

fn filter(settings: &Settings, args: &Common) -> anyhow::Result<EnvFilter> {
    let level = match (args.quiet, args.debug) {
        (true, _) => "error",
        (_, true) => "debug",
        _ => settings.log_level.as_str(),
    };
    EnvFilter::try_new(level).with_context(|| {
        format!("log_level: expected error, warn, info, debug or trace, got '{level}'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(log_level: &str, quiet: bool, debug: bool) -> Option<String> {
        let settings = Settings { log_level: log_level.into(), ..Settings::default() };
        let args = Common { quiet, debug, ..Common::default() };
        filter(&settings, &args).ok().map(|filter| filter.to_string())
    }

    #[test]
    fn options_win_over_the_setting() {
        assert_eq!(level("warn", false, false).as_deref(), Some("warn"));
        assert_eq!(level("warn", true, false).as_deref(), Some("error"));
        assert_eq!(level("warn", false, true).as_deref(), Some("debug"));
    }

    #[test]
    fn parts_of_the_program_have_levels() {
        assert!(level("warn,cumulo_http=debug", false, false).is_some());
        assert_eq!(level("cumulo_http=loud", false, false), None);
    }
}
