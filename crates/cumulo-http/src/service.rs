//! What requests are answered with.

use std::{sync::Arc, time::Duration};

use cumulo_core::{
    api::Api,
    error,
    host::Host,
    plugin::{Slow, StartError},
    store::{BoxFuture, Store},
};
use cumulo_kvs::Kvs;

use crate::{
    body::BodyReader,
    metered::{MeteredCache, MeteredStore},
    replica::Replica,
    slow::SlowWork,
    trace::Tracer,
};

/// What answers requests.
pub struct Service {
    /// The protocol.
    pub api: Arc<Api>,
    /// Where objects are kept.
    pub store: Arc<dyn Store>,
    /// Where short-lived values are kept, such as single-use tokens.
    pub cache: Arc<dyn Kvs>,
    /// Who wants to hear of requests, if anybody does.
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
    pub(crate) replica: Option<Arc<Replica>>,
    pub(crate) bodies: Arc<BodyReader>,
    pub(crate) slow: Arc<SlowWork>,
}

impl Service {
    /// A service with the limits of the API's settings. If a plugin takes measurements, storage and
    /// cache are measured.
    pub fn new(api: Arc<Api>, mut store: Arc<dyn Store>, mut cache: Arc<dyn Kvs>) -> Self {
        if let Some(metrics) = &api.metrics {
            store = Arc::new(MeteredStore::new(store, Arc::clone(metrics)));
            cache = Arc::new(MeteredCache::new(cache, Arc::clone(metrics)));
        }
        let bodies = Arc::new(BodyReader::new(&api.settings));
        let slow = Arc::new(SlowWork::new(&api.settings));
        Self { api, store, cache, tracer: None, replica: None, bodies, slow }
    }

    /// Has somebody told of each request.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Arc<dyn Tracer>) -> Self {
        self.tracer = Some(tracer);
        self
    }

    /// Has a replica of the store answer reads. It must not answer when it is more than `max_lag`
    /// behind.
    #[must_use]
    pub fn with_replica(mut self, replica: Arc<dyn Store>, max_lag: Duration) -> Self {
        self.replica = Some(Arc::new(Replica::new(replica, max_lag)));
        self
    }

    /// Starts what plugins run beside the requests.
    pub async fn start(self: &Arc<Self>) -> Result<(), StartError> {
        let host: Arc<dyn Host> = Arc::clone(self) as Arc<dyn Host>;
        for plugin in &self.api.plugins {
            plugin.start(&host).await?;
        }
        Ok(())
    }

    /// Ends what plugins run beside the requests.
    pub async fn stop(&self) {
        for plugin in self.api.plugins.iter().rev() {
            plugin.stop().await;
        }
    }

    /// The same stores with another API. The bounds on the memory of bodies and on slow work hold for
    /// both together, so they stay.
    #[must_use]
    pub fn with_api(&self, api: Arc<Api>) -> Self {
        Self {
            api,
            store: Arc::clone(&self.store),
            cache: Arc::clone(&self.cache),
            tracer: self.tracer.clone(),
            replica: self.replica.clone(),
            bodies: Arc::clone(&self.bodies),
            slow: Arc::clone(&self.slow),
        }
    }

    /// Closes the stores. Blocks.
    pub fn close(&self) {
        if let Some(replica) = &self.replica {
            replica.close();
        }
        self.store.close();
    }
}

impl Host for Service {
    fn api(&self) -> &Arc<Api> {
        &self.api
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn cache(&self) -> &Arc<dyn Kvs> {
        &self.cache
    }

    fn compute(&self, work: Slow<()>) -> BoxFuture<'_, error::Result<()>> {
        Box::pin(self.slow.run(work))
    }
}
