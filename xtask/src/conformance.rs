//! `cargo xtask conformance`: Kinto's own web tests, over HTTP. See tests/conformance/README.md.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cumulo_servers::{Memcached, Options, Postgres, Redis};
use serde_json::Value;

use crate::packages;
use crate::project;
use crate::steps::Tally;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// The store of the server
    #[arg(long, value_enum, default_value_t = Backend::All)]
    backend: Backend,
    /// The cache of the server; a private one is started [default: that of the store]
    #[arg(long, value_enum)]
    cache: Option<Cache>,
    /// Only the tests whose id matches
    #[arg(long, value_name = "REGEX")]
    select: Option<String>,
    /// Another build of our program, or the command line of any server, with {ini} and {port}
    #[arg(long, value_name = "PATH")]
    server: Option<String>,
    /// More options for the runner (those of `kinto_suite.py`)
    #[arg(last = true)]
    more: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Memory,
    Sqlite,
    Postgresql,
    #[default]
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cache {
    Redis,
    Memcached,
    Postgresql,
}

/// A cache that stops when it goes out of scope.
enum CacheServer {
    Redis(Redis),
    Memcached(Memcached),
    Postgresql(Postgres),
}

impl CacheServer {
    fn start(cache: Cache) -> Result<Self> {
        Ok(match cache {
            Cache::Redis => Self::Redis(Redis::start()?),
            Cache::Memcached => Self::Memcached(Memcached::start()?),
            Cache::Postgresql => Self::Postgresql(Postgres::start(&Options::default())?),
        })
    }

    fn options(&self) -> [String; 4] {
        let (name, url) = match self {
            Self::Redis(server) => ("redis", server.url()),
            Self::Memcached(server) => ("memcached", server.url()),
            Self::Postgresql(server) => ("postgresql", server.url()),
        };
        ["--cache-backend".to_owned(), name.to_owned(), "--cache-url".to_owned(), url]
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let commands = match &arguments.server {
        Some(server) if server.contains("{ini}") => {
            Commands { start: server.clone(), migrate: None }
        }
        Some(path) => Commands::of(&fs::canonicalize(path).context("no such server")?),
        None => Commands::of(&project::release_build("cumulo")?),
    };
    let mut tally = Tally::default();
    let backends = [
        (Backend::Memory, "memory"),
        (Backend::Sqlite, "sqlite"),
        (Backend::Postgresql, "postgresql"),
    ];
    for (backend, name) in backends {
        if arguments.backend == backend || arguments.backend == Backend::All {
            println!("conformance, {name}");
            tally += run_suite(name, &commands, arguments)?;
        }
    }
    Ok(tally)
}

/// All tests on one store of the release build.
pub(crate) fn run_all(backend: Backend) -> Result<Tally> {
    run(&Arguments { backend, ..Arguments::default() })
}

/// All tests on the memory store, with this cache.
pub(crate) fn run_cache(cache: Cache) -> Result<Tally> {
    run(&Arguments { backend: Backend::Memory, cache: Some(cache), ..Arguments::default() })
}

/// Command lines with placeholders.
struct Commands {
    start: String,
    migrate: Option<String>,
}

impl Commands {
    /// Those of our program.
    fn of(program: &Path) -> Self {
        let program = program.display();
        Self {
            start: format!("'{program}' start --ini {{ini}} --port {{port}}"),
            migrate: Some(format!("'{program}' migrate --quiet --ini {{ini}}")),
        }
    }
}

fn run_suite(backend: &str, commands: &Commands, arguments: &Arguments) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    packages::need("python3", &["python3", "python3-venv"])?;
    let mut command = Command::new("python3");
    command.arg(project::root().join("tests/conformance/kinto_suite.py"));
    command.args(["--server", &commands.start, "--backend", backend, "--json"]).arg(&report);
    let cache = arguments.cache.map(CacheServer::start).transpose()?;
    if let Some(cache) = &cache {
        command.args(cache.options());
    }
    if let Some(regex) = &arguments.select {
        command.args(["--select", regex]);
    }
    // Each server of the suite gets a database of its own there.
    let database = match backend {
        "postgresql" => Some(Postgres::start(&Options::default())?),
        _ => None,
    };
    if let Some(database) = &database {
        command.args(["--backend-url", &database.url()]);
    }
    let has_tables = database.is_some() || arguments.cache == Some(Cache::Postgresql);
    if let Some(migrate) = commands.migrate.as_ref().filter(|_| has_tables) {
        command.args(["--migrate", migrate]);
    }
    let status = command.args(&arguments.more).status().context("cannot run python3")?;
    let Ok(text) = fs::read_to_string(&report) else {
        bail!("the runner ended with {status} and no report");
    };
    read_report(&serde_json::from_str(&text)?)
}

fn read_report(report: &Value) -> Result<Tally> {
    let number = |value: &Value| value.as_u64().and_then(|it| usize::try_from(it).ok());
    let passed = number(&report["passed"]).context("no count in the report")?;
    let total = number(&report["total"]).context("no count in the report")?;
    let aside = report["set_aside"].as_object().into_iter().flatten();
    let mut tally = Tally { passed, failed: total - passed, skipped: 0 };
    tally.skipped = aside.filter_map(|(_, count)| number(count)).sum();
    // Errors outside of tests, such as a module that cannot be read.
    if tally.failed == 0 && report["success"] != true {
        tally.failed = 1;
    }
    Ok(tally)
}
