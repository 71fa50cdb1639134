//! What can go wrong.

use std::{fmt, time::Duration};

use cumulo_wire::Errno;
use http::{StatusCode, header::LOCATION};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Object,
    batch::Failures,
    response::{Request, Response},
    upload::Unfinished,
};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not succeed. [`Error::refusal`] has the server's words, with request and response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401: nobody is logged in, or not with these credentials.
    #[error("{0}: give valid credentials")]
    Unauthorized(Box<Refusal>),
    /// 403: the user has not the permission. Servers answer so too where the parent does not exist.
    #[error("{0}: the user has not the permission, or what is above it does not exist")]
    Forbidden(Box<Refusal>),
    /// 404: there is no such object.
    #[error("{0}")]
    NotFound(Box<Refusal>),
    /// 404, because the server has not what the call needs, such as the plugin `history`.
    #[error("{refusal}: the server has not the capability '{capability}'")]
    Unsupported {
        /// What it would have to have.
        capability: &'static str,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// 412 and 409: somebody else has changed or created it; see [`Refusal::existing`].
    #[error("{0}")]
    Conflict(Box<Refusal>),
    /// 400 and other refusals of what was sent; see [`Refusal::fields`].
    #[error("{0}")]
    Invalid(Box<Refusal>),
    /// 413: the request, or what it would store, is too large.
    #[error("{0}")]
    TooLarge(Box<Refusal>),
    /// 429, or 503 with a time to come back: the server has too much to do.
    #[error("{0}")]
    Throttled(Box<Refusal>),
    /// 410: the service has ended.
    #[error("{0}")]
    Gone(Box<Refusal>),
    /// 5xx: the server failed.
    #[error("{0}")]
    Server(Box<Refusal>),
    /// Another status that is not a success.
    #[error("{0}")]
    Other(Box<Refusal>),
    /// The server asked all clients to wait, and this one is set to fail rather than to wait.
    #[error("the server wants no requests for {} s", .remaining.as_secs_f32().ceil())]
    Backoff {
        /// How long it still wants none.
        remaining: Duration,
    },
    /// There was no answer in time.
    #[error("{} {}: no answer in time", .request.method, .request.url)]
    Timeout {
        /// What was asked.
        request: Box<Request>,
        /// What the transport says, if it is that which has waited.
        source: Option<reqwest::Error>,
    },
    /// The connection failed.
    #[error("{} {}: {}", .request.method, .request.url, deepest(.source))]
    Transport {
        /// What was asked.
        request: Box<Request>,
        /// What the transport says.
        source: reqwest::Error,
    },
    /// The answer is larger than the client accepts.
    #[error("{} {}: the answer is larger than {limit} bytes", .request.method, .request.url)]
    AnswerTooLarge {
        /// What was asked.
        request: Box<Request>,
        /// How many bytes are accepted.
        limit: usize,
    },
    /// The answer is not what the protocol, or the type of the data, says.
    #[error("{} {}: the answer is not understood: {source}", .response.request.method, .response.request.url)]
    Answer {
        /// What is wrong with it.
        source: serde_json::Error,
        /// What came.
        response: Box<Response>,
    },
    /// Some operations of a batch failed.
    #[error("{0}")]
    Batch(Box<Failures>),
    /// An upload ended before its end.
    #[error("{0}")]
    Unfinished(Box<Unfinished>),
    /// The operation was not sent, because one before it in the batch failed on the server.
    #[error("not sent, because the batch ended before")]
    NotSent,
    /// What was asked for makes no request: an invalid id, data that is not a JSON object, …
    #[error("{0}")]
    Argument(String),
    /// The history of a collection does not begin with its creation, so that nobody knows what was
    /// in it.
    #[error("the history of the collection {collection} does not begin with its creation")]
    IncompleteHistory {
        /// Which.
        collection: String,
    },
    /// Two places can't be compared, or one can't be made as the other is.
    #[error("{0}")]
    Replication(String),
    /// The credentials could not be had.
    #[error("can't log in: {0}")]
    Login(String),
    /// What was asked for is not there: the record has no attachment, the server no provider.
    #[error("{0}")]
    Missing(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file that was downloaded is not what the server described.
    #[error("{path}: {problem}")]
    Corrupt {
        /// Which.
        path: String,
        /// How it differs.
        problem: String,
    },
}

impl Error {
    /// The error that an answer stands for.
    pub(crate) fn of(response: Response) -> Self {
        let refusal = Box::new(Refusal::new(response));
        match refusal.response.status.as_u16() {
            401 => Self::Unauthorized(refusal),
            403 => Self::Forbidden(refusal),
            404 => Self::NotFound(refusal),
            409 | 412 => Self::Conflict(refusal),
            410 => Self::Gone(refusal),
            413 => Self::TooLarge(refusal),
            429 => Self::Throttled(refusal),
            503 if refusal.retry_after().is_some() => Self::Throttled(refusal),
            500.. => Self::Server(refusal),
            400 | 405 | 406 | 414 | 415 | 422 | 431 => Self::Invalid(refusal),
            _ => Self::Other(refusal),
        }
    }

    /// What the server said, if it is the server that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Unauthorized(it)
            | Self::Forbidden(it)
            | Self::NotFound(it)
            | Self::Conflict(it)
            | Self::Invalid(it)
            | Self::TooLarge(it)
            | Self::Throttled(it)
            | Self::Gone(it)
            | Self::Server(it)
            | Self::Other(it)
            | Self::Unsupported { refusal: it, .. } => Some(it),
            _ => None,
        }
    }

    /// The object that is there, after a precondition failed.
    pub fn existing(&self) -> Option<Object> {
        self.refusal()?.existing()
    }

    /// The answer, if there was one.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Answer { response, .. } => Some(response),
            _ => self.refusal().map(|it| &it.response),
        }
    }

    /// The request, if there was one.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Timeout { request, .. }
            | Self::Transport { request, .. }
            | Self::AnswerTooLarge { request, .. } => Some(request),
            _ => self.response().map(|it| &it.request),
        }
    }

    /// The status, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(|it| it.status)
    }
}

