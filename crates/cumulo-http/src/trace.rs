//! Traces: where a request is within something larger that several services do together.
//!
//! The way in and out is the header of <https://www.w3.org/TR/trace-context/>.

use std::{fmt::Write as _, time::Duration};

use cumulo_core::object::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Names the trace, and what in it has caused a request.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The same in a response.
pub(crate) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Where a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: [u8; 16],
    /// What has caused the request, if it comes from outside.
    pub parent: Option<[u8; 8]>,
    /// The request itself.
    pub span: [u8; 8],
    /// Whether it is to be recorded.
    pub sampled: bool,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Span<'a> {
    /// Where it is.
    pub place: &'a Place,
    /// When it began.
    pub begun: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The method.
    pub method: &'a Method,
    /// The path as it came.
    pub path: &'a str,
    /// The endpoint, such as `record-plural`.
    pub endpoint: &'a str,
    /// The status of the response.
    pub status: StatusCode,
    /// The error number; 0 if there is none.
    pub errno: u16,
    /// Bytes of the response's body.
    pub size: usize,
    /// The user id, if somebody is logged in.
    pub user: Option<&'a str>,
    /// The name of the request in logs.
    pub request_id: &'a str,
    /// What the client calls itself.
    pub agent: Option<&'a str>,
}

/// Takes spans. It must not block.
pub trait Tracer: Send + Sync {
    /// Whether a trace that begins here is recorded.
    fn records_new(&self) -> bool;

    /// A request was answered.
    fn ended(&self, span: &Span<'_>);
}

impl Place {
    /// The place of a request with these headers, in a new trace if they name none.
    pub(crate) fn of(headers: &HeaderMap, tracer: &dyn Tracer) -> Self {
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let (trace, parent, sampled) = given.and_then(parse).map_or_else(
            || (rand::random(), None, tracer.records_new()),
            |(trace, parent, sampled)| (trace, Some(parent), sampled),
        );
        Self { trace, parent, span: rand::random(), sampled }
    }

    /// The trace in hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        let mut text = String::with_capacity(32);
        push_hex(&self.trace, &mut text);
        text
    }

    /// The value of a header that says so.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&self.trace, &mut text);
        text.push('-');
        push_hex(&self.span, &mut text);
        text.push_str(if self.sampled { "-01" } else { "-00" });
        HeaderValue::try_from(text).expect("ASCII")
    }
}

/// Trace, parent and whether it is recorded. What is wrong counts as absent, as the standard says.
fn parse(header: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = header.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [version] = hex(version)?;
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let (trace, parent, [flags]) = (hex(trace)?, hex(parent)?, hex(flags)?);
    (trace != [0; 16] && parent != [0; 8]).then_some((trace, parent, flags & 1 == 1))
}

/// Bytes from lower case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if text.len() != 2 * N || !text.as_bytes().iter().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Adds bytes as lower case hexadecimal digits.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Strings take everything.
        let _ = write!(out, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    struct Nobody;

    impl Tracer for Nobody {
        fn records_new(&self) -> bool {
            true
        }

        fn ended(&self, _: &Span<'_>) {}
    }

    fn place(header: &'static str) -> Place {
        Place::of(&HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(header))]), &Nobody)
    }

    #[test]
    fn a_trace_goes_on() {
        let place = place(GIVEN);
        assert_eq!(place.parent, hex("00f067aa0ba902b7"));
        assert!(!place.sampled);
        let header = place.header();
        let header = header.to_str().unwrap();
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(!header.contains("00f067aa0ba902b7"));
    }

    #[test]
    fn what_is_wrong_begins_a_new_trace() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(place(bad).parent, None, "{bad}");
        }
    }
}
