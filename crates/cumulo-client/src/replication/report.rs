//! What a replication has done.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::{State, difference::Action};
use crate::Error;

/// So many problems are told of one by one; more are only counted.
const MAX_PROBLEMS: usize = 1_000;

/// What a replication has done.
#[derive(Debug, Default)]
pub struct Report {
    /// How many objects.
    pub counts: Counts,
    /// What could not be done, the first 1,000 of it.
    pub problems: Vec<Problem>,
    /// Where the next replication can begin.
    pub state: State,
}

impl Report {
    /// Whether the destination is as the source is, but for what was to be kept.
    pub fn is_complete(&self) -> bool {
        self.counts.conflicts == 0 && self.counts.failures == 0
    }
}

/// Numbers of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Looked at.
    pub compared: u64,
    /// Created in the destination.
    pub created: u64,
    /// Changed in the destination.
    pub updated: u64,
    /// Deleted in the destination.
    pub deleted: u64,
    /// Left in the destination although they differ, as was asked for.
    pub kept: u64,
    /// Left because they changed in the destination meanwhile.
    pub conflicts: u64,
    /// Refused by the destination.
    pub failures: u64,
}

/// What could not be done.
#[derive(Debug)]
pub struct Problem {
    /// With which object: its path in the destination.
    pub path: String,
    /// What should have been done.
    pub action: Action,
    /// Why it was not; [`Error::Conflict`] if it changed meanwhile.
    pub error: Error,
}

/// How far a replication is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The list that is looked at: its path in the destination.
    pub path: String,
    /// How many objects of this list were looked at.
    pub compared: u64,
    /// How many objects the list has in the source, if all are looked at and the server tells.
    pub total: Option<u64>,
    /// What was done so far, in all lists.
    pub counts: Counts,
}

/// Who is told of progress.
pub(super) type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What is noted on the way.
pub(super) struct Tally {
    inner: Mutex<Inner>,
    on_progress: Option<OnProgress>,
}

struct Inner {
    progress: Progress,
    problems: Vec<Problem>,
}

impl Tally {
    pub(super) fn new(on_progress: Option<OnProgress>) -> Self {
        let counts = Counts::default();
        let progress = Progress { path: String::new(), compared: 0, total: None, counts };
        Self { inner: Mutex::new(Inner { progress, problems: Vec::new() }), on_progress }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut inner = self.lock();
        change(&mut inner.progress);
        let progress = self.on_progress.as_ref().map(|_| inner.progress.clone());
        drop(inner);
        if let (Some(tell), Some(progress)) = (&self.on_progress, progress) {
            tell(&progress);
        }
    }

    /// Another list begins.
    pub(super) fn begin(&self, path: &str, total: Option<u64>) {
        self.update(|it| {
            path.clone_into(&mut it.path);
            it.compared = 0;
            it.total = total;
        });
    }

    pub(super) fn compared(&self, count: usize, kept: usize) {
        self.update(|it| {
            it.compared += count as u64;
            it.counts.compared += count as u64;
            it.counts.kept += kept as u64;
        });
    }

    pub(super) fn done(&self, actions: &[Action]) {
        let count = |wanted| actions.iter().filter(|it| **it == wanted).count() as u64;
        self.update(|Progress { counts, .. }| {
            counts.created += count(Action::Create);
            counts.updated += count(Action::Update);
            counts.deleted += count(Action::Delete);
        });
    }

    pub(super) fn problem(&self, problem: Problem) {
        let is_conflict = matches!(problem.error, Error::Conflict(_));
        let mut inner = self.lock();
        if inner.problems.len() < MAX_PROBLEMS {
            inner.problems.push(problem);
        }
        drop(inner);
        self.update(|Progress { counts, .. }| {
            let count = if is_conflict { &mut counts.conflicts } else { &mut counts.failures };
            *count += 1;
        });
    }

    /// How many problems there are so far.
    pub(super) fn problems(&self) -> u64 {
        let counts = self.lock().progress.counts;
        counts.conflicts + counts.failures
    }

    pub(super) fn report(&self, state: State) -> Report {
        let mut inner = self.lock();
        let problems = mem::take(&mut inner.problems);
        Report { counts: inner.progress.counts, problems, state }
    }
}
