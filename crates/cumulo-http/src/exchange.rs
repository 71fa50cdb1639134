//! One request and its response.

use std::{
    convert::Infallible,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use bytes::Bytes;
use cumulo_core::{
    api::{Api, Step},
    call::Call,
    cors::Exposed,
    error::ApiError,
    reply::Reply,
    request::{Request, decode_target},
    store::{self, Access, Outlook, Store},
};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::error;

use crate::{
    cache,
    causes::Causes,
    connection::Service,
    heartbeat, prepare, redact, refusal, request_id,
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

/// An answer, and the request as it was understood, if it was.
type Answered = (Reply, Option<Arc<Call>>);

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

impl Service {
    /// Answers a request whose body has arrived.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Reply {
        self.answer_request(request).await.0
    }

    async fn answer_request(self: &Arc<Self>, request: Request) -> Answered {
        let mut call = match self.api.begin(request) {
            Step::Done(reply) => return (*reply, None),
            Step::Run(call) => call,
        };
        if self.api.prepares()
            && let Err(reply) = prepare::prepare(self, &mut call).await
        {
            return (*reply, Some(Arc::from(call)));
        }
        if let Some(reply) = self.api.serve(&**self, &call).await {
            return (reply, Some(Arc::from(call)));
        }
        if !self.api.tells_anything() || call.request.is_safe() {
            return answer_call(self, *call).await;
        }
        // Plugins are told of what was done even if the client does not wait for the answer.
        let service = Arc::clone(self);
        let answer = async move { answer_call(&service, *call).await };
        let answer = tokio::spawn(request_id::scope(request_id::current(), answer));
        answer.await.unwrap_or_else(|failure| panic::resume_unwind(failure.into_panic()))
    }
}

/// Bytes of the URL and the headers. While reading, hyper only bounds them roughly.
fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    target + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// Answers a call, with what it needs of the cache. Without the cache only such calls fail.
async fn answer_call(service: &Service, mut call: Call) -> Answered {
    let (api, cache) = (&*service.api, &*service.cache);
    if heartbeat::is_asked(&call) {
        return (heartbeat::answer(service, &call).await, Some(Arc::new(call)));
    }
    let prepared = cache::prepare(api, cache, &mut call).await;
    let call = Arc::new(call);
    let reply = match prepared {
        Ok(()) => run(service, Arc::clone(&call)).await,
        Err(failure) => return (without_cache(service, &call, failure), Some(call)),
    };
    api.committed(&reply);
    let settled = cache::settle(api, cache, &call, &reply).await;
    if let Some(replica) = &service.replica {
        replica.note_writers(cache, &call, &reply).await;
    }
    let reply = match settled {
        Ok(()) => reply,
        Err(failure) => without_cache(service, &call, failure),
    };
    (reply, Some(call))
}

fn without_cache(service: &Service, call: &Call, failure: cumulo_kvs::Error) -> Reply {
    cache::log(&failure);
    service.api.failed(call, store::Error::Unavailable(Box::new(failure)))
}

/// Answers a call in a transaction; in a writing one as soon as it turns out to need that.
async fn run(service: &Service, call: Arc<Call>) -> Reply {
    let mut access = call.access();
    loop {
        match transact(service, &call, access).await {
            Ok(reply) => return reply,
            Err(store::Error::ReadOnly) if access != Access::Write => access = Access::Write,
            Err(failure @ store::Error::Unstorable(_)) => {
                return service.api.failed(&call, failure);
            }
            Err(failure) => {
                error!(
                    method = %call.request.method,
                    path = call.request.path,
                    error = %Causes(&failure),
                    "the storage failed"
                );
                return service.api.failed(&call, failure);
            }
        }
    }
}

async fn transact(service: &Service, call: &Arc<Call>, access: Access) -> store::Result<Reply> {
    let (api, store) = (&service.api, &*service.store);
    if let Some(replica) = &service.replica
        && let Some(reply) = replica.answer(api, &*service.cache, call, access).await
    {
        return Ok(reply);
    }
    let outlook = if store.uses_outlook() { api.outlook(call) } else { Outlook::default() };
    ask(store, api, call, access, outlook).await
}

/// Answers a call in a transaction of a store.
pub(crate) async fn ask(
    store: &dyn Store,
    api: &Arc<Api>,
    call: &Arc<Call>,
    access: Access,
    outlook: Outlook,
) -> store::Result<Reply> {
    let (api, call) = (Arc::clone(api), Arc::clone(call));
    let work = move |tx: &mut dyn store::Transaction| api.answer(&call, tx);
    store.transact_foreseen(access, outlook, work).await
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
