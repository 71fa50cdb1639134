//! Bytes as JSON text, for engines that share their values with Kinto.
//!
//! What is JSON, without spaces around it, is stored as it is. Everything else, and what looks as if it was made here, is
//! stored as `{"cumulo:base64":"…"}`, so that every value comes back as it was.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;

const BEFORE: &str = "{\"cumulo:base64\":\"";
const AFTER: &str = "\"}";

/// Bytes as JSON.
pub(crate) fn encode(value: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(value)
        && !text.starts_with(BEFORE)
        && text.trim() == text
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
    {
        return text.to_owned();
    }
    format!("{BEFORE}{}{AFTER}", STANDARD.encode(value))
}

/// The bytes of what [`encode`] or Kinto has written.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    text.strip_prefix(BEFORE)
        .and_then(|rest| rest.strip_suffix(AFTER))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_it_is_and_everything_comes_back() {
        for json in ["\"\"", "1", "null", "{\"a\": [1.0]}", "{\"b\":1,\"a\":\"\\u0000\"}"] {
            assert_eq!(encode(json.as_bytes()), json);
        }
        let ours = encode(b"\0");
        assert_eq!(ours, "{\"cumulo:base64\":\"AA==\"}");
        for value in
            [&b""[..], b"text", b"\0\xff", b"\"\0\"", ours.as_bytes(), b"[1", b"{}", b" 1\n"]
        {
            let encoded = encode(value);
            assert!(serde_json::from_str::<IgnoredAny>(&encoded).is_ok());
            assert_eq!(decode(&encoded), value);
        }
    }

    #[test]
    fn what_only_looks_like_ours_is_returned_as_it_is() {
        for text in ["{\"cumulo:base64\":\"?\"}", "{\"cumulo:base64\":\"AA==\", \"a\":1}"] {
            assert_eq!(decode(text), text.as_bytes());
        }
    }
}
