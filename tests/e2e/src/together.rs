//! One database, two servers: Kinto and our program at the same time.
//!
//! - [`schema`](Together::schema): either can create the database, and the other completes it
//! - [`answers`](Together::answers): what one writes, both serve, and alike
//! - [`writers`](Together::writers): both write at the same time, and nothing is lost or missed
//!
//! `peer` has the two servers and their requests; `scenario` what is written,
//! `questions` what is asked; `compare` and `differences` judge the answers.

mod answers;
mod compare;
mod differences;
mod peer;
mod questions;
mod scenario;
mod schema;
mod writers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cumulo_servers::Postgres;

use crate::server::write_ini;
use crate::{Program, Server, Storage};
use peer::Pair;

/// What both are told.
const SETTINGS: &[(&str, &str)] = &[
    (
        "kinto.includes",
        "kinto.plugins.default_bucket kinto.plugins.flush kinto.plugins.accounts \
         kinto.plugins.history",
    ),
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

/// The row of the catalog's version.
const STORAGE_VERSION: &str = "WHERE name = 'storage_schema_version'";

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
    /// Databases created by either; returns what to say about them.
    pub fn schema(&self) -> Result<String> {
        let url = self.postgres.create_database("kinto_first")?;
        self.migrate(&self.kinto, &url)?;
        let of_kinto = schema::catalog(&self.postgres, "kinto_first")?;
        self.migrate(&self.cumulo, &url)?;
        let completed = schema::catalog(&self.postgres, "kinto_first")?;
        schema::check_completed(&of_kinto, &completed).context("Kinto's, completed")?;
        for program in [&self.kinto, &self.cumulo] {
            self.migrate(program, &url)?;
            let again = schema::catalog(&self.postgres, "kinto_first")?;
            schema::check_equal(&completed, &again).context("migrated again")?;
        }

        let url = self.postgres.create_database("cumulo_first")?;
        self.migrate(&self.cumulo, &url)?;
        let created = schema::catalog(&self.postgres, "cumulo_first")?;
        schema::check_equal(&completed, &created).context("Kinto's and ours")?;
        self.migrate(&self.kinto, &url)?;
        let again = schema::catalog(&self.postgres, "cumulo_first")?;
        schema::check_equal(&created, &again).context("ours, migrated by Kinto")?;

        self.check_other_versions(&url)?;
        Ok(format!(
            "{} things in the catalog, the same whoever creates them; other versions are refused",
            completed.len()
        ))
    }

    /// Schemas that we don't know are refused, with what to do.
    fn check_other_versions(&self, url: &str) -> Result<()> {
        let older = ["of an older Kinto", "kinto migrate --ini"];
        let newer = ["schema 27", "use a later version of Cumulo"];
        let cases = [
            ("UPDATE metadata SET value = '25'", older),
            ("DELETE FROM metadata", older),
            ("INSERT INTO metadata VALUES ('storage_schema_version', '27')", newer),
        ];
        for (change, words) in cases {
            let only = if change.starts_with("INSERT") { "" } else { STORAGE_VERSION };
            self.postgres.query("cumulo_first", &format!("{change} {only}"))?;
            let migrate = self.run(&self.cumulo, "migrate", url)?;
            ensure!(!migrate.status.success(), "{change}: migrate succeeds");
            // It ends by itself, or this succeeds.
            let Err(start) = self.start_cumulo(url) else { bail!("{change}: start succeeds") };
            for said in [said(&migrate), format!("{start:#}")] {
                let says = words.iter().all(|words| said.contains(words));
                ensure!(says, "{change}: it says not what to do, but {said}");
            }
        }
        Ok(())
    }

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
        self.migrate(&self.kinto, &url)?;
        let pair = self.start(&url)?;
        let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'writers'";
        let count_deadlocks = || Ok(self.postgres.query("writers", count)?.trim().parse()?);
        writers::check(&pair, self.duration, self.seed, count_deadlocks)
    }

    /// Both servers on one database.
    fn start(&self, url: &str) -> Result<Pair> {
        let kinto = self.start_one("kinto", &self.kinto_server, url)?;
        Ok(Pair { kinto, cumulo: self.start_cumulo(url)? })
    }

    fn start_cumulo(&self, url: &str) -> Result<Server> {
        self.start_one("cumulo", &Program::cumulo(&self.cumulo), url)
    }

    fn start_one(&self, name: &str, program: &Program, url: &str) -> Result<Server> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        let storage = Storage::Postgresql(url.to_owned());
        Server::start(program, &folder, &storage, SETTINGS).with_context(|| name.to_owned())
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
