//! Options of a command line that make a client, for scripts:
//!
//! ```no_run
//! use clap::Parser;
//! use cumulo_client::cli::ClientArgs;
//!
//! /// Counts records.
//! #[derive(Parser)]
//! struct Script {
//!     #[command(flatten)]
//!     client: ClientArgs,
//! }
//!
//! # fn main() -> cumulo_client::Result<()> {
//! let script = Script::parse();
//! script.client.init_logging();
//! let client = script.client.blocking_client()?;
//! tracing::warn!("{} records", client.records().list().count()?);
//! # Ok(())
//! # }
//! ```
//!
//! They are those of `cli_utils` in kinto-http.py, and `--header`, `--timeout` and `--dry-run`. A
//! script that names buckets and collections itself takes [`ConnectionArgs`]. Other defaults, also of
//! the credentials, are given to clap:
//!
//! ```
//! # use clap::Parser;
//! # use cumulo_client::cli::ClientArgs;
//! #[derive(Parser)]
//! #[command(mut_arg("server", |it| it.default_value("https://kinto.example.com/v1")))]
//! #[command(mut_arg("auth", |it| it.env("KINTO_AUTH").hide_env_values(true)))]
//! struct Script {
//!     #[command(flatten)]
//!     client: ClientArgs,
//! }
//! # let script = Script::parse_from(["script"]);
//! # assert_eq!(script.client.connection.server.unwrap().as_str(), "https://kinto.example.com/v1");
//! ```

use std::{
    fmt,
    io::{self, IsTerminal as _},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{Builder, Client, Error, Plan, Result, Retry, auth, blocking};

/// Which server, who asks, and what of it.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// How the server is reached.
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// The bucket
    #[arg(short, long, value_name = "ID")]
    pub bucket: Option<String>,

    /// The collection
    #[arg(short, long, value_name = "ID")]
    pub collection: Option<String>,
}

impl ClientArgs {
    /// How to make the client. Asks at the terminal for a password that is missing.
    pub fn builder(&self) -> Result<Builder> {
        let mut builder = self.connection.builder()?;
        if let Some(bucket) = &self.bucket {
            builder = builder.bucket(bucket);
        }
        if let Some(collection) = &self.collection {
            builder = builder.collection(collection);
        }
        Ok(builder)
    }

    /// The client, whose calls are awaited.
    pub fn client(&self) -> Result<Client> {
        self.builder()?.build()
    }

    /// The client, whose calls wait.
    pub fn blocking_client(&self) -> Result<blocking::Client> {
        self.builder()?.build_blocking()
    }

    /// See [`ConnectionArgs::init_logging`].
    pub fn init_logging(&self) {
        self.connection.init_logging();
    }
}

/// Which server, and who asks.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// The URL of the server, with the version: `http://localhost:8888/v1`
    #[arg(short, long, value_name = "URL")]
    pub server: Option<ServerUrl>,

    /// `user:password`, `user` to be asked for the password, or `Bearer token`
    #[arg(short, long, hide_default_value = true)]
    pub auth: Option<Credentials>,

    /// A header of all requests, as `Name: value`; may be given several times
    #[arg(long = "header", value_name = "HEADER", hide_default_value = true)]
    pub headers: Vec<Header>,

    /// How long a request may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// How often a request is repeated that may succeed later
    #[arg(long, value_name = "TIMES", default_value_t = Retry::default().times)]
    pub retry: u32,

    /// The time between repetitions, in seconds [default: what the server asks for]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub retry_after: Option<Duration>,

    /// Go on when operations of a batch are refused
    #[arg(long = "ignore-batch-4xx")]
    pub ignore_batch_refusals: bool,

    /// Send nothing, only show what would be sent
    #[arg(long)]
    pub dry_run: bool,

    /// What `--dry-run` would have sent.
    #[arg(skip)]
    pub plan: Plan,

    /// How much is logged.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

