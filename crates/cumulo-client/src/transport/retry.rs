//! When a request is sent again, and how long after.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

/// How often and how fast a request is repeated that may succeed later.
///
/// A request that surely did nothing is repeated whatever it is: the connection was refused, or the
/// server answered 409, 429, or 503 with `Retry-After`. One that may have done something (other
/// answers of 5xx, a broken connection, no answer in time) is repeated only if it reads, or if it is
/// conditional and so can't be done twice.
///
/// The wait before each is a random part of a time that doubles, at least what `Retry-After` asks
/// for, and never longer than `longest`.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// How often a request is repeated.
    pub times: u32,
    /// The time that the first wait is a part of.
    pub first: Duration,
    /// No wait is longer; if the server asks for more, the request fails.
    pub longest: Duration,
    /// The wait, whatever the server asks for.
    pub forced: Option<Duration>,
}

impl Default for Retry {
    /// Three times, after at most 0.25, 0.5 and 1 second or as long as the server asks for up to a
    /// minute.
    fn default() -> Self {
        Self {
            times: 3,
            first: Duration::from_millis(250),
            longest: Duration::from_mins(1),
            forced: None,
        }
    }
}

impl Retry {
    /// Never.
    pub fn never() -> Self {
        Self { times: 0, ..Self::default() }
    }

    /// As often as this, and otherwise as by default.
    pub fn times(times: u32) -> Self {
        Self { times, ..Self::default() }
    }

    /// How long to wait before the repetition with this number, from 0, if the server asks for
    /// `asked`; `None` if it shall not be repeated. `random` is between 0 and 1.
    pub(crate) fn wait(
        &self,
        number: u32,
        asked: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if number >= self.times {
            return None;
        }
        if let Some(forced) = self.forced {
            return Some(forced);
        }
        let asked = asked.unwrap_or_default();
        let grown = self.first.saturating_mul(1 << number.min(20)).min(self.longest);
        let wait = asked.saturating_add(grown.mul_f64(random));
        (asked <= self.longest).then_some(wait.min(self.longest.max(asked)))
    }
}

/// What to do while a server wants no requests (`Backoff`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBackoff {
    /// Wait, if it is not for longer than this; otherwise fail.
    Wait(Duration),
    /// Fail with [`Error::Backoff`](crate::Error::Backoff).
    Fail,
}

/// What a status means for a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is an answer.
    Final,
    /// Nothing was done.
    Undone,
    /// Something may have been done.
    Unknown,
}

/// What an answer means for a repetition.
pub(crate) fn verdict(status: StatusCode, retry_after: Option<Duration>) -> Verdict {
    match status.as_u16() {
        409 | 429 => Verdict::Undone,
        503 if retry_after.is_some() => Verdict::Undone,
        500.. => Verdict::Unknown,
        _ => Verdict::Final,
    }
}

/// The time for which a server that answers so wants to be left alone.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    delay(headers.get(RETRY_AFTER)?.to_str().ok()?)
}

/// The time that `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
fn delay(header: &str) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    #[expect(clippy::disallowed_methods, reason = "a client has no clock of its own")]
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_and_end() {
        let retry = Retry { times: 4, first: SECOND, longest: 3 * SECOND, forced: None };
        let waits: Vec<_> = (0..5).map(|number| retry.wait(number, None, 1.0)).collect();
        let seconds = |n: u32| Some(n * SECOND);
        assert_eq!(waits, [seconds(1), seconds(2), seconds(3), seconds(3), None]);
        assert_eq!(retry.wait(0, None, 0.0), seconds(0));
    }

    #[test]
    fn the_server_is_not_asked_sooner_than_it_wants() {
        let retry = Retry { times: 1, first: SECOND, longest: 10 * SECOND, forced: None };
        assert_eq!(retry.wait(0, Some(5 * SECOND), 0.0), Some(5 * SECOND));
        assert_eq!(retry.wait(0, Some(10 * SECOND), 1.0), Some(10 * SECOND));
        assert_eq!(retry.wait(0, Some(11 * SECOND), 0.0), None);
        let forced = Retry { forced: Some(2 * SECOND), ..retry };
        assert_eq!(forced.wait(0, Some(11 * SECOND), 0.5), Some(2 * SECOND));
    }

    #[test]
    fn only_some_failures_did_nothing() {
        for (status, after, expected) in [
            (200, None, Verdict::Final),
            (404, None, Verdict::Final),
            (412, None, Verdict::Final),
            (409, None, Verdict::Undone),
            (429, None, Verdict::Undone),
            (503, Some(SECOND), Verdict::Undone),
            (503, None, Verdict::Unknown),
            (500, None, Verdict::Unknown),
            (504, None, Verdict::Unknown),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(verdict(status, after), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_has_two_forms() {
        assert_eq!(delay("30"), Some(30 * SECOND));
        assert_eq!(delay("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let later = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33));
        assert!(delay(&later).unwrap() > SECOND);
        assert_eq!(delay("soon"), None);
    }
}
