//! Listens, serves connections, and lets them finish at the end.

use std::{future::Future, io, sync::Arc, time::Duration};

use cumulo_core::{
    api::Api,
    error,
    host::Host,
    plugin::{Slow, StartError},
    store::{BoxFuture, Store},
};
use cumulo_kvs::Kvs;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tracing::{debug, warn};

use crate::{
    body::BodyReader,
    exchange,
    metered::{MeteredCache, MeteredStore},
    prepare::SlowWork,
    refusal::Refusing,
    replica::Replica,
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

/// Serves `listener` until `stop` resolves; then connections may finish their request within the
/// grace period of the settings. The store is left open.
///
/// Each request is answered by the service that is current when it arrives.
pub async fn serve(
    listener: std::net::TcpListener,
    service: watch::Receiver<Arc<Service>>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(service.borrow().api.settings.max_connections));
    let draining = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, permit)) => spawn(stream, permit, &service, &draining),
            Err(error) => {
                // Mostly a lack of file descriptors: others must close first.
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let grace = Duration::from_secs(service.borrow().api.settings.shutdown_grace_seconds.into());
    if tokio::time::timeout(grace, draining.shutdown()).await.is_err() {
        warn!("some requests did not finish within the grace period");
    }
    Ok(())
}

/// The next connection, as soon as there may be one more.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.expect("it is never closed");
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn spawn(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    service: &watch::Receiver<Arc<Service>>,
    draining: &GracefulShutdown,
) {
    let settings = Arc::clone(&service.borrow().api.settings);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(settings.header_read_timeout_seconds.into()))
        .max_buf_size(settings.max_header_bytes)
        .max_headers(100)
        .half_close(true);
    let service = service.clone();
    let answer =
        service_fn(move |request| exchange::answer(Arc::clone(&service.borrow()), request));
    let connection =
        draining.watch(http.serve_connection(TokioIo::new(Refusing::new(stream)), answer));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}
