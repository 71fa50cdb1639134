//! The composition root: the only place that names concrete stores and plugins.

use std::net::TcpListener;

use crate::config::Config;

/// Serves requests until `shutdown` is done and those under way are answered.
pub(crate) async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tracing::error!("no requests are answered: the HTTP edge is not part of the program yet");
    shutdown.await;
    drop((config, listener));
    Ok(())
}

/// Opens the storage, which brings it to the schema of this version, and closes it.
pub(crate) fn migrate(_config: &Config) -> anyhow::Result<()> {
    anyhow::bail!("the SQLite storage is not part of the program yet")
}
