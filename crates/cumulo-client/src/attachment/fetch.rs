//! The bytes of a file, from wherever the server keeps them.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, LOCATION, RANGE},
};
use reqwest::Url;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    time::sleep,
};

use super::{File, Progress, hex};
use crate::{
    Error, Result,
    response::Request,
    transport::{
        Connection, failed,
        retry::{self, Verdict},
    },
};

/// How often a file may be said to be elsewhere.
const MOST_MOVES: usize = 5;

/// A file to get.
pub(super) struct Fetch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) url: Url,
    /// Headers for wherever the file is.
    pub(super) headers: HeaderMap,
    pub(super) file: &'a File,
    /// How errors call what is written.
    pub(super) name: String,
    pub(super) progress: Progress,
}

/// The beginning of a file that is there already.
#[derive(Clone, Default)]
pub(super) struct Beginning {
    pub(super) bytes: u64,
    pub(super) digest: Sha256,
}

impl Beginning {
    pub(super) fn add(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.digest.update(chunk);
    }
}

/// What came of a request.
enum Step {
    Done,
    /// The file is at another address.
    Moved(Url),
    Unauthorized(Error),
    Failed(Failure),
}

/// A request that did not bring the rest of the file.
struct Failure {
    error: Error,
    /// Whether another may.
    again: bool,
    /// How long the server wants to be left alone.
    asked: Option<Duration>,
}

impl Failure {
    fn passing(error: Error) -> Self {
        Self { error, again: true, asked: None }
    }

    fn lasting(error: Error) -> Self {
        Self { error, again: false, asked: None }
    }
}

/// Where the file is, by the `location` in its record and the `base_url` in the capability of the
/// server.
pub(super) fn url(server: &str, base: Option<&str>, location: &str) -> Result<Url> {
    let invalid = |what: &str| Error::Argument(format!("the file is at {what:?}, which is no URL"));
    if is_absolute(location) {
        return Url::parse(location).map_err(|_| invalid(location));
    }
    let Some(base) = base.filter(|base| !base.is_empty()) else {
        let problem = "the server does not tell where its attachments are: its capability \
                       'attachments' has no 'base_url'";
        return Err(Error::Missing(problem.to_owned()));
    };
    let server = Url::parse(&format!("{server}/")).map_err(|_| invalid(server))?;
    let text = format!("{}/{}", base.trim_end_matches('/'), location.trim_start_matches('/'));
    server.join(&text).map_err(|_| invalid(&text))
}

