//! The answer to a request, before it becomes an HTTP response.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{cors::Exposed, event::Event, object::Timestamp, paging::SingleUse};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Status, headers and body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, without those that every response gets at the end.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The error number, for the log; 0 if there is none.
    pub errno: u16,
    /// Which headers scripts may read, if the request's path does not tell.
    pub exposed: Option<Exposed>,
    /// What becomes of single-use tokens, once the transaction is committed.
    pub single_use: SingleUse,
    /// Whether the cache is to be emptied, once the transaction is committed.
    pub empties_cache: bool,
    /// What was done, as far as somebody wants to be told.
    pub events: Vec<Event>,
    /// What became of the requests of a batch, one after the other.
    pub items: Vec<Done>,
}

/// What became of a request of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The HTTP status.
    pub status: StatusCode,
    /// The error number; 0 if there is none.
    pub errno: u16,
    /// Bytes of the body.
    pub size: usize,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    /// What became of a request that is answered so, without the time that it took.
    pub fn of(reply: &Reply) -> Self {
        let (status, errno, size) = (reply.status, reply.errno, reply.body.len());
        Self { status, errno, size, took: Duration::ZERO }
    }
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::with_capacity(12),
            body: Vec::new(),
            errno: 0,
            exposed: None,
            single_use: SingleUse::default(),
            empties_cache: false,
            events: Vec::new(),
            items: Vec::new(),
        }
    }

    /// An answer whose body is `value`.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("plain data serializes to memory");
        Self::raw_json(status, body)
    }

    /// An answer whose body is this JSON text.
    pub fn raw_json(status: StatusCode, body: Vec<u8>) -> Self {
        let mut reply = Self { body, ..Self::empty(status) };
        reply.headers.insert(header::CONTENT_TYPE, JSON);
        reply
    }

    /// Adds `ETag` and `Last-Modified`.
    pub fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.headers.extend(timestamp_headers(timestamp));
    }
}

/// `ETag` (the milliseconds in quotes) and `Last-Modified` (floored to the second).
pub fn timestamp_headers(timestamp: Timestamp) -> [(header::HeaderName, HeaderValue); 2] {
    /// The last second that HTTP dates can tell.
    const LAST: i64 = 253_402_300_799;
    let seconds = timestamp.0.div_euclid(1000).clamp(0, LAST).cast_unsigned();
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    [
        (header::ETAG, ascii(format!("\"{timestamp}\""))),
        (header::LAST_MODIFIED, ascii(httpdate::fmt_http_date(date))),
    ]
}

/// A header value from text that is known to be visible ASCII.
pub fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII")
}
