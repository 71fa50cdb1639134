//! Ways of a call: to the server, awaited or not, or into a batch.

mod blocking;
mod body;
mod compression;
mod connection;
mod dry;
pub(crate) mod retry;
mod state;

use std::fmt;

use futures_util::{Stream, StreamExt as _, future::BoxFuture, stream::BoxStream};

pub use blocking::{Blocking, Items};
pub(crate) use body::{Body, Content, Sending};
#[doc(hidden)]
pub use connection::Connection;
pub(crate) use connection::{Config, failed};
pub use dry::{Plan, Planned};
pub use retry::{OnBackoff, Retry};
pub(crate) use state::State;

use crate::{Result, call::Call, response::Response};

/// Reads what an answer says.
pub(crate) type Decode<T> = fn(&Response) -> Result<T>;

/// Where calls go. It decides what `send` gives.
pub trait Transport: Clone + fmt::Debug + Send + Sync + 'static {
    /// What `send` gives: a future, a result, or a place in a batch.
    type Sent<T: Send + 'static>;

    /// Sends a call.
    #[doc(hidden)]
    fn send<T: Send + 'static>(&self, call: Call, decode: Decode<T>) -> Self::Sent<T>;
}

/// A transport that reaches the server at once, so that calls of several requests can be made.
pub trait Direct: Transport {
    /// A stream, or an iterator.
    type Stream<T: Send + 'static>;

    /// Where it leads.
    #[doc(hidden)]
    fn connection(&self) -> &Connection;

    /// Does work that takes several requests.
    #[doc(hidden)]
    fn run<T, F>(&self, work: impl FnOnce(Connection) -> F) -> Self::Sent<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static;

    /// Gives what comes one by one.
    #[doc(hidden)]
    fn stream<T, S>(&self, make: impl FnOnce(Connection) -> S) -> Self::Stream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T>> + Send + 'static;
}

/// Sends at once; the answer is awaited.
#[derive(Clone, Debug)]
pub struct Async(pub(crate) Connection);

impl Transport for Async {
    type Sent<T: Send + 'static> = BoxFuture<'static, Result<T>>;

    fn send<T: Send + 'static>(&self, call: Call, decode: Decode<T>) -> Self::Sent<T> {
        self.run(|connection| async move { decode(&connection.execute(&call).await?) })
    }
}

impl Direct for Async {
    type Stream<T: Send + 'static> = BoxStream<'static, Result<T>>;

    fn connection(&self) -> &Connection {
        &self.0
    }

    fn run<T, F>(&self, work: impl FnOnce(Connection) -> F) -> Self::Sent<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Box::pin(work(self.0.clone()))
    }

    fn stream<T, S>(&self, make: impl FnOnce(Connection) -> S) -> Self::Stream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T>> + Send + 'static,
    {
        make(self.0.clone()).boxed()
    }
}
