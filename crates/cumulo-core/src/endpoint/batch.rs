//! Many requests in one, in one transaction.
//!
//! Each item has a savepoint: one that fails with an error of the client leaves nothing behind
//! and the others stand; a failure of the store undoes the whole batch.

use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    api::{Api, Refused},
    call::{Call, Item},
    error::{ApiError, Errno, Result},
    params::{
        batch::{self as params, parse},
        headers::ContentType,
    },
    reply::{Done, Reply},
    request::{Request, percent_decode},
    store::Transaction,
};

/// Reads the requests of a batch, before its transaction: they may have to be prepared, and the
/// transaction shall be short.
pub(crate) fn read(api: &Api, call: &Call) -> Result<Vec<Item>> {
    ContentType::parse(&call.request)?;
    let items = parse(call.json()?, api.settings.batch_max_requests)?;
    Ok(items.into_iter().map(|item| read_item(api, &call.request, item)).collect())
}

fn read_item(api: &Api, batch: &Request, mut item: params::Item) -> Item {
    let method = item.method.clone();
    let is_head = method == Method::HEAD;
    let body = item.body.take();
    let request = match build_request(api, &batch.headers, item, body.is_some()) {
        Ok(request) => request,
        Err(error) => {
            let reply = Box::new(error.into_reply());
            return Item { method, path: batch.path.clone(), is_head: false, call: Err(reply) };
        }
    };
    let mut path = request.path.clone();
    let call = match api.call(request, body) {
        Err(refused) if let Some(target) = redirected_path(api, &refused) => {
            path.clone_from(&target);
            api.call(Request { path: target, ..refused.request }, refused.body)
        }
        result => result,
    };
    let call = call.map(Box::new).map_err(|refused| Box::new(refused.reply));
    Item { method, path, is_head, call }
}

/// Answers a batch whose requests were [`read`].
pub(crate) fn post(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let mut out = b"{\"responses\":[".to_vec();
    let mut whole = Reply::empty(StatusCode::OK);
    for (index, item) in call.items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let begun = Instant::now();
        let mut reply = if out.len() > api.settings.max_response_bytes {
            refuse_large(api).into_reply()
        } else {
            answer(api, item, tx)?
        };
        whole.single_use.issued.extend_from_slice(&reply.single_use.issued);
        whole.single_use.used.extend_from_slice(&reply.single_use.used);
        whole.empties_cache |= reply.empties_cache;
        whole.events.append(&mut reply.events);
        whole.items.push(Done { took: begun.elapsed(), ..Done::of(&reply) });
        render(item, reply, &mut out);
    }
    out.extend_from_slice(b"]}");
    let Reply { single_use, empties_cache, events, items, .. } = whole;
    Ok(Reply { single_use, empties_cache, events, items, ..Reply::raw_json(StatusCode::OK, out) })
}

fn answer(api: &Api, item: &Item, tx: &mut dyn Transaction) -> Result<Reply> {
    match &item.call {
        Ok(call) => Ok(api.finish_call(call, api.dispatch_nested(call, tx)?)),
        Err(reply) => Ok(Reply::clone(reply)),
    }
}

/// For the items after those whose answers are too large already. They are not carried out.
fn refuse_large(api: &Api) -> ApiError {
    let max = api.settings.max_response_bytes;
    let message = format!("The responses are larger than {max} bytes (max_response_bytes).");
    ApiError::new(Errno::RequestTooLarge).with_message(message)
}

/// The request of an item, without its body.
fn build_request(
    api: &Api,
    inherited: &HeaderMap,
    item: params::Item,
    has_body: bool,
) -> Result<Request> {
    let (path, query) = item.path.split_once('?').unwrap_or((&item.path, ""));
    let mut headers = inherited.clone();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    for (name, value) in item.headers {
        headers.insert(name, value);
    }
    if has_body {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, json);
    }
    let mut request = Request::new(item.method, path, query, headers, Vec::new())?;
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

/// Writes the response to an item as JSON.
fn render(item: &Item, reply: Reply, out: &mut Vec<u8>) {
    let headers = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((display_name(name), Value::from(value.to_str().ok()?))))
        .collect();
    let text = if item.is_head { Vec::new() } else { reply.body };
    let raw = String::from_utf8(text)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .unwrap_or_else(|| RawValue::from_string("\"\"".to_owned()).expect("valid JSON"));
    let response =
        Response { path: &item.path, status: reply.status.as_u16(), headers, body: &raw };
    serde_json::to_writer(out, &response).expect("plain data serializes");
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
