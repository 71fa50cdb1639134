//! Calls that wait for their answers.

use std::{fmt, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use tokio::{
    runtime::{Builder, Runtime},
    task::block_in_place,
};

use super::{Connection, Decode, Direct, Transport};
use crate::{Error, Result, call::Call};

/// Sends at once, and waits for the answer. Must not be used, nor dropped, inside async code.
#[derive(Clone)]
pub struct Blocking {
    connection: Connection,
    runtime: Arc<Background>,
}

/// A runtime of one thread, which keeps connections alive between calls.
struct Background(Option<Runtime>);

impl Background {
    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("taken at the end only")
    }

    /// Also inside of what is waited for already: the source of an upload may make calls too.
    fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        block_in_place(|| self.runtime().block_on(work))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Nothing is under way: who sent something has waited for it.
            runtime.shutdown_background();
        }
    }
}

impl Blocking {
    pub(crate) fn new(connection: Connection) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("cumulo-client").enable_all().build();
        let failed = |error| Error::Argument(format!("can't start a thread: {error}"));
        let runtime = Arc::new(Background(Some(runtime.map_err(failed)?)));
        Ok(Self { connection, runtime })
    }

    /// Another connection on the same thread.
    pub(crate) fn with(&self, connection: Connection) -> Self {
        Self { connection, runtime: self.runtime.clone() }
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.connection).finish()
    }
}

impl Transport for Blocking {
    type Sent<T: Send + 'static> = Result<T>;

    fn send<T: Send + 'static>(&self, call: Call, decode: Decode<T>) -> Self::Sent<T> {
        self.run(|connection| async move { decode(&connection.execute(&call).await?) })
    }
}

impl Direct for Blocking {
    type Stream<T: Send + 'static> = Items<T>;

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn run<T, F>(&self, work: impl FnOnce(Connection) -> F) -> Self::Sent<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.runtime.wait_for(work(self.connection.clone()))
    }

    fn stream<T, S>(&self, make: impl FnOnce(Connection) -> S) -> Self::Stream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T>> + Send + 'static,
    {
        Items { stream: make(self.connection.clone()).boxed(), runtime: self.runtime.clone() }
    }
}

/// What comes one by one, waited for.
pub struct Items<T> {
    stream: BoxStream<'static, Result<T>>,
    runtime: Arc<Background>,
}

impl<T> Iterator for Items<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.wait_for(self.stream.next())
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
