//! What a description is made of, in no version's words. Schemas are those of OpenAPI 3.1, and refer
//! to each other as `#/components/schemas/Bucket`.

use http::Method;
use serde_json::{Map, Value, json};

use crate::params::headers::JSON;

/// What the service can be asked, and what it answers.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The operations, in the order in which people want to read them.
    pub operations: Vec<Operation>,
    /// Parameters by the keys that operations refer to.
    pub parameters: Vec<(String, Parameter)>,
    /// Schemas by name.
    pub schemas: Map<String, Value>,
    /// Ways to log in, as OpenAPI 3.1 writes them, by the names of their policies.
    pub security: Map<String, Value>,
    /// Whether something is not known yet, so that this is not to be kept.
    pub lacks_something: bool,
}

/// A method of a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The name in generated clients, such as `get_bucket`.
    pub id: String,
    /// The method.
    pub method: Method,
    /// The path without version prefix, such as `/buckets/{id}`.
    pub path: String,
    /// The heading under which it stands.
    pub tag: String,
    /// What it does, in a few words.
    pub summary: String,
    /// What else there is to know; code is between backticks.
    pub description: &'static str,
    /// The keys of its parameters.
    pub parameters: Vec<String>,
    /// The body of the request.
    pub body: Option<Body>,
    /// What it answers if all is well.
    pub answers: Vec<Answer>,
    /// The statuses of the errors that it may answer with, of those in [`ERRORS`].
    pub errors: Vec<u16>,
    /// Whether it matters who asks.
    pub asks_who: bool,
    /// Whether Kinto's document leaves it out, and so ours that is like it.
    pub extra: bool,
}

impl Operation {
    /// An operation without parameters that takes and answers nothing.
    pub fn new(method: Method, path: &str, id: &str, tag: &str, summary: &str) -> Self {
        Self {
            id: id.to_owned(),
            method,
            path: path.to_owned(),
            tag: tag.to_owned(),
            summary: summary.to_owned(),
            description: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            errors: vec![503],
            asks_who: false,
            extra: false,
        }
    }

    /// Whether its answers have no content.
    pub fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// In a header.
    Header,
}

impl Place {
    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A part of the path, a field of the query string, or a header.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What it means.
    pub description: String,
    /// What values it takes. Arrays are separated by commas, objects are several fields.
    pub schema: Value,
    /// Whether a request has to have it, as it has all parts of the path.
    pub required: bool,
    /// A value, where a reader or a tool needs one.
    pub example: Option<Value>,
    /// See [`Operation::extra`].
    pub extra: bool,
}

/// The body of a request, which is required.
#[derive(Clone, Debug)]
pub struct Body {
    /// The name in documents of version 2.
    pub title: &'static str,
    /// What it may be; the first is the usual one.
    pub contents: Vec<Content>,
}

/// The content of a body.
#[derive(Clone, Debug)]
pub struct Content {
    /// The media type.
    pub media_type: &'static str,
    /// What it looks like.
    pub schema: Value,
    /// An example, if there is a telling one.
    pub example: Option<Value>,
}

impl Content {
    /// JSON of this shape.
    pub fn json(schema: Value) -> Self {
        Self { media_type: JSON, schema, example: None }
    }

    /// The same with an example.
    #[must_use]
    pub fn with_example(mut self, example: Value) -> Self {
        self.example = Some(example);
        self
    }
}

/// What an operation answers if all is well.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What it means.
    pub description: String,
    /// The names of its headers, of those in [`HEADERS`].
    pub headers: Vec<&'static str>,
    /// The content, if it has any.
    pub content: Option<Content>,
}

impl Answer {
    /// An answer without headers of its own.
    pub fn new(status: u16, description: &str, content: Option<Content>) -> Self {
        Self { status, description: description.to_owned(), headers: Vec::new(), content }
    }
}

/// An error that operations answer with.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    /// The status.
    pub status: u16,
    /// The name among the components.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    /// The names of its headers, of those in [`HEADERS`].
    pub headers: &'static [&'static str],
}

const fn error(
    status: u16,
    name: &'static str,
    description: &'static str,
    headers: &'static [&'static str],
) -> Error {
    Error { status, name, description, headers }
}

