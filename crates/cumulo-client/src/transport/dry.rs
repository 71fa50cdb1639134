//! Requests that are noted in place of being sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

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
        let answer = answer(call, body.as_ref());
        let method = call.method.clone();
        self.requests_mut().push(Planned { method: method.clone(), url: url.clone(), body });
        Response {
            request: Request { method, url },
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: answer.to_string().into(),
        }
    }
}

fn answer(call: &Call, sent: Option<&Value>) -> Value {
    let segments: Vec<_> = call.path.split('/').skip(1).collect();
    if call.path == "/batch" {
        let requests = sent.and_then(|it| it["requests"].as_array()).map_or(0, Vec::len);
        let response = json!({"status": 200, "path": "", "headers": {}, "body": {}});
        return json!({"responses": vec![response; requests]});
    }
    let is_object = segments.len() % 2 == 0;
    if !is_object && (call.method.is_safe() || call.method == Method::DELETE) {
        return json!({"data": []});
    }
    let member = |name: &str| sent.and_then(|it| it.get(name)).and_then(Value::as_object).cloned();
    let mut data = member("data").unwrap_or_else(Map::new);
    if is_object {
        let id = segments.last().copied().unwrap_or_default();
        data.entry("id").or_insert_with(|| id.into());
    }
    data.entry("last_modified").or_insert_with(|| 0.into());
    if call.method == Method::DELETE {
        data.insert("deleted".to_owned(), true.into());
    }
    json!({"data": data, "permissions": member("permissions").unwrap_or_else(Map::new)})
}
