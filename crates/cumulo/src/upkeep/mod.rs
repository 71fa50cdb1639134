//! Commands that keep what is stored in order: they open the storage, tell, ask, and let
//! [`cumulo_upkeep`] do it.

mod check;
mod collection;
mod counters;
mod delete_user;
mod purge_deleted;

use std::{
    fmt,
    io::{self, IsTerminal as _},
    sync::Arc,
};

use anyhow::bail;
use cumulo_core::{
    clock::{Clock, SystemClock},
    store::Store,
};
use cumulo_upkeep::Error;

use crate::{
    args::{Change, Common, Stored},
    config::{Config, Env},
    create_user,
    logging::{self, Logs},
    say, wiring,
};

pub(crate) use self::{
    check::run as check,
    collection::{delete as delete_collection, rename as rename_collection},
    counters::run as counters,
    delete_user::run as delete_user,
    purge_deleted::run as purge_deleted,
};

/// Why a command did not do it, with an exit code of its own.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something is not there, or is there already.
    Upkeep(Error),
    /// The settings forbid writing.
    ReadOnly,
    /// There are no accounts.
    NoAccounts,
    /// The answer was no.
    Aborted,
    /// There is nothing of this user.
    NoUser(String),
}

impl Refusal {
    /// Those of Kinto, where it has one.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Upkeep(Error::Store(_)) => 1,
            Self::Upkeep(Error::NoBucket(_)) => 32,
            Self::Upkeep(Error::NoCollection(_)) => 33,
            Self::Upkeep(Error::Taken(_) | Error::Leftovers(_)) => 34,
            Self::ReadOnly => 51,
            Self::NoAccounts => 52,
            Self::Aborted => 53,
            Self::NoUser(_) => 54,
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Upkeep(error) => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upkeep(error) => error.fmt(f),
            Self::ReadOnly => f.write_str("the settings say `readonly`: nothing was changed"),
            Self::NoAccounts => f.write_str("the plugin 'accounts' is not on"),
            Self::Aborted => f.write_str("nothing was changed"),
            Self::NoUser(name) => write!(f, "there is no user '{name}'"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Upkeep(error)
    }
}

/// The settings of a command, which may be about to change what is stored, and its logs.
fn configure(change: &Change, env: &Env) -> anyhow::Result<(Config, Logs)> {
    let (config, logs) = load(&change.stored, env)?;
    if config.settings.readonly && !change.dry_run {
        bail!(Refusal::ReadOnly);
    }
    Ok((config, logs))
}

fn load(stored: &Stored, env: &Env) -> anyhow::Result<(Config, Logs)> {
    let config = Config::of_command(stored, env)?;
    let logs = logging::start(&config.settings, &stored.common)?;
    if !config.is_durable() {
        bail!(
            "the storage of these settings is in the memory of the service: no command reaches it"
        );
    }
    Ok((config, logs))
}

/// Does something with the storage, and closes it.
fn with_store<T>(
    config: &Config,
    work: impl FnOnce(&Arc<dyn Store>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = wiring::open(config, &clock)?;
    let done = work(&store);
    store.close();
    done
}

/// Runs upkeep to its end.
fn block_on<T>(work: impl Future<Output = cumulo_upkeep::Result<T>>) -> anyhow::Result<T> {
    Ok(crate::moving::block_on(work)?.map_err(Refusal::from)?)
}

/// Asks at a terminal whether to go on. Elsewhere nobody could answer.
fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    let answer = create_user::line(&format!("{question} [y/N] "))?;
    if means_yes(&answer) { Ok(()) } else { bail!(Refusal::Aborted) }
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Tells what was done, unless nobody wants to know.
fn tell(common: &Common, text: &str) -> anyhow::Result<()> {
    if common.quiet { Ok(()) } else { say(text) }
}

/// A number and what it counts.
fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", indicatif::HumanCount(n), if n == 1 { one } else { many })
}

/// A text out of the storage, harmless on a terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for yes in ["y", "Y", " yes ", "YES"] {
            assert!(means_yes(yes), "{yes}");
        }
        for no in ["", "n", "no", "yep", "oui"] {
            assert!(!means_yes(no), "{no}");
        }
    }

    #[test]
    fn what_is_printed_moves_no_cursor() {
        assert_eq!(printable("é\u{1b}[2J\n"), "é\\u{1b}[2J\\n");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(1, "record", "records"), "1 record");
        assert_eq!(count(12_345, "record", "records"), "12,345 records");
    }
}
