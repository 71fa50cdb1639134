//! SIGHUP: reads the settings again, and goes on with those that can change while requests are
//! answered. Requests under way end with the settings with which they began.

use std::sync::Arc;

use cumulo_core::settings::Settings;
use cumulo_http::Service;
use secrecy::ExposeSecret as _;
use tokio::{signal::unix::Signal, sync::watch};
use tracing::{error, info, warn};

use crate::{
    args,
    config::{Config, Env},
    logging::Level,
    wiring,
};

/// What it takes to read the settings again.
pub(crate) struct Reload {
    /// The service that answers.
    pub(crate) current: watch::Sender<Arc<Service>>,
    /// What it runs with.
    pub(crate) config: Config,
    pub(crate) args: args::Start,
    pub(crate) env: Env,
    pub(crate) level: Level,
}

/// Makes `keep`: what a running service is built on stays, and is named if it was to change. The
/// second name is that of the setting, where it differs.
macro_rules! fixed {
    ($( $field:ident $(. $expose:ident ())? $(as $name:literal)?, )+) => {
        fn keep(running: &Settings, new: &mut Settings) -> Vec<&'static str> {
            let mut kept = Vec::new();
            $(
                if running.$field$(.$expose())? != new.$field$(.$expose())? {
                    new.$field = running.$field.clone();
                    kept.push([stringify!($field) $(, $name)?].last().copied().unwrap_or_default());
                }
            )+
            kept
        }
    };
}

fixed! {
    storage_backend, storage_url.expose_secret(),
    storage_read_url.expose_secret(), storage_read_max_lag_seconds,
    storage_pool_size, storage_max_overflow, storage_max_backlog, storage_pool_timeout,
    storage_pool_recycle,
    permission_backend, permission_url.expose_secret(),
    cache_backend, cache_url.expose_secret(), cache_hosts, cache_prefix, cache_max_size_bytes,
    cache_pool_size,
    sqlite_durability, sqlite_readers, sqlite_auto_index,
    includes, auth_policies as "multiauth.policies",
    max_body_bytes, max_bodies_bytes, max_connections, request_timeout_seconds,
    account_password_hash, log_format,
}

impl Reload {
    /// Reads the settings again with each of these signals.
    pub(crate) async fn on_hangup(mut self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            if let Err(error) = self.run() {
                error!("the settings were read again, and stay as they are: {error:#}");
            } else {
                info!("the settings were read again");
            }
        }
    }

    /// All of it, or nothing if the settings can't be used.
    fn run(&mut self) -> anyhow::Result<()> {
        let mut config = Config::load(&self.args, &self.env)?;
        let mut kept = keep(&self.config.settings, &mut config.settings);
        if (&config.host, config.port) != (&self.config.host, self.config.port) {
            kept.push("host and port");
        }
        self.level.set(&config.settings, &self.args.common)?;
        config.log_warnings();
        if !kept.is_empty() {
            warn!("these settings have changed and need a restart: {}", kept.join(", "));
        }
        let service = wiring::with_settings(&self.current.borrow(), config.settings.clone());
        self.current.send_replace(service);
        self.config.settings = config.settings;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_is_built_on_stays() {
        let running = Settings { storage_url: "sqlite:///a".into(), ..Settings::default() };
        let mut new = Settings {
            storage_url: "sqlite:///b".into(),
            includes: vec!["flush".into()],
            readonly: true,
            ..Settings::default()
        };
        assert_eq!(keep(&running, &mut new), ["storage_url", "includes"]);
        assert_eq!(new.storage_url.expose_secret(), "sqlite:///a");
        assert!(new.includes.is_empty() && new.readonly);
        assert!(keep(&running, &mut new).is_empty());
    }
}
