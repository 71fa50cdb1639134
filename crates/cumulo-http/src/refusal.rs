//! Requests that are not HTTP at all, or whose headers are too large, are refused by hyper with an
//! empty answer before any code of ours sees them. Clients get a JSON error here as everywhere:
//! [`Refusing`] recognizes such an answer on its way to the socket and puts ours in its place.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use cumulo_core::{
    api::CONTENT_SECURITY_POLICY,
    error::{ApiError, Errno, Invalid, Location},
};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A header that every answer of ours has, and none of hyper's own.
const OURS: &[u8] = b"\r\nx-content-type-options:";

/// A socket on which hyper's own refusals become answers of the API.
pub(crate) struct Refusing<S> {
    socket: S,
    /// What is written in place of hyper's answer, and how much of it is already.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S> Refusing<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, refusal: None }
    }
}

impl<S: AsyncWrite + Unpin> Refusing<S> {
    /// Writes the refusal that replaces `answer`, and says that `answer` is written.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, answer: &[u8]) -> Poll<io::Result<usize>> {
        let (bytes, written) = self.refusal.get_or_insert_with(|| (refusal(answer), 0));
        while *written < bytes.len() {
            let count = ready!(Pin::new(&mut self.socket).poll_write(cx, &bytes[*written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count;
        }
        self.refusal = None;
        Poll::Ready(Ok(answer.len()))
    }
}

/// Whether hyper made this answer by itself.
fn is_of_hyper(answer: &[u8]) -> bool {
    let refuses = answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.0 4");
    refuses && !answer.windows(OURS.len()).any(|window| window == OURS)
}

/// The answer in the form of the API, with the status of `answer`.
fn refusal(answer: &[u8]) -> Vec<u8> {
    let status = answer.get(9..12).and_then(|code| StatusCode::from_bytes(code).ok());
    let status = status.unwrap_or(StatusCode::BAD_REQUEST);
    let error = if status == StatusCode::BAD_REQUEST {
        ApiError::from(Invalid::unnamed(Location::Header, "The request is not valid HTTP/1.1."))
    } else {
        too_large(status)
    };
    let body = error.into_reply().body;
    let reason = status.canonical_reason().unwrap_or("Error");
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: {CONTENT_SECURITY_POLICY}\r\n\r\n",
        status.as_u16(),
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// The error for a request line or headers over the limit.
pub(crate) fn too_large(status: StatusCode) -> ApiError {
    let mut error = ApiError::new(Errno::RequestTooLarge)
        .with_message("The request line or the headers are too large (max_header_bytes).");
    error.status = status;
    error.error = status.canonical_reason().unwrap_or("Error").into();
    error
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Refusing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.refusal.is_some() || is_of_hyper(buf) {
            return self.poll_refuse(cx, buf);
        }
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map_or(&[][..], |first| first);
        if self.refusal.is_some() || is_of_hyper(first) {
            return self.poll_refuse(cx, first);
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_of_hyper_are_replaced() {
        assert!(is_of_hyper(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"));
        assert!(!is_of_hyper(b"HTTP/1.1 404 Not Found\r\nx-content-type-options: nosniff\r\n\r\n"));
        assert!(!is_of_hyper(b"HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn refusals_are_json_with_the_same_status() {
        let text = refusal(b"HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n");
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
        assert!(text.contains(r#""code":431,"errno":113"#), "{text}");
    }
}
