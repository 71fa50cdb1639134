//! `cargo xtask crash`: the program is killed while clients write, and must have kept its word.

use anyhow::Result;
use clap::Args;
use cumulo_e2e::{Storage, crash};

use crate::server::{ServerArguments, seed};
use crate::steps::Tally;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// How many times it is killed
    #[arg(long, default_value_t = 25)]
    kills: u32,
    /// How many connections write
    #[arg(long, default_value_t = 6)]
    writers: usize,
    /// Where the randomness begins, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: ServerArguments::default(), kills: 25, writers: 6, seed: None }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let seed = arguments.seed.unwrap_or_else(seed);
    let plan = crash::Plan {
        program: arguments.server.program()?,
        storage: arguments.server.storage(folder.path()),
        folder: folder.path().to_owned(),
        kills: arguments.kills,
        writers: arguments.writers,
        seed,
    };
    println!("{} kills, {} writers, seed {seed}", plan.kills, plan.writers);
    let outcome = crash::run(&plan)?;
    println!(
        "{} acknowledged changes were all there; of the requests in flight, {} were kept, {} not",
        outcome.acknowledged, outcome.kept, outcome.lost
    );
    if let Storage::Sqlite(file) = &plan.storage {
        cumulo_e2e::check_file(file)?;
    }
    Ok(Tally { passed: plan.kills as usize, ..Tally::default() })
}
