//! Cache headers: anonymous readers may be told to cache, everybody else not to.

use http::{HeaderMap, HeaderValue, header};

use crate::{object::Timestamp, reply::ascii, resource::Target, settings::Settings};

/// How an answer may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Not at all.
    Forbidden,
    /// For so many seconds.
    Seconds(u32),
    /// Not at all, and what was cached has expired.
    Expired,
}

impl Caching {
    /// How the answer to an anonymous reader of `target` may be cached. `cache_expires` is what
    /// the collection says of its records.
    pub fn of(settings: &Settings, target: &Target, cache_expires: Option<i64>) -> Self {
        let configured = |key: &str| settings.cache_expires.get(key).copied().map(i64::from);
        let name = target.resource.name;
        if name != "record" {
            return match configured(name) {
                Some(seconds) if seconds > 0 => Self::from_seconds(seconds),
                _ => Self::Forbidden,
            };
        }
        let bucket = target.ancestor_id("bucket").unwrap_or_default();
        let collection = target.ancestor_id("collection").unwrap_or_default();
        let configured = configured(&format!("{bucket}.{collection}.record"))
            .or_else(|| configured(&format!("{bucket}.record")))
            .or_else(|| configured("record"))
            .or_else(|| configured(&format!("{bucket}_{collection}_record")))
            .or_else(|| configured(&format!("{bucket}_record")));
        match configured.max(cache_expires) {
            Some(seconds) => Self::from_seconds(seconds),
            None => Self::Forbidden,
        }
    }

    fn from_seconds(seconds: i64) -> Self {
        match u32::try_from(seconds) {
            Ok(0) | Err(_) => Self::Expired,
            Ok(seconds) => Self::Seconds(seconds),
        }
    }

    /// Sets the headers.
    pub fn apply(self, headers: &mut HeaderMap, now: Timestamp) {
        match self {
            Self::Forbidden => {
                const FORBIDDEN: HeaderValue = HeaderValue::from_static("no-cache, no-store");
                headers.insert(header::CACHE_CONTROL, FORBIDDEN);
            }
            Self::Seconds(seconds) => {
                headers.insert(header::CACHE_CONTROL, ascii(format!("max-age={seconds}")));
                headers.insert(header::EXPIRES, http_date(now, seconds));
            }
            Self::Expired => {
                let value = "max-age=0, must-revalidate, no-cache, no-store";
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
                headers.insert(header::EXPIRES, http_date(now, 0));
                headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            }
        }
    }
}

fn http_date(now: Timestamp, seconds: u32) -> HeaderValue {
    let now = std::time::Duration::from_millis(now.0.max(0).cast_unsigned());
    let then = std::time::UNIX_EPOCH + now + std::time::Duration::from_secs(seconds.into());
    ascii(httpdate::fmt_http_date(then))
}
