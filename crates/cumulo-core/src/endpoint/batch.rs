//! Many requests in one, in one transaction.
//!
//! Each item has a savepoint: one that fails with an error of the client leaves nothing behind
//! and the others stand; a failure of the store undoes the whole batch.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    api::{Api, Refused},
    call::Call,
    error::{ApiError, Errno, Result},
    paging,
    params::{
        batch::{Item, parse},
        headers::ContentType,
    },
    reply::Reply,
    request::{Request, percent_decode},
    store::Transaction,
};

pub(crate) fn post(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    ContentType::parse(&call.request)?;
    let body = call.json()?;
    let items = parse(body, api.settings.batch_max_requests)?;
    let mut responses = Vec::with_capacity(items.len());
    let mut bytes = 0;
    let mut whole = Reply::empty(StatusCode::OK);
    for item in items {
        let response = if bytes > api.settings.max_response_bytes {
            render(&item.path, false, refuse_large(api).into_reply())
        } else {
            answer_item(api, call, item, &mut whole, tx)?
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
    let mut reply = Reply::raw_json(StatusCode::OK, out);
    reply.single_use = whole.single_use;
    reply.empties_cache = whole.empties_cache;
    Ok(reply)
}

/// The nonces of single-use tokens that the items bring.
pub(crate) fn single_use(api: &Api, call: &Call) -> Vec<String> {
    // Nearly always there are none, and the items need not be read twice.
    let deletes = |item: &Value| item.get("method").is_some_and(|method| method == "DELETE");
    let body = call.body.as_ref().unwrap_or(&Value::Null);
    let items = body.get("requests").and_then(Value::as_array);
    let deletes_one = items.is_some_and(|items| items.iter().any(deletes));
    if !deletes_one && !body.get("defaults").is_some_and(deletes) {
        return Vec::new();
    }
    let Ok(items) = parse(body, api.settings.batch_max_requests) else { return Vec::new() };
    let deletions = items.iter().filter(|item| item.method == Method::DELETE);
    let queries = deletions.filter_map(|item| Some(item.path.split_once('?')?.1));
    queries.filter_map(paging::nonce).collect()
}

/// For the items after those whose answers are too large already. They are not carried out.
fn refuse_large(api: &Api) -> ApiError {
    let max = api.settings.max_response_bytes;
    let message = format!("The responses are larger than {max} bytes (max_response_bytes).");
    ApiError::new(Errno::RequestTooLarge).with_message(message)
}

/// Answers one item, and writes the answer as JSON. What it means for the cache is added to the
/// answer of the whole batch.
fn answer_item(
    api: &Api,
    batch: &Call,
    item: Item,
    whole: &mut Reply,
    tx: &mut dyn Transaction,
) -> Result<Vec<u8>> {
    let request = match build_request(api, &batch.request.headers, item) {
        Ok(request) => request,
        Err(error) => return Ok(render(&batch.request.path, false, error.into_reply())),
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
        Ok(mut call) => {
            // Without those that items before this one have used.
            call.redeemed.clone_from(&batch.redeemed);
            call.redeemed.retain(|nonce| !whole.single_use.used.contains(nonce));
            api.finish_call(&call, api.dispatch_nested(&call, tx)?)
        }
        Err(refused) => refused.reply,
    };
    whole.single_use.issued.extend_from_slice(&reply.single_use.issued);
    whole.single_use.used.extend_from_slice(&reply.single_use.used);
    whole.empties_cache |= reply.empties_cache;
    Ok(render(&path, is_head, reply))
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
