//! Logs, on the standard error.
//!
//! - `lines`: how an event becomes a line; `text` and `mozlog`: the two shapes
//! - `writer`: the thread that writes them

pub(crate) mod lines;
mod mozlog;
mod text;
mod writer;

use std::{
    io::{self, IsTerminal as _},
    panic,
};

use anyhow::{Context as _, anyhow};
use cumulo_core::settings::{LogFormat, Settings};
use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use self::{
    lines::{Lines, Shape},
    mozlog::Mozlog,
    text::Text,
    writer::{Flush, Writer},
};
use crate::{args::Common, telemetry::Sentry};

/// Logs are written while it lives.
#[must_use = "the last lines are written when it is dropped"]
pub(crate) struct Logs {
    /// How much is logged.
    pub(crate) level: Level,
    /// Where errors are reported, if anywhere.
    pub(crate) sentry: Option<Sentry>,
    _flush: Flush,
}

/// How much is logged, which can change.
#[derive(Clone)]
pub(crate) struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Goes on with the level of other settings.
    pub(crate) fn set(&self, settings: &Settings, args: &Common) -> anyhow::Result<()> {
        Ok(self.0.reload(filter(settings, args)?)?)
    }
}

/// Sets up logs for the rest of the process.
pub(crate) fn start(settings: &Settings, args: &Common) -> anyhow::Result<Logs> {
    let (filter, level) = reload::Layer::new(filter(settings, args)?);
    let shape = match settings.log_format {
        LogFormat::Text => Shape::Text(Text { colors: io::stderr().is_terminal() }),
        LogFormat::Json => Shape::Mozlog(Mozlog::new(&settings.project_name)),
    };
    let (writer, flush) = Writer::start(io::stderr()).context("can't set up logs")?;
    let sentry = Sentry::start(settings)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(Lines::new(shape, writer))
        .with(sentry.clone())
        .try_init()
        .map_err(|error| anyhow!(error))
        .context("can't set up logs")?;
    log_panics();
    Ok(Logs { level: Level(level), sentry, _flush: flush })
}

/// Has panics told in a log line of their own, like everything else.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(target: "panic", place, "{message}");
    }));
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
