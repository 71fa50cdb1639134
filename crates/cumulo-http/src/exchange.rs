//! One request and its response.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use cumulo_core::{
    cors::Exposed,
    error::ApiError,
    reply::Reply,
    request::{Request, decode_target},
};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::error;

use crate::{
    answer::Answered,
    redact, refusal, request_id,
    service::Service,
    summary::{self, Summary},
};

/// Answers a request. There is always an answer: a panic becomes a 500.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let mut summary = Summary::begin(&service, &mut parts);
    let id = summary.id.clone();
    let exchange = async {
        let exchange = AssertUnwindSafe(exchange(&service, parts, body, &mut summary));
        let (mut reply, call) = match exchange.catch_unwind().await {
            Ok(answered) => answered,
            Err(_) => (panicked(&service, &summary), None),
        };
        summary.end(&service, call.as_deref(), &mut reply);
        respond(reply)
    };
    Ok(request_id::scope(id, exchange).await)
}

fn panicked(service: &Service, summary: &Summary) -> Reply {
    let (method, path) = (&summary.method, summary.uri.path());
    error!(%method, path, "the request made the server panic");
    let error = ApiError::internal(&service.api.settings.error_info_link);
    service.api.finish(&HeaderMap::new(), Exposed::Common, error.into_reply())
}

async fn exchange(
    service: &Arc<Service>,
    parts: http::request::Parts,
    body: Incoming,
    summary: &mut Summary,
) -> Answered {
    let refuse = |error: ApiError, headers: &HeaderMap| {
        (service.api.finish(headers, Exposed::Common, error.into_reply()), None)
    };
    let http::request::Parts { method, uri, headers, .. } = parts;
    if head_size(&uri, &headers) > service.api.settings.max_header_bytes {
        return refuse(refusal::too_large(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE), &headers);
    }
    let body = match service.bodies.read(body).await {
        Ok(body) => body,
        Err(error) => return refuse(error, &headers),
    };
    if summary::details() {
        summary.body = Some(redact::body(&body.bytes));
    }
    let query = uri.query().unwrap_or("").to_owned();
    let path = match decode_target(uri.path(), &query) {
        Ok(path) => path,
        Err(error) => return refuse(error, &headers),
    };
    service.answer_request(Request { method, path, query, headers, body: body.bytes }).await
}

/// Bytes of the URL and the headers. While reading, hyper only bounds them roughly.
fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    target + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

fn respond(reply: Reply) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if reply.status == StatusCode::REQUEST_TIMEOUT {
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
    }
    response
}
