//! The command line. Options that Kinto has are spelled as there.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

const DATA_HELP: &str = "Folder for the data [default: $CUMULO_DATA or ./data]";

const EXPORT_EXAMPLE: &str = "\
Example:
  cumulo export --ini cumulo.ini --output everything.jsonl
  cumulo export --data ./data --output - | zstd > everything.jsonl.zst";

const IMPORT_EXAMPLE: &str = "\
An import that was interrupted goes on when the same command is given again.

Example:
  cumulo import --ini cumulo.ini --input everything.jsonl
  CUMULO_IMPORT_AUTH=admin:secret cumulo import --from-kinto https://kinto.example.com/v1";

/// A storage service for applications: JSON records, synced and shared over HTTP.
///
/// Without a command it starts the service.
#[derive(Debug, Parser)]
#[command(name = "cumulo", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: Start,
}

impl Args {
    /// The command to run.
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Start(self.start))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the service
    Start(Start),
    /// Write a settings file with comments and fresh secrets
    Init(Init),
    /// Bring the storage to the schema of this version
    Migrate(Migrate),
    /// Empty the cache
    FlushCache(FlushCache),
    /// Create an account, or give one another password
    ///
    /// The plugin 'accounts' must be on. A running service that owns the storage must be stopped
    /// before. What is not given is asked for.
    CreateUser(CreateUser),
    /// Write everything that the storage holds as lines of JSON
    #[command(after_help = EXPORT_EXAMPLE)]
    Export(Export),
    /// Read into the storage what `export` has written, or what a Kinto server holds
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(Import),
    /// Ask a running service whether it is well; status 1 if it is not
    Health(Health),
    /// Print the version
    Version(Common),
    /// Print the reference of all settings, in Markdown
    Settings,
}

/// What every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Common {
    #[arg(
        long,
        value_name = "FILE",
        help = "Settings file [default: $KINTO_INI or $CUMULO_INI, if set]"
    )]
    pub(crate) ini: Option<PathBuf>,
    /// Log errors only, and print nothing
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Log everything, debug messages too
    #[arg(short = 'v', long, conflicts_with = "quiet")]
    pub(crate) debug: bool,
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Address to listen on [default: that of the settings file, or 127.0.0.1]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port to listen on [default: that of the settings file, or 8888]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
    /// Password of the account 'admin', which is created with it, or gets it; others on this
    /// machine may see the option: better use the environment
    #[arg(long, value_name = "PASSWORD", env = "CUMULO_ADMIN_PASSWORD", hide_env_values = true)]
    pub(crate) admin_password: Option<SecretString>,
    /// Accepted for scripts that start Kinto; does nothing
    #[arg(long, hide = true)]
    pub(crate) reload: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Where objects and permissions are stored
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    pub(crate) backend: Backend,
    /// Where cached values are stored
    #[arg(long, value_enum, default_value_t = CacheBackend::Memory)]
    pub(crate) cache_backend: CacheBackend,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FlushCache {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateUser {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
    /// Name of the user
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Password of the user; others on this machine may see it: better let it be asked for
    #[arg(short, long)]
    pub(crate) password: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Where the service is, with its version
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8888/v1")]
    pub(crate) url: String,
    /// Print nothing
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
    /// Where to write it; `-` is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
    /// What `export` has written; `-` is the standard input
    #[arg(short, long, value_name = "FILE", default_value = "-", conflicts_with = "from_kinto")]
    pub(crate) input: PathBuf,
    /// Add to a storage that is not empty; the newer version of an object wins
    #[arg(long)]
    pub(crate) merge: bool,
    /// A Kinto server to read from over HTTP, with its version: `https://…/v1`
    #[arg(long, value_name = "URL")]
    pub(crate) from_kinto: Option<String>,
    /// Name and password of a user of that server who may read and write everything
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "CUMULO_IMPORT_AUTH",
        hide_env_values = true,
        conflicts_with = "token"
    )]
    pub(crate) auth: Option<String>,
    /// A bearer token for that server, or a whole `Authorization` header
    #[arg(long, value_name = "TOKEN", env = "CUMULO_IMPORT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// How many requests to that server may be under way at once
    #[arg(long, value_name = "N", default_value_t = 4, requires = "from_kinto")]
    pub(crate) connections: usize,
    /// Don't ask for the permissions of single records, which takes a request for 25 of them
    #[arg(long, requires = "from_kinto")]
    pub(crate) without_record_permissions: bool,
}

/// An engine that can be chosen in `init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// In the memory of the process: gone when it ends
    Memory,
    /// One SQLite file
    Sqlite,
    /// A PostgreSQL database
    Postgresql,
}

impl Backend {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
        }
    }
}

/// An engine of the cache that can be chosen in `init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheBackend {
    /// In the memory of the process
    Memory,
    /// One SQLite file
    Sqlite,
    /// A table in PostgreSQL
    Postgresql,
    /// Redis
    Redis,
    /// memcached
    Memcached,
}

impl CacheBackend {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Memcached => "memcached",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Command {
        Args::try_parse_from(line.split(' ')).expect("the line is right").command()
    }

    #[test]
    fn the_definition_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_command_means_start() {
        let Command::Start(start) = parse("cumulo --port 9000 --data here") else { panic!() };
        assert_eq!(start.port, Some(9000));
        assert_eq!(start.data, Some("here".into()));
        assert!(matches!(parse("cumulo"), Command::Start(_)));
    }

    #[test]
    fn the_lines_of_kinto_work() {
        let Command::Start(start) = parse("cumulo start -q --ini a.ini --port 8888 --reload")
        else {
            panic!()
        };
        assert!(start.common.quiet);
        let Command::Init(init) =
            parse("cumulo init --ini a.ini --backend memory --cache-backend memory --host 0.0.0.0")
        else {
            panic!()
        };
        assert_eq!(init.backend, Backend::Memory);
        let Command::Migrate(migrate) = parse("cumulo migrate --dry-run --ini a.ini -v") else {
            panic!()
        };
        assert!(migrate.dry_run && migrate.common.debug);
        let Command::CreateUser(user) = parse("cumulo create-user --ini a.ini -u ann -p secret")
        else {
            panic!()
        };
        assert_eq!(
            (user.username.as_deref(), user.password.as_deref()),
            (Some("ann"), Some("secret"))
        );
        assert!(matches!(parse("cumulo version"), Command::Version(_)));
        let Command::FlushCache(flush) = parse("cumulo flush-cache --ini a.ini -q") else {
            panic!()
        };
        assert!(flush.common.quiet);
    }

    #[test]
    fn an_import_has_one_source() {
        let Command::Import(import) = parse("cumulo import --from-kinto http://x/v1 --auth a:b")
        else {
            panic!()
        };
        assert_eq!(import.auth.as_deref(), Some("a:b"));
        for line in
            ["--from-kinto http://x/v1 --input a", "--auth a:b --token c", "--connections 2"]
        {
            let line = format!("cumulo import {line}");
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
