//! The settings: typed once, at start.
//!
//! [`Settings::load`] takes the pairs of the `[app:main]` section of an INI file and the variables
//! of the environment, and gives the typed [`Settings`] with warnings, or every mistake at once.
//! Names are those of Kinto. `kinto.paginate_by`, `cumulo.paginate_by` and `paginate_by` are the
//! same setting, and so are `KINTO_PAGINATE_BY` and `CUMULO_PAGINATE_BY`, which win.
//!
//! - [`table`]: the macro; the table itself is below
//! - [`value`]: how a text becomes a value
//! - [`families`]: settings whose names are made of parts; [`listeners`]: those of event listeners
//! - [`reference()`]: all of them, as a page
//!
//! ```
//! use cumulo_core::settings::Settings;
//!
//! let file = [("kinto.paginate_by".to_owned(), "100".to_owned())];
//! let env = [("CUMULO_READONLY".to_owned(), "yes".to_owned())];
//! let settings = Settings::load(&file, &env)?.settings;
//! assert_eq!(settings.paginate_by, Some(100));
//! assert!(settings.readonly);
//! # Ok::<(), cumulo_core::settings::Mistakes>(())
//! ```

mod checks;
pub mod date;
mod elsewhere;
pub mod families;
pub mod listeners;
mod openid;
mod reference;
mod source;
pub mod table;
#[cfg(test)]
mod tests;
mod trusted_url;
pub mod value;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use secrecy::SecretString;

pub use self::{
    families::FAMILIES,
    listeners::{Listener, ListenerKind},
    openid::OpenIdProvider,
    reference::reference,
    table::Key,
    trusted_url::TrustedUrl,
    value::{CacheEngine, Engine, IdGenerator, LogFormat, PasswordScheme, SqliteDurability},
};
use self::{source::Source, table::settings, value::Value};
use crate::object::Timestamp;

/// The plugins that there are, by their short names.
pub const PLUGINS: &[&str] = &[
    "accounts",
    "admin",
    "counters",
    "default_bucket",
    "flush",
    "history",
    "openid",
    "prometheus",
    "statsd",
];

