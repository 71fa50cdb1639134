//! A request as the core reads it.

use http::{HeaderMap, Method, header};

use crate::error::{ApiError, Errno, Result};

/// The header with the name of a request in logs.
pub const REQUEST_ID: header::HeaderName = header::HeaderName::from_static("x-request-id");

/// A request whose body has arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded.
    pub path: String,
    /// The query string as it came, without `?`; empty if there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for this path and query as they came. Refused if they don't decode to UTF-8.
    pub fn new(
        method: Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Self> {
        let path = decode_target(path, query)?;
        Ok(Self { method, path, query: query.to_owned(), headers, body })
    }

    /// The text of a header; `None` if absent, and for what is not text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the request is called in logs, here and elsewhere; the edge sees to it that it has a
    /// name.
    pub fn id(&self) -> Option<&str> {
        self.header(REQUEST_ID)
    }

    /// Whether the method can change nothing.
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// The path, decoded. Refused if it, or the query, does not decode to UTF-8.
pub fn decode_target(path: &str, query: &str) -> Result<String> {
    let bad = |message: String| {
        let mut error = ApiError::new(Errno::InvalidParameters).with_message(message);
        error.error = "Bad Request".into();
        error
    };
    if parse_query(query).is_none() {
        // The missing space is on the wire of the reference server too.
        return Err(bad(format!(
            "A request with an incorrect encoding in the querystring wasreceived. \
             Please make sure your requests are encoded in UTF-8: {query}"
        )));
    }
    percent_decode(path).ok_or_else(|| bad("Invalid URL path.".to_owned()))
}

/// Decodes `%XX`; `None` if the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// Names and values of a query string, decoded, in order; `None` if they are not UTF-8.
pub fn parse_query(query: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| {
        if text.contains('+') {
            percent_decode(&text.replace('+', " "))
        } else {
            percent_decode(text)
        }
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// The inverse of [`parse_query`].
pub fn encode_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |text| percent_encoding::utf8_percent_encode(text, QUERY).to_string();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// All but the unreserved characters of RFC 3986.
const QUERY: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What must be escaped in a path that was decoded.
pub const PATH: &percent_encoding::AsciiSet =
    &QUERY.remove(b'/').remove(b'@').remove(b'+').remove(b':');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_are_decoded() {
        let pairs = parse_query("a=1&b=x%20y+z&c&d=%C3%A9&&").unwrap();
        let expected = [("a", "1"), ("b", "x y z"), ("c", ""), ("d", "é")];
        assert_eq!(pairs, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(parse_query("a=%FF"), None);
    }

    #[test]
    fn query_strings_survive_a_round_trip() {
        let pairs = [("_since", "\"12\""), ("é&", "a=b c+d")];
        let parsed = parse_query(&encode_query(pairs)).unwrap();
        assert_eq!(parsed, pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
