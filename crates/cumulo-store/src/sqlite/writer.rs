//! The thread that writes, and commits once for all who wait.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use cumulo_core::store::{Error, Result, Work};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    Shared,
    cache::Changes,
    group::{Memo, WriteTx},
    index,
};
use crate::run;

/// How many works commit together at the most.
const MAX_GROUP: usize = 512;

/// What the thread is asked to do.
enum Job {
    Work(Work, oneshot::Sender<Result<()>>),
    /// Something between two groups, outside of their transactions.
    Task(Task),
}

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the thread.
pub(super) struct Writer {
    /// `None` once the store is closed.
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, shared: Arc<Shared>) -> rusqlite::Result<Self> {
        let memo = Memo::load(&connection)?;
        let (sender, jobs) = mpsc::channel();
        let run = move || Loop { connection, shared, memo }.run(&jobs);
        let thread = thread::Builder::new().name("cumulo-writer".into()).spawn(run);
        let thread = thread.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
        Ok(Self { jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Queues work; the reply comes after the commit.
    pub(super) fn submit(&self, work: Work) -> oneshot::Receiver<Result<()>> {
        let (reply, receiver) = oneshot::channel();
        if let Err(Job::Work(_, reply)) = self.send(Job::Work(work, reply)) {
            _ = reply.send(Err(run::closed()));
        }
        receiver
    }

    /// Queues the creation of an index on a field of a list. Nobody waits for it.
    pub(super) fn create_index(&self, list: i64, path: Vec<String>) {
        self.task(Box::new(move |connection| match index::create(connection, list, &path) {
            Ok(()) => tracing::info!(list, path = path.join("."), "indexed a field"),
            Err(error) => tracing::warn!(%error, path = path.join("."), "cannot index a field"),
        }));
    }

    /// Queues a task that nobody waits for.
    pub(super) fn task(&self, task: Task) {
        _ = self.send(Job::Task(task));
    }

    /// Lets the thread do what is queued and waits for its end.
    pub(super) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last owner of a store may be work that runs on this very thread.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer ended with a panic");
        }
    }

    fn send(&self, job: Job) -> std::result::Result<(), Job> {
        match &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.send(job).map_err(|refused| refused.0),
            None => Err(job),
        }
    }
}

impl Memo {
    fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let next = |table| {
            let sql = format!("SELECT coalesce(max(id), 0) + 1 FROM {table}");
            connection.query_row(&sql, [], |row| row.get(0))
        };
        Ok(Self { acl_ids: HashMap::new(), next_list: next("list")?, next_acl: next("acl")? })
    }
}

struct Loop {
    connection: Connection,
    shared: Arc<Shared>,
    memo: Memo,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let waiting = std::iter::once(first).chain(jobs.try_iter()).take(MAX_GROUP);
            let mut group = Vec::new();
            let mut tasks = Vec::new();
            for job in waiting {
                match job {
                    Job::Work(work, reply) => group.push((work, reply)),
                    Job::Task(task) => tasks.push(task),
                }
            }
            self.survive(|this| this.serve(group));
            for task in tasks {
                self.survive(|this| this.perform(task));
            }
        }
        self.end();
    }

    /// Runs a step; if it panics, nothing is assumed about the transaction and the cache.
    fn survive(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            tracing::error!("the writer panicked");
            self.roll_back();
            self.memo.acl_ids.clear();
            self.shared.cache.clear();
        }
    }

    /// Runs and commits a group, then replies.
    fn serve(&mut self, group: Vec<(Work, oneshot::Sender<Result<()>>)>) {
        let mut tx = WriteTx::new(&self.connection, &self.shared, &mut self.memo);
        let mut replies = Vec::with_capacity(group.len());
        let mut group = group.into_iter();
        for (mut work, reply) in group.by_ref() {
            replies.push((reply, tx.run(&mut work)));
            if tx.is_lost() {
                break;
            }
        }
        let committed = commit(tx, &self.shared);
        if let Err(error) = committed {
            self.roll_back();
            self.memo.acl_ids.clear();
            fail_all(&mut replies, error);
        }
        for (reply, result) in replies {
            // Nobody may be waiting any more.
            _ = reply.send(result);
        }
        let rest: Vec<_> = group.collect();
        if !rest.is_empty() {
            self.serve(rest);
        }
    }

    fn perform(&self, task: Task) {
        self.shared.cache.begin_commit();
        self.shared.pool.end_snapshots();
        task(&self.connection);
        self.shared.cache.apply(Changes::default());
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back");
        }
    }

    /// Leaves one file with everything in it.
    fn end(self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(checkpoint, [], |_| Ok(())) {
            tracing::warn!(%error, "cannot write the log back to the database");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "cannot close the database");
        }
    }
}

/// Commits a group, if it has written, and brings the cache up to date.
fn commit(tx: WriteTx<'_>, shared: &Shared) -> Result<()> {
    if tx.is_lost() {
        return Err(Error::Unavailable("the engine has undone the transaction".into()));
    }
    if !tx.is_begun() {
        return Ok(());
    }
    shared.cache.begin_commit();
    shared.pool.end_snapshots();
    let (changes, committed) = match tx.commit() {
        Ok(changes) => (changes, Ok(())),
        Err(error) => (Changes::default(), Err(error)),
    };
    for list in &changes.emptied {
        shared.indexes.forget(*list);
    }
    shared.cache.apply(changes);
    committed
}

/// Fails all that would have succeeded.
fn fail_all(replies: &mut [(oneshot::Sender<Result<()>>, Result<()>)], error: Error) {
    let unavailable = !matches!(error, Error::Internal(_));
    let cause = Arc::new(error);
    for (_, result) in replies.iter_mut().filter(|(_, result)| result.is_ok()) {
        let cause = Box::new(Arc::clone(&cause));
        *result = Err(if unavailable { Error::Unavailable(cause) } else { Error::Internal(cause) });
    }
}
