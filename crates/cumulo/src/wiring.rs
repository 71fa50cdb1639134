//! The composition root: the only place that names concrete stores and plugins.

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    settings::{Settings, SqliteDurability},
    store::Store,
};
use cumulo_http::Service;
use cumulo_store::{
    Durability, Memory, Migration, Options, Postgres, PostgresMigration, PostgresOptions, Sqlite,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Config, Storage};

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

fn open(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let clock = Arc::clone(clock);
    Ok(match &config.storage {
        Storage::Memory => Arc::new(Memory::new(clock)),
        Storage::Sqlite(file) => Arc::new(Sqlite::open(file, sqlite_options(config), clock)?),
        Storage::Postgresql(url) => {
            let options = postgres_options(&config.settings);
            Arc::new(Postgres::open(url.expose_secret(), options, clock)?)
        }
    })
}

fn postgres_options(settings: &Settings) -> PostgresOptions {
    let seconds = |seconds| u64::try_from(seconds).ok().map(Duration::from_secs);
    PostgresOptions {
        pool_size: settings.storage_pool_size,
        max_overflow: usize::try_from(settings.storage_max_overflow).unwrap_or(usize::MAX / 2),
        max_backlog: usize::try_from(settings.storage_max_backlog).ok(),
        pool_timeout: Duration::from_secs(settings.storage_pool_timeout.into()),
        pool_recycle: seconds(settings.storage_pool_recycle),
        ..PostgresOptions::default()
    }
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

/// Brings a PostgreSQL database to the schema of this version, or tells what that would do.
pub(crate) fn migrate_postgresql(
    url: &SecretString,
    dry_run: bool,
) -> anyhow::Result<PostgresMigration> {
    Ok(Postgres::migrate(url.expose_secret(), dry_run)?)
}
