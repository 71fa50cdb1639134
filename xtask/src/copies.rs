//! `cargo xtask copies`: copies of the program on one PostgreSQL and one Redis, while everything
//! is restarted; and many clients on few sessions.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use cumulo_e2e::copies::{self, crowd};

use crate::project;
use crate::server::seed;
use crate::steps::Tally;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// How many copies run
    #[arg(long, default_value_t = 3)]
    copies: usize,
    /// How many clients write
    #[arg(long, default_value_t = 6)]
    writers: usize,
    /// How many clients follow each collection
    #[arg(long, default_value_t = 2)]
    pollers: usize,
    /// Where the randomness begins
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: None, copies: 3, writers: 6, pollers: 2, seed: None }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let executable = match &arguments.server {
        Some(path) => path.canonicalize()?,
        None => project::release_build("cumulo")?,
    };
    let folder = tempfile::tempdir()?;
    let plan = copies::Plan {
        executable,
        folder: folder.path().to_owned(),
        copies: arguments.copies,
        writers: arguments.writers,
        pollers: arguments.pollers,
        seed: arguments.seed.unwrap_or_else(seed),
    };
    println!("{} copies, {} writers, seed {}", plan.copies, plan.writers, plan.seed);
    let mut tally = Tally::default();
    tally += report(copies::run(&plan));
    tally += report(crowd::run(&plan));
    Ok(tally)
}

fn report(outcome: Result<impl std::fmt::Display>) -> Tally {
    match outcome {
        Ok(outcome) => {
            println!("{outcome}");
            Tally { passed: 1, ..Tally::default() }
        }
        Err(error) => {
            println!("FAILED  {error:#}");
            Tally { failed: 1, ..Tally::default() }
        }
    }
}
