//! Many copies of the program on one PostgreSQL and one Redis keep their word together.
//!
//! Clients hop from copy to copy, with every request, while copies are killed and started again
//! and the servers behind them are restarted:
//! - what was acknowledged is there, with its timestamp, and so is every acknowledged item of a
//!   batch whose other items were refused; what was not answered is there as a whole or not at all;
//! - in each collection, timestamps are distinct, and in the order of the commits: whoever asks
//!   with `_since` for what has changed misses nothing;
//! - nothing fails but with 503 and `Retry-After`, while a server is away; only a copy that is
//!   killed cuts connections;
//! - copies go on by themselves within two seconds;
//! - rights and single-use tokens are the same everywhere.
//!
//! `fleet` has the copies and their servers, `client` hops and judges the answers. `writer`,
//! `sweeper`, `contest`, `keeper` and `poller` are the load, `disturb` what happens to it, and
//! [`crowd`] is another test: many clients and a small pool.

mod client;
mod contest;
pub mod crowd;
mod disturb;
mod fleet;
mod keeper;
mod poller;
mod sweeper;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::journal::{self, Clocks, Journal, Settled};
use contest::Contest;
use disturb::Recovery;
use fleet::Fleet;
use keeper::Rights;
use poller::Poller;

/// How long a copy may take to write again when a server is back.
const PATIENCE: Duration = Duration::from_secs(2);
/// In how many collections the writers meet.
const WRITTEN: usize = 3;
/// Collections with a journal: one more is that of the sweeper.
const COLLECTIONS: usize = WRITTEN + 1;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Our program.
    pub executable: PathBuf,
    /// Where INI files and logs go.
    pub folder: PathBuf,
    /// How many copies run.
    pub copies: usize,
    /// How many clients write.
    pub writers: usize,
    /// How many clients follow each collection.
    pub pollers: usize,
    /// Where the randomness begins.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Outcome {
    acknowledged: usize,
    settled: Settled,
    refused: usize,
    tokens: usize,
    contest: Contest,
    rights: usize,
    polls: usize,
    unchanged: usize,
    changes: usize,
    unavailable: usize,
    cut: usize,
    slowest: Duration,
    recoveries: Vec<Recovery>,
}

/// Run it; an error is a broken promise of the program.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let mut fleet = Fleet::start(plan)?;
    journal::set_up(&mut fleet.connect(0)?, COLLECTIONS)?;
    contest::set_up(&mut fleet.connect(0)?)?;
    let rights = Rights::set_up(&mut fleet.connect(0)?)?;
    disturb::set_up(&mut fleet.connect(0)?)?;
    let load = Load::new(plan, rights);
    let (load, mut outcome) = load.run(&fleet).with_context(|| format!("seed {}", plan.seed))?;
    fleet.judge(&mut outcome)?;
    load.check(&mut fleet, &mut outcome).with_context(|| format!("seed {}", plan.seed))?;
    fleet.stop()?;
    Ok(outcome)
}

/// Who uses the copies, and what they know.
struct Load {
    clocks: Clocks,
    journals: Vec<Journal>,
    pollers: Vec<Poller>,
    contest: Contest,
    rights: Rights,
    random: StdRng,
}

impl Load {
    fn new(plan: &Plan, rights: Rights) -> Self {
        Self {
            clocks: Clocks::new(COLLECTIONS),
            // The last one is that of the sweeper.
            journals: (0..=plan.writers).map(|writer| Journal::new(writer, WRITTEN)).collect(),
            pollers: (0..plan.pollers * COLLECTIONS)
                .map(|it| Poller::new(it % COLLECTIONS))
                .collect(),
            contest: Contest::default(),
            rights,
            random: StdRng::seed_from_u64(plan.seed),
        }
    }

