//! `cargo xtask listeners`: the program is killed while it tells others of changes, and must have
//! told them of all.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use cumulo_e2e::listeners;
use cumulo_servers::{Options, Postgres};

use crate::project;
use crate::server::seed;
use crate::steps::Tally;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// How many times it is killed on each store
    #[arg(long, default_value_t = 8)]
    kills: u32,
    /// How many connections write
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// Where the randomness begins
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: None, kills: 8, writers: 4, seed: None }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let executable = match &arguments.server {
        Some(path) => path.canonicalize()?,
        None => project::release_build("cumulo")?,
    };
    let seed = arguments.seed.unwrap_or_else(seed);
    println!("{} kills, {} writers, seed {seed}", arguments.kills, arguments.writers);
    let folder = tempfile::tempdir()?;
    let plan = |name: &str| -> Result<listeners::Plan> {
        let (executable, folder) = (executable.clone(), folder.path().join(name));
        std::fs::create_dir(&folder)?;
        let (kills, writers) = (arguments.kills, arguments.writers);
        Ok(listeners::Plan { executable, folder, kills, writers, seed })
    };
    let postgres = Postgres::start(&Options::default())?;
    println!("SQLite: {}", listeners::run_on_sqlite(&plan("sqlite")?).context("SQLite")?);
    let outcome = listeners::run_on_postgresql(&plan("postgresql")?, &postgres);
    println!("PostgreSQL: {}", outcome.context("PostgreSQL")?);
    let count = listeners::take_over(&plan("copies")?, &postgres).context("two copies")?;
    println!("what a killed copy had in its hands was delivered by another: {count} messages");
    listeners::need_their_table(&plan("table")?, &postgres).context("no table")?;
    Ok(Tally { passed: 2 * arguments.kills as usize + 2, ..Tally::default() })
}
