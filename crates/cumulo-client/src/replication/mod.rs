//! Makes a bucket or collection as another is, on the same server or elsewhere.
//!
//! ```no_run
//! # async fn run() -> cumulo_client::Result<()> {
//! use cumulo_client::Client;
//! use futures_util::TryStreamExt as _;
//!
//! let ours = Client::new("https://ann:p4ssw0rd@kinto.example.com/v1")?;
//! let copy = Client::new("http://ann:p4ssw0rd@localhost:8888/v1")?;
//! let (ours, copy) = (ours.collection("blog", "articles"), copy.collection("blog", "articles"));
//!
//! let mut differences = ours.diff(&copy).rows();
//! while let Some(difference) = differences.try_next().await? {
//!     println!("{:?} {}", difference.action(), difference.path);
//! }
//! let report = ours.sync_to(&copy).send().await?;
//! println!("{} created, {} deleted", report.counts.created, report.counts.deleted);
//! # Ok(())
//! # }
//! ```
//!
//! Both sides are read in the order of ids and compared on the way, so that memory does not grow
//! with their size. What is written is conditional on what was compared. Nothing is kept between
//! runs unless the caller keeps the [`State`]: who interrupts a run begins another, which finds what
//! is left to do.
//!
//! Not replicated: accounts, the history, and the files of attachments (their records are).

mod compare;
mod difference;
mod fields;
mod merge;
mod report;
mod run;
mod session;
mod state;
mod write;

use std::{collections::BTreeSet, fmt, sync::Arc};

use futures_util::{TryStreamExt as _, stream};

pub use difference::{Action, Difference, FieldDifference, Version};
pub use fields::Fields;
pub use report::{Counts, Problem, Progress, Report};
use report::{OnProgress, Tally};
use session::{Place, Session};
pub use state::State;

use crate::{Bucket, Collection, Result, transport::Direct};

/// What is compared, and what may be done.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    /// Whether objects of the destination are changed that differ.
    updates: bool,
    /// Whether objects of the destination are deleted that the source has not.
    deletes: bool,
    /// Whether that counts for buckets, groups and collections too.
    metadata: bool,
    permissions: bool,
    record_permissions: bool,
    timestamps: bool,
    ignored: BTreeSet<String>,
    concurrency: usize,
    /// What may not be seen is taken to be missing, as servers don't tell.
    assumes_missing: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            updates: true,
            deletes: true,
            metadata: true,
            permissions: true,
            record_permissions: false,
            timestamps: false,
            ignored: BTreeSet::new(),
            concurrency: 4,
            assumes_missing: true,
        }
    }
}

impl<X: Direct> Bucket<X> {
    /// What is not the same in another bucket: metadata, groups, collections, records, and who may
    /// do what.
    pub fn diff(&self, other: &Self) -> Diff<X> {
        Diff::new(Place::bucket(self), Place::bucket(other))
    }

    /// Makes another bucket as this one is, with its groups, collections and records.
    pub fn sync_to(&self, destination: &Self) -> Replication<X> {
        Replication::sync(Place::bucket(self), Place::bucket(destination))
    }

    /// Copies it with its groups, collections and records, their timestamps and permissions.
    pub fn copy_to(&self, destination: &Self) -> Replication<X> {
        Replication::copy(Place::bucket(self), Place::bucket(destination))
    }
}

impl<X: Direct> Collection<X> {
    /// What is not the same in another collection: metadata, records, and who may do what.
    pub fn diff(&self, other: &Self) -> Diff<X> {
        Diff::new(Place::collection(self), Place::collection(other))
    }

    /// Makes another collection as this one is. Its bucket is created if it is missing, without
    /// anything of the bucket of this one.
    pub fn sync_to(&self, destination: &Self) -> Replication<X> {
        Replication::sync(Place::collection(self), Place::collection(destination))
    }

    /// Copies it with its records, their timestamps and permissions. Its bucket is created if it is
    /// missing, without anything of the bucket of this one.
    pub fn copy_to(&self, destination: &Self) -> Replication<X> {
        Replication::copy(Place::collection(self), Place::collection(destination))
    }
}

/// Compares two buckets or collections. Timestamps are never compared, nor is the field `schema`
/// of records that a server puts there.
#[derive(Debug)]
#[must_use = "nothing happens without `rows` or `all`"]
pub struct Diff<X>(Replication<X>);

impl<X: Direct> Diff<X> {
    fn new(source: Place<X>, destination: Place<X>) -> Self {
        let options = Options { assumes_missing: false, ..Options::default() };
        Self(Replication { source, destination, options, state: None, on_progress: None })
    }

    /// A field that may differ, of whatever object.
    pub fn ignore(self, field: impl Into<String>) -> Self {
        Self(self.0.ignore(field))
    }

    /// Not who may do what.
    pub fn without_permissions(self) -> Self {
        Self(self.0.without_permissions())
    }

