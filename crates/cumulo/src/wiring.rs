//! The composition root: the only place that names concrete stores and plugins.

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    resource::RESOURCES,
    settings::{CacheEngine, Settings, SqliteDurability},
    store::{Access, Outcome, Store},
};
use cumulo_http::Service;
use cumulo_kvs::Kvs;
use cumulo_plugins::accounts;
use cumulo_store::{
    Durability, Memory, Migration, Options, Postgres, PostgresMigration, PostgresOptions, Sqlite,
};
use cumulo_upkeep::{check::AcceptsId, user::User};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use crate::{
    config::{Config, Storage},
    telemetry::Otlp,
};

/// Opens the storage and puts the parts together.
pub(crate) fn service(config: &Config) -> anyhow::Result<Arc<Service>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = open(config, &clock)?;
    let cache = cache(config)?;
    let plugins = cumulo_plugins::enabled(&config.settings, &config.plugins);
    let api = Api::new(Arc::new(config.settings.clone()), plugins, Arc::clone(&clock));
    let mut service = Service::new(with_version(api), store, cache);
    if let Some(tracer) = Otlp::start(&config.settings)? {
        service = service.with_tracer(tracer);
    }
    Ok(Arc::new(match replica(config, clock)? {
        Some((replica, max_lag)) => service.with_replica(replica, max_lag),
        None => service,
    }))
}

/// The same storage, cache and plugins with other settings.
pub(crate) fn with_settings(service: &Service, settings: Settings) -> Arc<Service> {
    let api = service.api.with_settings(Arc::new(settings));
    Arc::new(service.with_api(with_version(api)))
}

fn with_version(mut api: Api) -> Arc<Api> {
    api.version = std::fs::read(&api.settings.version_json_path).ok();
    Arc::new(api)
}

/// Serves requests until `shutdown` is done and those under way are answered; then closes the
/// storage. The service may be replaced on the way by one [`with_settings`].
pub(crate) async fn serve(
    current: watch::Receiver<Arc<Service>>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let service = Arc::clone(&current.borrow());
    service.start().await.map_err(|error| anyhow!(error)).context("a plugin can't start")?;
    let serving = cumulo_http::serve(listener, current, shutdown);
    serving.await.context("the service ended")?;
    service.stop().await;
    tokio::task::spawn_blocking(move || service.close()).await.context("closing the storage")
}

