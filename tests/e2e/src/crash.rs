//! The crash test: what was acknowledged survives SIGKILL.
//!
//! Several writers create, update and delete records, alone and in batches, each through its own
//! connection, until the server is killed at a random moment. After each restart on the same
//! store:
//! - every acknowledged write is there, exactly; only what was in flight may be there or not;
//! - what was in flight as one batch is there as a whole or not at all;
//! - nothing else is there;
//! - in each collection, timestamps strictly increase over the whole history.
//!
//! `journal` knows what must be there, `writer` does the writing.

mod writer;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::journal::{self, Journal};
use crate::{Program, Server, Storage};
use writer::{Shared, Writer};

/// In how many collections the writers meet.
const COLLECTIONS: usize = 3;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server.
    pub program: Program,
    /// The store that all its processes use, one after the other.
    pub storage: Storage,
    /// Where the server's INI file and log go.
    pub folder: PathBuf,
    /// How many times it is killed.
    pub kills: u32,
    /// How many connections write.
    pub writers: usize,
    /// Where the randomness begins.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    /// Changes that the server acknowledged, and that were found after the restart.
    pub acknowledged: usize,
    /// Requests in flight at a kill, that were found after the restart...
    pub kept: usize,
    /// ... and those that were not.
    pub lost: usize,
}

/// Run it; an error is a broken promise of the server.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut journals: Vec<Journal> =
        (0..plan.writers).map(|writer| Journal::new(writer, COLLECTIONS)).collect();
    let shared = Shared::new(COLLECTIONS);
    let mut outcome = Outcome::default();
    let mut server = start(plan)?;
    set_up(&server)?;
    for round in 1..=plan.kills {
        let pause = Duration::from_millis(random.random_range(20..600));
        let seeds: Vec<u64> = journals.iter().map(|_| random.random()).collect();
        outcome.acknowledged += write_until_killed(server, &mut journals, &shared, &seeds, pause)
            .with_context(|| format!("round {round}"))?;
        server = start(plan).with_context(|| format!("restart of round {round}"))?;
        let snapshots = journal::read(&mut server.connect()?, COLLECTIONS)?;
        let settled = journal::check(&mut journals, &shared.clocks, &snapshots)
            .with_context(|| format!("after kill {round} (seed {})", plan.seed))?;
        outcome.kept += settled.kept;
        outcome.lost += settled.lost;
    }
    server.stop()?;
    ensure!(outcome.acknowledged > 0, "nothing was written");
    Ok(outcome)
}

fn start(plan: &Plan) -> Result<Server> {
    Server::start(&plan.program, &plan.folder, &plan.storage, &[])
}

fn set_up(server: &Server) -> Result<()> {
    let mut connection = server.connect()?;
    connection.json("POST", "/v1/__flush__", None)?.succeeded()?;
    journal::set_up(&mut connection, COLLECTIONS)
}

/// Returns how many changes were acknowledged.
fn write_until_killed(
    server: Server,
    journals: &mut [Journal],
    shared: &Shared,
    seeds: &[u64],
    pause: Duration,
) -> Result<usize> {
    shared.killed.store(false, Ordering::SeqCst);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (journal, seed) in journals.iter_mut().zip(seeds) {
            let connection = server.connect()?;
            let writer = Writer::new(connection, journal, shared, *seed);
            threads.push(scope.spawn(|| writer.write_until_killed()));
        }
        sleep(pause);
        shared.killed.store(true, Ordering::SeqCst);
        server.kill()?;
        let mut acknowledged = 0;
        for thread in threads {
            acknowledged += thread.join().expect("a writer panicked")?;
        }
        Ok(acknowledged)
    })
}
