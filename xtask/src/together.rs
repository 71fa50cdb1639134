//! `cargo xtask together`: our program and Kinto on one database.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use cumulo_e2e::together::Together;
use cumulo_servers::{Options, Postgres};

use crate::kinto::Kinto;
use crate::project;
use crate::server::seed;
use crate::steps::Tally;

/// How many processes Kinto has.
const PROCESSES: usize = 3;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Only one of its parts: schema, answers, writers
    #[arg(long, value_name = "PART", value_parser = ["schema", "answers", "writers"])]
    only: Option<String>,
    /// How long both write at the same time
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Where the randomness begins, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: None, only: None, seconds: 15, seed: None }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let kinto = Kinto::install()?;
    let folder = tempfile::tempdir()?;
    // Deadlocks are a part of the test; to wait for each is none.
    let options =
        Options { lines: vec!["deadlock_timeout = 50ms".to_owned()], ..Options::default() };
    let together = Together {
        cumulo: match &arguments.server {
            Some(path) => path.canonicalize()?,
            None => project::release_build("cumulo")?,
        },
        kinto: kinto.command(),
        kinto_server: kinto.server(PROCESSES),
        postgres: Postgres::start(&options)?,
        folder: folder.path().to_owned(),
        duration: Duration::from_secs(arguments.seconds),
        seed: arguments.seed.unwrap_or_else(seed),
    };
    let mut tally = Tally::default();
    let mut check = |name: &str, run: &dyn Fn() -> Result<String>| {
        if arguments.only.as_ref().is_some_and(|only| only != name) {
            return;
        }
        let start = Instant::now();
        let result = run();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(summary) => {
                println!("ok      {name}, {seconds:.1} s: {summary}");
                tally.passed += 1;
            }
            Err(error) => {
                println!("FAILED  {name}, {seconds:.1} s: {error:#}");
                tally.failed += 1;
            }
        }
    };
    check("schema", &|| together.schema());
    check("answers", &|| together.answers());
    check("writers", &|| together.writers());
    Ok(tally)
}
