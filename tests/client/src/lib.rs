//! What the client does with real servers: the same scenarios, async and blocking, against Cumulo
//! and against Kinto.
//!
//! A scenario (`scenarios`) is one async function for all four. It asserts what must be so, and the
//! result of every call that it makes goes into a `transcript`. The transcripts of all four must be
//! equal, but for the `differences` on purpose.
//!
//! `cargo xtask client` starts the servers and runs this.

mod differences;
mod face;
mod scenarios;
mod test;
mod transcript;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::thread;

use anyhow::{Error, Result, anyhow, ensure};
use cumulo_client::{Async, Blocking, Client};
use futures_util::FutureExt as _;

use face::Face;
use test::Test;
use transcript::{Transcript, compare};

/// The servers, as URLs with the version. Each scenario empties them.
#[derive(Debug)]
pub struct Servers {
    /// Ours.
    pub cumulo: String,
    /// The genuine Kinto.
    pub kinto: String,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What went wrong, and where.
    pub problems: Vec<String>,
    /// Which differences on purpose there were.
    pub differences: BTreeSet<&'static str>,
}

/// What came of a scenario with one face and one server.
struct Run {
    transcript: Transcript,
    failure: Option<Error>,
}

/// Runs the scenarios whose name contains `only`.
pub fn run(servers: &Servers, only: &str) -> Result<Vec<Outcome>> {
    let names: Vec<_> = scenarios::NAMES.iter().copied().filter(|it| it.contains(only)).collect();
    ensure!(!names.is_empty(), "there is no scenario whose name contains {only:?}");
    // A scenario empties its server, so each server does one at a time.
    let runs = thread::scope(|scope| {
        let threads = [&servers.cumulo, &servers.kinto].map(|server| {
            scope.spawn(|| [all::<Async>(server, &names), all::<Blocking>(server, &names)])
        });
        threads.map(|thread| thread.join().expect("panics are caught within"))
    });
    let [[cumulo_async, cumulo_blocking], [kinto_async, kinto_blocking]] = runs;
    let cumulo = cumulo_async?.into_iter().zip(cumulo_blocking?);
    let kinto = kinto_async?.into_iter().zip(kinto_blocking?);
    let outcomes = names.iter().zip(cumulo.zip(kinto));
    Ok(outcomes.map(|(name, (cumulo, kinto))| judge(name, &cumulo.into(), &kinto.into())).collect())
}

/// Runs scenarios with one face and one server.
fn all<F: Face>(server: &str, names: &[&str]) -> Result<Vec<Run>> {
    F::drive(async {
        let client = F::build(Client::builder(server))?;
        let mut runs = Vec::new();
        for name in names {
            let test = Test::<F>::new(server, &client)?;
            let work = AssertUnwindSafe(scenarios::run(name, &test));
            let failure = match work.catch_unwind().await {
                Ok(result) => result.err(),
                Err(_) => Some(anyhow!("it panics")),
            };
            runs.push(Run { transcript: test.into_transcript(), failure });
        }
        Ok(runs)
    })
}

fn judge(name: &'static str, cumulo: &[Run; 2], kinto: &[Run; 2]) -> Outcome {
    let mut problems = Vec::new();
    for (server, runs) in [("Cumulo", cumulo), ("Kinto", kinto)] {
        for (face, run) in ["async", "blocking"].iter().zip(runs) {
            problems.extend(run.failure.as_ref().map(|it| format!("{face}, {server}: {it:#}")));
        }
        let [awaited, waited] = runs;
        for (awaited, waited) in awaited.transcript.differences(&waited.transcript) {
            let places = compare(&awaited, &waited);
            problems.push(format!("{server}, async and blocking differ at {places}"));
        }
    }
    let mut differences = BTreeSet::new();
    for (ours, theirs) in cumulo[0].transcript.differences(&kinto[0].transcript) {
        match differences::on_purpose(name, &ours, &theirs) {
            Some(difference) => _ = differences.insert(difference),
            None => {
                problems.push(format!("Cumulo and Kinto differ at {}", compare(&ours, &theirs)));
            }
        }
    }
    Outcome { name, problems, differences }
}
