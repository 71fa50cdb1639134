//! What must hold between settings, and what a user should be warned of.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::{AuthPolicy, CacheEngine, Engine, PolicyKind, Settings, source::Source};
use crate::{authorization::EVERYONE, resource::Target};

/// Brings the settings into their final shape and finds what can't work.
pub(super) fn run(settings: &mut Settings, source: &mut Source) {
    settings.batch_max_requests = settings.batch_max_requests.filter(|most| *most > 0);
    settings.paginate_by = settings.paginate_by.filter(|most| *most > 0);
    check_storage(settings, source);
    check_cache(settings, source);
    check_version(settings, source);
    check_security(settings, source);
    check_accounts(settings, source);
    check_history(settings, source);
    check_openid(settings, source);
    check_monitoring(settings, source);
    check_counters(settings, source);
    // The admin app shows users what they may do.
    settings.experimental_permissions_endpoint |=
        settings.includes.iter().any(|plugin| plugin == "admin");
}

fn check_storage(settings: &Settings, source: &mut Source) {
    let storage = settings.storage_backend;
    if settings.permission_backend.is_some_and(|permission| permission != storage) {
        let problem = format!(
            "permissions are kept with the objects: set it to the engine of '{}' ({}), or remove it",
            source.typed("storage_backend"),
            storage.as_str()
        );
        source.mistake("permission_backend", problem);
    }
    let permission_url = settings.permission_url.expose_secret();
    if storage == Engine::Postgresql
        && !permission_url.is_empty()
        && permission_url != settings.storage_url.expose_secret()
    {
        // Neither is repeated: they may hold passwords.
        let problem = "permissions are kept in the database of the objects: set it to the same as \
                       'storage_url', or remove it";
        source.mistake("permission_url", problem);
    }
    let has_url = !settings.storage_url.expose_secret().is_empty();
    // The value is not repeated: it may hold a password.
    if storage == Engine::Sqlite && has_url && settings.sqlite_path().is_none() {
        source
            .mistake("storage_url", "expected sqlite:///relative/path or sqlite:////absolute/path");
    }
    if storage == Engine::Postgresql && !is_postgresql(&settings.storage_url) {
        source.mistake("storage_url", "expected postgresql://user:password@host:port/database");
    }
    check_replica(settings, source);
}

fn check_replica(settings: &Settings, source: &mut Source) {
    if !settings.reads_from_replica() {
        return;
    }
    if settings.storage_backend != Engine::Postgresql {
        let problem = format!("only with '{}' = postgresql", source.typed("storage_backend"));
        return source.mistake("storage_read_url", problem);
    }
    if !is_postgresql(&settings.storage_read_url) {
        source
            .mistake("storage_read_url", "expected postgresql://user:password@host:port/database");
    }
    if matches!(settings.cache_backend, CacheEngine::Memory | CacheEngine::Sqlite) {
        let warning = format!(
            "The cache is not shared between copies of the service, and '{}' is set: who writes \
             through one copy and reads through another may not see at once what was written.",
            source.typed("storage_read_url")
        );
        source.warnings.push(warning);
    }
}

fn check_cache(settings: &Settings, source: &mut Source) {
    let url = settings.cache_url.expose_secret();
    let has_url = |schemes: &[&str]| schemes.iter().any(|scheme| url.starts_with(scheme));
    // The value is not repeated: it may hold a password.
    match settings.cache_backend {
        CacheEngine::Postgresql if !has_url(&["postgresql", "postgres"]) => {
            source.mistake("cache_url", "expected postgresql://user:password@host:port/database");
        }
        CacheEngine::Redis if !has_url(&["redis://", "rediss://"]) => {
            source.mistake("cache_url", "expected redis://user:password@host:port/0");
        }
        CacheEngine::Memcached if settings.memcached_hosts().is_empty() => {
            source.mistake("cache_hosts", "expected memcached servers, such as 127.0.0.1:11211");
        }
        CacheEngine::Sqlite if !url.is_empty() && settings.sqlite_cache_path().is_none() => {
            source.mistake(
                "cache_url",
                "expected sqlite:///relative/path or sqlite:////absolute/path",
            );
        }
        CacheEngine::Sqlite
            if !url.is_empty() && settings.sqlite_cache_path() == settings.sqlite_path() =>
        {
            source.mistake(
                "cache_url",
                "the cache needs a file of its own, other than 'storage_url'",
            );
        }
        _ => {}
    }
}

