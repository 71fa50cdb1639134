//! Many requests in one, in one transaction.
//!
//! Each item has a savepoint: one that fails with an error of the client leaves nothing behind
//! and the others stand; a failure of the store undoes the whole batch.

use std::{io::Write, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, value::RawValue};

use crate::{
    api::{Api, Refused},
    authentication::Sender,
    call::{Call, Item},
    error::{ApiError, Errno, Result},
    params::{
        batch::{self as params, parse},
        headers::ContentType,
    },
    render::write_text,
    reply::{Done, Reply},
    request::{Request, percent_decode},
    store::Transaction,
};

/// Bytes of the response to a small item.
const TYPICAL_RESPONSE: usize = 1024;

/// Reads the requests of a batch, before its transaction: they may have to be prepared, and the
/// transaction shall be short. The body of the call is used up.
pub(crate) fn read(api: &Api, call: &mut Call) -> Result<Vec<Item>> {
    ContentType::parse(&call.request)?;
    let body = std::mem::replace(&mut call.body, Ok(Value::Null))?;
    let items = parse(body, api.settings.batch_max_requests)?;
    let mut inherited = call.request.headers.clone();
    inherited.remove(header::CONTENT_LENGTH);
    inherited.remove(header::TRANSFER_ENCODING);
    let reader = Reader { api, call, inherited, prefix: format!("/{}", api.prefix()) };
    Ok(items.into_iter().map(|item| reader.read(item)).collect())
}

/// Makes calls of the requests of a batch.
struct Reader<'a> {
    api: &'a Api,
    /// The batch.
    call: &'a Call,
    /// Its headers, as far as its items have them too.
    inherited: HeaderMap,
    /// What all paths begin with.
    prefix: String,
}

impl Reader<'_> {
    fn read(&self, mut item: params::Item) -> Item {
        let method = item.method.clone();
        let is_head = method == Method::HEAD;
        let body = item.body.take();
        let request = match self.request(item, body.is_some()) {
            Ok(request) => request,
            Err(error) => {
                let reply = Box::new(error.into_reply());
                let path = self.call.request.path.clone();
                return Item { method, path, is_head: false, call: Err(reply) };
            }
        };
        let mut path = request.path.clone();
        let sender = self.sender(&request.headers);
        let call = match self.api.call(request, body, sender) {
            Err(refused) if let Some(target) = redirected_path(self.api, &refused) => {
                path.clone_from(&target);
                let request = Request { path: target, ..refused.request };
                let sender = self.sender(&request.headers);
                self.api.call(request, refused.body, sender)
            }
            result => result,
        };
        let call = call.map(Box::new).map_err(|refused| Box::new(refused.reply));
        Item { method, path, is_head, call }
    }

    /// The request of an item, without its body.
    fn request(&self, item: params::Item, has_body: bool) -> Result<Request> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
        let (path, query) = item.path.split_once('?').unwrap_or((&item.path, ""));
        let mut headers = self.inherited.clone();
        for (name, value) in item.headers {
            headers.insert(name, value);
        }
        if has_body {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        let mut request = Request::new(item.method, path, query, headers, Vec::new())?;
        if !request.path.starts_with(&self.prefix) {
            request.path.insert_str(0, &self.prefix);
        }
        Ok(request)
    }

    /// Who sends an item: mostly who sends the batch.
    fn sender(&self, headers: &HeaderMap) -> Sender {
        let batch = self.call;
        if headers.get(header::AUTHORIZATION) == batch.request.headers.get(header::AUTHORIZATION) {
            Sender { user: batch.user.clone(), logins: batch.logins.clone() }
        } else {
            self.api.authenticator.authenticate(headers)
        }
    }
}

/// Answers a batch whose requests were [`read`].
pub(crate) fn post(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let expected = call.items.len() * TYPICAL_RESPONSE;
    let mut out = Vec::with_capacity(expected.min(api.settings.max_response_bytes));
    out.extend_from_slice(b"{\"responses\":[");
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
        render(item, &reply, &mut out);
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

/// Where a refused request should have gone.
fn redirected_path(api: &Api, refused: &Refused) -> Option<String> {
    let location = refused.reply.headers.get(header::LOCATION)?.to_str().ok()?;
    let path = location.strip_prefix(&api.origin(&refused.request))?.split('?').next()?;
    percent_decode(path)
}

/// Writes the response to an item as JSON.
fn render(item: &Item, reply: &Reply, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"path\":");
    write_text(&item.path, out);
    write!(out, ",\"status\":{},\"headers\":{{", reply.status.as_u16()).expect("memory takes all");
    let mut separator = "";
    for name in reply.headers.keys() {
        let mut values = reply.headers.get_all(name).iter().rev();
        if let Some(value) = values.find_map(|value| value.to_str().ok()) {
            out.extend_from_slice(separator.as_bytes());
            out.push(b'"');
            write_name(name, out);
            out.extend_from_slice(b"\":");
            write_text(value, out);
            separator = ",";
        }
    }
    let body = if item.is_head { &[] } else { reply.body.as_slice() };
    let body = serde_json::from_slice::<&RawValue>(body).map_or("\"\"", RawValue::get);
    out.extend_from_slice(b"},\"body\":");
    out.extend_from_slice(body.as_bytes());
    out.push(b'}');
}

/// Writes a name as HTTP/1.1 servers commonly spell it: clients compare it as text.
fn write_name(name: &HeaderName, out: &mut Vec<u8>) {
    if name == header::ETAG {
        return out.extend_from_slice(b"ETag");
    }
    for word in name.as_str().as_bytes().split_inclusive(|byte| *byte == b'-') {
        out.push(word[0].to_ascii_uppercase());
        out.extend_from_slice(&word[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(reply: &Reply) -> Value {
        let reply_to = Box::new(Reply::empty(StatusCode::OK));
        let path = "/v1/\"é\"".to_owned();
        let item = Item { method: Method::GET, path, is_head: false, call: Err(reply_to) };
        let mut out = Vec::new();
        render(&item, reply, &mut out);
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_response_tells_the_last_of_each_header() {
        let mut reply = Reply::raw_json(StatusCode::CREATED, b" {\"a\":[1]}\n".to_vec());
        for (name, value) in
            [("x-b--c", "1\t\"2\""), ("etag", "\"5\""), ("x-b--c", "\\"), ("d", "")]
        {
            reply.headers.append(name, HeaderValue::from_static(value));
        }
        reply.headers.append("d", HeaderValue::from_bytes(b"\xff").expect("opaque"));
        reply.headers.append("e", HeaderValue::from_bytes(b"\xff").expect("opaque"));
        let expected = serde_json::json!({
            "path": "/v1/\"é\"",
            "status": 201,
            "headers": {"Content-Type": "application/json", "X-B--C": "\\", "ETag": "\"5\"", "D": ""},
            "body": {"a": [1]},
        });
        assert_eq!(rendered(&reply).to_string(), expected.to_string());
    }

    #[test]
    fn a_body_that_is_no_json_is_left_out() {
        for body in ["", "307 Temporary Redirect\n", "{}{}", "{"] {
            let reply = Reply { body: body.into(), ..Reply::empty(StatusCode::OK) };
            assert_eq!(rendered(&reply)["body"], "", "{body}");
        }
    }
}
