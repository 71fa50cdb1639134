//! The composition root: the only place that names concrete stores and plugins.

use std::{net::TcpListener, path::Path, sync::Arc};

use anyhow::Context as _;
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    settings::SqliteDurability,
    store::Store,
};
use cumulo_http::Service;
use cumulo_store::{Durability, Memory, Migration, Options, Sqlite};

use crate::config::Config;

/// Opens the storage and puts the parts together.
pub(crate) fn service(config: &Config) -> anyhow::Result<Arc<Service>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = open(config, &clock)?;
    let plugins = cumulo_plugins::enabled(&config.settings);
    let settings = Arc::new(config.settings.clone());
    let mut api = Api::new(Arc::clone(&settings), plugins, clock);
    api.version = std::fs::read(&settings.version_json_path).ok();
    Ok(Arc::new(Service::new(Arc::new(api), store)))
}

/// Serves requests until `shutdown` is done and those under way are answered; then closes the
/// storage.
pub(crate) async fn serve(
    service: Arc<Service>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let store = Arc::clone(&service.store);
    cumulo_http::serve(listener, service, shutdown).await.context("the service ended")?;
    tokio::task::spawn_blocking(move || store.close()).await.context("closing the storage")
}

/// Opens the storage alone.
pub(crate) fn open(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let clock = Arc::clone(clock);
    Ok(match &config.sqlite_file {
        Some(file) => Arc::new(Sqlite::open(file, sqlite_options(config), clock)?),
        None => Arc::new(Memory::new(clock)),
    })
}

fn sqlite_options(config: &Config) -> Options {
    let settings = &config.settings;
    Options {
        durability: match settings.sqlite_durability {
            SqliteDurability::Full => Durability::Full,
            SqliteDurability::Normal => Durability::Normal,
            SqliteDurability::Off => Durability::Off,
        },
        readers: settings.sqlite_readers,
        auto_index: settings.sqlite_auto_index,
        ..Options::default()
    }
}

/// Brings the file of the SQLite storage to the schema of this version.
pub(crate) fn migrate(file: &Path) -> anyhow::Result<Migration> {
    Ok(Sqlite::migrate(file)?)
}
