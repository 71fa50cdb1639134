//! Settings of the reference server that mean nothing here, so that its files start us unchanged.

/// What the reference server does with a setting that does nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Tunes Python or a plugin: nobody misses it.
    Silent,
    /// Switches something on that somebody may count on.
    Warn,
}

use Elsewhere::{Silent, Warn};

/// A name that ends with `*` stands for all that begin like it.
const NAMES: &[(&str, Elsewhere)] = &[
    ("newrelic_config", Warn),
    ("profiler_enabled", Warn),
    ("account_validation*", Silent),
    ("cache_max_backlog", Silent),
    ("cache_max_overflow", Silent),
    ("cache_pool_recycle", Silent),
    ("cache_pool_timeout", Silent),
    ("cache_poolclass", Silent),
    ("event_listeners.*", Silent),
    ("initialization_sequence", Silent),
    ("json_renderer", Silent),
    ("newrelic_env", Silent),
    ("openid.*", Silent),
    ("permission_max_backlog", Silent),
    ("permission_max_overflow", Silent),
    ("permission_pool_recycle", Silent),
    ("permission_pool_size", Silent),
    ("permission_pool_timeout", Silent),
    ("permission_poolclass", Silent),
    ("permission_strict_json", Silent),
    ("profiler_dir", Silent),
    ("settings_prefix", Silent),
    ("statsd_backend", Silent),
    ("storage_poolclass", Silent),
    ("storage_strict_json", Silent),
    ("tm.*", Silent),
];

/// What to do about the setting `name`, if the reference server has it.
pub(super) fn find(name: &str) -> Option<Elsewhere> {
    let matches = |known: &str| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == known,
    };
    NAMES.iter().find(|(known, _)| matches(known)).map(|(_, effect)| *effect)
}

/// The full names in the list.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('*'))
}
