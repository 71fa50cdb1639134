//! What the service runs with: options, settings file, environment, and what holds without them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cumulo_core::settings::{CacheEngine, Engine, Loaded, PolicyKind, Settings};
use cumulo_plugins::BuiltIn;
use secrecy::SecretString;

use crate::{args, ini, secrets};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8888;
const DEFAULT_DATA: &str = "data";
const SQLITE_FILE: &str = "cumulo.sqlite";
const CACHE_FILE: &str = "cumulo.cache.sqlite";

/// How the service is set up when nobody says anything: closed. The administrator makes accounts, and
/// each of them has a bucket. All is kept in one file. `docs/opening-up.md` goes on from here.
const UNCONFIGURED: &[(&str, &str)] = &[
    ("project_name", "Cumulo"),
    ("project_version", env!("CARGO_PKG_VERSION")),
    ("storage_backend", "sqlite"),
    ("includes", "accounts default_bucket"),
    ("multiauth.policies", "account"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("account_create_principals", "account:admin"),
    ("account_write_principals", "account:admin"),
    ("account_read_principals", "account:admin"),
    ("bucket_create_principals", "account:admin"),
    ("permissions_read_principals", "system.Authenticated"),
    ("experimental_collection_schema_validation", "true"),
    ("experimental_permissions_endpoint", "true"),
];

/// What the program finds itself with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    /// The variables of the environment.
    variables: Vec<(String, String)>,
    /// The plugins that it was built with besides its own.
    plugins: Vec<BuiltIn>,
}
/// What is added in a folder of an earlier version, where any name and password were a user who may
/// create buckets: they keep what they have.
const FROM_BEFORE: &[(&str, &str)] = &[
    ("multiauth.policies", "account basicauth"),
    ("bucket_create_principals", "system.Authenticated account:admin"),
];

impl Env {
    /// That of this process.
    pub(crate) fn of_process(plugins: Vec<BuiltIn>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: env::vars_os().filter_map(text).collect(), plugins }
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let variables = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Self { variables, plugins: Vec::new() }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let is_it = |(known, value): &&(String, String)| known == name && !value.is_empty();
        self.variables.iter().find(is_it).map(|(_, value)| value.into())
    }

    /// Where the settings are of the person who runs the program.
    pub(crate) fn personal(&self) -> Option<PathBuf> {
        let config = self.path("XDG_CONFIG_HOME").filter(|it| it.is_absolute());
        let config = config.or_else(|| Some(self.path("HOME")?.join(".config")));
        Some(config?.join("cumulo"))
    }

    /// The settings file that the environment names.
    pub(crate) fn ini(&self) -> Option<PathBuf> {
        self.path("KINTO_INI").or_else(|| self.path("CUMULO_INI"))
    }
}

/// Everything that is known before the service starts.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    pub(crate) warnings: Vec<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) storage: Storage,
    /// The file of the SQLite cache, if that is the cache; its folder exists.
    pub(crate) cache_file: Option<PathBuf>,
    /// The plugins that the program was built with besides its own.
    pub(crate) plugins: Vec<BuiltIn>,
    /// Whether there is no settings file.
    pub(crate) is_unconfigured: bool,
}

/// Where objects are kept.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// In the memory of this process.
    Memory,
    /// In this file, whose folder exists.
    Sqlite(PathBuf),
    /// In the PostgreSQL database with this URL.
    Postgresql(SecretString),
}

impl Storage {
    fn of(settings: &Settings, data: &Path, data_is_asked_for: bool) -> Self {
        let url = &settings.storage_url;
        match settings.storage_backend {
            Engine::Memory => Self::Memory,
            Engine::Postgresql => Self::Postgresql(url.clone()),
            Engine::Sqlite => {
                let file = settings.sqlite_path().filter(|_| !data_is_asked_for);
                Self::Sqlite(file.unwrap_or_else(|| data.join(SQLITE_FILE)))
            }
        }
    }

    /// The file of SQLite.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            _ => None,
        }
    }
}

impl Config {
    /// Whether what is stored outlives the process.
    pub(crate) fn is_durable(&self) -> bool {
        self.settings.storage_backend != Engine::Memory
    }

    /// Logs what the user should know about the settings.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Whether users are accounts.
    pub(crate) fn has_accounts(&self) -> bool {
        self.settings.includes.iter().any(|plugin| plugin == "accounts")
    }

