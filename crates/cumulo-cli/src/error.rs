//! What can go wrong, what to do then, and how the program ends.

use std::{io, path::Path};

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not do what it was told. In words: what happened, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The server, or the way to it.
    #[error("{0}{advice}", advice = advice(.0))]
    Client(cumulo_client::Error),
    /// Some objects of many were not written.
    #[error("{failed} of {total} objects were not written{advice}", advice = advice(.cause))]
    Partly {
        /// How many.
        failed: u64,
        /// How many there are.
        total: u64,
        /// Why the first was not.
        cause: cumulo_client::Error,
    },
    /// What was given to be sent is not what it should be.
    #[error("{0}")]
    Input(String),
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The output could not be written.
    #[error("can't write the output: {0}")]
    Output(io::Error),
    /// The profiles can't be used.
    #[error("{0}")]
    Profile(String),
    /// Credentials that the server does not know.
    #[error("{server} does not know these credentials\n  {advice}")]
    Unknown {
        /// Its URL.
        server: String,
        /// What to do next.
        advice: &'static str,
    },
    /// It was done, and not all is as it should be.
    #[error("{message}")]
    Incomplete {
        /// What is not.
        message: String,
        /// The status that the program ends with.
        code: u8,
    },
    /// It was done, and the status tells what was found; nobody wants to read it.
    #[error("")]
    Silent(u8),
    /// Somebody was asked, and said no.
    #[error("nothing was done")]
    Aborted,
}

// These are no sources: their words are part of ours.
impl From<cumulo_client::Error> for Error {
    fn from(error: cumulo_client::Error) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Error {
    pub(crate) fn file(path: &Path, cause: io::Error) -> Self {
        Self::File { path: path.display().to_string(), cause }
    }

    /// The status that the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Profile(_) => 2,
            // What could not even be sent came from the data.
            Self::Input(_) | Self::Partly { cause: cumulo_client::Error::Argument(_), .. } => 6,
            Self::Client(error) | Self::Partly { cause: error, .. } => code_of(error),
            Self::Unknown { .. } => 4,
            Self::Incomplete { code, .. } | Self::Silent(code) => *code,
            // As other commands that ask.
            Self::Aborted => 53,
            Self::File { .. } | Self::Output(_) => 1,
        }
    }

    /// Whether it is only that nobody reads on, as in `cumulo list blog | head`.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn code_of(error: &cumulo_client::Error) -> u8 {
    use cumulo_client::Error as E;
    match error {
        E::Argument(_) => 2,
        E::NotFound(_) | E::Gone(_) | E::Missing(_) | E::Unsupported { .. } => 3,
        E::Unauthorized(_) | E::Forbidden(_) | E::Login(_) => 4,
        E::Conflict(_) => 5,
        E::Invalid(_) | E::TooLarge(_) => 6,
        E::Throttled(_)
        | E::Backoff { .. }
        | E::Server(_)
        | E::Other(_)
        | E::Answer { .. }
        | E::AnswerTooLarge { .. }
        | E::Replication(_) => 7,
        E::Timeout { .. } | E::Transport { .. } => 8,
        E::Unfinished(upload) => code_of(&upload.cause),
        E::Batch(failures) => {
            let first = failures.results.failures().next().map(|it| it.error);
            failures.cause.as_ref().or(first.as_ref()).map_or(1, code_of)
        }
        _ => 1,
    }
}

/// What to do next, on a line of its own.
fn advice(error: &cumulo_client::Error) -> &'static str {
    use cumulo_client::Error as E;
    match error {
        E::Unauthorized(_) | E::Login(_) => {
            "\n  `cumulo login URL` asks for credentials and keeps them"
        }
        E::Forbidden(_) => {
            "\n  `cumulo info` shows who you are, `cumulo list permissions` what you may do"
        }
        E::NotFound(_) => {
            "\n  `cumulo list` shows what there is, `cumulo info` what the server can do"
        }
        E::Conflict(_) => {
            "\n  it has changed, or is there already: `cumulo get` shows what it is now"
        }
        E::Throttled(_) | E::Backoff { .. } => "\n  try again later, or raise --retry",
        E::Timeout { .. } | E::Transport { .. } => {
            "\n  is the server running, and is its URL right? `cumulo login --list` shows the profiles"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_reads_no_longer_is_no_failure() {
        assert!(Error::Output(io::ErrorKind::BrokenPipe.into()).is_broken_pipe());
        assert!(!Error::Output(io::ErrorKind::StorageFull.into()).is_broken_pipe());
        let path = Path::new("pipe");
        assert!(!Error::file(path, io::ErrorKind::BrokenPipe.into()).is_broken_pipe());
    }
}