impl ConnectionArgs {
    /// How to make the client. Asks at the terminal for a password that is missing.
    pub fn builder(&self) -> Result<Builder> {
        self.builder_asking(|question| rpassword::prompt_password(question))
    }

    fn builder_asking(&self, ask: impl FnOnce(&str) -> io::Result<String>) -> Result<Builder> {
        let missing = || Error::Argument("no server is given: use --server URL".to_owned());
        let retry = Retry { forced: self.retry_after, ..Retry::times(self.retry) };
        let mut builder = Client::builder(self.server.as_ref().ok_or_else(missing)?.as_str());
        builder = builder.timeout(self.timeout).retry(retry);
        if let Some(credentials) = &self.auth {
            builder = credentials.apply(builder, ask)?;
        }
        for Header { name, value } in &self.headers {
            builder = builder.header(name, value.expose_secret());
        }
        if self.ignore_batch_refusals {
            builder = builder.ignore_batch_refusals();
        }
        if self.dry_run {
            builder = builder.dry(&self.plan);
        }
        Ok(builder)
    }

    /// The client, whose calls are awaited.
    pub fn client(&self) -> Result<Client> {
        self.builder()?.build()
    }

    /// The client, whose calls wait.
    pub fn blocking_client(&self) -> Result<blocking::Client> {
        self.builder()?.build_blocking()
    }

    /// Writes what is logged with `tracing` to standard error: warnings, or as much as `-v`, `-q` and
    /// `-D` say, and with `--dry-run` all requests. Does nothing if the script has a logger already.
    pub fn init_logging(&self) {
        let mut levels = Targets::new().with_default(self.verbosity.level());
        if self.dry_run {
            levels = levels.with_target(Plan::LOG_TARGET, LevelFilter::DEBUG);
        }
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .without_time();
        _ = tracing_subscriber::registry().with(lines).with(levels).try_init();
    }
}

/// How much is logged. Of several options, the last counts.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Verbosity {
    /// Show what is done
    #[arg(short, long, overrides_with_all = ["quiet", "debug"])]
    pub verbose: bool,

    /// Show errors only
    #[arg(short, long, overrides_with_all = ["verbose", "debug"])]
    pub quiet: bool,

    /// Show everything, each request too
    #[arg(short = 'D', long, overrides_with_all = ["verbose", "quiet"])]
    pub debug: bool,
}

impl Verbosity {
    /// The least important level that is shown.
    pub fn level(self) -> LevelFilter {
        match self {
            Self { debug: true, .. } => LevelFilter::DEBUG,
            Self { verbose: true, .. } => LevelFilter::INFO,
            Self { quiet: true, .. } => LevelFilter::ERROR,
            _ => LevelFilter::WARN,
        }
    }
}

/// The URL of a server as it was typed. Credentials in it are not shown.
#[derive(Clone)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ServerUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.rsplit('@').next().unwrap_or_default();
        f.debug_tuple("ServerUrl").field(&host).finish()
    }
}

/// Credentials as they were typed. They are not shown.
#[derive(Clone, Debug)]
pub struct Credentials(SecretString);

impl From<&str> for Credentials {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Credentials {
    /// Nothing at all stands for nobody.
    fn apply(
        &self,
        builder: Builder,
        ask: impl FnOnce(&str) -> io::Result<String>,
    ) -> Result<Builder> {
        let text = self.0.expose_secret();
        if text.is_empty() {
            return Ok(builder);
        }
        if text.contains([':', ' ']) {
            return Ok(builder.auth(auth::parse(text)?));
        }
        let failed = |error| Error::Login(format!("the password of {text} can't be read: {error}"));
        let password = ask(&format!("Password of {text}: ")).map_err(failed)?;
        Ok(builder.auth(auth::Basic::new(text, &password)))
    }
}

/// A header as it was typed. Its value is not shown.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, which may be a key.
    pub value: SecretString,
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
        Ok(Self { name: name.trim().to_owned(), value: value.trim().into() })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
