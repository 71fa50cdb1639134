//! What the client sends, and what it makes of answers: tests against a server that answers as each
//! test says.
//!
//! The module [`must_beat`] has one test for each defect of the Python client kinto-http 11.11 that
//! must not come back; the others follow a request on its way.

#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "tests")]

mod answers;
mod backoff;
mod batch;
mod blocking;
mod conditions;
mod dry;
mod extras;
mod headers;
mod must_beat;
mod past;
mod retry;
mod secrets;
mod stub;
mod timeouts;