    /// Who may do what with each record too, which must be asked for one by one.
    pub fn record_permissions(self) -> Self {
        Self(self.0.record_permissions())
    }

    /// The differences, one by one, in the order in which they would be removed.
    pub fn rows(self) -> X::Stream<Difference> {
        self.0.plan()
    }

    /// All differences.
    pub fn all(self) -> X::Sent<Vec<Difference>> {
        self.0.planned()
    }
}

/// Makes the destination as the source is, in what may be done: [`Bucket::sync_to`],
/// [`Bucket::copy_to`], and those of [`Collection`].
///
/// Data, and who may do what with buckets, groups and collections, become as they are in the source,
/// and what the source has not is deleted. Principals that are groups of the source's bucket become
/// those of the destination's. The user who writes keeps the right to: servers give it to them.
///
/// An object that changes in the destination between being compared and being written is left, and
/// is a [`Problem`] of the [`Report`]; so is what the server refuses. Other failures end the run.
#[must_use = "nothing happens without `plan` or `send`"]
pub struct Replication<X> {
    source: Place<X>,
    destination: Place<X>,
    options: Options,
    state: Option<State>,
    on_progress: Option<OnProgress>,
}

impl<X: Direct> Replication<X> {
    fn sync(source: Place<X>, destination: Place<X>) -> Self {
        let options = Options::default();
        Self { source, destination, options, state: None, on_progress: None }
    }

    fn copy(source: Place<X>, destination: Place<X>) -> Self {
        let options = Options {
            updates: false,
            deletes: false,
            record_permissions: true,
            timestamps: true,
            ..Options::default()
        };
        Self { source, destination, options, state: None, on_progress: None }
    }

    /// What only the destination has stays there.
    pub fn keep_extra(mut self) -> Self {
        self.options.deletes = false;
        self
    }

    /// Only records are changed or deleted. Buckets, groups and collections stay as they are, but
    /// missing buckets and collections are created.
    pub fn records_only(mut self) -> Self {
        self.options.metadata = false;
        self
    }

    /// Who may do what is not compared, and nobody is given a right.
    pub fn without_permissions(mut self) -> Self {
        self.options.permissions = false;
        self.options.record_permissions = false;
        self
    }

    /// Who may do what with each record counts too, which must be asked for one by one.
    pub fn record_permissions(mut self) -> Self {
        self.options.permissions = true;
        self.options.record_permissions = true;
        self
    }

    /// Objects get the timestamps that they have in the source, as far as the server takes them.
    ///
    /// Use it where nobody reads the destination yet: who asks a list for changes since a moment is
    /// not told of an object that is created with an earlier timestamp.
    pub fn keep_timestamps(mut self) -> Self {
        self.options.timestamps = true;
        self
    }

    /// A field that may differ, of whatever object. Objects that differ in other fields are copied
    /// with it.
    pub fn ignore(mut self, field: impl Into<String>) -> Self {
        self.options.ignored.insert(field.into());
        self
    }

    /// How many requests are on their way at once, 4 if never set.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.options.concurrency = requests.max(1);
        self
    }

    /// Begins where an earlier run ended: only records are looked at that have changed on either
    /// side since.
    ///
    /// A list is compared as a whole if it was done in another manner before, if a large part of it
    /// has changed, or if its timestamps or numbers show that something is missing. A server may forget deletions (`purge`): compare
    /// without a state now and then.
    pub fn since(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Tells how far it is, after every few requests.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(tell));
        self
    }

    /// What would be done, one by one; nothing is.
    pub fn plan(self) -> X::Stream<Difference> {
        let transport = self.source.transport.clone();
        transport.stream(|_| {
            // What the destination runs on lives as long as the stream.
            let destination = self.destination.transport.clone();
            let plan = stream::once(self.open()).map_ok(|(session, tally)| session.plan(tally));
            plan.try_flatten().map_ok(move |difference| {
                let _ = &destination;
                difference
            })
        })
    }

    /// All that would be done.
    pub fn planned(self) -> X::Sent<Vec<Difference>> {
        let transport = self.source.transport.clone();
        transport.run(|_| async move {
            let _destination = self.destination.transport.clone();
            let (session, tally) = self.open().await?;
            session.plan(tally).try_collect().await
        })
    }

    /// Does it.
    pub fn send(self) -> X::Sent<Report> {
        let transport = self.source.transport.clone();
        transport.run(|_| async move {
            let _destination = self.destination.transport.clone();
            let (session, tally) = self.open().await?;
            session.run(tally).await
        })
    }

    async fn open(self) -> Result<(Session, Tally)> {
        let Self { source, destination, options, state, on_progress } = self;
        let session = Session::open(source.local(), destination.local(), options, state).await?;
        Ok((session, Tally::new(on_progress)))
    }
}

impl<X: fmt::Debug> fmt::Debug for Replication<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replication")
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("options", &self.options)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