    /// Run all while the disturbances happen, and then until all have come to an end.
    fn run(mut self, fleet: &Fleet) -> Result<(Self, Outcome)> {
        let (clocks, random) = (&self.clocks, &mut self.random);
        let mut outcome = Outcome::default();
        let disturbed = thread::scope(|scope| {
            let (sweeper, writers) = self.journals.split_last_mut().context("no journals")?;
            let writers = writers.iter_mut().map(|journal| {
                let seed = random.random();
                scope.spawn(move || writer::write(fleet, journal, clocks, seed))
            });
            let writers: Vec<_> = writers.collect();
            let seed = random.random();
            let sweeper = scope.spawn(move || sweeper::sweep(fleet, sweeper, clocks, seed));
            let contestants = [random.random(), random.random()];
            let contestants =
                contestants.map(|seed| scope.spawn(move || contest::compete(fleet, seed)));
            let (rights, seed) = (&mut self.rights, random.random());
            let keeper = scope.spawn(move || keeper::keep(fleet, rights, seed));
            let pollers = self.pollers.iter_mut().map(|poller| {
                let seed = random.random();
                scope.spawn(move || poller.follow(fleet, seed))
            });
            let pollers: Vec<_> = pollers.collect();

            // Whatever fails, all are told to stop before anything is made of it.
            let disturbed = disturb::disturb(fleet);
            fleet.stop_writing();
            let (written, swept) = (join(writers), join([sweeper]));
            let (contests, kept) = (join(contestants), join([keeper]));
            fleet.stop_polling();
            join(pollers)?;
            for (acknowledged, refused) in written? {
                outcome.acknowledged += acknowledged;
                outcome.refused += refused;
            }
            for (acknowledged, tokens) in swept? {
                outcome.acknowledged += acknowledged;
                outcome.tokens += tokens;
            }
            for contest in contests? {
                self.contest += contest;
            }
            outcome.rights = kept?.into_iter().sum();
            disturbed
        });
        outcome.recoveries = disturbed?;
        Ok((self, outcome))
    }

    /// Compare what is known with what each of the copies shows.
    fn check(mut self, fleet: &mut Fleet, outcome: &mut Outcome) -> Result<()> {
        let first = journal::read(&mut fleet.connect(0)?, COLLECTIONS)?;
        for copy in 1..fleet.len() {
            let other = journal::read(&mut fleet.connect(copy)?, COLLECTIONS)?;
            ensure!(first == other, "copy {copy} shows other records than copy 0");
        }
        outcome.settled = journal::check(&mut self.journals, &self.clocks, &first)?;
        for poller in &self.pollers {
            poller.check(&first)?;
            outcome.polls += poller.polls;
            outcome.unchanged += poller.unchanged;
            outcome.changes += poller.changes;
        }
        for copy in 0..fleet.len() {
            self.contest.check(&mut fleet.connect(copy)?)?;
            self.rights.check(&mut fleet.connect(copy)?)?;
        }
        outcome.contest = self.contest;
        let counts = [
            (outcome.acknowledged, "acknowledged"),
            (outcome.refused, "refused"),
            (outcome.tokens, "deleted in pages"),
            (outcome.rights, "changed in rights"),
            (outcome.changes, "seen by polling"),
            (outcome.unchanged, "answered with 304"),
            (outcome.unavailable, "unavailable"),
        ];
        for (count, what) in counts {
            ensure!(count > 0, "nothing was {what}: the test has no power");
        }
        Ok(())
    }
}

fn join<'a, T: 'a>(
    threads: impl IntoIterator<Item = ScopedJoinHandle<'a, Result<T>>>,
) -> Result<Vec<T>> {
    threads.into_iter().map(|it| it.join().expect("a client panicked")).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for recovery in &self.recoveries {
            writeln!(f, "{recovery}")?;
        }
        writeln!(
            f,
            "{} acknowledged changes were all there, {} items were refused as they should be; \
             of the requests without an answer, {} were kept, {} not",
            self.acknowledged, self.refused, self.settled.kept, self.settled.lost
        )?;
        writeln!(f, "{}; {} changes of rights took effect everywhere", self.contest, self.rights)?;
        writeln!(f, "{} tokens of pages went from copy to copy and worked once", self.tokens)?;
        writeln!(
            f,
            "{} polls ({} of 304) saw {} changes and missed none",
            self.polls, self.unchanged, self.changes
        )?;
        write!(
            f,
            "{} answers of 503, all with Retry-After; {} connections were cut by a kill; \
             the slowest answer took {:.2} s",
            self.unavailable,
            self.cut,
            self.slowest.as_secs_f64()
        )
    }
}
