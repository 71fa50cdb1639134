//! What can go wrong with a server, and what that means for who asked.

use std::io;

use cumulo_core::store::Error;
use postgres_protocol::message::backend::ErrorFields;

use fallible_iterator::FallibleIterator;

/// The session has no such prepared statement.
const NO_SUCH_STATEMENT: &str = "26000";

/// Why statements could not be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The connection is no more, or there is none.
    #[error("no connection to PostgreSQL")]
    Lost(#[source] io::Error),
    /// The server refused a statement.
    #[error("{message} (SQLSTATE {code})")]
    Refused { code: String, message: String },
    /// A standby is too far behind its primary, or it can't be told how far.
    #[error("the standby is too far behind")]
    Behind,
    /// What takes the rows failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Run the work again: another transaction was in the way.
    Again,
    /// Run it again on another connection: this one leads to a server that stops, or that takes no
    /// writes.
    Elsewhere,
    /// Nothing helps.
    None,
}

impl Failure {
    pub(super) fn refused(mut fields: ErrorFields<'_>) -> Self {
        let (mut code, mut message) = (String::new(), String::new());
        while let Ok(Some(field)) = fields.next() {
            match field.type_() {
                b'C' => code = String::from_utf8_lossy(field.value_bytes()).into_owned(),
                b'M' => message = String::from_utf8_lossy(field.value_bytes()).into_owned(),
                // The detail may hold what people have stored: it does not belong into logs.
                _ => {}
            }
        }
        if code == NO_SUCH_STATEMENT {
            message += "; a connection pooler must be in session mode";
        }
        Self::Refused { code, message }
    }

    /// SQLSTATE, as in appendix A of the manual of PostgreSQL.
    pub(super) fn code(&self) -> &str {
        if let Self::Refused { code, .. } = self { code } else { "" }
    }

    pub(super) fn remedy(&self) -> Remedy {
        match (self, self.code()) {
            (Self::Lost(_) | Self::Behind, _) => Remedy::Elsewhere,
            // Serialization failure, deadlock; a writer that does not take our locks was faster.
            (_, "40001" | "40P01" | "23505") => Remedy::Again,
            // Takes no writes; stops or starts; was idle for too long; a plan or a statement that
            // this session no longer has.
            (
                _,
                "25006" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "0A000"
                | NO_SUCH_STATEMENT,
            ) => Remedy::Elsewhere,
            (_, code) if code.starts_with("08") => Remedy::Elsewhere,
            _ => Remedy::None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let passing = match (&failure, failure.code()) {
            (Failure::Store(_), _) => false,
            (_, "55P03" | "57014") => true,
            // Out of memory, disk or connections; a login or a database that somebody changes.
            (_, code) if ["53", "28", "3D"].iter().any(|class| code.starts_with(class)) => true,
            _ => failure.remedy() != Remedy::None,
        };
        match failure {
            Failure::Store(error) => error,
            // A program limit: the engine tells which.
            Failure::Refused { code, message } if code.starts_with("54") => {
                Self::Unstorable(message)
            }
            failure if passing => Self::Unavailable(Box::new(failure)),
            failure => Self::Internal(Box::new(failure)),
        }
    }
}
