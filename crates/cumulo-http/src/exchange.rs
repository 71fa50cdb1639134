//! One request and its response.

use std::{
    convert::Infallible,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cumulo_core::{
    api::{Api, Step},
    call::{Call, Endpoint},
    cors::Exposed,
    error::ApiError,
    reply::Reply,
    request::{Request, decode_target},
    store::{self, Access, Outlook, Store},
};
use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::{cache, causes::Causes, connection::Service, heartbeat, prepare, refusal};

/// Answers a request. There is always an answer: a panic becomes a 500.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let exchange =
        AssertUnwindSafe(exchange(&service, parts.method, parts.uri, parts.headers, body));
    let reply = match exchange.catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => {
            error!(method = %method, path = uri.path(), "the request made the server panic");
            let error = ApiError::internal(&service.api.settings.error_info_link);
            service.api.finish(&HeaderMap::new(), Exposed::Common, error.into_reply())
        }
    };
    debug!(
        target: "request.summary",
        method = %method,
        path = uri.path(),
        parameters = parameter_names(&uri),
        code = reply.status.as_u16(),
        errno = reply.errno,
        "{method} {} {}", uri.path(), reply.status.as_u16()
    );
    Ok(respond(reply))
}

/// What a query string asks for, without the values: some are secrets.
fn parameter_names(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split('=').next().unwrap_or_default()).collect::<Vec<_>>().join("&")
}

async fn exchange(
    service: &Arc<Service>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Incoming,
) -> Reply {
    let refuse = |error: ApiError, headers: &HeaderMap| {
        service.api.finish(headers, Exposed::Common, error.into_reply())
    };
    if head_size(&uri, &headers) > service.api.settings.max_header_bytes {
        return refuse(refusal::too_large(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE), &headers);
    }
    let body = match service.bodies.read(body).await {
        Ok(body) => body,
        Err(error) => return refuse(error, &headers),
    };
    let query = uri.query().unwrap_or("").to_owned();
    let path = match decode_target(uri.path(), &query) {
        Ok(path) => path,
        Err(error) => return refuse(error, &headers),
    };
    service.answer(Request { method, path, query, headers, body: body.bytes }).await
}

impl Service {
    /// Answers a request whose body has arrived.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Reply {
        let mut call = match self.api.begin(request) {
            Step::Done(reply) => return *reply,
            Step::Run(call) => call,
        };
        if self.api.prepares()
            && let Err(reply) = prepare::prepare(self, &mut call).await
        {
            return *reply;
        }
        if let Some(reply) = self.api.serve(&**self, &call).await {
            return reply;
        }
        if !self.api.tells_anything() || call.request.is_safe() {
            return answer_call(self, *call).await;
        }
        // Plugins are told of what was done even if the client does not wait for the answer.
        let service = Arc::clone(self);
        let answer = tokio::spawn(async move { answer_call(&service, *call).await });
        answer.await.unwrap_or_else(|failure| panic::resume_unwind(failure.into_panic()))
    }
}

/// Bytes of the URL and the headers. While reading, hyper only bounds them roughly.
fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    target + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// Answers a call, with what it needs of the cache. Without the cache only such calls fail.
async fn answer_call(service: &Service, mut call: Call) -> Reply {
    let (api, cache) = (&*service.api, &*service.cache);
    heartbeat::probe(service, &mut call).await;
    let prepared = cache::prepare(api, cache, &mut call).await;
    let call = Arc::new(call);
    let reply = match prepared {
        Ok(()) => run(service, Arc::clone(&call)).await,
        Err(failure) => return without_cache(service, &call, failure),
    };
    api.committed(&reply);
    let settled = cache::settle(api, cache, &call, &reply).await;
    if let Some(replica) = &service.replica {
        replica.note_writers(cache, &call, &reply).await;
    }
    match settled {
        Ok(()) => reply,
        Err(failure) => without_cache(service, &call, failure),
    }
}

fn without_cache(service: &Service, call: &Call, failure: cumulo_kvs::Error) -> Reply {
    cache::log(&failure);
    service.api.failed(call, store::Error::Unavailable(Box::new(failure)))
}

/// Answers a call in a transaction; in a writing one as soon as it turns out to need that.
async fn run(service: &Service, call: Arc<Call>) -> Reply {
    let mut access = call.access();
    loop {
        let result = match call.endpoint {
            Endpoint::Heartbeat => {
                within_heartbeat(service, transact(service, &call, access)).await
            }
            _ => transact(service, &call, access).await,
        };
        match result {
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

/// A storage that is too slow to tell that it works does not.
async fn within_heartbeat(
    service: &Service,
    answer: impl Future<Output = store::Result<Reply>>,
) -> store::Result<Reply> {
    let seconds = service.api.settings.heartbeat_timeout_seconds;
    let late = |error| Err(store::Error::Unavailable(Box::new(error)));
    timeout(Duration::from_secs(seconds.into()), answer).await.unwrap_or_else(late)
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
