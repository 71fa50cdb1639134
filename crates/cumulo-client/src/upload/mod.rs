//! Writes very many objects, as fast as the server takes them and with little memory.

mod delivery;
mod item;
mod limiter;
mod parcel;

use std::{fmt, mem, pin::pin};

use futures_util::{
    Stream, StreamExt as _,
    future::{Either, select},
    stream::{self, BoxStream, FuturesUnordered},
};
use http::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use self::item::Item;
use self::{
    delivery::{Delivered, deliver},
    limiter::Limiter,
    parcel::{Encoder, Packer, Parcel},
};
use crate::{
    Error, Failure, Permissions, Result,
    call::Call,
    progress::Callback,
    resource::Resource,
    transport::{Connection, Direct},
};

/// How many batches are under way at most unless the caller says otherwise.
const MAX_IN_FLIGHT: usize = 16;
/// How many failures are kept.
const KEPT_FAILURES: usize = 100;

/// What an upload does with objects that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnExisting {
    Fail,
    Skip,
    Replace,
}

impl<X: Direct, T: DeserializeOwned + Send + 'static> Resource<X, T> {
    /// Creates very many objects, in batches, several at a time: more as long as that makes it
    /// faster, fewer when the server pushes back. Memory does not grow with their number.
    ///
    /// Items are data with or without an id, an [`Object`](crate::Object), or a
    /// [`Change`](crate::Change). They are not written in their order, so that no two should have
    /// the same id. However often a batch must be repeated, each item is written once.
    ///
    /// ```no_run
    /// # async fn run(client: cumulo_client::Client) -> cumulo_client::Result<()> {
    /// let squares = (0..1_000_000_u64).map(|n| serde_json::json!({"n": n, "square": n * n}));
    /// let records = client.collection("numbers", "squares").records();
    /// let summary = records.upload(squares).on_progress(|it| println!("{it}")).send().await?;
    /// println!("{} created, {} failed", summary.counts.created, summary.counts.failed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload<I: Item>(
        &self,
        items: impl IntoIterator<Item = I, IntoIter: Send + 'static>,
    ) -> Upload<X, I> {
        self.upload_stream(stream::iter(items.into_iter().map(Ok)))
    }

    /// Creates very many objects that come as a stream, such as that of
    /// [`List::rows`](crate::List::rows). Its first error ends the upload. See [`Self::upload`].
    pub fn upload_stream<I: Item>(
        &self,
        items: impl Stream<Item = Result<I>> + Send + 'static,
    ) -> Upload<X, I> {
        Upload {
            transport: self.transport().clone(),
            call: self.call(Method::POST),
            source: items.boxed(),
            encoder: Encoder {
                kind: self.kind(),
                path: self.path().to_owned(),
                only_if_absent: true,
                permissions: None,
            },
            on_existing: OnExisting::Fail,
            batch_size: None,
            max_in_flight: MAX_IN_FLIGHT,
            on_progress: Callback::default(),
            on_failure: Callback::default(),
        }
    }
}

/// Writes very many objects. See [`Resource::upload`].
#[must_use = "nothing happens without `send`"]
pub struct Upload<X, I> {
    transport: X,
    /// For what it says of the place.
    call: Call,
    source: BoxStream<'static, Result<I>>,
    encoder: Encoder,
    on_existing: OnExisting,
    batch_size: Option<usize>,
    max_in_flight: usize,
    on_progress: Callback<UploadProgress>,
    on_failure: Callback<Failure>,
}

impl<X: Direct, I: Item> Upload<X, I> {
    /// Leaves objects that are there already as they are, and counts them as skipped. Otherwise each
    /// is a failure.
    pub fn if_not_exists(mut self) -> Self {
        self.on_existing = OnExisting::Skip;
        self.encoder.only_if_absent = true;
        self
    }

    /// Replaces objects that are there already, whoever changed them. Also a batch of which it is
    /// not known whether it was done is sent again then: the upload has the last word.
    pub fn overwrite(mut self) -> Self {
        self.on_existing = OnExisting::Replace;
        self.encoder.only_if_absent = false;
        self
    }

    /// Who may do what with the objects that don't bring their own permissions.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.encoder.permissions = Some(permissions);
        self
    }

    /// How many objects a batch has: as many as the server takes if never set, and never more.
    pub fn batch_size(mut self, size: usize) -> Self {
        self.batch_size = Some(size.max(1));
        self
    }

    /// How many batches are under way at most: 16 if never set.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = batches.max(1);
        self
    }

    /// Is told after each batch how far the upload is.
    pub fn on_progress(mut self, tell: impl FnMut(&UploadProgress) + Send + 'static) -> Self {
        self.on_progress = Callback::new(tell);
        self
    }

    /// Is told of each item that could not be written; the index counts the items from 0.
    pub fn on_failure(mut self, tell: impl FnMut(&Failure) + Send + 'static) -> Self {
        self.on_failure = Callback::new(tell);
        self
    }

    /// Does it. Items that the server refuses are part of the summary; what keeps the upload from
    /// going on is [`Error::Unfinished`].
    pub fn send(self) -> X::Sent<Summary> {
        let transport = self.transport.clone();
        transport.run(|connection| async move {
            self.call.check()?;
            let limit = connection.batch_limit().await?;
            let size = self.batch_size.map_or(limit, |size| size.min(limit));
            let upload = Running {
                limiter: Limiter::new(self.max_in_flight, Instant::now()),
                pushbacks: connection.state().pushback().times,
                connection,
                on_existing: self.on_existing,
                packer: Packer::new(self.source, self.encoder, size),
                progress: UploadProgress::default(),
                failures: Vec::new(),
                cause: None,
                on_progress: self.on_progress,
                on_failure: self.on_failure,
            };
            upload.run().await
        })
    }
}

