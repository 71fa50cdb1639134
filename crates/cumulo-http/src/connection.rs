//! Listens, serves connections, and lets them finish at the end.

use std::{future::Future, io, sync::Arc, time::Duration};

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

use crate::{exchange, refusal::Refusing, service::Service};

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
