//! What the client does with real servers: the same scenarios, async and blocking, against Cumulo
//! and against Kinto.
//!
//! A [scenario](scenarios) is one async function for all four. It asserts what must be so, and the
//! result of every call that it makes goes into a [`transcript`]. The transcripts of all four must be
//! equal, but for the [`differences`] on purpose.
//!
//! `cargo xtask client` starts the servers and runs this.

mod differences;
mod face;
mod scenarios;
mod test;
mod transcript;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use anyhow::{Error, anyhow};
use cumulo_client::{Async, Blocking};

use face::Face;
use test::Test;
use transcript::Transcript;

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
pub fn run(servers: &Servers, only: &str) -> Vec<Outcome> {
    let names: Vec<_> = scenarios::NAMES.iter().copied().filter(|it| it.contains(only)).collect();
    // A scenario empties its server, so each server does one at a time.
    let [cumulo, kinto] = thread::scope(|scope| {
        [&servers.cumulo, &servers.kinto]
            .map(|server| scope.spawn(|| names.iter().map(|name| both(server, name)).collect()))
            .map(|thread| -> Vec<[Run; 2]> { thread.join().expect("panics are caught within") })
    });
    let runs = names.iter().zip(cumulo.into_iter().zip(kinto));
    runs.map(|(name, (cumulo, kinto))| judge(name, &cumulo, &kinto)).collect()
}

/// Async, then blocking.
fn both(server: &str, name: &str) -> [Run; 2] {
    [with::<Async>(server, name), with::<Blocking>(server, name)]
}

fn with<F: Face>(server: &str, name: &str) -> Run {
    let test = match Test::<F>::new(server) {
        Ok(test) => test,
        Err(error) => return Run { transcript: Transcript::default(), failure: Some(error) },
    };
    let work = || F::drive(scenarios::run(name, &test));
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.err(),
        Err(_) => Some(anyhow!("it panics")),
    };
    Run { transcript: test.into_transcript(), failure }
}

fn judge(name: &'static str, cumulo: &[Run; 2], kinto: &[Run; 2]) -> Outcome {
    let mut problems = Vec::new();
    for (server, runs) in [("Cumulo", cumulo), ("Kinto", kinto)] {
        for (face, run) in ["async", "blocking"].iter().zip(runs) {
            problems.extend(run.failure.as_ref().map(|it| format!("{face}, {server}: {it:#}")));
        }
        let [awaited, waited] = runs;
        for (awaited, waited) in awaited.transcript.differences(&waited.transcript) {
            problems.push(format!("{server}: async gives {awaited}\nblocking gives {waited}"));
        }
    }
    let mut differences = BTreeSet::new();
    for (ours, theirs) in cumulo[0].transcript.differences(&kinto[0].transcript) {
        match differences::on_purpose(name, &ours, &theirs) {
            Some(difference) => _ = differences.insert(difference),
            None => problems.push(format!("Cumulo gives {ours}\nKinto gives {theirs}")),
        }
    }
    Outcome { name, problems, differences }
}