impl<X: fmt::Debug, I> fmt::Debug for Upload<X, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("transport", &self.transport)
            .field("path", &self.encoder.path)
            .finish_non_exhaustive()
    }
}

/// What became of the items of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that were not there before.
    pub created: u64,
    /// Objects that were there, and were written.
    pub replaced: u64,
    /// Objects that were there, and were deleted.
    pub deleted: u64,
    /// Objects that were there, and were left as they are; deletions of objects that were not there.
    pub skipped: u64,
    /// Items that could not be written.
    pub failed: u64,
}

impl Counts {
    /// How many items there are answers for.
    pub fn done(&self) -> u64 {
        self.created + self.replaced + self.deleted + self.skipped + self.failed
    }

    fn add(&mut self, other: Self) {
        self.created += other.created;
        self.replaced += other.replaced;
        self.deleted += other.deleted;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// How far an upload is. In words: `1200 of 5000 done, 0 failed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadProgress {
    /// What became of the items so far.
    pub counts: Counts,
    /// How many items were taken from the source.
    pub taken: u64,
    /// How many items there are, if the source knows.
    pub total: Option<u64>,
    /// How many bytes were sent that were answered.
    pub bytes: u64,
    /// How many batches are under way.
    pub in_flight: usize,
}

impl fmt::Display for UploadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, total, .. } = self;
        write!(f, "{}", counts.done())?;
        if let Some(total) = total {
            write!(f, " of {total}")?;
        }
        write!(f, " done, {} failed", counts.failed)
    }
}

/// What came of an upload.
#[derive(Debug, Default)]
pub struct Summary {
    /// What became of the items.
    pub counts: Counts,
    /// How many bytes were sent.
    pub bytes: u64,
    /// The first 100 items that failed. [`Upload::on_failure`] is told of all.
    pub failures: Vec<Failure>,
}

/// An upload that did not come to its end.
#[derive(Debug)]
pub struct Unfinished {
    /// What is known to be done. Of up to as many batches as were under way it may not be known.
    pub summary: Summary,
    /// What ended it.
    pub cause: Error,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended after {} items: {}", self.summary.counts.done(), self.cause)
    }
}

/// An upload under way.
struct Running<I> {
    connection: Connection,
    on_existing: OnExisting,
    packer: Packer<I>,
    limiter: Limiter,
    /// How often the server had pushed back when the limiter was told last.
    pushbacks: u64,
    progress: UploadProgress,
    failures: Vec<Failure>,
    cause: Option<Error>,
    on_progress: Callback<UploadProgress>,
    on_failure: Callback<Failure>,
}

/// What happens next.
enum Event {
    Packed(Result<Option<Parcel>>),
    Delivered(Option<Delivered>),
}

impl<I: Item> Running<I> {
    async fn run(mut self) -> Result<Summary> {
        let mut under_way = FuturesUnordered::new();
        let mut is_empty = false;
        self.progress.total = self.packer.total.map(|it| it as u64);
        loop {
            let is_open = self.heed(under_way.len());
            let may_send = !is_empty && is_open && under_way.len() < self.limiter.limit();
            let event = if under_way.is_empty() {
                if is_empty {
                    break;
                }
                // The connection waits by itself.
                Event::Packed(self.packer.next().await)
            } else if may_send {
                // Polls what is under way first, so that it sets out before more is packed.
                match select(under_way.next(), pin!(self.packer.next())).await {
                    Either::Left((delivered, _)) => Event::Delivered(delivered),
                    Either::Right((packed, _)) => Event::Packed(packed),
                }
            } else {
                Event::Delivered(under_way.next().await)
            };
            match event {
                Event::Packed(Ok(Some(parcel))) => {
                    under_way.push(deliver(self.connection.clone(), self.on_existing, parcel));
                }
                Event::Packed(Ok(None)) => is_empty = true,
                Event::Packed(Err(error)) => {
                    self.cause.get_or_insert(error);
                    is_empty = true;
                }
                Event::Delivered(Some(delivered)) => {
                    is_empty |= delivered.cause.is_some();
                    self.note(delivered, under_way.len());
                }
                Event::Delivered(None) => {}
            }
        }
        self.finish()
    }

    /// Passes on to the limiter what the server wants. Tells whether it wants more now.
    fn heed(&mut self, under_way: usize) -> bool {
        let pushback = self.connection.state().pushback();
        let now = Instant::now();
        if mem::replace(&mut self.pushbacks, pushback.times) != pushback.times {
            self.limiter.pushed_back(under_way, now);
        }
        pushback.until.is_none_or(|until| until <= now)
    }

    fn note(&mut self, delivered: Delivered, in_flight: usize) {
        let Delivered { counts, failures, bytes, cause } = delivered;
        if cause.is_none() {
            self.limiter.answered(counts.done(), Instant::now());
        }
        if self.cause.is_none() {
            self.cause = cause;
        }
        for failure in failures {
            self.on_failure.tell(&failure);
            if self.failures.len() < KEPT_FAILURES {
                self.failures.push(failure);
            }
        }
        self.progress.counts.add(counts);
        self.progress.bytes += bytes;
        self.progress.taken = self.packer.taken as u64;
        self.progress.in_flight = in_flight;
        self.on_progress.tell(&self.progress);
    }

    fn finish(self) -> Result<Summary> {
        let UploadProgress { counts, bytes, .. } = self.progress;
        let summary = Summary { counts, bytes, failures: self.failures };
        match self.cause {
            Some(cause) => Err(Error::Unfinished(Box::new(Unfinished { summary, cause }))),
            None => Ok(summary),
        }
    }
}
