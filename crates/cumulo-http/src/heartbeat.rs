//! Whether what the service depends on works.

use std::time::Duration;

use cumulo_core::{
    call::{Call, Endpoint},
    reply::Reply,
    store::{self, Access, Outcome},
};
use futures_util::future::{join, join_all};
use tokio::time::timeout;
use tracing::error;

use crate::{cache, causes::Causes, connection::Service};

/// Whether a call wants to know.
pub(crate) fn is_asked(call: &Call) -> bool {
    call.endpoint == Endpoint::Heartbeat && call.request.is_safe()
}

/// Asks the storage, the cache and the plugins, all at once. What is too slow to tell that it works
/// does not.
pub(crate) async fn answer(service: &Service, call: &Call) -> Reply {
    let seconds = service.api.settings.heartbeat_timeout_seconds;
    let limit = Duration::from_secs(seconds.into());
    let probes = service.api.plugins.iter().filter_map(|plugin| plugin.probe(service));
    let plugins = join_all(probes.map(async |(name, works)| {
        let works = timeout(limit, works).await.map(|works| works.then_some(()).ok_or(None));
        (name, judged(name, works.unwrap_or(Err(Some(late(limit))))))
    }));
    let storage = async {
        let works = timeout(limit, storage_works(service, call)).await;
        let shown = works.map(|works| works.map_err(|failure| Some(Causes(&failure).to_string())));
        judged("storage", shown.unwrap_or(Err(Some(late(limit)))))
    };
    let cache = async {
        let works = timeout(limit, cache::works(&*service.cache)).await;
        let shown = works.map(|works| match works {
            Ok(true) => Ok(()),
            Ok(false) => Err(None),
            Err(failure) => Err(Some(Causes(&failure).to_string())),
        });
        judged("cache", shown.unwrap_or(Err(Some(late(limit)))))
    };
    let ((storage, cache), plugins) = join(join(storage, cache), plugins).await;
    // Permissions are kept with the objects.
    let mut parts = vec![("storage", storage), ("permission", storage), ("cache", cache)];
    parts.extend(plugins);
    service.api.heartbeat(call, &parts)
}

async fn storage_works(service: &Service, call: &Call) -> store::Result<()> {
    let api = std::sync::Arc::clone(&service.api);
    let access = if api.settings.readonly { Access::Read } else { Access::Write };
    let outlook = api.outlook(call);
    let probe = move |tx: &mut dyn store::Transaction| {
        api.probe_storage(tx)?;
        Ok((Outcome::Commit, ()))
    };
    service.store.transact_foreseen(access, outlook, probe).await
}

/// Whether a part works. If not, whoever runs the service is told, and why if that is known.
fn judged(part: &str, works: Result<(), Option<String>>) -> bool {
    if let Err(cause) = &works {
        error!(part, cause, "the heartbeat found something that does not work");
    }
    works.is_ok()
}

fn late(limit: Duration) -> String {
    format!("no answer within {} seconds (heartbeat_timeout_seconds)", limit.as_secs())
}
