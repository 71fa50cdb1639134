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

mod journal;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::http::Connection;
use crate::{Program, Server, Storage};
use journal::{Journal, Snapshot};
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
    let mut journals: Vec<Journal> = (0..plan.writers).map(Journal::new).collect();
    let mut shared = Shared::new(COLLECTIONS);
    let mut outcome = Outcome::default();
    let mut server = start(plan)?;
    set_up(&server)?;
    for round in 1..=plan.kills {
        let pause = Duration::from_millis(random.random_range(20..600));
        let seeds: Vec<u64> = journals.iter().map(|_| random.random()).collect();
        outcome.acknowledged += write_until_killed(server, &mut journals, &shared, &seeds, pause)
            .with_context(|| format!("round {round}"))?;
        server = start(plan).with_context(|| format!("restart of round {round}"))?;
        let snapshots = read_everything(&server)?;
        check(&mut journals, &mut shared, &snapshots, &mut outcome)
            .with_context(|| format!("after kill {round} (seed {})", plan.seed))?;
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
    connection.json("PUT", "/v1/buckets/crash", None)?.succeeded()?;
    for index in 0..COLLECTIONS {
        connection.json("PUT", &collection_path(index), None)?.succeeded()?;
    }
    Ok(())
}

fn collection_path(index: usize) -> String {
    format!("/v1/buckets/crash/collections/c{index}")
}

fn records_path(index: usize) -> String {
    format!("/v1/buckets/crash/collections/c{index}/records")
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

fn read_everything(server: &Server) -> Result<Vec<Snapshot>> {
    let mut connection = server.connect()?;
    let bucket = connection.json("GET", "/v1/buckets/crash", None)?;
    bucket.succeeded().context("the bucket is lost")?;
    (0..COLLECTIONS).map(|index| read_collection(&mut connection, index)).collect()
}

/// All records and tombstones of a collection, page by page.
fn read_collection(connection: &mut Connection, index: usize) -> Result<Snapshot> {
    let head = connection.json("HEAD", &records_path(index), None)?.succeeded()?;
    let etag = head.header("etag").context("no ETag")?;
    let timestamp = etag.trim_matches('"').parse().with_context(|| format!("ETag {etag}"))?;
    let mut snapshot = Snapshot { timestamp, ..Snapshot::default() };
    let mut next = Some(format!("{}?_since=0&_sort=last_modified", records_path(index)));
    while let Some(path) = next {
        let page = connection.json("GET", &path, None)?.succeeded()?;
        let Value::Array(objects) = page.json()?["data"].take() else { bail!("no list of data") };
        for object in objects {
            snapshot.insert(object)?;
        }
        let url = page.header("next-page");
        next = url.map(|url| url[url.find("/v1").unwrap_or_default()..].to_owned());
    }
    Ok(snapshot)
}

fn check(
    journals: &mut [Journal],
    shared: &mut Shared,
    snapshots: &[Snapshot],
    outcome: &mut Outcome,
) -> Result<()> {
    let mut snapshots = snapshots.to_vec();
    for (index, snapshot) in snapshots.iter().enumerate() {
        shared.clock(index).check_collection(snapshot.timestamp)?;
    }
    for journal in journals.iter_mut() {
        if let Some(kept) = journal.settle(&snapshots, shared)? {
            *if kept { &mut outcome.kept } else { &mut outcome.lost } += 1;
        }
        journal.check(&mut snapshots)?;
    }
    for (index, snapshot) in snapshots.iter().enumerate() {
        if let Some((id, object)) = snapshot.objects.first_key_value() {
            bail!("nobody wrote {id} in collection {index}: {object:?}");
        }
    }
    Ok(())
}

/// The content of the record that is written with a token: it can be checked byte by byte.
fn content(writer: usize, token: u64) -> Value {
    let size = usize::try_from(token.wrapping_mul(7919) % 700).unwrap_or_default();
    let text: String = ('a'..='z').cycle().skip(size % 26).take(size).collect();
    json!({"writer": writer, "token": token, "text": text})
}
