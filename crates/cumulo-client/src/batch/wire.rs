//! Batches as they are sent and answered.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Error, Result,
    call::Call,
    response::{Request, Response},
    transport::{Connection, retry},
};

/// The body of a batch.
#[derive(Serialize)]
struct Whole<'a> {
    requests: Vec<Operation<'a>>,
}

/// One operation, as a batch has it.
#[derive(Serialize)]
struct Operation<'a> {
    method: &'a str,
    path: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

impl<'a> Operation<'a> {
    fn new(call: &'a Call) -> Self {
        let text = |body: &'a Bytes| serde_json::from_slice(body).expect("bodies are JSON");
        let headers = call.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        Self {
            method: call.method.as_str(),
            path: call.target(),
            headers: headers.filter_map(|(n, v)| Some((n.as_str(), v.to_str().ok()?))).collect(),
            body: call.body.as_ref().map(text),
        }
    }
}

/// What a server answers to a batch.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    responses: Vec<Part<'a>>,
}

/// The answer to one operation.
#[derive(Deserialize)]
pub(crate) struct Part<'a> {
    status: u16,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

pub(super) async fn post(
    connection: &Connection,
    calls: &[&Call],
) -> Result<(Vec<Response>, bool)> {
    let operations: Vec<_> = calls.iter().map(|call| Operation::new(call)).collect();
    let mut call = Call::new(Method::POST, "/batch");
    let body = Whole { requests: operations };
    let body = serde_json::to_string(&body).expect("texts serialize");
    call.body("application/json", body);
    call.repeatable = Some(calls.iter().all(|call| call.is_repeatable()));
    let (response, repeated) = connection.insist(&call).await?;
    let parts = calls.iter().zip(parts(&response, calls.len())?);
    Ok((
        parts.map(|(call, part)| part.into_response(connection, call, &response)).collect(),
        repeated,
    ))
}

/// The answers to so many operations.
pub(crate) fn parts(response: &Response, operations: usize) -> Result<Vec<Part<'_>>> {
    if !response.status.is_success() {
        return Err(Error::of(response.clone()));
    }
    let Answer { responses } =
        serde_json::from_slice(&response.body).map_err(|error| response.not_understood(error))?;
    if responses.len() != operations {
        let problem = format!("{} answers to {operations} operations", responses.len());
        let error = <serde_json::Error as serde::de::Error>::custom(problem);
        return Err(response.not_understood(error));
    }
    Ok(responses)
}

impl Part<'_> {
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry::asked(&read_headers(self.headers?))
    }

    /// The same answer as if the operation had been sent alone.
    pub(crate) fn into_response(
        self,
        connection: &Connection,
        call: &Call,
        whole: &Response,
    ) -> Response {
        let attempts = whole.request.attempts;
        let request = Request { method: call.method.clone(), url: connection.url(call), attempts };
        let body = match self.body {
            // An empty text stands for no body.
            None => Bytes::new(),
            Some(body) if body.get() == "\"\"" => Bytes::new(),
            Some(body) => whole.body.slice_ref(body.get().as_bytes()),
        };
        Response {
            request,
            status: self.status(),
            headers: self.headers.map(read_headers).unwrap_or_default(),
            body,
        }
    }
}

fn read_headers(json: &RawValue) -> HeaderMap {
    let headers: BTreeMap<String, String> = serde_json::from_str(json.get()).unwrap_or_default();
    let valid = |(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.into_iter().filter_map(valid).collect()
}
