//! The composition root: the only place that names concrete stores and plugins.

use std::{net::TcpListener, path::Path, sync::Arc};

use anyhow::Context as _;
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    settings::SqliteDurability,
    store::{Access, Outcome, Store},
};
use cumulo_http::Service;
use cumulo_plugins::accounts;
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

fn open(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
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

/// What keeps a text from being the name of an account.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    let problem = "The name must be made of letters, digits and +.@_- and begin with a letter or a \
                   digit.";
    (!accounts::is_name(name)).then_some(problem)
}

/// What keeps a text from being the password of an account.
pub(crate) fn password_problem(password: &str) -> Option<&'static str> {
    accounts::password::problem(password)
}

/// Creates an account, or gives it another password.
pub(crate) fn put_account(config: &Config, name: &str, password: &str) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = open(config, &clock)?;
    let (name, hash) = (name.to_owned(), accounts::password::hash(password));
    let put = store.transact(Access::Write, move |tx| {
        accounts::put(&name, &hash, tx)?;
        Ok((Outcome::Commit, ()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(put).context("can't store the account");
    store.close();
    done
}

/// Brings the file of the SQLite storage to the schema of this version.
pub(crate) fn migrate(file: &Path) -> anyhow::Result<Migration> {
    Ok(Sqlite::migrate(file)?)
}
