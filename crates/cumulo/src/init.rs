//! `cumulo init`: writes a settings file to begin with.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    args::{self, Backend, CacheBackend},
    config::Env,
    say, secrets,
};

const DEFAULT_FILE: &str = "cumulo.ini";
/// The same as Kinto proposes.
const DATABASE: &str = "postgresql://postgres:postgres@localhost:5432/postgres";
const TEMPLATE: &str = include_str!("init.ini");

/// Runs the command.
pub(crate) fn run(args: &args::Init, env: &Env) -> anyhow::Result<()> {
    let given = args.common.ini.clone().or_else(|| env.ini());
    let path = given.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    write_new(&path, &render(args)?)?;
    if args.common.quiet {
        return Ok(());
    }
    let path = path.display();
    let administrator = match args.backend {
        Backend::Memory => String::new(),
        Backend::Sqlite | Backend::Postgresql => format!(
            "Create the administrator with: cumulo create-user --ini {path} --username admin\n"
        ),
    };
    let database = match args.backend {
        Backend::Postgresql => format!(
            "Name your database in it (storage_url), and make its tables with: \
             cumulo migrate --ini {path}\n"
        ),
        Backend::Memory | Backend::Sqlite => String::new(),
    };
    say(&format!(
        "Created {path}.\n{database}{administrator}Start the service with: cumulo start --ini {path}"
    ))
}

fn render(args: &args::Init) -> anyhow::Result<String> {
    let storage_url = match args.backend {
        Backend::Memory => "",
        Backend::Sqlite => "sqlite:///%(here)s/cumulo.sqlite",
        Backend::Postgresql => DATABASE,
    };
    let cache_address = match args.cache_backend {
        CacheBackend::Memory => "# kinto.cache_max_size_bytes = 524288",
        CacheBackend::Sqlite => "kinto.cache_url = sqlite:///%(here)s/cumulo.cache.sqlite",
        CacheBackend::Postgresql => &format!("kinto.cache_url = {DATABASE}"),
        CacheBackend::Redis => "kinto.cache_url = redis://localhost:6379/0",
        CacheBackend::Memcached => "kinto.cache_hosts = 127.0.0.1:11211",
    };
    let mut text = TEMPLATE
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{host}", &args.host.replace('%', "%%"))
        .replace("{storage_backend}", args.backend.as_str())
        .replace("{storage_url}", storage_url)
        .replace("{cache_backend}", args.cache_backend.as_str())
        .replace("{cache_address}", cache_address);
    for name in secrets::NAMES {
        text = text.replace(&format!("{{{name}}}"), &secrets::fresh()?);
    }
    Ok(text)
}

/// Writes a file that only its owner reads, unless there is one.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).context("can't write the file"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} already exists.", path.display())
        }
        Err(error) => Err(error).with_context(|| format!("can't create {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cumulo_core::settings::{Engine, FAMILIES, KEYS, Settings};

    use super::*;
    use crate::config::Config;

    fn init(path: &Path, backend: Backend) -> anyhow::Result<()> {
        let common =
            args::Common { ini: Some(path.into()), quiet: true, ..args::Common::default() };
        let host = "0.0.0.0".to_owned();
        let cache_backend = CacheBackend::Memory;
        run(&args::Init { common, backend, cache_backend, host }, &Env::default())
    }

    fn load(path: &Path) -> Config {
        let common = args::Common { ini: Some(path.into()), ..args::Common::default() };
        Config::load(&args::Start { common, ..args::Start::default() }, &Env::default()).unwrap()
    }

    #[test]
    fn the_file_starts_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/my.ini");
        init(&path, Backend::Sqlite).unwrap();
        let config = load(&path);
        assert_eq!(config.warnings, Vec::<String>::new());
        assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8888));
        assert_eq!(config.settings.storage_backend, Engine::Sqlite);
        assert!(config.storage.file().unwrap().ends_with("new/folder/cumulo.sqlite"));
        assert_eq!(config.settings.includes, ["accounts", "admin", "default_bucket"]);
    }

    #[test]
    fn every_cache_can_be_chosen() {
        use clap::ValueEnum as _;
        for cache_backend in CacheBackend::value_variants().iter().copied() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("my.ini");
            let common =
                args::Common { ini: Some(path.clone()), quiet: true, ..args::Common::default() };
            let host = "127.0.0.1".to_owned();
            let args = args::Init { common, backend: Backend::Memory, cache_backend, host };
            run(&args, &Env::default()).unwrap();
            let config = load(&path);
            assert_eq!(config.warnings, Vec::<String>::new());
            assert_eq!(config.settings.cache_backend.as_str(), cache_backend.as_str());
        }
    }

    #[test]
    fn an_existing_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.ini");
        init(&path, Backend::Memory).unwrap();
        let before = fs::read(&path).unwrap();
        let error = init(&path, Backend::Memory).unwrap_err();
        assert!(error.to_string().ends_with("already exists."));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.ini");
        init(&path, Backend::Memory).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_comments_show_defaults() {
        // What can be uncommented must be a setting, and have the value that it has anyway.
        let shown: Vec<(String, String)> = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("# kinto.")?.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        assert!(shown.len() > 15);
        let names: HashSet<_> = KEYS.iter().map(|key| key.name).collect();
        for (name, value) in &shown {
            let family = FAMILIES.iter().any(|family| {
                let end = family.pattern.rsplit('>').next().expect("rsplit gives something");
                !end.is_empty() && name.ends_with(end)
            });
            assert!(names.contains(name.as_str()) || family, "{name}");
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                assert_eq!(&(key.default)(), value, "{name}");
            }
        }
        let loaded = Settings::load(&shown, &[]).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
}
