//! Whether what the service depends on works.

use std::{sync::Arc, time::Duration};

use cumulo_core::{
    call::{Call, Endpoint},
    causes::Causes,
    reply::Reply,
    store::{self, Access, Outcome},
};
use futures_util::future::{join_all, join3};
use tokio::time::timeout;
use tracing::error;

use crate::{cache, service::Service};

/// Whether a call wants to know.
pub(crate) fn is_asked(call: &Call) -> bool {
    call.endpoint == Endpoint::Heartbeat && call.request.is_safe()
}

/// Asks the storage, the cache and the plugins, all at once. What is too slow to tell that it works
/// does not.
pub(crate) async fn answer(service: &Service, call: &Call) -> Reply {
    let seconds = service.api.settings.heartbeat_timeout_seconds;
    let limit = Duration::from_secs(seconds.into());
    let storage = async {
        let works = storage_works(service, call).await;
        works.map(|()| true).map_err(|failure| Causes(&failure).to_string())
    };
    let cache = async {
        let works = cache::works(&*service.cache).await;
        works.map_err(|failure| Causes(&failure).to_string())
    };
    let probes = service.api.plugins.iter().filter_map(|plugin| plugin.probe(service));
    let plugins =
        join_all(probes.map(async |(name, works)| {
            (name, judge(name, limit, async { Ok(works.await) }).await)
        }));
    let (storage, cache, plugins) =
        join3(judge("storage", limit, storage), judge("cache", limit, cache), plugins).await;
    // Permissions are kept with the objects.
    let mut parts = vec![("storage", storage), ("permission", storage), ("cache", cache)];
    parts.extend(plugins);
    service.api.heartbeat(call, &parts)
}

/// Whether a part works. If not, whoever runs the service is told, and why if that is known.
async fn judge(
    part: &str,
    limit: Duration,
    works: impl Future<Output = Result<bool, String>>,
) -> bool {
    let cause = match timeout(limit, works).await {
        Ok(Ok(true)) => return true,
        Ok(Ok(false)) => None,
        Ok(Err(cause)) => Some(cause),
        Err(_) => Some(format!("no answer within {} seconds", limit.as_secs())),
    };
    error!(part, cause, "the heartbeat found something that does not work");
    false
}

async fn storage_works(service: &Service, call: &Call) -> store::Result<()> {
    let api = Arc::clone(&service.api);
    let access = if api.settings.readonly { Access::Read } else { Access::Write };
    let outlook = api.outlook(call);
    let probe = move |tx: &mut dyn store::Transaction| {
        api.probe_storage(tx)?;
        Ok((Outcome::Commit, ()))
    };
    service.store.transact_foreseen(access, outlook, probe).await
}
