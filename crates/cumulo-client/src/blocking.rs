//! The same client for programs that wait: `send` gives the result, and lists are iterators.
//!
//! Such a client has a thread of its own that keeps its connections. It must not be used inside
//! async code.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Blocking;
pub use crate::transport::Items;

/// A [client](crate::Client) whose calls wait.
pub type Client = crate::Root<Blocking>;
/// A [batch](crate::Batch) that is waited for.
pub type Batch = crate::Batch<Blocking>;
/// A [bucket](crate::Bucket).
pub type Bucket = crate::Bucket<Blocking>;
/// A [collection](crate::Collection).
pub type Collection = crate::Collection<Blocking>;
/// [Objects](crate::Resource) of one kind.
pub type Resource<T = serde_json::Value> = crate::Resource<Blocking, T>;
/// An [attachment](crate::attachment::Attachment).
pub type Attachment = crate::attachment::Attachment<Blocking>;

/// A reader or writer that waits, for [uploads](crate::attachment::Source::reader) and
/// [downloads](crate::attachment::Download::to_writer).
#[derive(Clone, Copy, Debug)]
pub struct Io<T>(pub T);

impl<T: io::Read + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled());
        Poll::Ready(read.map(|length| buffer.advance(length)))
    }
}

impl<T: io::Write + Unpin> AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
