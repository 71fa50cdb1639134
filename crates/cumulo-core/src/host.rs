//! The port to what surrounds the protocol: for what plugins do outside of a transaction.

use std::sync::{Arc, Mutex};

use cumulo_kvs::Kvs;

use crate::{
    api::Api,
    error::{ApiError, Result},
    plugin::Slow,
    store::{BoxFuture, Store},
};

/// What a plugin can use when it is not in a transaction.
pub trait Host: Send + Sync + 'static {
    /// The protocol.
    fn api(&self) -> &Arc<Api>;

    /// Where objects are kept.
    fn store(&self) -> &Arc<dyn Store>;

    /// Where short-lived values are kept.
    fn cache(&self) -> &Arc<dyn Kvs>;

    /// Does work that takes long on a thread for such work: as much of it at once as leaves
    /// processors for the rest.
    fn compute(&self, work: Slow<()>) -> BoxFuture<'_, Result<()>>;
}

impl dyn Host {
    /// [`compute`](Host::compute) for work with a value.
    pub async fn work_out<T: Send + 'static>(&self, work: Slow<T>) -> Result<T> {
        let slot = Arc::new(Mutex::new(None));
        let inner = Arc::clone(&slot);
        let work = move || {
            *inner.lock().expect("no panic while the value is stored") = Some(work());
        };
        self.compute(Box::new(work)).await?;
        let value = slot.lock().expect("no panic while the value is stored").take();
        value.ok_or_else(|| ApiError::internal(""))
    }
}
