//! Where two answers differ.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::peer::Request;
use crate::http::Response;

/// Headers of the connection and of the program, not of the protocol. The length follows from
/// white space and the order of keys.
const NOT_COMPARED: &[&str] =
    &["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"];
/// Headers that are lists in any order.
const SETS: &[&str] = &[
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "allow",
    "vary",
];

/// One place at which two answers differ.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    /// `status`, `header/NAME`, or `body/` with the way into it.
    pub(super) place: String,
    pub(super) kinto: Value,
    pub(super) cumulo: Value,
}

/// An answer in the form in which answers are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer(Value);

impl Answer {
    /// Of a response to a request.
    pub(super) fn of(request: &Request, response: &Response) -> Self {
        let pairs = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut body = serde_json::from_slice(&response.body)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&response.body)));
        sort_sets(&request.path, &mut body);
        // Those of a deleted list come in any order.
        if let Some(Value::Array(objects)) =
            body.get_mut("data").filter(|_| request.method == "DELETE")
        {
            objects.sort_by_key(|object| object["id"].to_string());
        }
        for item in body.get_mut("responses").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(names) = item["headers"].take() {
                let pairs = names.iter().map(|(name, value)| (name, value.as_str()));
                item["headers"] =
                    headers(pairs.map(|(name, it)| (name.as_str(), it.unwrap_or(""))));
            }
        }
        let headers = headers(pairs);
        Self(json!({"status": response.status, "header": headers, "body": body}))
    }

    /// The same with what no two runs share: moments, and ids that servers make.
    pub(super) fn without_moments(&self) -> Self {
        let mut value = self.0.clone();
        mask(&mut value);
        Self(value)
    }

    /// Where the answer of Kinto and that of Cumulo differ.
    pub(super) fn differences(kinto: &Self, cumulo: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        differ(String::new(), &kinto.0, &cumulo.0, &mut found);
        found
    }
}

fn headers<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let pairs = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value));
    pairs
        .filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), header(&name, value)))
        .collect()
}

fn header(name: &str, value: &str) -> Value {
    if SETS.contains(&name) {
        let words: BTreeSet<_> = value.split(',').map(|it| it.trim().to_lowercase()).collect();
        return json!(words);
    }
    match name {
        "next-page" => next_page(value),
        "alert" => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        _ => json!(value),
    }
}

/// The parameters of a link, with the token as what it stands for. Its nonce is new each time.
fn next_page(url: &str) -> Value {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters = BTreeMap::new();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decoded(value);
        let token = STANDARD.decode(&value).or_else(|_| URL_SAFE.decode(&value)).ok();
        let token = token.and_then(|it| serde_json::from_slice::<Value>(&it).ok());
        let value = match (key, token) {
            ("_token", Some(Value::Object(mut token))) => {
                token.remove("nonce");
                Value::Object(token)
            }
            _ => json!(value),
        };
        parameters.insert(key, value);
    }
    json!({"path": path, "parameters": parameters})
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let code = more.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match code.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sorts lists whose order means nothing: principals.
fn sort_sets(path: &str, body: &mut Value) {
    let path = path.split('?').next().unwrap_or_default();
    match body {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match (key.as_str(), &mut *value) {
                    ("permissions", Value::Object(lists)) => lists.values_mut().for_each(sort),
                    ("permissions", Value::Array(_)) if path == "/permissions" => sort(value),
                    ("principals", Value::Array(_)) if path == "/" => sort(value),
                    _ => sort_sets(path, value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| sort_sets(path, item)),
        _ => {}
    }
}

fn sort(list: &mut Value) {
    if let Value::Array(items) = list {
        items.sort_by_key(Value::to_string);
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let keys = ["expires", "last-modified"];
            for (key, value) in members.iter_mut() {
                if keys.contains(&key.to_lowercase().as_str()) {
                    *value = json!("moment");
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Number(number) if number.as_u64().is_some_and(|it| it > 1_500_000_000_000) => {
            *value = json!("moment");
        }
        Value::String(text) => *text = masked(text),
        _ => {}
    }
}

/// Replaces runs of at least 13 digits, and ids.
fn masked(text: &str) -> String {
    let is_id = |word: &str| {
        let parts: Vec<usize> = word.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12]
    };
    let mut result = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let core = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let tail = &word[core.len()..];
        let is_moment = core.len() >= 13 && core.bytes().all(|it| it.is_ascii_digit());
        result += if is_moment {
            "moment"
        } else if is_id(core) {
            "id"
        } else {
            core
        };
        result += tail;
    }
    result
}

fn differ(place: String, kinto: &Value, cumulo: &Value, found: &mut Vec<Difference>) {
    let below = |key: &str| {
        if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") }
    };
    match (kinto, cumulo) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let side = |it: &serde_json::Map<_, Value>| {
                    it.get(key).cloned().unwrap_or_else(|| json!("(absent)"))
                };
                differ(below(key), &side(left), &side(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differ(below(&index.to_string()), left, right, found);
            }
        }
        _ if kinto == cumulo => {}
        _ => found.push(Difference { place, kinto: kinto.clone(), cumulo: cumulo.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str, next_page: &str) -> Answer {
        let headers = vec![("next-page".to_owned(), next_page.to_owned())];
        let body = body.as_bytes().to_vec();
        Answer::of(&Request::get("/"), &Response { status: 200, headers, body })
    }

    #[test]
    fn sees_what_differs_and_where() {
        let left = answer(r#"{"data": [{"n": 1, "big": 9007199254740993}]}"#, "/a?_limit=1");
        let right = answer(r#"{"data": [{"n": 1, "big": 9007199254740992}]}"#, "/a?_limit=2");
        let found = Answer::differences(&left, &right);
        let places: Vec<_> = found.iter().map(|it| it.place.as_str()).collect();
        assert_eq!(places, ["body/data/0/big", "header/next-page/parameters/_limit"]);
    }

    #[test]
    fn forgets_moments_and_ids_alone() {
        let left = answer(r#"{"etag": "\"1700000000001\"", "n": 7, "t": 1700000000001}"#, "/");
        let right = answer(r#"{"etag": "\"1700000000002\"", "n": 7, "t": 1700000000009}"#, "/");
        assert_eq!(left.without_moments(), right.without_moments());
        assert_eq!(masked("/a/0192f3c4-1111-4222-8333-123456789abc?x"), "/a/id?x");
        assert_eq!(masked("some words, 12 of them"), "some words, 12 of them");
    }

    #[test]
    fn the_order_of_principals_means_nothing() {
        let left = answer(r#"{"permissions": {"read": ["a", "b"]}}"#, "/");
        let right = answer(r#"{"permissions": {"read": ["b", "a"]}}"#, "/");
        assert!(Answer::differences(&left, &right).is_empty());
    }
}
