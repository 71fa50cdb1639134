//! Keeps secrets out of logs.

use std::borrow::Cow;

use cumulo_core::request::percent_decode;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

/// What stands for a secret.
pub(crate) const HIDDEN: &str = "***";
/// The most bytes that are shown of a body.
const MOST: usize = 4096;

/// Whether what has this name is a secret: a header, a parameter or a key of JSON.
fn is_secret(name: &str) -> bool {
    /// As a whole.
    const NAMES: [&str; 9] =
        ["code", "state", "token", "cookie", "set-cookie", "signature", "sig", "key", "jwt"];
    /// Anywhere in it.
    const PARTS: [&str; 8] = [
        "password",
        "passwd",
        "secret",
        "authorization",
        "credential",
        "_token",
        "-token",
        "api-key",
    ];
    let name = name.to_ascii_lowercase();
    // The token of a next page opens nothing.
    name != "_token"
        && (NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part)))
}

/// A query string without its secrets.
pub(crate) fn query(query: &str) -> Cow<'_, str> {
    let is_hidden = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        is_secret(&percent_decode(name).unwrap_or_default())
    };
    if !query.split('&').any(is_hidden) {
        return Cow::Borrowed(query);
    }
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_hidden(pair) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    Cow::Owned(pairs.collect::<Vec<_>>().join("&"))
}

/// Headers as JSON, without their secrets.
pub(crate) fn headers(headers: &HeaderMap) -> String {
    let show = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match name.as_str() {
            name if is_secret(name) => HIDDEN.into(),
            // What follows may be a token, under any name.
            "location" | "referer" | "next-page" => {
                value.split(['?', '#']).next().unwrap_or_default().to_owned()
            }
            _ => value.into_owned(),
        };
        (name.as_str().to_owned(), Value::String(value))
    };
    Value::Object(headers.iter().map(show).collect()).to_string()
}

/// A body as lines tell it.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) text: String,
    /// Whether there may be secrets in it that the text does not have.
    pub(crate) has_secrets: bool,
}

/// A body without its secrets: JSON, or else how long it is.
pub(crate) fn body(body: &[u8]) -> Body {
    if body.is_empty() {
        return Body::default();
    }
    let Ok(sent) = serde_json::from_slice::<Value>(body) else {
        let text = format!("{} bytes that are not JSON", body.len());
        return Body { text, has_secrets: true };
    };
    let mut shown = sent.clone();
    hide(&mut shown);
    let mut text = shown.to_string();
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    Body { text, has_secrets: shown != sent }
}

/// Hides secrets at any depth, such as the headers of a batch.
fn hide(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(hide),
        Value::Object(map) => hide_in(map),
        _ => {}
    }
}

fn hide_in(map: &mut Map<String, Value>) {
    // A step of a JSON patch names its secret in its path.
    let patches_secret = map
        .get("path")
        .and_then(Value::as_str)
        .is_some_and(|path| path.rsplit('/').next().is_some_and(is_secret));
    for (name, value) in map {
        match value {
            Value::Null => {}
            // That of an error, not of a login.
            Value::Number(_) if name == "code" => {}
            _ if is_secret(name) || (patches_secret && name == "value") => *value = HIDDEN.into(),
            Value::String(path) if name == "path" => {
                if let Some((before, after)) = path.split_once('?') {
                    *path = format!("{before}?{}", query(after));
                }
            }
            other => hide(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_keep_what_is_no_secret() {
        assert_eq!(query("_limit=1&_token=abc"), "_limit=1&_token=abc");
        assert_eq!(query("code=4%2F0A&state=x&scope=y"), "code=***&state=***&scope=y");
        assert_eq!(query("not_password=a&access%5Ftoken=b"), "not_password=***&access%5Ftoken=***");
        assert_eq!(query(""), "");
    }

    #[test]
    fn headers_are_shown_without_credentials() {
        let pairs = [
            ("authorization", "Basic YTpi"),
            ("cookie", "session=1"),
            ("x-auth-token", "t"),
            ("location", "http://a/b?x=1#token=2"),
            ("accept", "*/*"),
        ];
        let pairs = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let shown: Value = serde_json::from_str(&headers(&HeaderMap::from_iter(pairs))).unwrap();
        let expected = json!({"authorization": "***", "cookie": "***", "x-auth-token": "***",
            "location": "http://a/b", "accept": "*/*"});
        assert_eq!(shown, expected);
    }

    #[test]
    fn bodies_are_shown_without_passwords() {
        let cases = [
            (
                json!({"data": {"password": "p", "age": 1}}),
                json!({"data": {"password": "***", "age": 1}}),
            ),
            (
                json!([{"op": "replace", "path": "/data/password", "value": "p"}]),
                json!([{"op": "replace", "path": "/data/password", "value": "***"}]),
            ),
            (
                json!({"requests": [{"path": "/x?code=1", "headers": {"Authorization": "Basic x"}}]}),
                json!({"requests": [{"path": "/x?code=***", "headers": {"Authorization": "***"}}]}),
            ),
        ];
        for (sent, expected) in cases {
            let Body { text, has_secrets } = body(sent.to_string().as_bytes());
            let shown: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((shown, has_secrets), (expected, true));
        }
        let Body { text, has_secrets } = body(b"password=p");
        assert_eq!((text.as_str(), has_secrets), ("10 bytes that are not JSON", true));
        let long = body(json!("é".repeat(MOST)).to_string().as_bytes());
        assert!(long.text.len() < MOST + 10 && !long.has_secrets);
    }
}