pub(super) fn is_absolute(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

impl Fetch<'_> {
    /// Writes what comes after the `beginning`, and looks whether the whole is what the record
    /// says. A broken connection is mended as often as the client repeats requests, counted from
    /// the last time that bytes came.
    pub(super) async fn run(
        &self,
        sink: &mut (impl AsyncWrite + Send + Unpin),
        beginning: &mut Beginning,
    ) -> Result<()> {
        let (mut url, mut moves, mut renewed, mut number) = (self.url.clone(), 0, false, 0);
        self.progress.tell(beginning.bytes, Some(self.file.size));
        while beginning.bytes < self.file.size {
            let before = beginning.bytes;
            match self.step(&url, sink, beginning).await? {
                Step::Done => {}
                Step::Moved(to) if moves < MOST_MOVES => {
                    moves += 1;
                    url = to;
                }
                Step::Moved(to) => return Err(self.corrupt(format!("it moves on to {to}"))),
                Step::Unauthorized(error) => {
                    let config = self.connection.config();
                    match &config.auth {
                        Some(auth) if !renewed && auth.renew(&config.server).await? => {
                            renewed = true;
                        }
                        _ => return Err(error),
                    }
                }
                Step::Failed(Failure { error, again, asked }) => {
                    number = if beginning.bytes > before { 0 } else { number };
                    let retry = &self.connection.config().retry;
                    let wait = again.then(|| retry.wait(number, asked, rand::random())).flatten();
                    let Some(wait) = wait else { return Err(error) };
                    tracing::debug!(number, ?wait, done = beginning.bytes, "resuming a download");
                    sleep(wait).await;
                    number += 1;
                    // Another address may have been good for a while only.
                    (url, moves) = (self.url.clone(), 0);
                }
            }
        }
        sink.flush().await.map_err(|source| self.unwritten(source))?;
        self.check(&beginning.digest)
    }

    fn check(&self, digest: &Sha256) -> Result<()> {
        let found = hex(&digest.clone().finalize());
        if self.file.hash.eq_ignore_ascii_case(&found) {
            return Ok(());
        }
        let expected = &self.file.hash;
        Err(self.corrupt(format!("its SHA-256 is {found}, the record says {expected}")))
    }

    fn corrupt(&self, problem: String) -> Error {
        Error::Corrupt { path: self.name.clone(), problem }
    }

    fn unwritten(&self, source: std::io::Error) -> Error {
        Error::File { path: self.name.clone(), source }
    }

    fn is_at_server(&self, url: &Url) -> bool {
        let server = Url::parse(&self.connection.config().server);
        server.is_ok_and(|server| server.origin() == url.origin())
    }

    /// One request. Fails if the bytes can't be written, or there are no credentials.
    async fn step(
        &self,
        url: &Url,
        sink: &mut (impl AsyncWrite + Send + Unpin),
        beginning: &mut Beginning,
    ) -> Result<Step> {
        let request = Request::new(Method::GET, url.as_str());
        tracing::debug!(url = request.url, from = beginning.bytes, "download");
        let answer = match self.ask(url, beginning.bytes).await?.send().await {
            Ok(answer) => answer,
            Err(source) => return Ok(Step::Failed(Failure::passing(failed(request, source)))),
        };
        if self.is_at_server(url) {
            self.connection.heed(answer.headers());
        }
        match answer.status() {
            StatusCode::OK => self.receive(request, answer, 0, sink, beginning).await,
            StatusCode::PARTIAL_CONTENT => {
                let from = first_byte(answer.headers());
                match from.filter(|from| *from <= beginning.bytes) {
                    Some(from) => self.receive(request, answer, from, sink, beginning).await,
                    None => {
                        let problem = "the server sent another part than it was asked for";
                        Ok(Step::Failed(Failure::lasting(self.corrupt(problem.to_owned()))))
                    }
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let problem = format!("it has not more than {} bytes", beginning.bytes);
                Ok(Step::Failed(Failure::lasting(self.corrupt(problem))))
            }
            status if status.is_redirection() => Ok(self.moved(url, &answer)),
            status => {
                let asked = retry::asked(answer.headers());
                let again = retry::verdict(status, asked) != Verdict::Final;
                let response = match self.connection.read(request, answer).await {
                    Ok(response) => response,
                    Err(error) => return Ok(Step::Failed(Failure::passing(error))),
                };
                let error = Error::of(response);
                if status == StatusCode::UNAUTHORIZED && self.is_at_server(url) {
                    return Ok(Step::Unauthorized(error));
                }
                Ok(Step::Failed(Failure { error, again, asked }))
            }
        }
    }

    /// The request for what comes after so many bytes. Only the server itself gets the headers and
    /// the credentials of the client.
    async fn ask(&self, url: &Url, from: u64) -> Result<reqwest::RequestBuilder> {
        let mut headers = self.headers.clone();
        // Hash and size are those of what is stored.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if from > 0 {
            let range = format!("bytes={from}-");
            headers.insert(RANGE, HeaderValue::try_from(range).expect("ASCII"));
        }
        if self.is_at_server(url) {
            self.connection.wait_until_open().await?;
            let builder = self.connection.http().get(url.clone());
            return self.connection.prepare(builder, &headers).await;
        }
        let builder = self.connection.http().get(url.clone()).headers(headers);
        Ok(match self.connection.config().timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        })
    }

    /// Where a redirection leads: not from TLS to plain text.
    fn moved(&self, url: &Url, answer: &reqwest::Response) -> Step {
        let location = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let to = location.and_then(|location| url.join(location).ok());
        match to.filter(|to| to.scheme() == "https" || to.scheme() == url.scheme()) {
            Some(to) => Step::Moved(to),
            None => {
                let problem = format!("{} without a place to go to", answer.status());
                Step::Failed(Failure::lasting(self.corrupt(problem)))
            }
        }
    }

    /// Writes the body of an answer that begins at the byte `from`, without what is there already.
    async fn receive(
        &self,
        request: Request,
        answer: reqwest::Response,
        from: u64,
        sink: &mut (impl AsyncWrite + Send + Unpin),
        beginning: &mut Beginning,
    ) -> Result<Step> {
        let mut skip = beginning.bytes - from;
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            let mut chunk = match chunk {
                Ok(chunk) => chunk,
                Err(source) => return Ok(Step::Failed(Failure::passing(failed(request, source)))),
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            let chunk = chunk.split_off(skipped);
            skip -= skipped as u64;
            if beginning.bytes + chunk.len() as u64 > self.file.size {
                let problem = format!("it has more than {} bytes", self.file.size);
                return Ok(Step::Failed(Failure::lasting(self.corrupt(problem))));
            }
            sink.write_all(&chunk).await.map_err(|source| self.unwritten(source))?;
            beginning.add(&chunk);
            self.progress.tell(beginning.bytes, Some(self.file.size));
        }
        if beginning.bytes == self.file.size {
            return Ok(Step::Done);
        }
        let problem = format!("it ends after {} of {} bytes", beginning.bytes, self.file.size);
        Ok(Step::Failed(Failure::passing(self.corrupt(problem))))
    }
}

/// Where an answer with a part of a file begins: `Content-Range: bytes 5-9/10`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_found_from_the_base() {
        let server = "https://kinto.example.com/v1";
        for (base, location, expected) in [
            (None, "https://cdn.example.com/a.bin", "https://cdn.example.com/a.bin"),
            (Some("https://cdn.example.com/files"), "a.bin", "https://cdn.example.com/files/a.bin"),
            (Some("https://cdn.example.com/"), "/b/a.bin", "https://cdn.example.com/b/a.bin"),
            (Some("/attachments/"), "a.bin", "https://kinto.example.com/attachments/a.bin"),
            (Some("attachments"), "a.bin", "https://kinto.example.com/v1/attachments/a.bin"),
            (
                Some("/files"),
                "//evil.example.com/a",
                "https://kinto.example.com/files/evil.example.com/a",
            ),
        ] {
            assert_eq!(url(server, base, location).unwrap().as_str(), expected);
        }
        for base in [None, Some("")] {
            assert!(matches!(url(server, base, "a.bin"), Err(Error::Missing(_))));
        }
        assert!(url(server, None, "http://[").is_err());
    }
}
