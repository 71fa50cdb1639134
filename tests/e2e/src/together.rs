//! One database, two servers: Kinto and our program at the same time.
//!
//! - [`schema`](Together::schema): either can create the database, and the other completes it
//! - [`answers`](Together::answers): what one writes, both serve, and alike
//! - [`writers`](Together::writers): both write at the same time, and nothing is lost or missed
//!
//! `peer` has the two servers and their requests; `scenario` what is written and asked; `compare`
//! and `differences` judge the answers.

mod answers;
mod compare;
mod differences;
mod peer;
mod scenario;
mod writers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cumulo_servers::Postgres;

use crate::server::write_ini;
use crate::{Program, Server, Storage};
use peer::Pair;

/// What both are told.
const SETTINGS: &[(&str, &str)] = &[
    ("kinto.includes", "kinto.plugins.default_bucket kinto.plugins.flush kinto.plugins.accounts"),
    ("multiauth.policies", "account basicauth"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.account_write_principals", "account:admin"),
    // Kinto remembers a password until the account changes, unless the other one changes it.
    ("kinto.account_cache_ttl_seconds", "0"),
    ("kinto.default_bucket_hmac_secret", "2f5ea1bd3e8ff8a6a1b4d7f4c4f6ab52"),
    ("kinto.experimental_collection_schema_validation", "true"),
    ("kinto.experimental_permissions_endpoint", "true"),
    ("kinto.http_host", "together.example.org"),
    ("kinto.record_cache_expires_seconds", "60"),
    ("kinto.backoff", "10"),
    ("kinto.eos", "2099-12-31"),
    ("kinto.eos_message", "Good-bye"),
];

/// What to run.
#[derive(Debug)]
pub struct Together {
    /// Our program.
    pub cumulo: PathBuf,
    /// Kinto's command `kinto`.
    pub kinto: PathBuf,
    /// How Kinto is served.
    pub kinto_server: Program,
    /// Where databases are made.
    pub postgres: Postgres,
    /// Where INI files and logs go.
    pub folder: PathBuf,
    /// How long both write at the same time.
    pub duration: Duration,
    /// Where the randomness begins.
    pub seed: u64,
}

impl Together {
    /// The same requests to both, in turns; returns what to say about it.
    pub fn answers(&self) -> Result<String> {
        let url = self.postgres.create_database("answers")?;
        self.migrate(&self.kinto, &url)?;
        self.migrate(&self.cumulo, &url)?;
        let pair = self.start(&url)?;
        answers::check(&pair)
    }

    /// Both write at the same time; returns what to say about it.
    pub fn writers(&self) -> Result<String> {
        let url = self.postgres.create_database("writers")?;
        self.migrate(&self.cumulo, &url)?;
        let pair = self.start(&url)?;
        writers::check(&pair, self.duration, self.seed)
    }

    /// Both servers on one database.
    fn start(&self, url: &str) -> Result<Pair> {
        let start = |name: &str, program: &Program| {
            let folder = self.folder.join(name);
            fs::create_dir_all(&folder)?;
            let storage = Storage::Postgresql(url.to_owned());
            Server::start(program, &folder, &storage, SETTINGS).with_context(|| name.to_owned())
        };
        Ok(Pair {
            kinto: start("kinto", &self.kinto_server)?,
            cumulo: start("cumulo", &Program::cumulo(&self.cumulo))?,
        })
    }

    /// Runs the command `migrate` of a program; returns what it says.
    fn migrate(&self, program: &Path, url: &str) -> Result<String> {
        let output = self.run(program, "migrate", url)?;
        let said = said(&output);
        if !output.status.success() {
            bail!("{} migrate ended with {}: {said}", program.display(), output.status);
        }
        Ok(said)
    }

    fn run(&self, program: &Path, command: &str, url: &str) -> Result<Output> {
        let ini = self.folder.join("migrate.ini");
        write_ini(&ini, 0, &Storage::Postgresql(url.to_owned()), SETTINGS)?;
        Command::new(program)
            .args([command, "--ini"])
            .arg(&ini)
            .env("PYTHONWARNINGS", "ignore")
            .output()
            .with_context(|| format!("cannot run {}", program.display()))
    }
}

/// What a command has printed.
fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
