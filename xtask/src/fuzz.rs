//! `cargo xtask fuzz`: bad input of every kind to the real program.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use cumulo_e2e::fuzz;

use crate::server::{ServerArguments, seed};
use crate::steps::Tally;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// How many requests to send...
    #[arg(long, default_value_t = 6_000)]
    requests: usize,
    /// ... unless this many seconds have passed
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Where the randomness begins, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: ServerArguments::default(), requests: 6_000, seconds: 120, seed: None }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let seed = arguments.seed.unwrap_or_else(seed);
    println!("up to {} requests, seed {seed}", arguments.requests);
    let outcome = fuzz::run(&fuzz::Plan {
        program: arguments.server.program()?,
        storage: arguments.server.storage(folder.path()),
        folder: folder.path().to_owned(),
        seed,
        requests: arguments.requests,
        limit: Duration::from_secs(arguments.seconds),
    })?;
    let mut tally = Tally::default();
    for (kind, (count, broken)) in outcome {
        println!(
            "{kind:<14} {count:>6} requests  {}",
            if broken.is_empty() { "ok" } else { "FAILED" }
        );
        for rule in &broken {
            println!("  {rule}");
        }
        if broken.is_empty() { tally.passed += 1 } else { tally.failed += 1 }
    }
    Ok(tally)
}
