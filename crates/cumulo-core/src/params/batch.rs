//! The body of a batch: its requests, with the defaults merged in.

use std::fmt::Display;

use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::body::{not_a_mapping, not_a_string, python_repr, quoted, unrecognized};
use crate::error::{ApiError, Invalid, Location, Result};

/// The methods of its requests.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "DELETE", "TRACE", "POST", "PUT", "PATCH"];

/// One request of a batch, as the body has it.
pub(crate) struct Item {
    /// The method.
    pub(crate) method: Method,
    /// Path and query string; the version prefix may be left out.
    pub(crate) path: String,
    /// Headers that overlay those of the batch.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, a JSON object that is not empty.
    pub(crate) body: Option<Value>,
}

/// Reads the items, with the defaults merged in. All problems are reported at once.
pub(crate) fn parse(body: Value, max: Option<usize>) -> Result<Vec<Item>> {
    let mut problems = Vec::new();
    let mut body = match body {
        Value::Object(body) => body,
        other => return Err(Invalid::new(Location::Body, "", not_a_mapping(&other)).into()),
    };
    let unknown = unrecognized(&body, &["defaults", "requests"]);
    problems.extend(unknown.map(|problem| Invalid::new(Location::Body, "", problem)));
    let defaults = match body.remove("defaults") {
        None => Map::new(),
        Some(Value::Object(defaults)) => {
            let mut item = defaults.clone();
            item.entry("path").or_insert_with(|| "/".into());
            parse_item(item, &"defaults", &mut problems);
            defaults
        }
        Some(other) => {
            problems.push(Invalid::new(Location::Body, "defaults", not_a_mapping(&other)));
            Map::new()
        }
    };
    let items = match body.remove("requests") {
        Some(Value::Array(items)) => items,
        Some(other) => {
            let problem = format!("{} is not iterable", quoted(&other));
            problems.push(Invalid::new(Location::Body, "requests", problem));
            Vec::new()
        }
        None => {
            problems.push(Invalid::new(Location::Body, "requests", "Required"));
            Vec::new()
        }
    };
    let max = max.filter(|max| *max > 0);
    if let Some(max) = max.filter(|max| items.len() > *max) {
        let problem = format!("Number of requests is limited to {max}");
        return Err(Invalid::new(Location::Body, "requests", problem).into());
    }
    let mut parsed = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let name = format_args!("requests.{index}");
        match item {
            Value::Object(mut item) => {
                merge_defaults(&mut item, &defaults);
                parsed.extend(parse_item(item, &name, &mut problems));
            }
            other => {
                let name = name.to_string();
                problems.push(Invalid::new(Location::Body, name, not_a_mapping(&other)));
            }
        }
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    if parsed.iter().any(|item| is_batch(&item.path)) {
        let problem = "Recursive call on /batch endpoint is forbidden.";
        return Err(Invalid::new(Location::Body, "requests", problem).into());
    }
    Ok(parsed)
}

/// Whether a path, with or without version prefix, leads to the batch endpoint.
fn is_batch(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8().unwrap_or_default();
    path.trim_end_matches('/').rsplit('/').next() == Some("batch")
        && path.split('/').filter(|segment| !segment.is_empty()).count() <= 2
}

/// Adds what an item leaves out, also inside of objects that both have.
fn merge_defaults(item: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, default) in defaults {
        match (item.get_mut(name), default) {
            (None, _) => {
                item.insert(name.clone(), default.clone());
            }
            (Some(Value::Object(item)), Value::Object(default)) => merge_defaults(item, default),
            _ => {}
        }
    }
}

/// Reads an item that is called `name` in problems.
fn parse_item(
    mut item: Map<String, Value>,
    name: &dyn Display,
    problems: &mut Vec<Invalid>,
) -> Option<Item> {
    let before = problems.len();
    if let Some(problem) = unrecognized(&item, &["method", "path", "headers", "body"]) {
        problems.push(Invalid::new(Location::Body, name.to_string(), problem));
    }
    let mut problem = |field: &str, text: String| {
        problems.push(Invalid::new(Location::Body, format!("{name}.{field}"), text));
    };
    let method = match item.remove("method") {
        None | Some(Value::Null) => Method::GET,
        Some(Value::String(method)) if METHODS.contains(&method.as_str()) => {
            Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET)
        }
        Some(other) => {
            problem("method", format!("{} is not one of {}", quoted(&other), METHODS.join(", ")));
            Method::GET
        }
    };
    let path = match item.remove("path") {
        Some(Value::String(path)) if path.starts_with('/') => path,
        Some(Value::String(path)) if !path.is_empty() => {
            problem("path", "String does not match expected pattern".into());
            String::new()
        }
        None | Some(Value::String(_) | Value::Null) => {
            problem("path", "Required".into());
            String::new()
        }
        Some(other) => {
            problem("path", not_a_string(&other, "path"));
            String::new()
        }
    };
    let headers = match item.remove("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(headers)) => match headers.iter().map(parse_header).collect() {
            Some(headers) => headers,
            None => {
                let text = python_repr(&Value::Object(headers));
                problem("headers", format!("{text} contains non string value"));
                Vec::new()
            }
        },
        Some(other) => {
            problem("headers", not_a_mapping(&other));
            Vec::new()
        }
    };
    let body = match item.remove("body") {
        None | Some(Value::Null) => None,
        Some(Value::Object(body)) if body.is_empty() => None,
        Some(Value::Object(body)) => Some(Value::Object(body)),
        Some(other) => {
            problem("body", not_a_mapping(&other));
            None
        }
    };
    (problems.len() == before).then_some(Item { method, path, headers, body })
}

fn parse_header((name, value): (&String, &Value)) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
}
