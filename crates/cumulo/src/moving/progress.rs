//! How far long work has come, on the standard error: a bar on a terminal, a line now and then
//! elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cumulo_moving::Watch;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Objects,
    Tombstones,
    Lists,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Objects => "objects",
            Self::Tombstones => "tombstones",
            Self::Lists => "lists",
        }
    }
}

/// Shows how far the work has come.
pub(crate) struct Progress {
    unit: Unit,
    look: Look,
}

enum Look {
    Quiet,
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

struct Lines {
    total: Option<u64>,
    done: u64,
    shown: Instant,
}

impl Progress {
    pub(crate) fn new(unit: Unit, quiet: bool) -> Self {
        let look = if quiet {
            Look::Quiet
        } else if io::stderr().is_terminal() {
            Look::Bar(ProgressBar::no_length().with_style(style(unit, false)))
        } else {
            Look::Lines(Mutex::new(Lines { total: None, done: 0, shown: Instant::now() }))
        };
        Self { unit, look }
    }

    /// Takes the bar away, if there is one.
    pub(crate) fn clear(&self) {
        if let Look::Bar(bar) = &self.look {
            bar.finish_and_clear();
        }
    }

    /// Writes something else than progress.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.look {
            Look::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Says the last word.
    pub(crate) fn finish(&self, text: &str) {
        self.clear();
        if !matches!(self.look, Look::Quiet) {
            line(text);
        }
    }
}

impl Watch for Progress {
    fn expect(&self, total: u64) {
        match &self.look {
            Look::Quiet => {}
            Look::Bar(bar) => {
                bar.set_length(total);
                bar.set_style(style(self.unit, true));
            }
            Look::Lines(lines) => {
                lines.lock().unwrap_or_else(PoisonError::into_inner).total = Some(total);
            }
        }
    }

    fn advance(&self, done: u64) {
        match &self.look {
            Look::Quiet => {}
            Look::Bar(bar) => bar.inc(done),
            Look::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.done += done;
                if lines.shown.elapsed() >= EVERY {
                    lines.shown = Instant::now();
                    line(&told(self.unit, lines.done, lines.total));
                }
            }
        }
    }

    fn say(&self, text: &str) {
        match &self.look {
            Look::Quiet => {}
            Look::Bar(bar) => bar.suspend(|| line(text)),
            Look::Lines(_) => line(text),
        }
    }
}

fn style(unit: Unit, has_total: bool) -> ProgressStyle {
    let template = match (unit, has_total) {
        (Unit::Bytes, true) => "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        (Unit::Bytes, false) => "{spinner} {bytes}, {bytes_per_sec}",
        (_, true) => "{bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left",
        (_, false) => &format!("{{spinner}} {{human_pos}} {}, {{per_sec}}", unit.name()),
    };
    ProgressStyle::with_template(template).expect("the template is right")
}

fn told(unit: Unit, done: u64, total: Option<u64>) -> String {
    let amount = |n| match unit {
        Unit::Bytes => HumanBytes(n).to_string(),
        _ => format!("{} {}", HumanCount(n), unit.name()),
    };
    match total {
        Some(total) => format!("{} of {}", amount(done), amount(total)),
        None => amount(done),
    }
}

fn line(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_amounts() {
        assert_eq!(told(Unit::Bytes, 2048, Some(4096)), "2.00 KiB of 4.00 KiB");
        assert_eq!(told(Unit::Objects, 12345, None), "12,345 objects");
    }

    #[test]
    fn templates_are_understood() {
        for unit in [Unit::Bytes, Unit::Objects, Unit::Tombstones, Unit::Lists] {
            for has_total in [false, true] {
                style(unit, has_total);
            }
        }
    }
}