    /// What a command runs with that does not serve.
    pub(crate) fn of_command(stored: &args::Stored, env: &Env) -> anyhow::Result<Self> {
        let args::Stored { common, data } = stored.clone();
        Self::load(&args::Start { common, data, ..args::Start::default() }, env)
    }

    /// Brings together what the options, the file and the environment say.
    pub(crate) fn load(args: &args::Start, env: &Env) -> anyhow::Result<Self> {
        let asked_data = args.data.as_deref();
        let data = asked_data.map(Path::to_owned).or_else(|| env.path("CUMULO_DATA"));
        let data = data.unwrap_or_else(|| DEFAULT_DATA.into());
        let (file, about) = match args.common.ini.clone().or_else(|| env.ini()) {
            Some(path) => {
                let (file, about) = ini::read(&path, args.port.unwrap_or(DEFAULT_PORT))?;
                (file, Some(about))
            }
            None => (unconfigured(&data)?, None),
        };
        let is_unconfigured = about.is_none();
        let plugins: Vec<_> = env.plugins.iter().map(|(name, _)| *name).collect();
        let Loaded { mut settings, warnings } =
            Settings::load_with(&file.app, &env.variables, &plugins)?;
        settings.config_file = about;
        let storage = Storage::of(&settings, &data, asked_data.is_some());
        let cache_file = cache_file(&settings, storage.file(), &data);
        for file in storage.file().into_iter().chain(cache_file.as_deref()) {
            create_folder(file.parent().unwrap_or(Path::new("")))?;
        }
        let mut warnings = [file.warnings, warnings].concat();
        if is_unconfigured
            && settings.auth_policies.iter().any(|policy| policy.kind == PolicyKind::Basic)
        {
            warnings.push(format!(
                "Any name and password are a user, as in earlier versions. To have accounts only, \
                 write 'multiauth.policies = account' into {}.",
                secrets::file(&data).display()
            ));
        }
        if asked_data.is_some() && storage.file().is_none() {
            warnings.push("--data has no effect: the storage is not a file.".into());
        }
        if args.reload {
            warnings.push("--reload has no effect here.".into());
        }
        Ok(Self {
            settings,
            warnings,
            host: args.host.clone().or(file.host).unwrap_or_else(|| DEFAULT_HOST.into()),
            port: args.port.or(file.port).unwrap_or(DEFAULT_PORT),
            storage,
            cache_file,
            plugins: env.plugins.clone(),
            is_unconfigured,
        })
    }
}

/// Stands in for a settings file.
fn unconfigured(data: &Path) -> anyhow::Result<ini::IniFile> {
    create_folder(data)?;
    let secrets = secrets::of_folder(data)?;
    let from_before = if secrets::tell_policies(&secrets) { &[] } else { FROM_BEFORE };
    let pairs = UNCONFIGURED.iter().chain(from_before);
    let pairs = pairs.map(|&(name, value)| (name.to_owned(), value.to_owned()));
    let app = pairs.chain(secrets).collect();
    Ok(ini::IniFile { app, ..ini::IniFile::default() })
}

/// Without an address, the file is beside that of the storage.
fn cache_file(settings: &Settings, storage: Option<&Path>, data: &Path) -> Option<PathBuf> {
    if settings.cache_backend != CacheEngine::Sqlite {
        return None;
    }
    let beside = storage.map(|file| file.with_extension("cache.sqlite"));
    let path = settings.sqlite_cache_path().or(beside);
    Some(path.unwrap_or_else(|| data.join(CACHE_FILE)))
}

