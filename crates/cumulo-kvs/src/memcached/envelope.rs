//! What is stored beside a value.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{clock, json, kvs::Lifetime};

/// Of Kinto, too: its moments are whole seconds.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    /// Seconds since 1970.
    ttl: Option<f64>,
}

/// What an item of memcached is.
pub(super) enum Content<'a> {
    /// Of `set`, or of Kinto.
    Value(Envelope<'a>),
    /// A counter, or of somebody else.
    Bare,
}

/// A value and its time to live in their envelope.
pub(super) fn seal(value: &[u8], ttl: Option<Duration>) -> String {
    let ttl = match ttl {
        None => "null".to_owned(),
        Some(ttl) => {
            let expiry = i128::from(clock::now()) + ttl.as_millis().cast_signed();
            format!("{}.{:03}", expiry / 1000, expiry % 1000)
        }
    };
    format!("{{\"value\": {}, \"ttl\": {ttl}}}", json::encode(value))
}

/// Reads an item.
pub(super) fn open(item: &[u8]) -> Content<'_> {
    serde_json::from_slice(item).map_or(Content::Bare, Content::Value)
}

/// The value of an item, unless it has expired.
pub(super) fn live_value(item: Vec<u8>) -> Option<Vec<u8>> {
    match open(&item) {
        Content::Bare => Some(item),
        Content::Value(value) if value.lifetime() == Lifetime::Missing => None,
        Content::Value(value) => Some(json::decode(value.value.get())),
    }
}

impl Content<'_> {
    pub(super) fn is_live(&self) -> bool {
        match self {
            Self::Bare => true,
            Self::Value(value) => value.lifetime() != Lifetime::Missing,
        }
    }
}

impl Envelope<'_> {
    pub(super) fn lifetime(&self) -> Lifetime {
        let Some(ttl) = self.ttl else { return Lifetime::Unlimited };
        let now = Duration::from_millis(clock::now().unsigned_abs()).as_secs_f64();
        match Duration::try_from_secs_f64(ttl - now) {
            Ok(left) if !left.is_zero() => Lifetime::Left(left),
            _ => Lifetime::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_kinto_are_read() {
        let item = b"{\"value\": {\"a\": [1]}, \"ttl\": 99999999999}".to_vec();
        assert_eq!(live_value(item), Some(b"{\"a\": [1]}".to_vec()));
        assert_eq!(live_value(b"{\"value\": 1, \"ttl\": 9}".to_vec()), None);
        for bare in [&b"12"[..], b"\xff", b"", b"{\"value\": 1", b"[]"] {
            assert_eq!(live_value(bare.to_vec()), Some(bare.to_vec()));
        }
    }

    #[test]
    fn values_are_sealed_for_kinto() {
        assert_eq!(seal(b"{\"a\":1}", None), "{\"value\": {\"a\":1}, \"ttl\": null}");
        let item = seal(b"\0", Some(Duration::from_secs(9)));
        let Content::Value(value) = open(item.as_bytes()) else { panic!() };
        let Lifetime::Left(left) = value.lifetime() else { panic!() };
        assert!(left > Duration::from_secs(8) && left < Duration::from_millis(9002));
        assert_eq!(live_value(item.into_bytes()), Some(b"\0".to_vec()));
    }
}
