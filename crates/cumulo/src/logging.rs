//! Logs, on the standard error.

use std::io;

use anyhow::Context as _;
use cumulo_core::settings::{LogFormat, Settings};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::args::Common;

/// The logs of the process, whose level can change.
pub(crate) struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Sets up logs for the rest of the process.
pub(crate) fn start(settings: &Settings, args: &Common) -> anyhow::Result<Logs> {
    let (filter, handle) = reload::Layer::new(filter(settings, args)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    started.map_err(|error| anyhow::anyhow!(error)).context("can't set up logs")?;
    Ok(Logs { filter: handle })
}

impl Logs {
    /// Goes on with the level of other settings.
    pub(crate) fn set_level(&self, settings: &Settings, args: &Common) -> anyhow::Result<()> {
        Ok(self.filter.reload(filter(settings, args)?)?)
    }
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