/// Makes a folder that only its owner can enter; leaves one that exists as it is.
fn create_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .with_context(|| format!("can't make the data folder {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn start(data: &Path) -> args::Start {
        args::Start { data: Some(data.join("data")), ..args::Start::default() }
    }

    fn with_ini(folder: &Path, text: &str) -> args::Start {
        let path = folder.join("test.ini");
        fs::write(&path, text).unwrap();
        let common = args::Common { ini: Some(path), ..args::Common::default() };
        args::Start { common, ..args::Start::default() }
    }

    #[test]
    fn it_runs_without_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(&start(folder.path()), &Env::default()).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
        assert_eq!(config.storage.file(), Some(folder.path().join("data/cumulo.sqlite").as_path()));
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 8888));
        let settings = config.settings;
        assert_eq!(settings.includes, ["accounts", "default_bucket"]);
        assert_eq!(settings.auth_policies.len(), 1);
        assert_eq!(settings.principals["bucket_create"], ["account:admin"]);
        assert_eq!(settings.userid_hmac_secret.expose_secret().len(), 64);
        assert_eq!(settings.config_file, None);
    }

    #[test]
    fn the_secrets_are_the_same_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let secret = || {
            let config = Config::load(&start(folder.path()), &Env::default()).unwrap();
            config.settings.userid_hmac_secret.expose_secret().to_owned()
        };
        assert_eq!(secret(), secret());
    }

    #[test]
    fn users_of_a_folder_from_before_accounts_remain() {
        let folder = tempfile::tempdir().unwrap();
        let args = start(folder.path());
        let file = folder.path().join("data/secrets.ini");
        fs::create_dir(folder.path().join("data")).unwrap();
        let secrets = "[app:main]\nuserid_hmac_secret = a\ndefault_bucket_hmac_secret = b\n";
        fs::write(&file, secrets).unwrap();
        let config = Config::load(&args, &Env::default()).unwrap();
        let policies: Vec<_> =
            config.settings.auth_policies.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(policies, ["account", "basicauth"]);
        assert!(
            config.settings.principals["bucket_create"].contains(&"system.Authenticated".into())
        );
        assert!(config.warnings[0].contains("data/secrets.ini"), "{:?}", config.warnings);
        assert_eq!(fs::read_to_string(&file).unwrap(), secrets);

        fs::write(&file, format!("{secrets}multiauth.policies = account\n")).unwrap();
        let config = Config::load(&args, &Env::default()).unwrap();
        assert_eq!(config.settings.auth_policies.len(), 1);
        assert_eq!(config.settings.principals["bucket_create"], ["account:admin"]);
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn the_environment_is_enough_to_configure() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("elsewhere");
        let env = Env::of(&[
            ("CUMULO_DATA", data.to_str().unwrap()),
            ("CUMULO_READONLY", "true"),
            ("KINTO_USERID_HMAC_SECRET", "12345"),
        ]);
        let config = Config::load(&args::Start::default(), &env).unwrap();
        assert_eq!(config.storage.file(), Some(data.join("cumulo.sqlite").as_path()));
        assert!(config.settings.readonly);
        assert_eq!(config.settings.userid_hmac_secret.expose_secret(), "12345");
    }

    #[test]
    fn options_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[server:main]\nhost = 0.0.0.0\nport = 7777\n[app:main]\n\
                    storage_backend = sqlite\nstorage_url = sqlite:///%(here)s/x/y.sqlite\n";
        let mut args = with_ini(folder.path(), text);
        let config = Config::load(&args, &Env::default()).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 7777));
        let here = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(config.storage.file(), Some(here.join("x/y.sqlite").as_path()));
        args.host = Some("::1".into());
        args.port = Some(1);
        args.data = Some(folder.path().join("data"));
        let config = Config::load(&args, &Env::default()).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("::1", 1));
        assert_eq!(config.storage.file(), Some(folder.path().join("data/cumulo.sqlite").as_path()));
    }

    #[test]
    fn a_file_of_kinto_is_in_memory_unless_it_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(
            &with_ini(folder.path(), "[app:main]\nuse = egg:kinto\n"),
            &Env::default(),
        );
        let config = config.unwrap();
        assert!(config.storage.file().is_none());
        assert_eq!(config.settings.config_file.unwrap().hash.len(), 64);
        assert!(config.settings.auth_policies.is_empty());
    }

    #[test]
    fn the_environment_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let args = with_ini(folder.path(), "[app:main]\nkinto.readonly = true\n");
        let path = args.common.ini.unwrap();
        for name in ["KINTO_INI", "CUMULO_INI"] {
            let env = Env::of(&[(name, path.to_str().unwrap())]);
            let config = Config::load(&args::Start::default(), &env).unwrap();
            assert!(config.settings.readonly, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let env = Env::of(&[("KINTO_INI", "nowhere/kinto.ini")]);
        let error = Config::load(&args::Start::default(), &env).unwrap_err();
        assert!(error.to_string().contains("nowhere/kinto.ini"));
    }
}
