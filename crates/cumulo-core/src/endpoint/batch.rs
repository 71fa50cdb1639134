//! Many requests in one, in one transaction.
//!
//! Each item has a savepoint: one that fails with an error of the client leaves nothing behind
//! and the others stand; a failure of the store undoes the whole batch.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    api::{Api, Refused},
    call::Call,
    error::{ApiError, Errno, Invalid, Location, Result},
    params::{
        body::{not_a_mapping, not_a_string, python_repr, quoted},
        headers::ContentType,
    },
    reply::Reply,
    request::{Request, percent_decode},
    store::Transaction,
};

const METHODS: [&str; 7] = ["GET", "HEAD", "DELETE", "TRACE", "POST", "PUT", "PATCH"];

pub(crate) fn post(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    ContentType::parse(&call.request)?;
    let body = call.json()?;
    let items = parse(body, api.settings.batch_max_requests)?;
    let mut responses = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items {
        let response = if bytes > api.settings.max_response_bytes {
            render(&item.path, false, refuse_large(api).into_reply())
        } else {
            answer_item(api, &call.request, item, tx)?
        };
        bytes += response.len();
        responses.push(response);
    }
    let mut out = b"{\"responses\":[".to_vec();
    for (index, response) in responses.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(response);
    }
    out.extend_from_slice(b"]}");
    Ok(Reply::raw_json(StatusCode::OK, out))
}

/// One request of a batch, as the body has it.
struct Item {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Value>,
}

/// Reads the items, with the defaults merged in. All problems are reported at once.
fn parse(body: &Value, max: Option<usize>) -> Result<Vec<Item>> {
    let mut problems = Vec::new();
    let Value::Object(body) = body else {
        return Err(Invalid::new(Location::Body, "", not_a_mapping(body)).into());
    };
    refuse_unknown(body, &["defaults", "requests"], "", &mut problems);
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

fn refuse_unknown(
    map: &Map<String, Value>,
    known: &[&str],
    name: &str,
    problems: &mut Vec<Invalid>,
) {
    let unknown: Vec<_> = map
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, value)| format!("'{name}': {}", python_repr(value)))
        .collect();
    if !unknown.is_empty() {
        let problem = format!("Unrecognized keys in mapping: \"{{{}}}\"", unknown.join(", "));
        problems.push(Invalid::new(Location::Body, name, problem));
    }
}

fn parse_item(item: &Map<String, Value>, name: &str, problems: &mut Vec<Invalid>) -> Option<Item> {
    let before = problems.len();
    refuse_unknown(item, &["method", "path", "headers", "body"], name, problems);
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

/// For the items after those whose answers are too large already. They are not carried out.
fn refuse_large(api: &Api) -> ApiError {
    let max = api.settings.max_response_bytes;
    let message = format!("The responses are larger than {max} bytes (max_response_bytes).");
    ApiError::new(Errno::RequestTooLarge).with_message(message)
}

/// Answers one item, and writes the answer as JSON.
fn answer_item(
    api: &Api,
    batch: &Request,
    item: Item,
    tx: &mut dyn Transaction,
) -> Result<Vec<u8>> {
    let request = match build_request(api, &batch.headers, item) {
        Ok(request) => request,
        Err(error) => return Ok(render(&batch.path, false, error.into_reply())),
    };
    let is_head = request.method == Method::HEAD;
    let mut path = request.path.clone();
    let call = match api.call(request) {
        Err(refused) if let Some(target) = redirected_path(api, &refused) => {
            path.clone_from(&target);
            api.call(Request { path: target, ..refused.request })
        }
        result => result,
    };
    let reply = match call {
        Ok(call) => dispatch(api, &call, tx)?,
        Err(refused) => refused.reply,
    };
    Ok(render(&path, is_head, reply))
}

/// Answers a call inside of a savepoint. Only failures of the store are errors.
fn dispatch(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let reply = api.dispatch_nested(call, tx)?;
    let exposed = reply.exposed.unwrap_or_else(|| call.exposed());
    Ok(api.finish(&call.request.headers, exposed, reply))
}

fn build_request(api: &Api, inherited: &HeaderMap, item: Item) -> Result<Request> {
    let (path, query) = item.path.split_once('?').unwrap_or((&item.path, ""));
    let mut headers = inherited.clone();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    for (name, value) in item.headers {
        headers.insert(name, value);
    }
    let body = match item.body {
        None => Vec::new(),
        Some(body) => {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, json);
            serde_json::to_vec(&body).expect("plain data serializes")
        }
    };
    let mut request = Request::new(item.method, path, query, headers, body)?;
    let prefix = format!("/{}", api.prefix());
    if !request.path.starts_with(&prefix) {
        request.path = prefix + &request.path;
    }
    Ok(request)
}

/// Where a refused request should have gone.
fn redirected_path(api: &Api, refused: &Refused) -> Option<String> {
    let location = refused.reply.headers.get(header::LOCATION)?.to_str().ok()?;
    let path = location.strip_prefix(&api.origin(&refused.request))?.split('?').next()?;
    percent_decode(path)
}

#[derive(serde::Serialize)]
struct Response<'a> {
    path: &'a str,
    status: u16,
    headers: Map<String, Value>,
    body: &'a RawValue,
}

fn render(path: &str, is_head: bool, reply: Reply) -> Vec<u8> {
    let headers = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((display_name(name), Value::from(value.to_str().ok()?))))
        .collect();
    let text = if is_head { Vec::new() } else { reply.body };
    let raw = String::from_utf8(text)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .unwrap_or_else(|| RawValue::from_string("\"\"".to_owned()).expect("valid JSON"));
    let response = Response { path, status: reply.status.as_u16(), headers, body: &raw };
    serde_json::to_vec(&response).expect("plain data serializes")
}

/// The name as HTTP/1.1 servers commonly spell it: clients compare it as text.
fn display_name(name: &HeaderName) -> String {
    if name == header::ETAG {
        return "ETag".to_owned();
    }
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}
