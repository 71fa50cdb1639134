//! `cargo xtask replica`: reads from a PostgreSQL standby, and its promotion.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use cumulo_e2e::replica;

use crate::project;
use crate::steps::Tally;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let executable = match &arguments.server {
        Some(path) => path.canonicalize()?,
        None => project::release_build("cumulo")?,
    };
    let outcome = replica::run(&executable)?;
    println!(
        "{} acknowledged writes survived the primary; writes went on {} ms after the promotion",
        outcome.kept,
        outcome.back_after.as_millis()
    );
    Ok(Tally { passed: 1, ..Tally::default() })
}
