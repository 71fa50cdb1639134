//! The plugins that come with Cumulo, one module each. [`BUILT_IN`] lists them.

pub mod accounts;
mod default_bucket;
mod flush;
mod listeners;

use cumulo_core::{plugin::Plugin, settings::Settings};

/// Makes a plugin.
type Constructor = fn() -> Box<dyn Plugin>;

/// Every plugin, by its name in the `includes` setting.
pub const BUILT_IN: &[(&str, Constructor)] = &[
    ("accounts", || Box::<accounts::Accounts>::default()),
    ("default_bucket", || Box::new(default_bucket::DefaultBucket)),
    ("flush", || Box::new(flush::Flush)),
];

/// The plugins that the settings switch on, in their order; then the event listeners.
pub fn enabled(settings: &Settings) -> Vec<Box<dyn Plugin>> {
    let constructor = |wanted: &String| BUILT_IN.iter().find(|(name, _)| name == wanted);
    let included = settings.includes.iter().filter_map(constructor).map(|(_, make)| make());
    let listeners = listeners::Listeners::new(settings).map(|it| Box::new(it) as Box<dyn Plugin>);
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
            assert_eq!(make().name(), *name);
        }
    }
}
