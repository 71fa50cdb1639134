//! The plugins that come with Cumulo, one module each. [`BUILT_IN`] lists them.

pub mod accounts;
mod admin;
mod counters;
mod default_bucket;
mod flush;
mod history;

use cumulo_core::{plugin::Plugin, settings::Settings};

/// Makes a plugin.
pub type Constructor = fn(&Settings) -> Box<dyn Plugin>;

/// A name in the `includes` setting, and its plugin.
pub type BuiltIn = (&'static str, Constructor);

/// Every plugin that comes with Cumulo.
pub const BUILT_IN: &[BuiltIn] = &[
    ("accounts", |_| Box::<accounts::Accounts>::default()),
    ("admin", |settings| Box::new(admin::Admin::new(settings))),
    ("counters", |_| Box::new(counters::Counters)),
    ("default_bucket", |_| Box::new(default_bucket::DefaultBucket)),
    ("flush", |_| Box::new(flush::Flush)),
    ("history", |settings| Box::new(history::History::new(settings))),
];

/// The plugins that the settings switch on, in their order, of these and `more`.
pub fn enabled(settings: &Settings, more: &[BuiltIn]) -> Vec<Box<dyn Plugin>> {
    let all = || BUILT_IN.iter().chain(more);
    let constructor = |wanted: &String| all().find(|(name, _)| name == wanted);
    settings.includes.iter().filter_map(constructor).map(|(_, make)| make(settings)).collect()
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
