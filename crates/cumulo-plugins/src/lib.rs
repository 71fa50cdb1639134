//! The plugins that come with Cumulo, one module each. [`BUILT_IN`] lists them.

pub mod accounts;
mod default_bucket;
mod flush;

use std::sync::Arc;

use cumulo_core::{plugin::Plugin, settings::Settings};

/// Makes a plugin.
type Constructor = fn(&Settings) -> Box<dyn Plugin>;

/// Every plugin, by its name in the `includes` setting.
pub const BUILT_IN: &[(&str, Constructor)] = &[
    ("accounts", |settings| Box::new(accounts::Accounts::new(settings))),
    ("default_bucket", |_| Box::new(default_bucket::DefaultBucket)),
    ("flush", |_| Box::new(flush::Flush)),
];

/// The plugins that the settings switch on, in their order.
pub fn enabled(settings: &Settings) -> Vec<Arc<dyn Plugin>> {
    let constructor = |wanted: &String| BUILT_IN.iter().find(|(name, _)| name == wanted);
    settings
        .includes
        .iter()
        .filter_map(constructor)
        .map(|(_, make)| make(settings).into())
        .collect()
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
