//! The bodies of requests: in memory, or piece by piece.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::Result;

/// What is sent in a request.
pub(crate) enum Content {
    None,
    Memory(Bytes),
    /// What comes piece by piece.
    Stream {
        body: reqwest::Body,
        length: Option<u64>,
        sending: watch::Receiver<Sending>,
    },
}

/// How far the sending of a stream is. Each piece is a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// We wait for its source.
    Reading,
    /// We wait for the server to take it.
    Writing,
}

/// The body of a request.
#[async_trait]
pub(crate) trait Body: Send {
    /// It, each time that the request is sent.
    async fn make(&mut self) -> Result<Content>;

    /// Whether it can be made once more.
    fn is_lasting(&self) -> bool;
}

#[async_trait]
impl Body for Option<Bytes> {
    async fn make(&mut self) -> Result<Content> {
        Ok(self.clone().map_or(Content::None, Content::Memory))
    }

    fn is_lasting(&self) -> bool {
        true
    }
}

/// Ends when the server has neither taken something of a stream for so long, nor answered for so long
/// after it.
pub(super) async fn silence(mut sending: watch::Receiver<Sending>, longest: Option<Duration>) {
    let Some(longest) = longest else { return future::pending().await };
    loop {
        let now = *sending.borrow_and_update();
        let change = match now {
            Sending::Reading => sending.changed().await,
            Sending::Writing => match timeout(longest, sending.changed()).await {
                Ok(change) => change,
                Err(_) => return,
            },
        };
        if change.is_err() {
            // The stream is at its end.
            return sleep(longest).await;
        }
    }
}
