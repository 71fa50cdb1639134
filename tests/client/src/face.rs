//! The two faces of the client, so that a scenario is written once for both.

use cumulo_client::{Async, Blocking, Builder, Direct, Result, Root};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime;

/// Async or blocking. For scenarios both are async; those of the blocking client just never wait.
pub(crate) trait Face: Direct {
    fn build(builder: Builder) -> Result<Root<Self>>;

    /// How to make a client like this one.
    fn builder(client: &Root<Self>) -> Builder;

    /// The result of a `send`.
    fn done<T: Send + 'static>(sent: Self::Sent<T>) -> impl Future<Output = Result<T>>;

    /// What comes one by one.
    fn each<T: Send + 'static>(stream: Self::Stream<T>) -> BoxStream<'static, Result<T>>;

    /// Runs a scenario to its end.
    fn drive<T>(scenario: impl Future<Output = T>) -> T;
}

impl Face for Async {
    fn build(builder: Builder) -> Result<Root<Self>> {
        builder.build()
    }

    fn builder(client: &Root<Self>) -> Builder {
        client.to_builder()
    }

    fn done<T: Send + 'static>(sent: Self::Sent<T>) -> impl Future<Output = Result<T>> {
        sent
    }

    fn each<T: Send + 'static>(stream: Self::Stream<T>) -> BoxStream<'static, Result<T>> {
        stream
    }

    fn drive<T>(scenario: impl Future<Output = T>) -> T {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a thread can have a runtime").block_on(scenario)
    }
}

impl Face for Blocking {
    fn build(builder: Builder) -> Result<Root<Self>> {
        builder.build_blocking()
    }

    fn builder(client: &Root<Self>) -> Builder {
        client.to_builder()
    }

    async fn done<T: Send + 'static>(sent: Self::Sent<T>) -> Result<T> {
        sent
    }

    fn each<T: Send + 'static>(items: Self::Stream<T>) -> BoxStream<'static, Result<T>> {
        stream::iter(items).boxed()
    }

    fn drive<T>(scenario: impl Future<Output = T>) -> T {
        scenario.now_or_never().expect("a client that waits leaves nothing to await")
    }
}
