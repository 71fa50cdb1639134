//! The command line. Options that Kinto has are spelled as there.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use cumulo_core::{object::Timestamp, settings::value::Value as _};
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

const DELETE_USER_EXAMPLE: &str = "\
Example:
  cumulo delete-user --ini cumulo.ini --username alice --dry-run
  cumulo delete-user --ini cumulo.ini --username alice --with-data";

const PURGE_EXAMPLE: &str = "\
Example:
  cumulo purge-deleted --ini cumulo.ini record 100
  cumulo purge-deleted --ini cumulo.ini record collection group 0 --before 2030-01-31";

const DELETE_COLLECTION_EXAMPLE: &str = "\
Example:
  cumulo delete-collection --ini cumulo.ini blog posts";

const RENAME_COLLECTION_USAGE: &str = "\
cumulo rename-collection [OPTIONS] <BUCKET> <OLD> <NEW>
       cumulo rename-collection [OPTIONS] <OLD-URI> <NEW-URI>";

const RENAME_COLLECTION_EXAMPLE: &str = "\
Example:
  cumulo rename-collection --ini cumulo.ini blog posts articles
  cumulo rename-collection --ini cumulo.ini \\
      /buckets/blog/collections/posts /buckets/archive/collections/posts-2030";

const COUNTERS_EXAMPLE: &str = "\
Example:
  cumulo counters rebuild --ini cumulo.ini";

const CHECK_EXAMPLE: &str = "\
Example:
  cumulo check --ini cumulo.ini && echo all is well";

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
    /// Remove an account, and the user's memberships and permissions
    ///
    /// What it does is shown first. Without `--with-data`, the user's objects stay. The plugin
    /// 'accounts' must be on.
    #[command(after_help = DELETE_USER_EXAMPLE)]
    DeleteUser(DeleteUser),
    /// Remove tombstones that nobody needs
    ///
    /// Of each list, the newest are kept. Clients that have not asked for changes since before a
    /// tombstone that is removed don't learn that the object was deleted.
    #[command(after_help = PURGE_EXAMPLE)]
    PurgeDeleted(PurgeDeleted),
    /// Remove a collection with its records, tombstones and permissions
    #[command(after_help = DELETE_COLLECTION_EXAMPLE)]
    DeleteCollection(DeleteCollection),
    /// Give a collection another name, or another bucket
    ///
    /// Records and tombstones move with their ids, timestamps and permissions; all or nothing.
    /// Nothing must be where it goes.
    #[command(after_help = RENAME_COLLECTION_EXAMPLE, override_usage = RENAME_COLLECTION_USAGE)]
    RenameCollection(RenameCollection),
    /// Work on the numbers of objects that the storage keeps
    #[command(subcommand_required = true)]
    Counters(Counters),
    /// Verify that all in the storage is as it must be
    ///
    /// Nothing is changed unless `--repair` is given. Each flaw is told with its place; the command
    /// ends with 1 if there are any.
    #[command(after_help = CHECK_EXAMPLE)]
    Check(Check),
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
    #[command(flatten)]
    Client(Box<cumulo_cli::Command>),
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

/// What every command takes that uses the storage.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Stored {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, value_name = "FOLDER", help = DATA_HELP)]
    pub(crate) data: Option<PathBuf>,
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
    pub(crate) stored: Stored,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FlushCache {
    #[command(flatten)]
    pub(crate) stored: Stored,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateUser {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// Name of the user
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Password of the user; others on this machine may see it: better let it be asked for
    #[arg(short, long)]
    pub(crate) password: Option<String>,
}

/// What commands take that change what is stored.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Don't ask whether it shall be done
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteUser {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Name of the user
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: String,
    /// Delete all that nobody else may write, too, with what lies below it
    #[arg(long)]
    pub(crate) with_data: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PurgeDeleted {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Names of resources, such as `record`
    #[arg(required = true, num_args = 1.., value_name = "RESOURCES")]
    pub(crate) resources: Vec<String>,
    /// How many tombstones of each list are kept: the newest
    #[arg(value_name = "MAX-RETAINED")]
    pub(crate) max_retained: usize,
    /// Remove only those that are older, such as 2030-01-31 or 2030-01-31T10:00:00+02:00
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) before: Option<Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteCollection {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Id of the bucket
    pub(crate) bucket: String,
    /// Id of the collection
    pub(crate) collection: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RenameCollection {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Ids of the bucket and of the collection, and the new one; or the old and the new URI
    #[arg(required = true, num_args = 2..=3, value_name = "NAMES")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Counters {
    #[command(subcommand)]
    pub(crate) command: CountersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CountersCommand {
    /// Count the objects of all lists anew, and correct what is wrong
    #[command(after_help = COUNTERS_EXAMPLE)]
    Rebuild(Change),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// Before that, correct counts, and remove permissions and memberships of what is not there
    #[arg(long)]
    pub(crate) repair: bool,
    /// Don't ask whether it shall be repaired
    #[arg(short, long, requires = "repair")]
    pub(crate) yes: bool,
}

/// A moment, as settings spell it.
fn date(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| format!("expected {}", Timestamp::expects()))
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
    pub(crate) stored: Stored,
    /// Where to write it; `-` is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) stored: Stored,
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
    fn the_guide_names_every_command() {
        fn names(command: &clap::Command, path: &str, guide: &str) {
            for command in command.get_subcommands().filter(|it| it.get_name() != "help") {
                let path = format!("{path} {}", command.get_name());
                assert!(guide.contains(&format!("`{path}")), "docs/commands.md lacks `{path}`");
                names(command, &path, guide);
            }
        }
        let guide = include_str!("../../../docs/commands.md");
        names(&<Args as clap::CommandFactory>::command(), "cumulo", guide);
    }

    #[test]
    fn upkeep_shows_examples() {
        fn has_example(command: &clap::Command) -> bool {
            let mut below = command.get_subcommands().peekable();
            if below.peek().is_some() {
                return below.all(has_example);
            }
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            example.contains(&format!("{} ", command.get_name()))
        }
        let commands = <Args as clap::CommandFactory>::command();
        for name in [
            "delete-user",
            "purge-deleted",
            "delete-collection",
            "rename-collection",
            "counters",
            "check",
        ] {
            assert!(has_example(commands.find_subcommand(name).unwrap()), "{name}");
        }
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
        assert!(migrate.dry_run && migrate.stored.common.debug);
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
        assert!(flush.stored.common.quiet);
    }

    #[test]
    fn a_purge_names_resources_and_a_number() {
        let line = "cumulo purge-deleted record group 7 --before 1970-01-02";
        let Command::PurgeDeleted(purge) = parse(line) else { panic!() };
        assert_eq!((purge.resources.join(" ").as_str(), purge.max_retained), ("record group", 7));
        assert_eq!(purge.before, Some(Timestamp(86_400_000)));
        for line in ["record", "7", "record many", "record 7 --before soon", "record -- -1"] {
            let line = format!("cumulo purge-deleted {line}");
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
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
