//! From a request whose body has arrived to its answer.

use std::{panic, sync::Arc};

use cumulo_core::{
    api::Step,
    call::Call,
    causes::Causes,
    reply::Reply,
    request::Request,
    store::{self, Access, Outlook},
};
use tracing::error;

use crate::{cache, heartbeat, prepare, request_id, service::Service, transaction::ask};

/// An answer, and the request as it was understood, if it was.
pub(crate) type Answered = (Reply, Option<Arc<Call>>);

impl Service {
    /// Answers a request whose body has arrived.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Reply {
        self.answer_request(request).await.0
    }

    /// The same, with the request as it was understood.
    pub(crate) async fn answer_request(self: &Arc<Self>, request: Request) -> Answered {
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