settings! {
    /// Everything that can be chosen when the service starts.
    #[derive(Clone, Debug)]
    pub struct Settings {
        "Service" {
            /// Refuse everything that writes.
            readonly: bool = false,
            /// The plugins to switch on, in order: `accounts`, `admin`, `counters`, `default_bucket`,
            /// `flush`, `history`, `openid`, `prometheus`, `statsd`. The names may have the prefix `kinto.plugins.`.
            includes: Vec<String> = Vec::new(),
            /// The most requests in one batch. 0 or nothing: no limit.
            batch_max_requests: Option<usize> = Some(25),
            /// The most objects in one page of a list, and how many there are when the client
            /// asks for no limit. 0 or nothing: no limit but `storage_max_fetch_size`.
            paginate_by: Option<usize> = None,
            /// How long the token of a next page can be used when the page was a deletion.
            pagination_token_validity_seconds: u32 = 600,
            /// Give whoever creates or changes an object the permission to write it, and show that
            /// in its permissions.
            explicit_permissions: bool = true,
            /// Check records against the JSON schemas of their collections.
            experimental_collection_schema_validation: bool = false,
            /// Serve `/permissions`, where users find what they may do.
            experimental_permissions_endpoint: bool = false,
            /// Undo everything that a request, or a batch, wrote when it ends with a server error.
            transaction_per_request: bool = true,
            /// The id generator of resources that have no `<resource>_id_generator`.
            id_generator: IdGenerator = IdGenerator::Uuid4,
            /// How long a check of `/__heartbeat__` may take.
            heartbeat_timeout_seconds: u32 = 10,
        }
        "Storage" {
            /// Where objects and permissions are: `memory` (gone when the process ends), `sqlite`
            /// or `postgresql`. Also with the prefix `kinto.core.storage.`.
            storage_backend: Engine = Engine::Memory,
            /// The SQLite file: `sqlite:///relative/path` or `sqlite:////absolute/path`.
            /// Nothing: `cumulo.sqlite` in the data folder. Or the PostgreSQL database:
            /// `postgresql://user:password@host:port/database?sslmode=verify-full`, with several
            /// `host:port` separated by commas if there are standbys.
            storage_url: SecretString = SecretString::default(),
            /// A standby of the PostgreSQL database, like `storage_url`, that answers reads where
            /// nobody can tell the difference: see [Reading from a replica](replica.md). Several
            /// copies of the service need a cache that they share. Nothing: all reads go to
            /// `storage_url`.
            storage_read_url: SecretString = SecretString::default(),
            /// A standby that is more seconds behind than this answers nothing. Who has written
            /// reads from `storage_url` for that long.
            storage_read_max_lag_seconds: u32 = 5 => 1..=3600,
            /// The most objects that one request reads, whatever limit it asks for.
            storage_max_fetch_size: usize = 10_000 => 1..=1_000_000_000,
            /// How many connections to PostgreSQL are kept.
            storage_pool_size: usize = 25 => 1..=1000,
            /// How many more connections may be open while there is much to do. -1: any number.
            storage_max_overflow: i64 = 10 => -1..=1000,
            /// How many requests may wait for a connection; more are refused with 503. -1: any
            /// number.
            storage_max_backlog: i64 = -1 => -1..=1_000_000,
            /// How many seconds a request may wait for a connection; then it is refused with 503.
            storage_pool_timeout: u32 = 30 => 1..=3600,
            /// After how many seconds a connection is replaced by a new one. -1: never.
            storage_pool_recycle: i64 = -1 => -1..=31_536_000,
            /// Permissions are kept with the objects: nothing, or the same as `storage_backend`.
            permission_backend: Option<Engine> = None,
            /// Permissions are in the database of the objects: nothing, or the same as `storage_url`.
            permission_url: SecretString = SecretString::default(),
            /// Where cached values are: `memory`, `sqlite`, `postgresql`, `redis` or `memcached`.
            /// Also with the prefix `kinto.core.cache.`. Several copies of the service need one
            /// that they share.
            cache_backend: CacheEngine = CacheEngine::Memory,
            /// Where the cache is: `postgresql://user:password@host:port/database`,
            /// `redis://user:password@host:port/0` (`rediss://` with TLS), or
            /// `sqlite:////absolute/path` (nothing: a file beside that of the storage).
            cache_url: SecretString = SecretString::default(),
            /// The memcached servers: `host:port` each.
            cache_hosts: Vec<String> = Vec::new(),
            /// Stands before all keys of the cache. Services that share a server without sharing
            /// their values need different ones.
            cache_prefix: String = String::new(),
            /// The most bytes that the cache in memory takes.
            cache_max_size_bytes: usize = 524_288 => 65_536..=1_000_000_000_000,
            /// The most connections to PostgreSQL, and to each memcached server.
            cache_pool_size: usize = 10 => 1..=1000,
            /// What an acknowledged write survives. `full`: a power cut. `normal`: the end of the
            /// process; a power cut may lose the latest writes. `off`: the same, and a power cut
            /// may damage the file.
            sqlite_durability: SqliteDurability = SqliteDurability::Full,
            /// How many connections read the file at the same time.
            sqlite_readers: usize = 4 => 1..=256,
            /// Make indexes for fields that clients often filter or sort by.
            sqlite_auto_index: bool = true,
        }
        "Security" {
            /// The key from which the user ids of basic authentication are made. Another key
            /// makes everybody another user.
            userid_hmac_secret: SecretString = SecretString::default(),
            /// The key from which the ids of default buckets are made.
            default_bucket_hmac_secret: SecretString = SecretString::default(),
            /// For how long a login with an account is remembered; until then its password is not
            /// checked again, unless it changes.
            account_cache_ttl_seconds: u32 = 30,
            /// How new passwords of accounts are hashed: `bcrypt` or `argon2id`. Kinto reads only the
            /// former; here both work at any time.
            account_password_hash: PasswordScheme = PasswordScheme::Bcrypt,
            /// How many wrong passwords for one account can be tried in an hour before the next
            /// attempts must wait, each twice as long as the one before. 0: any number.
            account_login_free_failures: u32 = 10,
            /// How many seconds such an attempt waits at the most.
            account_login_max_delay_seconds: u32 = 300 => 1..=3600,
            /// The web pages that may use the service: origins such as `https://example.org`, or
            /// `*`.
            cors_origins: Vec<String> = vec!["*".into()],
            /// For how long browsers remember the answer to a preflight request.
            cors_max_age_seconds: Option<u32> = Some(3600),
        }
        "Limits" {
            /// The most bytes of a request body.
            max_body_bytes: usize = 10 * 1024 * 1024 => 1024..=1_000_000_000,
            /// The most bytes that large request bodies take together; more of them wait.
            max_bodies_bytes: usize = 128 * 1024 * 1024 => 1_048_576..=1_000_000_000_000,
            /// The most bytes of a page of a list, and of the responses of a batch together. A page
            /// that reaches it ends there, and the rest is on the next page.
            max_response_bytes: usize = 32 * 1024 * 1024 => 65_536..=1_000_000_000,
            /// The most open connections; more of them wait.
            max_connections: usize = 4096 => 1..=1_000_000,
            /// How deep JSON may nest.
            max_json_depth: usize = 64 => 4..=100,
            /// The most bytes of request line and headers.
            max_header_bytes: usize = 64 * 1024 => 8192..=1_048_576,
            /// How long a client may take to send its headers.
            header_read_timeout_seconds: u32 = 10 => 1..=3600,
            /// How long a request may take.
            request_timeout_seconds: u32 = 30 => 1..=86_400,
            /// How long requests may take to end when the service stops.
            shutdown_grace_seconds: u32 = 10 => 0..=3600,
        }
        "Addresses and redirects" {
            /// The host, with port, in the URLs that the service writes. Nothing: that of the
            /// request.
            http_host: Option<String> = None,
            /// The scheme in the URLs that the service writes: `https` behind a proxy that ends
            /// TLS.
            http_scheme: Option<String> = None,
            /// The version of the protocol; the number before the dot is in every path: `/v1/`.
            http_api_version: String = "1.23".into(),
            /// Redirect `/buckets` to `/v1/buckets`.
            version_prefix_redirect_enabled: bool = true,
            /// For how long this redirect may be kept; below 0: not said.
            version_prefix_redirect_ttl_seconds: i64 = -1,
            /// Redirect `/v1/buckets/` to `/v1/buckets`.
            trailing_slash_redirect_enabled: bool = true,
            /// For how long this redirect may be kept; below 0: not said.
            trailing_slash_redirect_ttl_seconds: i64 = 3600,
            /// For how long the root page may be kept by clients of a read-only service.
            root_cache_expires_seconds: u32 = 86_400,
        }
        "Project" {
            /// The name of the service in its root page.
            project_name: String = "kinto".into(),
            /// The version of the service in its root page, where clients look for what a server
            /// can do: the release of Kinto whose protocol this program speaks.
            project_version: String = "26.5.0".into(),
            /// Where clients find documentation.
            project_docs: String = "https://kinto.readthedocs.io/".into(),
            /// Where clients report errors; part of every error response.
            error_info_link: String = "https://github.com/Kinto/kinto/issues/".into(),
            /// The file that `/__version__` serves.
            version_json_path: String = "version.json".into(),
        }
        "History" {
            /// What has no history: the URIs of buckets, of collections (with their records), of
            /// groups and of records, such as `/buckets/blog/collections/drafts`.
            history_exclude_resources ["history.exclude_resources"]: Vec<String> = Vec::new(),
            /// The ids of users whose changes are not noted, such as `account:bot`.
            history_exclude_user_ids ["history.exclude_user_ids"]: Vec<String> = Vec::new(),
            /// How many entries stay, in each bucket and for each kind of objects, when old ones
            /// are removed. 0 or -1: all.
            history_auto_trim_max_count ["history.auto_trim_max_count"]: i64 = -1 => -1..=1_000_000_000,
            /// Remove only entries of these users, each counted by itself. Nothing: of all users
            /// together.
            history_auto_trim_user_ids ["history.auto_trim_user_ids"]: Vec<String> = Vec::new(),
            /// How many entries there may be beyond that, before old ones are removed.
            history_auto_trim_threshold ["history.auto_trim_threshold"]: u32 = 100,
        }
        "Administration" {
            /// A folder that the plugin `admin` serves at `/admin/`: an `index.html` and what that
            /// needs, and a file `VERSION`. Nothing: a page about this server.
            admin_assets_path: String = String::new(),
        }
        "Back off and end of service" {
            /// Ask clients, with a `Backoff` header, to wait so many seconds.
            backoff: Option<u32> = None,
            /// The share of responses that have the header, in percent. Nothing: all.
            backoff_percentage: Option<u8> = None => 0..=100,
            /// What `Retry-After` says in error responses.
            retry_after_seconds: u32 = 3,
            /// The date when the service ends. Before, responses carry an `Alert`; from then on
            /// everything is gone (410).
            eos: Option<Timestamp> = None,
            /// The message of this alert.
            eos_message: Option<String> = None,
            /// Where to learn more about it.
            eos_url: Option<String> = None,
        }
        "Logs" {
            /// The shape of log lines: `text` or `json`.
            log_format: LogFormat = LogFormat::Text,
            /// `error`, `warn`, `info`, `debug` or `trace`; also for parts of the program:
            /// `warn,cumulo_http=debug`.
            log_level: String = "info".into(),
        }
        "Metrics" {
            /// The ids in paths that metrics of requests have as labels: `bucket_id`,
            /// `collection_id`, `group_id`, `record_id`. Each value makes series of its own.
            metrics_matchdict_fields: Vec<String> = ["bucket_id", "collection_id", "group_id",
                "record_id"].map(Into::into).into(),
            /// The most series of one metric; what comes beyond is counted together, with the
            /// labels `other`.
            metrics_max_series: usize = 5000 => 10..=1_000_000,
            /// Stands before the names at `/__metrics__`. `project_name` means that setting; it may
            /// be empty.
            prometheus_prefix: String = "project_name".into(),
            /// Metrics that are left out, with or without prefix.
            prometheus_disabled_metrics: Vec<String> = Vec::new(),
            /// The upper bounds of the buckets of histograms, in seconds.
            prometheus_histogram_buckets: Vec<String> = ["0.01", "0.05", "0.1", "0.5", "1.0",
                "3.0", "6.0", "Inf"].map(Into::into).into(),
            /// Also tell since when each series is counted.
            prometheus_created_metrics_enabled: bool = true,
            /// Where StatsD listens: `udp://host:port`, or `udp://host` for the port 8125.
            statsd_url: Option<String> = None,
            /// Stands before the names that StatsD gets if `project_name` is empty.
            statsd_prefix: String = "kinto.core".into(),
        }
        "Errors and traces" {
            /// The address of a project in Sentry, which gets errors. Also `SENTRY_DSN` in the
            /// environment.
            sentry_dsn: SecretString = SecretString::default(),
            /// What Sentry calls this installation. Also `SENTRY_ENV` in the environment.
            sentry_env: Option<String> = None,
            /// From which level on log lines are kept to go with the next error, as Python numbers
            /// them: 10 debug, 20 info, 30 warning, 40 error.
            sentry_breadcrumbs_min_level: u32 = 10 => 0..=100,
            /// From which level on log lines are sent to Sentry.
            sentry_events_min_level: u32 = 30 => 0..=100,
            /// Where an OpenTelemetry collector listens, for traces: `http://host:4318`. Also
            /// `OTEL_EXPORTER_OTLP_ENDPOINT` in the environment.
            otel_exporter_otlp_endpoint: Option<String> = None,
            /// Headers for the collector, such as a key: `name=value,name=value`. Also
            /// `OTEL_EXPORTER_OTLP_HEADERS`.
            otel_exporter_otlp_headers: SecretString = SecretString::default(),
            /// What the service is called in traces. Nothing: `project_name`. Also
            /// `OTEL_SERVICE_NAME`.
            otel_service_name: Option<String> = None,
            /// The share of the traces that begin here that are recorded, in percent.
            otel_traces_percentage: u8 = 100 => 0..=100,
        }
    }
    families {
        /// Who has a permission by settings, by `<resource>_<permission>`, such as
        /// `bucket_create`.
        principals: HashMap<String, Vec<String>> = HashMap::from([
            ("bucket_create".into(), vec!["system.Authenticated".into()]),
            ("permissions_read".into(), vec!["system.Everyone".into()]),
            ("counters_read".into(), vec!["system.Everyone".into()]),
        ]),
        /// How long responses may be kept, by what stands before `_cache_expires_seconds`:
        /// `bucket`, `blog.articles.record`, `blog_articles_record`.
        cache_expires: HashMap<String, u32> = HashMap::new(),
        /// Methods that are off, such as `plural_bucket_post`.
        disabled_endpoints: HashSet<String> = HashSet::new(),
        /// Id generators by resource; others have [`Settings::id_generator`].
        id_generators: HashMap<String, IdGenerator> = HashMap::from([
            ("bucket".into(), IdGenerator::Name),
            ("collection".into(), IdGenerator::Name),
            ("group".into(), IdGenerator::Name),
            ("record".into(), IdGenerator::RelaxedUuid),
        ]),
        /// Authentication policies in the order in which they are tried.
        auth_policies: Vec<AuthPolicy> = Vec::new(),
        /// Settings of plugins that do not come with this program, by their whole names:
        /// `hello.greeting` of a plugin `hello`.
        of_plugins: HashMap<String, String> = HashMap::new(),
        /// The OpenID providers among them.
        openid_providers: Vec<OpenIdProvider> = Vec::new(),
        /// Who is told of changes.
        event_listeners: Vec<Listener> = Vec::new(),
        /// The date of [`Settings::eos`] as it was written.
        eos_text: Option<String> = None,
        /// The file that the settings come from, if any; the program fills it in.
        config_file: Option<ConfigFile> = None,
    }
}

