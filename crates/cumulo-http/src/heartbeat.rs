//! Whether what the service depends on, besides the storage, works.

use std::time::Duration;

use cumulo_core::call::{Call, Endpoint};
use futures_util::future::{join, join_all};
use tokio::time::timeout;

use crate::{cache, connection::Service};

/// Asks the cache and the plugins, all at once, if a call wants to know. What is too slow to tell
/// that it works does not.
pub(crate) async fn probe(service: &Service, call: &mut Call) {
    if call.endpoint != Endpoint::Heartbeat {
        return;
    }
    let seconds = service.api.settings.heartbeat_timeout_seconds;
    let limit = Duration::from_secs(seconds.into());
    let probes = service.api.plugins.iter().filter_map(|plugin| plugin.probe(service));
    let others = probes.map(async |(name, works)| (name, timeout(limit, works).await == Ok(true)));
    let (cache, others) = join(cache::works(&*service.cache, limit), join_all(others)).await;
    call.probes = [("cache", cache)].into_iter().chain(others).collect();
}
