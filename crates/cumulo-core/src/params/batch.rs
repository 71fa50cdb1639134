//! The body of a batch: its requests, with the defaults merged in.

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::body::{not_a_mapping, not_a_string, python_repr, quoted, unrecognized};
use crate::{
    error::{ApiError, Invalid, Location, Result},
    request::percent_decode,
};

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
pub(crate) fn parse(body: &Value, max: Option<usize>) -> Result<Vec<Item>> {
    let mut problems = Vec::new();
    let Value::Object(body) = body else {
        return Err(Invalid::new(Location::Body, "", not_a_mapping(body)).into());
    };
    let unknown = unrecognized(body, &["defaults", "requests"]);
    problems.extend(unknown.map(|problem| Invalid::new(Location::Body, "", problem)));
    let defaults = match body.get("defaults") {
        None => Map::new(),
        Some(Value::Object(defaults)) => {
            let mut item = defaults.clone();
            item.entry("path").or_insert_with(|| "/".into());
            parse_item(&item, "defaults", &mut problems);
            defaults.clone()
        }
        Some(other) => {
            problems.push(Invalid::new(Location::Body, "defaults", not_a_mapping(other)));
            Map::new()
        }
    };
    let items = match body.get("requests") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(other) => {
            let problem = format!("{} is not iterable", quoted(other));
            problems.push(Invalid::new(Location::Body, "requests", problem));
            &[]
        }
        None => {
            problems.push(Invalid::new(Location::Body, "requests", "Required"));
            &[]
        }
    };
    let max = max.filter(|max| *max > 0);
    if let Some(max) = max.filter(|max| items.len() > *max) {
        let problem = format!("Number of requests is limited to {max}");
        return Err(Invalid::new(Location::Body, "requests", problem).into());
    }
    let mut parsed = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let name = format!("requests.{index}");
        let Value::Object(item) = item else {
            problems.push(Invalid::new(Location::Body, name, not_a_mapping(item)));
            continue;
        };
        let mut item = item.clone();
        merge_defaults(&mut item, &defaults);
        parsed.extend(parse_item(&item, &name, &mut problems));
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
    let path = percent_decode(path).unwrap_or_default();
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

fn parse_item(item: &Map<String, Value>, name: &str, problems: &mut Vec<Invalid>) -> Option<Item> {
    let before = problems.len();
    let unknown = unrecognized(item, &["method", "path", "headers", "body"]);
    problems.extend(unknown.map(|problem| Invalid::new(Location::Body, name, problem)));
    let mut problem = |field: &str, text: String| {
        problems.push(Invalid::new(Location::Body, format!("{name}.{field}"), text));
    };
    let method = match item.get("method").map(|method| (method.as_str(), method)) {
        None | Some((_, Value::Null)) => Method::GET,
        Some((Some(method), _)) if METHODS.contains(&method) => {
            Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET)
        }
        Some((_, other)) => {
            problem("method", format!("{} is not one of {}", quoted(other), METHODS.join(", ")));
            Method::GET
        }
    };
    let path = match item.get("path").map(|path| (path.as_str(), path)) {
        None | Some((Some(""), _) | (_, Value::Null)) => {
            problem("path", "Required".into());
            String::new()
        }
        Some((Some(path), _)) if path.starts_with('/') => path.to_owned(),
        Some((Some(_), _)) => {
            problem("path", "String does not match expected pattern".into());
            String::new()
        }
        Some((None, other)) => {
            problem("path", not_a_string(other, "path"));
            String::new()
        }
    };
    let headers = match item.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(headers)) => match headers.iter().map(parse_header).collect() {
            Some(headers) => headers,
            None => {
                let text = python_repr(&Value::Object(headers.clone()));
                problem("headers", format!("{text} contains non string value"));
                Vec::new()
            }
        },
        Some(other) => {
            problem("headers", not_a_mapping(other));
            Vec::new()
        }
    };
    let body = match item.get("body") {
        None | Some(Value::Null) => None,
        Some(Value::Object(body)) if body.is_empty() => None,
        Some(Value::Object(body)) => Some(Value::Object(body.clone())),
        Some(other) => {
            problem("body", not_a_mapping(other));
            None
        }
    };
    (problems.len() == before).then_some(Item { method, path, headers, body })
}

fn parse_header((name, value): (&String, &Value)) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
}