/// What the root page tells of the settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path as it was given.
    pub path: String,
    /// SHA-256 of its content, in hexadecimal.
    pub hash: String,
    /// When it was last changed, such as `2030-01-31T10:00:00.123456`.
    pub modified: String,
}

/// One way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthPolicy {
    /// First part of the user ids, in lower case.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
    /// The scheme of the `Authorization` header that it looks at.
    pub scheme: String,
}

/// The kinds of authentication policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Any user name and password are a user.
    Basic,
    /// The plugin of this name tells.
    Plugin(&'static str),
}

/// Settings that can be used, and what the user should know about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// Something in the settings that keeps the service from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, as the user typed it.
    pub setting: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl Mistake {
    fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

/// All mistakes in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings can't be used:")?;
        for Mistake { setting, problem } in &self.0 {
            write!(f, "\n  {setting}: {problem}")?;
        }
        Ok(())
    }
}

impl Settings {
    /// Types the settings: `pairs` of the file's `[app:main]`, overridden by variables of `env`.
    pub fn load(pairs: &[(String, String)], env: &[(String, String)]) -> Result<Loaded, Mistakes> {
        Self::load_with(pairs, env, &[])
    }

    /// [`load`](Self::load) for a program that has `more` plugins than [`PLUGINS`]. Their settings
    /// are in [`Settings::of_plugins`].
    pub fn load_with(
        pairs: &[(String, String)],
        env: &[(String, String)],
        more: &[&str],
    ) -> Result<Loaded, Mistakes> {
        let mut source = Source::new(pairs, env);
        let eos = source.peek::<Option<String>>("eos");
        let mut settings = Self { eos_text: eos.flatten(), ..Self::read(&mut source) };
        families::read_plugins(&mut settings, more, &mut source);
        listeners::read(&mut settings, &mut source);
        families::read(&mut settings, &mut source);
        checks::run(&mut settings, &mut source);
        if source.mistakes.is_empty() {
            Ok(Loaded { settings, warnings: source.warnings })
        } else {
            Err(Mistakes(source.mistakes))
        }
    }
}