/// Opens the storage alone.
pub(crate) fn open(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
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

/// Opens the storage alone, and changes nothing in it by that.
pub(crate) fn open_unchanged(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let Storage::Sqlite(file) = &config.storage else { return open(config, &clock) };
    Ok(Arc::new(Sqlite::open_unchanged(file, sqlite_options(config), clock)?))
}

/// The replica that answers reads, if there is one, and how far it may be behind.
fn replica(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<(Arc<dyn Store>, Duration)>> {
    let settings = &config.settings;
    let Storage::Postgresql(primary) = &config.storage else { return Ok(None) };
    if !settings.reads_from_replica() {
        return Ok(None);
    }
    let (url, primary) = (settings.storage_read_url.expose_secret(), primary.expose_secret());
    let max_lag = Duration::from_secs(settings.storage_read_max_lag_seconds.into());
    let options = postgres_options(settings);
    let replica = Postgres::open_standby(url, primary, max_lag, options, clock)
        .context("storage_read_url")?;
    Ok(Some((Arc::new(replica), max_lag)))
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

/// The cache; one that runs elsewhere is connected to when it is used.
pub(crate) fn cache(config: &Config) -> anyhow::Result<Arc<dyn Kvs>> {
    let settings = &config.settings;
    let (url, options) = (settings.cache_url.expose_secret(), cache_options(config));
    Ok(match settings.cache_backend {
        CacheEngine::Memory => {
            Arc::new(cumulo_kvs::Memory::new(settings.cache_max_size_bytes, options)?)
        }
        CacheEngine::Sqlite => {
            let file = config.cache_file.as_deref().context("the cache has no file")?;
            Arc::new(cumulo_kvs::Sqlite::open(file, options)?)
        }
        CacheEngine::Postgresql => Arc::new(cumulo_kvs::Postgresql::new(url, options)?),
        CacheEngine::Redis => Arc::new(cumulo_kvs::Redis::new(url, options)?),
        CacheEngine::Memcached => {
            Arc::new(cumulo_kvs::Memcached::new(settings.memcached_hosts(), options)?)
        }
    })
}

fn cache_options(config: &Config) -> cumulo_kvs::Options {
    cumulo_kvs::Options {
        prefix: config.settings.cache_prefix.clone(),
        pool_size: config.settings.cache_pool_size,
        ..cumulo_kvs::Options::default()
    }
}

/// Creates the table of the cache in PostgreSQL. Whether it was missing.
pub(crate) async fn migrate_cache(config: &Config) -> anyhow::Result<bool> {
    let url = config.settings.cache_url.expose_secret();
    let cache = cumulo_kvs::Postgresql::new(url, cache_options(config))?;
    Ok(cache.migrate().await?)
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

/// What keeps a text from being the name of an account.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    let problem = "The name must be made of letters, digits and +.@_- and begin with a letter or a \
                   digit.";
    (!accounts::is_name(name)).then_some(problem)
}

/// What keeps a text from being the password of an account.
pub(crate) fn password_problem(settings: &Settings, password: &str) -> Option<&'static str> {
    accounts::password::problem(settings.account_password_hash, password)
}

/// Creates an account, or gives it another password, in a storage that nobody has opened.
pub(crate) fn put_account(config: &Config, name: &str, password: &str) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = open(config, &clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(set_password(&*store, &config.settings, name, password));
    store.close();
    done
}

/// Creates an account, or gives it another password.
pub(crate) async fn set_password(
    store: &dyn Store,
    settings: &Settings,
    name: &str,
    password: &str,
) -> anyhow::Result<()> {
    let (name, hash) =
        (name.to_owned(), accounts::password::hash(settings.account_password_hash, password));
    let put = store.transact(Access::Write, move |tx| {
        accounts::put(&name, &hash, tx)?;
        Ok((Outcome::Commit, ()))
    });
    put.await.context("can't store the account")
}

/// Creates an account unless there is one. Whether it did.
pub(crate) async fn create_account(
    store: &dyn Store,
    settings: &Settings,
    name: &str,
    password: &str,
) -> anyhow::Result<bool> {
    let (name, hash) =
        (name.to_owned(), accounts::password::hash(settings.account_password_hash, password));
    let create = store.transact(Access::Write, move |tx| {
        let is_new = accounts::stored_hash(&name, tx)?.is_none();
        if is_new {
            accounts::put(&name, &hash, tx)?;
        }
        Ok((Outcome::Commit, is_new))
    });
    create.await.context("can't store the account")
}

/// The hash of an account's password; none if there is no such account.
pub(crate) async fn account_hash(store: &dyn Store, name: &str) -> anyhow::Result<Option<String>> {
    let name = name.to_owned();
    let read = store
        .transact(Access::Read, move |tx| Ok((Outcome::Commit, accounts::stored_hash(&name, tx)?)));
    read.await.context("can't read the accounts")
}

/// Whether a password is the one that a hash was made of.
pub(crate) fn is_password_of(hash: &str, password: &str) -> bool {
    accounts::password::verify(password, hash)
}

/// The user whose account has this name.
pub(crate) fn user(name: &str) -> User {
    let account = (accounts::list_of(name), name.to_owned());
    User { principal: accounts::user_of(name), account }
}

/// Whether an object of a resource can have an id; of resources that no plugin knows, any.
pub(crate) fn accepts_id(config: &Config) -> Arc<AcceptsId> {
    let plugins = cumulo_plugins::enabled(&config.settings, &config.plugins);
    let of_plugins = plugins.iter().flat_map(|plugin| plugin.resources());
    let known: Vec<_> = RESOURCES.iter().chain(of_plugins).copied().collect();
    let settings = Arc::new(config.settings.clone());
    let api = Api::new(settings, plugins, Arc::new(SystemClock::default()));
    Arc::new(move |name, id| {
        let resource = known.iter().find(|resource| resource.name == name);
        resource.is_none_or(|resource| api.accepts_id(resource, id))
    })
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