/// Every error that operations answer with; all have the same shape.
pub const ERRORS: &[Error] = &[
    error(400, "BadRequest", "The request is invalid.", &[]),
    error(401, "Unauthorized", "The request needs somebody who is logged in.", &[]),
    error(
        403,
        "Forbidden",
        "The user is not allowed to perform the operation, or the resource is not accessible.",
        &[],
    ),
    error(404, "NotFound", "The object, or one above it, does not exist or was deleted.", &[]),
    error(406, "NotAcceptable", "The client doesn't accept JSON.", &[]),
    error(409, "Conflict", "Another change got in the way. Try again.", &["Retry-After"]),
    error(
        412,
        "PreconditionFailed",
        "It was changed, created or deleted since the value in `If-Match` or `If-None-Match`.",
        &["ETag", "Last-Modified"],
    ),
    error(413, "ContentTooLarge", "The body is larger than the server takes.", &[]),
    error(415, "UnsupportedMediaType", "The `Content-Type` of the body is not supported.", &[]),
    error(
        429,
        "TooManyRequests",
        "There were too many wrong passwords for this account. Try again later.",
        &["Retry-After"],
    ),
    error(503, "ServiceUnavailable", "The server can't answer now.", &["Retry-After"]),
];

/// The error with this status.
pub fn error_of(status: u16) -> Option<&'static Error> {
    ERRORS.iter().find(|error| error.status == status)
}

/// A header of responses.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Whether it is always there.
    pub required: bool,
    schema: fn() -> Value,
}

impl Header {
    /// What it looks like.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }
}

const fn header(
    name: &'static str,
    required: bool,
    schema: fn() -> Value,
    description: &'static str,
) -> Header {
    Header { name, description, required, schema }
}

/// The value of an `ETag`, or of a header that compares it.
pub(crate) const TAG: &str = "^\"[0-9]+\"$|^\\*$";

/// The headers of responses that clients act on.
pub const HEADERS: &[Header] = &[
    header(
        "ETag",
        true,
        || json!({"type": "string", "pattern": "^\"[0-9]+\"$"}),
        "The timestamp of the object or the list, in quotes, for `If-Match` and `If-None-Match`.",
    ),
    header("Last-Modified", true, text, "The same moment as an HTTP date."),
    header("Cache-Control", true, text, "Whether the answer may be kept."),
    header(
        "Next-Page",
        false,
        || json!({"type": "string", "format": "uri"}),
        "The URL of the next page, if there is one.",
    ),
    header("Total-Objects", true, count, "How many objects match the filters."),
    header("Total-Records", true, count, "The same, for old clients."),
    header("Retry-After", true, count, "After how many seconds to try again."),
    header("Location", true, text, "Where to go."),
];

fn text() -> Value {
    json!({"type": "string"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// The header with this name.
pub fn header_of(name: &str) -> Option<&'static Header> {
    HEADERS.iter().find(|header| header.name == name)
}

impl Parameter {
    /// A parameter that Kinto's document has too, required if it is part of the path.
    pub fn new(name: &str, place: Place, schema: Value, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            place,
            description: description.to_owned(),
            schema,
            required: place == Place::Path,
            example: None,
            extra: false,
        }
    }
}

impl Description {
    /// Adds a parameter under a key.
    pub fn add_parameter(&mut self, key: &str, parameter: Parameter) {
        self.parameters.push((key.to_owned(), parameter));
    }

    /// The parameter with this key.
    pub fn parameter(&self, key: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|(known, _)| known == key).map(|(_, parameter)| parameter)
    }

    /// The parameters of an operation.
    pub fn parameters_of<'a>(
        &'a self,
        operation: &'a Operation,
    ) -> impl Iterator<Item = &'a Parameter> {
        operation.parameters.iter().filter_map(|key| self.parameter(key))
    }

    /// The tags in their order.
    pub fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = Vec::new();
        for operation in &self.operations {
            if !tags.contains(&operation.tag.as_str()) {
                tags.push(&operation.tag);
            }
        }
        tags
    }

    /// A schema, or the one that it refers to.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }
}

/// The schema of a list of what has the schema with this name.
pub fn list_of(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {"data": {"type": "array", "items": reference(name)}},
        "required": ["data"],
    })
}

/// A schema that refers to the one with this name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A word with its first letter in upper case, as in names of schemas and tags.
pub fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