/// Why a server did not do what it was asked for. In words: method, URL, status, and what it said.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The answer as it came, with the request.
    pub response: Response,
    /// Its number, as the server sent it.
    pub number: Option<u16>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Where to read more.
    pub info: Option<String>,
    /// What a program can act on, as the server sent it.
    pub details: Option<Value>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Field {
    /// Where it stands: `body`, `querystring`, `header`, `path` or `method`.
    pub location: String,
    /// Its name, such as `data.title`, if it has one.
    pub name: Option<String>,
    /// What is wrong.
    pub description: String,
}

/// <https://docs.kinto-storage.org/en/stable/api/1.x/errors.html>
#[derive(Default, Deserialize)]
struct Body {
    errno: Option<u16>,
    message: Option<String>,
    info: Option<String>,
    details: Option<Value>,
}

impl Refusal {
    pub(crate) fn new(response: Response) -> Self {
        let Body { errno, message, info, details } =
            serde_json::from_slice(&response.body).unwrap_or_default();
        Self { response, number: errno, message, info, details }
    }

    /// The error among those that are known.
    pub fn errno(&self) -> Option<Errno> {
        self.number.and_then(Errno::from_number)
    }

    /// The object that is there, after a precondition failed.
    pub fn existing(&self) -> Option<Object> {
        Object::from_value(self.details.as_ref()?.get("existing")?.clone())
    }

    /// What is wrong with the parts of the request.
    pub fn fields(&self) -> Vec<Field> {
        let fields = self.details.as_ref().and_then(Value::as_array).into_iter().flatten();
        fields.filter_map(|field| Field::deserialize(field).ok()).collect()
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.response.retry_after()
    }

    /// The server's words, or the beginning of what came in place of them.
    fn words(&self) -> String {
        if self.response.status.is_redirection()
            && let Some(location) = self.response.header(LOCATION.as_str())
        {
            return format!("it is at {location}");
        }
        let detail = |name: &str| self.details.as_ref()?.get(name)?.as_str();
        match (&self.message, self.number) {
            (Some(message), _) => message.clone(),
            (None, None) => {
                String::from_utf8_lossy(&self.response.body).chars().take(200).collect()
            }
            (None, Some(_)) => match (detail("resource_name"), detail("id")) {
                (Some(resource), Some(id)) => format!("there is no {resource} '{id}'"),
                _ => String::new(),
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, url, .. } = &self.response.request;
        write!(f, "{method} {url}: {}", self.response.status)?;
        let words = self.words();
        let words = words.trim().trim_end_matches('.');
        if words.is_empty() { Ok(()) } else { write!(f, ", {words}") }
    }
}

/// The innermost cause, which says most.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
