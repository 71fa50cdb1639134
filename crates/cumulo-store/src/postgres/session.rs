//! Works over one session: run, and run again where the database asks for it.

use std::{collections::BTreeSet, io};

use cumulo_core::store::{Access, Error, Outcome, Result};

use super::{
    Shared,
    connection::Connection,
    failure::{Failure, Remedy},
    pool::Job,
    statements::Lock,
    transaction::{Interruption, Mode, Tx},
};
use crate::run;

/// How often work is run again because other transactions were in the way.
const MAX_CONFLICTS: u32 = 8;
/// How often work is run again on another connection.
const MAX_MOVES: u32 = 3;
/// How often work is run again because it did what was not foreseen. Each time, more is.
const MAX_SURPRISES: u32 = 1000;

/// A connection that comes and goes.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    connection: Option<Connection>,
}

/// Why works did not come to an end.
enum Setback {
    Interrupted(Interruption),
    /// The connection was lost during the commit.
    Unknown(Failure),
}

/// What has gone wrong so far.
#[derive(Default)]
struct Trouble {
    conflicts: u32,
    moves: u32,
    surprises: u32,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared, connection: None }
    }

    /// Runs works together and replies to all of them.
    pub(super) fn serve(&mut self, mut jobs: Vec<Job>) {
        let mut locks = BTreeSet::new();
        let mut mode = mode(&jobs);
        let mut trouble = Trouble::default();
        loop {
            let setback = match self.attempt(&mut jobs, mode, &mut locks) {
                Ok(results) => {
                    for (job, result) in jobs.into_iter().zip(results) {
                        // Nobody listens if the request was given up meanwhile.
                        let _ = job.reply.send(result);
                    }
                    return;
                }
                Err(setback) => setback,
            };
            match setback {
                Setback::Interrupted(Interruption::Unforeseen) => mode = Mode::Snapshot,
                Setback::Interrupted(Interruption::Changed) => trouble.surprises += 1,
                Setback::Interrupted(Interruption::Failed(failure))
                    if self.shared.lag.is_some() =>
                {
                    if failure.remedy() == Remedy::Elsewhere {
                        self.connection = None;
                    }
                    // The primary is asked at once.
                    return refuse(jobs, failure);
                }
                Setback::Interrupted(Interruption::Failed(failure)) => {
                    match failure.remedy() {
                        Remedy::Again => trouble.conflicts += 1,
                        Remedy::Elsewhere => {
                            self.connection = None;
                            trouble.moves += 1;
                        }
                        Remedy::None if jobs.len() == 1 => return refuse(jobs, failure),
                        Remedy::None => {
                            // One of them is at fault.
                            return jobs.into_iter().for_each(|job| self.serve(vec![job]));
                        }
                    }
                    if trouble.is_too_much() || self.shared.outage.is_fresh() {
                        return refuse(jobs, failure);
                    }
                    tracing::debug!(%failure, "a transaction is run again");
                }
                Setback::Unknown(failure) => {
                    self.connection = None;
                    return refuse(jobs, failure);
                }
            }
            if trouble.surprises > MAX_SURPRISES {
                return refuse(jobs, Failure::Store(run::internal("work never does the same")));
            }
        }
    }

    fn attempt(
        &mut self,
        jobs: &mut [Job],
        mode: Mode,
        locks: &mut BTreeSet<Lock>,
    ) -> std::result::Result<Vec<Result<()>>, Setback> {
        let shared = self.shared;
        let failed = |failure| Setback::Interrupted(Interruption::Failed(failure));
        let connection = self.connection().map_err(failed)?;
        if let Some(lag) = &shared.lag {
            lag.check(connection).map_err(failed)?;
        }
        let mut tx = Tx::new(shared, connection, mode);
        let outlooks: Vec<_> = jobs.iter().map(|job| &job.outlook).collect();
        // What fails here is noted in the transaction.
        let prepared = tx.prepare(&outlooks, locks);
        let is_alone = jobs.len() == 1;
        let mut results = Vec::with_capacity(jobs.len());
        if prepared.is_ok() {
            for job in jobs {
                results.push(run_one(&mut tx, job, is_alone));
                if tx.interruption.is_some() {
                    break;
                }
            }
        }
        locks.append(&mut tx.wanted);
        if let Some(interruption) = tx.interruption.take() {
            tx.abandon().map_err(failed)?;
            return Err(Setback::Interrupted(interruption));
        }
        if let Err(error) = prepared {
            tx.abandon().map_err(failed)?;
            return Err(failed(Failure::Store(error)));
        }
        if is_alone && !matches!(results[0], Ok(Outcome::Commit)) {
            tx.abandon().map_err(failed)?;
        } else if let Err((failure, is_unknown)) = tx.commit() {
            if let Some(connection) = &mut self.connection {
                // If that fails too, the connection is replaced.
                let _ = connection.finish();
            }
            return Err(if is_unknown { Setback::Unknown(failure) } else { failed(failure) });
        }
        Ok(results.into_iter().map(|result| result.map(drop)).collect())
    }

    /// The connection; a new one if there is none, or if it is old.
    fn connection(&mut self) -> std::result::Result<&mut Connection, Failure> {
        let max_age = self.shared.options.pool_recycle;
        let is_old = |connection: &Connection| {
            max_age.is_some_and(|max_age| connection.opened.elapsed() > max_age)
        };
        let connection = match self.connection.take().filter(|connection| !is_old(connection)) {
            Some(connection) => connection,
            None => self.open()?,
        };
        Ok(self.connection.insert(connection))
    }

    fn open(&self) -> std::result::Result<Connection, Failure> {
        let outage = &self.shared.outage;
        if outage.is_fresh() {
            return Err(Failure::Lost(io::Error::other("it was not there a moment ago")));
        }
        let connection = Connection::open(&self.shared.address);
        outage.note(connection.is_ok());
        connection
    }
}

impl Trouble {
    fn is_too_much(&self) -> bool {
        self.conflicts > MAX_CONFLICTS || self.moves > MAX_MOVES
    }
}

/// Runs one work; if it is not alone, it leaves nothing behind when it fails.
fn run_one(tx: &mut Tx<'_>, job: &mut Job, is_alone: bool) -> Result<Outcome> {
    tx.require_seen(&job.outlook)?;
    if is_alone {
        return run::guarded(&mut job.work, tx);
    }
    tx.begin_one();
    let result = run::guarded(&mut job.work, tx);
    tx.end_one(matches!(result, Ok(Outcome::Commit)));
    result
}

fn mode(jobs: &[Job]) -> Mode {
    let is_point = |job: &Job| !job.outlook.objects.is_empty() && job.outlook.reads.is_empty();
    match jobs[0].access {
        Access::Write => Mode::Write,
        Access::Read if jobs.iter().all(is_point) => Mode::Point,
        _ => Mode::Snapshot,
    }
}

/// Tells all who wait that it failed.
fn refuse(jobs: Vec<Job>, failure: Failure) {
    let message = failure.to_string();
    let mut first = Some(Error::from(failure));
    let is_passing = matches!(first, Some(Error::Unavailable(_)));
    for job in jobs {
        let again = || {
            let message = message.clone().into();
            if is_passing { Error::Unavailable(message) } else { Error::Internal(message) }
        };
        let error = first.take().unwrap_or_else(again);
        // Nobody listens if the request was given up meanwhile.
        let _ = job.reply.send(Err(error));
    }
}
