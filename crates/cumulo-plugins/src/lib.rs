//! The plugins that come with Cumulo, one module each. [`BUILT_IN`] lists them.

pub mod accounts;
mod admin;
mod counters;
mod default_bucket;
mod flush;
mod history;
mod listeners;
mod openid;
mod prometheus;
mod statsd;

use std::sync::Arc;

use cumulo_core::{plugin::Plugin, settings::Settings};

/// Makes a plugin.
pub type Constructor = fn(&Settings) -> Box<dyn Plugin>;

/// A name in the `includes` setting, and its plugin.
pub type BuiltIn = (&'static str, Constructor);

/// Every plugin that comes with Cumulo.
pub const BUILT_IN: &[BuiltIn] = &[
    ("accounts", |settings| Box::new(accounts::Accounts::new(settings))),
    ("admin", |settings| Box::new(admin::Admin::new(settings))),
    ("counters", |_| Box::new(counters::Counters)),
    ("default_bucket", |_| Box::new(default_bucket::DefaultBucket)),
    ("flush", |_| Box::new(flush::Flush)),
    ("history", |settings| Box::new(history::History::new(settings))),
    ("openid", |_| Box::<openid::OpenId>::default()),
    ("prometheus", |settings| Box::new(prometheus::Prometheus::new(settings))),
    ("statsd", |settings| Box::new(statsd::Statsd::new(settings))),
];

/// The plugins that the settings switch on, in their order, of these and `more`; then the event
/// listeners.
pub fn enabled(settings: &Settings, more: &[BuiltIn]) -> Vec<Arc<dyn Plugin>> {
    let constructor =
        |wanted: &String| BUILT_IN.iter().chain(more).find(|(name, _)| name == wanted);
    let included = settings.includes.iter().filter_map(constructor);
    let included = included.map(|(_, make)| make(settings).into());
    let listeners = listeners::Listeners::new(settings).map(|it| Arc::new(it) as Arc<dyn Plugin>);
    included.chain(listeners).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_know_every_plugin() {
        let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, cumulo_core::settings::PLUGINS);
        for (name, make) in BUILT_IN {
            assert_eq!(make(&Settings::default()).name(), *name);
        }
    }
}
