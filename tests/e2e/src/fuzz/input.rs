//! Requests that are wrong in one way or another.

use rand::Rng;
use rand::rngs::StdRng;

use super::values::{self, CONTENT_TYPES, pick};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    Batch,
    Query,
    Header,
    Path,
    Method,
    /// The body is not as long as announced, or its framing is broken.
    Framing,
    /// Some bytes of a good request are changed.
    Noise,
    /// The end of a good request is missing.
    Cut,
}

/// A request as it is sent.
pub(super) struct Input {
    pub(super) kind: Kind,
    pub(super) method: String,
    pub(super) bytes: Vec<u8>,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Body,
        Self::Batch,
        Self::Query,
        Self::Header,
        Self::Path,
        Self::Method,
        Self::Framing,
        Self::Noise,
        Self::Cut,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Body => "bodies",
            Self::Batch => "batches",
            Self::Query => "query strings",
            Self::Header => "headers",
            Self::Path => "paths",
            Self::Method => "methods",
            Self::Framing => "framing",
            Self::Noise => "noise",
            Self::Cut => "cut requests",
        }
    }
}

impl Input {
    /// Whether the server may close the connection without an answer.
    pub(super) fn may_stay_unanswered(&self) -> bool {
        matches!(self.kind, Kind::Framing | Kind::Noise | Kind::Cut)
    }

    /// For messages.
    pub(super) fn summary(&self) -> String {
        let start = &self.bytes[..self.bytes.len().min(600)];
        format!("{} bytes: {}", self.bytes.len(), start.escape_ascii())
    }
}

/// A request of any kind.
pub(super) fn any(random: &mut StdRng) -> Input {
    let kind = Kind::ALL[random.random_range(0..Kind::ALL.len())];
    let mut method = pick(random, METHODS).to_owned();
    let mut path = pick(random, PATHS).to_owned();
    let mut headers = b"Authorization: Basic YWxpY2U6czNjcjN0\r\n".to_vec();
    let mut body = b"{\"data\": {\"n\": 1}}".to_vec();
    let mut content_type = "application/json";
    let mut length = None;
    match kind {
        Kind::Body => {
            body = values::nearly_json(random);
            pick(random, &["PUT", "POST", "PATCH", "DELETE"]).clone_into(&mut method);
            if random.random_bool(0.4) {
                content_type = pick(random, CONTENT_TYPES);
            }
        }
        Kind::Batch => {
            body = values::batch(random, &path);
            (method, path) = ("POST".to_owned(), "/v1/batch".to_owned());
        }
        Kind::Query => path += &values::query(random),
        Kind::Header => {
            for _ in 0..random.random_range(1..4) {
                headers.extend(values::header(random));
            }
        }
        Kind::Path => path = odd_path(random),
        Kind::Method => method = odd_method(random),
        Kind::Framing => {
            let odd = pick(random, LENGTHS);
            length = Some(odd.to_owned());
        }
        Kind::Noise | Kind::Cut => {}
    }
    let length = length.unwrap_or_else(|| format!("Content-Length: {}\r\n", body.len()));
    let start = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    let content_type = format!("Content-Type: {content_type}\r\n");
    let parts: [&[u8]; 6] =
        [start.as_bytes(), &headers, content_type.as_bytes(), length.as_bytes(), b"\r\n", &body];
    let mut bytes = parts.concat();
    match kind {
        Kind::Noise => bytes = values::flip(&bytes, random),
        Kind::Cut => bytes = values::cut(&bytes, random),
        _ => {}
    }
    Input { kind, method, bytes }
}

fn odd_path(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => pick(random, ODD_PATHS).to_owned(),
        1 => format!("{}/{}", pick(random, PATHS), pick(random, SEGMENTS)),
        2 => {
            let (bucket, collection) = (pick(random, SEGMENTS), pick(random, SEGMENTS));
            format!(
                "/v1/buckets/{bucket}/collections/{collection}/records/{}",
                pick(random, SEGMENTS)
            )
        }
        _ => format!("/v1/buckets/{}", "a".repeat(random.random_range(1..60_000))),
    }
}

fn odd_method(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => "A".repeat(random.random_range(1..500)),
        _ => pick(random, ODD_METHODS).to_owned(),
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];

const ODD_METHODS: &[&str] = &[
    "TRACE", "PROPFIND", "get", "Get", "LOCK", "PURGE", "X", "GET-", "M-SEARCH", "PUTT", "LINK",
    "CONNECT", "PRI",
];

const PATHS: &[&str] = &[
    "/v1/",
    "/v1/__heartbeat__",
    "/v1/__lbheartbeat__",
    "/v1/__version__",
    "/v1/contribute.json",
    "/v1/batch",
    "/v1/permissions",
    "/v1/buckets",
    "/v1/buckets/fuzz",
    "/v1/buckets/fuzz/groups",
    "/v1/buckets/fuzz/groups/team",
    "/v1/buckets/fuzz/collections",
    "/v1/buckets/fuzz/collections/items",
    "/v1/buckets/fuzz/collections/items/records",
    "/v1/buckets/fuzz/collections/items/records/r1",
    "/v1/buckets/fuzz/collections/items/records/new",
    "/v1/buckets/default",
    "/v1/buckets/default/collections/mine/records",
    "/v1/buckets/default/collections/mine/records/one",
    "/v1/buckets/missing/collections/items/records",
    "/v1/__user_data__/basicauth:x",
    "/v1/nothing",
    "/",
];

const ODD_PATHS: &[&str] = &[
    "*",
    "//",
    "/.",
    "/..",
    "/v1",
    "/v1//",
    "/v1/buckets/",
    "/v1/buckets//collections",
    "/v2/",
    "/v99999999999/",
    "/v1x",
    "/v1/../v1/",
    "/v1/%2e%2e/",
    "/%76%31/",
    "/v1/buckets%2Ffuzz",
    "/v1/buckets/fuzz%00",
    "/v1/%ff%fe",
    "/v1/%",
    "/v1/%zz",
    "/v1/buckets/fuzz?",
    "/v1/buckets/fuzz#fragment",
    "/v1/buckets/fuzz;a=b",
    "http://127.0.0.1/v1/",
    "http://",
    "http://example.com:99999/v1/",
    "127.0.0.1:80",
    "/v1/\\",
    "/v1/buckets/fuzz/attributes",
    "/favicon.ico",
    "/robots.txt",
];

const SEGMENTS: &[&str] = &[
    "fuzz",
    "items",
    "r1",
    "-",
    "_",
    ".",
    "..",
    "%20",
    "%2F",
    "%00",
    "%C3%A9",
    "%ff",
    "a%0d%0ab",
    "'",
    "*",
    "~",
    "a.b",
    "a:b",
    "default",
    "%25",
    "+",
    "@",
    "$",
    "(",
    "0",
    "-1",
    "null",
    "True",
    "batch",
    "%F0%9F%8E%89",
    "%E2%80%AE",
];

const LENGTHS: &[&str] = &[
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: abc\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 999999999\r\n",
    "Content-Length: 18\r\nContent-Length: 19\r\n",
    "Content-Length: 18, 18\r\n",
    "Content-Length: +18\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 18\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Expect: 200-maybe\r\nContent-Length: 18\r\n",
    "",
];
