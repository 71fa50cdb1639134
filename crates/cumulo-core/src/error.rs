//! What a client reads when its request can't be answered as asked.

use std::{borrow::Cow, fmt};

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

pub use cumulo_wire::Errno;

use crate::{object::Object, reply::Reply, store};

/// Where in the request an invalid value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The body.
    Body,
    /// The query string.
    Querystring,
    /// A header.
    Header,
    /// The path.
    Path,
    /// The method.
    Method,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Querystring => "querystring",
            Self::Header => "header",
            Self::Path => "path",
            Self::Method => "method",
        })
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// Where it stands.
    pub location: Location,
    /// The name of the parameter, header or field, if it has one.
    pub name: Option<String>,
    /// What is wrong.
    pub description: String,
}

impl Invalid {
    /// A problem with a named part of the request.
    pub fn new(
        location: Location,
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self { location, name: Some(name.into()), description: description.into() }
    }

    /// A problem with a part of the request as a whole.
    pub fn unnamed(location: Location, description: impl Into<String>) -> Self {
        Self { location, name: None, description: description.into() }
    }

    /// What stands for the name where problems are sorted.
    fn sort_name(&self) -> &str {
        self.name.as_deref().unwrap_or("None")
    }

    fn message(&self) -> String {
        match &self.name {
            None => format!("{}: {}", self.location, self.description),
            Some(name) if self.description.contains(name.as_str()) => self.description.clone(),
            Some(name) => format!("{name} in {}: {}", self.location, self.description),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "location": self.location.to_string(),
            "name": self.name,
            "description": self.description,
        })
    }
}

/// The error that every request can end with; the edge only renders it.
#[derive(Debug)]
pub struct ApiError {
    /// Which error it is.
    pub errno: Errno,
    /// The HTTP status.
    pub status: StatusCode,
    /// A few words, mostly the name of the status.
    pub error: Cow<'static, str>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Where to read more.
    pub info: Option<String>,
    /// What a program can act on.
    pub details: Option<Value>,
    /// Headers that go with it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The failure of the store behind it, which ends the transaction.
    pub cause: Option<store::Error>,
}

/// The result of answering a request.
pub type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    /// An error with the status and name that go with `errno`.
    pub fn new(errno: Errno) -> Self {
        let status = errno.status();
        Self {
            errno,
            status,
            error: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            message: None,
            info: None,
            details: None,
            headers: Vec::new(),
            cause: None,
        }
    }

    /// The same error with a message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same error with details.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The same error with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The request is invalid in at least one way.
    pub fn invalid(mut problems: Vec<Invalid>) -> Self {
        problems.sort_by(|a, b| a.sort_name().cmp(b.sort_name()));
        let message = problems.first().map(Invalid::message).unwrap_or_default();
        let details = problems.iter().map(Invalid::to_json).collect();
        let mut error = Self::new(Errno::InvalidParameters)
            .with_message(message)
            .with_details(Value::Array(details));
        error.error = Cow::Borrowed("Invalid parameters");
        error
    }

    /// The request is invalid, but has another status than 400.
    pub fn invalid_as(status: StatusCode, problem: Invalid) -> Self {
        Self { status, ..Self::invalid(vec![problem]) }
    }

    /// Nobody is logged in.
    pub fn unauthorized() -> Self {
        Self::new(Errno::MissingAuthToken)
            .with_message("Please authenticate yourself to use this endpoint.")
    }

    /// The user has not the permission.
    pub fn forbidden() -> Self {
        Self::new(Errno::Forbidden).with_message("This user cannot access this resource.")
    }

    /// The request is not allowed; who is not logged in may try again as somebody.
    pub fn denied(authenticated: bool) -> Self {
        if authenticated { Self::forbidden() } else { Self::unauthorized() }
    }

    /// There is no such object.
    pub fn object_not_found(resource: &str, id: &str) -> Self {
        Self::new(Errno::InvalidResourceId)
            .with_details(json!({"id": id, "resource_name": resource}))
    }

    /// An object above the requested one is not there.
    pub fn parent_not_found(resource: &str, id: &str) -> Self {
        Self::new(Errno::MissingResource).with_details(json!({"id": id, "resource_name": resource}))
    }

    /// There is no such URL.
    pub fn url_not_found() -> Self {
        Self::new(Errno::MissingResource)
            .with_message("The resource you are looking for could not be found.")
    }

    /// The URL is not there for this method, but for `allowed`.
    pub fn method_not_allowed(allowed: &str) -> Self {
        let error =
            Self::new(Errno::MethodNotAllowed).with_message("Method not allowed on this endpoint.");
        match HeaderValue::from_str(allowed) {
            Ok(value) if !allowed.is_empty() => error.with_header(header::ALLOW, value),
            _ => error,
        }
    }

    /// A precondition does not hold; `existing` is what the client would have changed.
    pub fn modified_meanwhile(existing: Option<&Object>) -> Self {
        let error =
            Self::new(Errno::ModifiedMeanwhile).with_message("Resource was modified meanwhile");
        match existing {
            Some(object) => {
                error.with_details(json!({"existing": crate::render::to_value(object.as_row())}))
            }
            None => error,
        }
    }

    /// Something that must not happen did.
    pub fn internal(info: &str) -> Self {
        let mut error = Self::new(Errno::Undefined)
            .with_message("A programmatic error occurred, developers have been informed.");
        error.info = Some(info.to_owned());
        error
    }

    /// The answer that the client gets.
    pub fn into_reply(self) -> Reply {
        let mut body = Map::new();
        body.insert("code".into(), self.status.as_u16().into());
        body.insert("errno".into(), (self.errno as u16).into());
        body.insert("error".into(), self.error.into());
        let optional = [
            ("message", self.message.map(Value::from)),
            ("info", self.info.map(Value::from)),
            ("details", self.details),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                body.insert(name.into(), value);
            }
        }
        let mut reply = Reply::json(self.status, &Value::Object(body));
        reply.errno = self.errno as u16;
        reply.headers.extend(self.headers);
        reply
    }
}

impl From<Invalid> for ApiError {
    fn from(problem: Invalid) -> Self {
        Self::invalid(vec![problem])
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::TimestampTaken(_) => Self::new(Errno::ConstraintViolated)
                .with_message("Integrity constraint violated, please retry."),
            store::Error::Unstorable(reason) => {
                let problem = format!("The storage can't keep this: {reason}");
                let refused = Self::from(Invalid::unnamed(Location::Body, problem));
                Self { cause: Some(store::Error::Unstorable(reason)), ..refused }
            }
            store::Error::Internal(_) => Self { cause: Some(error), ..Self::internal("") },
            store::Error::Unavailable(_) | store::Error::ReadOnly | store::Error::Behind => {
                let unavailable = Self::new(Errno::Backend).with_message(
                    "Service temporary unavailable due to overloading or maintenance, \
                     please retry later.",
                );
                Self { cause: Some(error), ..unavailable }
            }
        }
    }
}
