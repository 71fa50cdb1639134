//! What is asked of the cache before a call is answered, and told after it.

use std::time::Duration;

use cumulo_core::{api::Api, call::Call, causes::Causes, reply::Reply};
use cumulo_kvs::{Error, Kvs, Result};
use tracing::error;
use uuid::Uuid;

/// What tokens stand for, in JSON: nothing. The same as Kinto stores.
const TOKEN: &[u8] = b"\"\"";
/// How long a probe is kept if its end is not seen.
const PROBE_TTL: Duration = Duration::from_mins(1);

/// Before the transaction of a call: takes its single-use tokens out of the cache, so that a
/// transaction that runs again, or in another copy of the service, does not use them twice.
pub(crate) async fn prepare(api: &Api, cache: &dyn Kvs, call: &mut Call) -> Result<()> {
    redeem(api, cache, call).await?;
    for item in &mut call.items {
        if let Ok(call) = &mut item.call {
            redeem(api, cache, call).await?;
        }
    }
    Ok(())
}

async fn redeem(api: &Api, cache: &dyn Kvs, call: &mut Call) -> Result<()> {
    if let Some(nonce) = api.single_use(call)
        && cache.take(&nonce).await?.is_some()
    {
        call.redeemed = Some(nonce);
    }
    Ok(())
}

/// After the transaction: gives back the tokens that it did not use, and adds those it issued.
pub(crate) async fn settle(api: &Api, cache: &dyn Kvs, call: &Call, reply: &Reply) -> Result<()> {
    if reply.empties_cache {
        return cache.flush().await;
    }
    let single_use = &reply.single_use;
    let redeemed = call.singles().filter_map(|call| call.redeemed.as_ref());
    let unused = redeemed.filter(|nonce| !single_use.used.contains(nonce));
    let seconds = api.settings.pagination_token_validity_seconds;
    let validity = Some(Duration::from_secs(seconds.into()));
    for nonce in unused.chain(&single_use.issued) {
        cache.set(nonce, TOKEN, validity).await?;
    }
    Ok(())
}

/// Whether the cache keeps what it gets.
pub(crate) async fn works(cache: &dyn Kvs) -> Result<bool> {
    // Other copies of the service may be asked at the same time.
    let key = format!("__heartbeat__:{}", Uuid::new_v4());
    cache.set(&key, b"true", Some(PROBE_TTL)).await?;
    let found = cache.get(&key).await?;
    let deleted = cache.delete(&key).await?;
    Ok(deleted && found.as_deref() == Some(b"true"))
}

/// For whoever runs the service.
pub(crate) fn log(failure: &Error) {
    error!(error = %Causes(failure), "the cache failed");
}
