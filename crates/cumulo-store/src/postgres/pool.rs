//! Threads that hold sessions, and the queue that they take work from.
//!
//! Work is taken in the order in which it came, with two exceptions. Writes to the same list would
//! only wait for each other's locks: those that are waiting commit together, and none of them
//! takes a second session. And reads that wait while all sessions are busy share a round trip.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use cumulo_core::{
    object::List,
    store::{Access, Error, Outlook, Result, Work},
};
use tokio::sync::oneshot;

use super::{Shared, session::Session};
use crate::run;

/// How many works commit together at the most.
const MAX_WRITES: usize = 64;
/// How many reads share a round trip at the most.
const MAX_READS: usize = 16;
/// After this long without work, a session beyond the size of the pool is closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Work that waits, and who waits for it.
pub(super) struct Job {
    pub(super) access: Access,
    pub(super) outlook: Outlook,
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<()>>,
    since: Instant,
}

/// The queue and the threads.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Work has come, or a list is free again, or the pool closes.
    changed: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Lists that a thread writes to.
    busy: HashSet<List>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl Pool {
    /// Queues work.
    pub(super) fn submit(
        &self,
        shared: &Arc<Shared>,
        access: Access,
        outlook: Outlook,
        work: Work,
    ) -> oneshot::Receiver<Result<()>> {
        let (reply, receiver) = oneshot::channel();
        let job = Job { access, outlook, work, reply, since: Instant::now() };
        let options = &shared.options;
        let mut state = self.state();
        let is_full = state.idle == 0
            && state.threads >= options.pool_size + options.max_overflow
            && options.max_backlog.is_some_and(|max| state.queue.len() >= max);
        if state.closed || is_full {
            let error = if state.closed { run::closed() } else { overloaded("the queue is full") };
            drop(state);
            // Nobody listens if the request was given up meanwhile.
            let _ = job.reply.send(Err(error));
            return receiver;
        }
        state.queue.push_back(job);
        let waiting = state.queue.len();
        if waiting > state.idle && state.threads < options.pool_size + options.max_overflow {
            state.threads += 1;
            drop(state);
            self.start_thread(shared);
        } else {
            drop(state);
        }
        self.changed.notify_one();
        receiver
    }

    fn start_thread(&self, shared: &Arc<Shared>) {
        let ours = Arc::clone(shared);
        let builder = thread::Builder::new().name("postgresql".to_owned());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        match builder.spawn(move || serve(&ours)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                tracing::error!(%error, "a thread for PostgreSQL could not be started");
                self.state().threads -= 1;
            }
        }
    }

    /// Finishes what is queued and waits for the threads.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        for thread in threads {
            // It never panics: work is guarded.
            let _ = thread.join();
        }
    }

    /// Waits for works to run together. None if the thread is to end.
    fn next(&self, shared: &Shared) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            state.refuse_late(shared.options.pool_timeout);
            if let Some(jobs) = state.take() {
                return Some(jobs);
            }
            if state.closed && state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (next, waited) =
                self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.threads > shared.options.pool_size {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Lets others write to these lists.
    fn release(&self, lists: &[List]) {
        if lists.is_empty() {
            return;
        }
        let mut state = self.state();
        for list in lists {
            state.busy.remove(list);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Refuses what has waited for too long.
    fn refuse_late(&mut self, timeout: Duration) {
        while self.queue.front().is_some_and(|job| job.since.elapsed() > timeout) {
            if let Some(job) = self.queue.pop_front() {
                let _ = job.reply.send(Err(overloaded("all sessions were busy for too long")));
            }
        }
    }

    /// Takes the first work that can run, and others that can run with it.
    fn take(&mut self) -> Option<Vec<Job>> {
        let first = self.queue.iter().position(|job| self.is_free(job))?;
        let first = self.queue.remove(first)?;
        let mut jobs = vec![first];
        if jobs[0].is_shared_write() {
            self.busy.extend(jobs[0].outlook.writes.iter().cloned());
            self.take_more(&mut jobs, MAX_WRITES, |first, job| {
                let lists = &first.outlook.writes;
                job.is_shared_write() && job.outlook.writes.iter().all(|list| lists.contains(list))
            });
        } else if jobs[0].access == Access::Read && self.idle == 0 {
            self.take_more(&mut jobs, MAX_READS, |_, job| job.access == Access::Read);
        }
        Some(jobs)
    }

    fn is_free(&self, job: &Job) -> bool {
        !job.is_shared_write() || job.outlook.writes.iter().all(|list| !self.busy.contains(list))
    }

    fn take_more(&mut self, jobs: &mut Vec<Job>, max: usize, fits: impl Fn(&Job, &Job) -> bool) {
        let mut place = 0;
        while place < self.queue.len() && jobs.len() < max {
            if fits(&jobs[0], &self.queue[place]) {
                jobs.extend(self.queue.remove(place));
            } else {
                place += 1;
            }
        }
    }
}

impl Job {
    /// Whether it is known which lists it writes to.
    fn is_shared_write(&self) -> bool {
        self.access == Access::Write && !self.outlook.writes.is_empty()
    }
}

/// A thread: serves work until the pool closes.
fn serve(shared: &Arc<Shared>) {
    let mut session = Session::new(shared);
    while let Some(jobs) = shared.pool.next(shared) {
        let is_write = jobs[0].is_shared_write();
        let lists = if is_write { jobs[0].outlook.writes.clone() } else { Vec::new() };
        session.serve(jobs);
        shared.pool.release(&lists);
    }
}

fn overloaded(reason: &'static str) -> Error {
    Error::Unavailable(reason.into())
}