fn check_version(settings: &Settings, source: &mut Source) {
    let version = &settings.http_api_version;
    let well_formed = version.split('.').all(|part| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !well_formed {
        let problem = format!("expected a version such as 1.23, got '{version}'");
        source.mistake("http_api_version", problem);
    }
}

fn check_security(settings: &Settings, source: &mut Source) {
    let basic = settings.auth_policies.iter().any(|policy| policy.kind == PolicyKind::Basic);
    if basic && settings.userid_hmac_secret.expose_secret().is_empty() {
        source.warnings.push(
            "'userid_hmac_secret' is empty: the ids of users give their passwords to whoever tries \
             enough of them."
                .into(),
        );
    }
    let has_plugin = |name: &str| settings.includes.iter().any(|plugin| plugin == name);
    if has_plugin("default_bucket")
        && settings.default_bucket_hmac_secret.expose_secret().is_empty()
    {
        source.warnings.push(
            "'default_bucket_hmac_secret' is empty: who knows the id of a user knows the id of \
             their default bucket."
                .into(),
        );
    }
    if has_plugin("flush") {
        source.warnings.push(
            "The plugin 'flush' is on: anybody can delete everything with POST /__flush__.".into(),
        );
    }
}

/// Accounts need their policy, the right order of policies, and creators who may do what they expect.
fn check_accounts(settings: &Settings, source: &mut Source) {
    let is_on = settings.includes.iter().any(|plugin| plugin == "accounts");
    let place = |kind| settings.auth_policies.iter().position(|policy| policy.kind == kind);
    match (is_on, place(PolicyKind::Plugin("accounts"))) {
        (false, None) => return,
        (false, Some(_)) => {
            let problem = "the policy of accounts needs the plugin 'accounts' in 'includes'";
            return source.mistake("multiauth.policies", problem);
        }
        (true, None) => {
            let problem = "Account policy missing: name one whose 'multiauth.policy.<name>.use' \
                           is kinto.plugins.accounts.AccountsPolicy";
            source.mistake("multiauth.policies", problem);
        }
        (true, Some(place_of_accounts)) => {
            if place(PolicyKind::Basic).is_some_and(|basic| basic < place_of_accounts) {
                let problem = "'basicauth' must come after the policy of accounts: it accepts \
                               every name and password";
                source.mistake("multiauth.policies", problem);
            }
        }
    }
    let principals = |name| settings.principals.get(name).map(Vec::as_slice).unwrap_or_default();
    let admins = principals("account_write");
    let powerless: Vec<_> = principals("account_create")
        .iter()
        .filter(|creator| *creator != EVERYONE && !admins.contains(creator))
        .map(String::as_str)
        .collect();
    if !powerless.is_empty() {
        let names = powerless.join(" ");
        let problem = format!(
            "only who is in 'account_write_principals' can create accounts for others; \
             add there: {names}"
        );
        source.mistake("account_create_principals", problem);
    }
}

fn check_history(settings: &Settings, source: &mut Source) {
    let is_object = |uri: &str| Target::parse(uri).is_some_and(|target| target.id.is_some());
    for uri in settings.history_exclude_resources.iter().filter(|uri| !is_object(uri)) {
        let problem = format!("expected URIs such as /buckets/blog/collections/posts, got '{uri}'");
        source.mistake("history.exclude_resources", problem);
    }
    let never = settings.history_auto_trim_max_count <= 0;
    if never && !settings.history_auto_trim_user_ids.is_empty() {
        let warning = format!(
            "'{}' has no effect without '{}'.",
            source.typed("history.auto_trim_user_ids"),
            source.typed("history.auto_trim_max_count")
        );
        source.warnings.push(warning);
    }
}

/// OpenID policies need their plugin, and names that tell their users apart.
fn check_openid(settings: &Settings, source: &mut Source) {
    let providers = &settings.openid_providers;
    let is_on = settings.includes.iter().any(|plugin| plugin == "openid");
    if !is_on && !providers.is_empty() {
        let problem = "an OpenID policy needs the plugin 'openid' in 'includes'";
        source.mistake("multiauth.policies", problem);
    }
    for provider in providers {
        let same = |policy: &&AuthPolicy| policy.name == provider.name.to_lowercase();
        if settings.auth_policies.iter().filter(same).count() > 1 {
            let problem = format!("there is more than one policy '{}'", provider.name);
            source.mistake("multiauth.policies", problem);
        }
    }
}

fn check_monitoring(settings: &Settings, source: &mut Source) {
    if settings.histogram_bounds().is_none() {
        let problem = "expected numbers of seconds, each larger than the one before";
        source.mistake("prometheus_histogram_buckets", problem);
    }
    if let Some(url) = &settings.statsd_url
        && settings.statsd_address().is_none()
    {
        let problem = format!("expected udp://host:port, got '{url}'");
        source.mistake("statsd_url", problem);
    }
    let has_plugin = settings.includes.iter().any(|plugin| plugin == "statsd");
    match (&settings.statsd_url, has_plugin) {
        (None, true) => {
            source.mistake("statsd_url", "the plugin 'statsd' needs it: udp://host:port");
        }
        (Some(_), false) => {
            let name = source.typed("statsd_url");
            let warning =
                format!("'{name}' has no effect without the plugin 'statsd' in 'includes'.");
            source.warnings.push(warning);
        }
        _ => {}
    }
}

fn check_counters(settings: &Settings, source: &mut Source) {
    let is_on = settings.includes.iter().any(|plugin| plugin == "counters");
    let readers = settings.principals.get("counters_read");
    let is_open = readers.is_some_and(|readers| readers.iter().any(|it| it == EVERYONE));
    if is_on && is_open {
        let warning = format!(
            "The plugin 'counters' is on: anybody can see at /__counters__ how many objects there \
             are. '{}' says who may.",
            source.typed("counters_read_principals")
        );
        source.warnings.push(warning);
    }
}

impl Settings {
    /// The upper bounds of the buckets of histograms in seconds, the last one infinite; none if
    /// the setting makes no sense.
    pub fn histogram_bounds(&self) -> Option<Vec<f64>> {
        let texts = self.prometheus_histogram_buckets.iter();
        let mut bounds = texts.map(|text| text.parse().ok()).collect::<Option<Vec<f64>>>()?;
        if bounds.last() != Some(&f64::INFINITY) {
            bounds.push(f64::INFINITY);
        }
        bounds.is_sorted_by(|a, b| a < b).then_some(bounds)
    }

    /// Host and port of `statsd_url`.
    pub fn statsd_address(&self) -> Option<String> {
        let address = self.statsd_url.as_deref()?.strip_prefix("udp://")?.trim_end_matches('/');
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (address, "8125"),
        };
        (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| format!("{host}:{port}"))
    }

    /// Whether a replica of the storage answers reads.
    pub fn reads_from_replica(&self) -> bool {
        !self.storage_read_url.expose_secret().is_empty()
    }

    /// The SQLite file that `storage_url` names.
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        sqlite_path(&self.storage_url)
    }

    /// The SQLite file that `cache_url` names.
    pub fn sqlite_cache_path(&self) -> Option<PathBuf> {
        sqlite_path(&self.cache_url)
    }

    /// The memcached servers; `kinto init` writes them into `cache_url`.
    pub fn memcached_hosts(&self) -> Vec<String> {
        if self.cache_hosts.is_empty() {
            let url = self.cache_url.expose_secret();
            return url.split_whitespace().map(str::to_owned).collect();
        }
        self.cache_hosts.clone()
    }
}

fn is_postgresql(url: &SecretString) -> bool {
    let url = url.expose_secret().split_once("://");
    url.is_some_and(|(scheme, _)| scheme.split('+').next() == Some("postgresql"))
}

fn sqlite_path(url: &SecretString) -> Option<PathBuf> {
    let path = url.expose_secret().strip_prefix("sqlite:///")?;
    // Not percent-decoded: neither is it by Python's database library.
    (!path.is_empty() && !path.contains('?')).then(|| path.into())
}
