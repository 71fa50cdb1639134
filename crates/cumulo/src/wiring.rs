//! The composition root: the only place that names concrete stores and plugins.

use std::{net::TcpListener, sync::Arc};

use anyhow::Context as _;
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    store::Store,
};
use cumulo_http::Service;
use cumulo_store::Memory;

use crate::config::Config;

/// Serves requests until `shutdown` is done and those under way are answered.
pub(crate) async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = open(&config, &clock)?;
    let plugins = cumulo_plugins::enabled(&config.settings);
    let settings = Arc::new(config.settings);
    let mut api = Api::new(Arc::clone(&settings), plugins, clock);
    api.version = std::fs::read(&settings.version_json_path).ok();
    let service = Arc::new(Service::new(Arc::new(api), Arc::clone(&store)));
    cumulo_http::serve(listener, service, shutdown).await.context("the service ended")?;
    tokio::task::spawn_blocking(move || store.close()).await.context("closing the storage")
}

fn open(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let _ = config;
    Ok(Arc::new(Memory::new(Arc::clone(clock))))
}

/// Opens the storage, which brings it to the schema of this version, and closes it.
pub(crate) fn migrate(_config: &Config) -> anyhow::Result<()> {
    anyhow::bail!("the SQLite storage is not part of the program yet")
}
