//! Requests that are noted in place of being sent.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::ETAG};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    response::{Request, Response},
};

/// The requests that a client in dry mode would have sent.
#[derive(Clone, Debug, Default)]
pub struct Plan(Arc<Mutex<Vec<Planned>>>);

/// A request that was not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its method.
    pub method: Method,
    /// Its URL, with the query.
    pub url: String,
    /// Its body.
    pub body: Option<Value>,
}

/// Method, URL, and body: `PUT http://localhost:8888/v1/buckets/blog {"data":{}}`.
impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        match &self.body {
            Some(body) => write!(f, " {body}"),
            None => Ok(()),
        }
    }
}

impl Plan {
    /// What tells the lines of the log about requests that were not sent from others.
    pub(crate) const LOG_TARGET: &str = module_path!();

    /// No requests so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// What would have been sent so far.
    pub fn requests(&self) -> Vec<Planned> {
        self.requests_mut().clone()
    }

    fn requests_mut(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and answers as a server with nothing in it would: a write with what was
    /// written, a list with nothing.
    pub(crate) fn note(&self, call: &Call, url: String) -> Response {
        let body = call.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
        tracing::debug!(target: Plan::LOG_TARGET, "not sent: {} {url}", call.method);
        let answer = answer(&call.method, &call.path, body.as_ref());
        let method = call.method.clone();
        self.requests_mut().push(Planned { method: method.clone(), url: url.clone(), body });
        Response {
            request: Request { method, url, attempts: 0 },
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([
                (ETAG, HeaderValue::from_static("\"0\"")),
                (TOTAL_OBJECTS, HeaderValue::from_static("0")),
            ]),
            body: answer.to_string().into(),
        }
    }
}

const TOTAL_OBJECTS: HeaderName = HeaderName::from_static("total-objects");

fn answer(method: &Method, path: &str, sent: Option<&Value>) -> Value {
    if path == "/batch" {
        return answer_batch(sent);
    }
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let is_object = segments.len() % 2 == 0;
    if !is_object && (method.is_safe() || method == Method::DELETE) {
        // What changesets have beside.
        return json!({"data": [], "metadata": {}, "timestamp": 0, "changes": []});
    }
    let member = |name: &str| sent.and_then(|it| it.get(name)).and_then(Value::as_object).cloned();
    let mut data = member("data").unwrap_or_else(Map::new);
    let id = if is_object { segments.last().map(ToString::to_string) } else { None };
    data.entry("id").or_insert_with(|| id.unwrap_or_else(|| Uuid::now_v7().to_string()).into());
    data.entry("last_modified").or_insert_with(|| 0.into());
    if method == Method::DELETE {
        data.insert("deleted".to_owned(), true.into());
    }
    json!({"data": data, "permissions": member("permissions").unwrap_or_else(Map::new)})
}

/// Each operation is answered as if it were sent alone.
fn answer_batch(sent: Option<&Value>) -> Value {
    let requests = sent.and_then(|it| it["requests"].as_array()).map_or(&[][..], Vec::as_slice);
    let respond = |request: &Value| {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let method = text("method").parse().unwrap_or(Method::GET);
        let path = text("path").split('?').next().unwrap_or_default();
        let body = answer(&method, path, request.get("body"));
        json!({"status": 200, "path": path, "headers": {"ETag": "\"0\""}, "body": body})
    };
    json!({"responses": requests.iter().map(respond).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_of_a_batch_are_answered_as_if_they_were_alone() {
        let requests = json!([
            {"method": "PUT", "path": "/buckets/a", "body": {"data": {"n": 1}}},
            {"method": "GET", "path": "/buckets?_limit=5"},
            {"method": "DELETE", "path": "/buckets/a"},
        ]);
        let answer = answer(&Method::POST, "/batch", Some(&json!({ "requests": requests })));
        let bodies: Vec<_> = (0..3).map(|n| answer["responses"][n]["body"].clone()).collect();
        let written = json!({"n": 1, "id": "a", "last_modified": 0});
        assert_eq!(bodies[0], json!({"data": written, "permissions": {}}));
        assert_eq!(bodies[1]["data"], json!([]));
        assert_eq!(bodies[2]["data"], json!({"id": "a", "last_modified": 0, "deleted": true}));
    }
}
