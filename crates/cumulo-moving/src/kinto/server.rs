//! The server that is read, and its failures in our words.

use std::{error, time::Duration};

use cumulo_client::{Client, Failure, OnBackoff, Response, Retry};
use futures_util::TryFutureExt as _;

use super::Credentials;
use crate::{Error, Result};

/// No wait is longer; if the server asks for more, the pull ends, and goes on another time.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Eight attempts in about half a minute, if the server asks for nothing else.
const RETRY: Retry =
    Retry { times: 7, first: Duration::from_millis(500), longest: LONGEST_WAIT, forced: None };
/// From the request to the end of its answer.
const TIMEOUT: Duration = Duration::from_mins(2);
const MAX_RESPONSE_BYTES: usize = 256 << 20;

/// A Kinto server.
pub(super) struct Server {
    pub(super) client: Client,
    /// Its URL as it was given.
    pub(super) url: String,
}

impl Server {
    pub(super) fn new(url: &str, credentials: &Credentials) -> Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        // Wherever it stands: what a URL may look like is a long story.
        if url.contains('@') {
            let reason = "give name and password with --auth, not in the URL".into();
            return Err(Error::Remote { url: without_user(&url), reason });
        }
        let client = Client::builder(&url)
            .shared_auth(credentials.0.clone())
            .user_agent(concat!("cumulo/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(None)
            .read_timeout(None)
            .retry(RETRY)
            .on_backoff(OnBackoff::Wait(LONGEST_WAIT))
            .max_response_bytes(MAX_RESPONSE_BYTES)
            .build();
        match client {
            Ok(client) => Ok(Self { client, url }),
            Err(error) => Err(Error::Remote { url, reason: error.to_string() }),
        }
    }

    /// Gets all paths in one request.
    pub(super) fn get_all(
        &self,
        paths: &[String],
    ) -> impl Future<Output = Result<Vec<Response>>> + use<> {
        let batch = self.client.batch().ignore_refusals();
        for path in paths {
            batch.get(path).response();
        }
        let url = self.url.clone();
        let sent = batch.send().map_err(move |error| failure(&url, &error));
        sent.map_ok(|results| results.responses().flatten().cloned().collect())
    }

    /// The error of a request.
    pub(super) fn failed(&self, path: &str, reason: impl Into<String>) -> Error {
        Error::Remote { url: format!("{}{path}", self.url), reason: reason.into() }
    }

    /// The error of a request, as the client tells it.
    pub(super) fn failure(&self, error: &cumulo_client::Error) -> Error {
        failure(&self.url, error)
    }
}

/// An error of the client. `server` is where it happened, if nothing closer is known.
fn failure(server: &str, error: &cumulo_client::Error) -> Error {
    if let cumulo_client::Error::Batch(failures) = error {
        let is_refusal = |it: &Failure| it.error.status().is_some_and(|it| it.is_client_error());
        let first = failures.results.failures().find(|it| !is_refusal(it)).map(|it| it.error);
        if let Some(cause) = failures.cause.as_ref().or(first.as_ref()) {
            return failure(server, cause);
        }
    }
    let mut reason = reason(error);
    let Some(request) = error.request() else {
        return Error::Remote { url: server.to_owned(), reason };
    };
    if request.attempts > 1 {
        reason = format!("{reason}, after {} attempts", request.attempts);
    }
    let url = request.url.split('?').next().unwrap_or_default().to_owned();
    Error::Remote { url, reason }
}

/// What went wrong, without the URL.
fn reason(error: &cumulo_client::Error) -> String {
    use cumulo_client::Error;
    match error {
        Error::Timeout { .. } => "no answer in time".into(),
        Error::Transport { source, .. } => deepest(source),
        Error::AnswerTooLarge { limit, .. } => format!("the answer is larger than {limit} bytes"),
        Error::Answer { source, .. } => format!("the answer is not understood: {source}"),
        _ => match error.status() {
            Some(status) => format!("the answer is {status}"),
            None => error.to_string(),
        },
    }
}

fn deepest(error: &dyn error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

/// A URL without what must not be shown.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("…", url));
    let host = rest.rsplit('@').next().unwrap_or(rest);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::{super::wire::Listed, *};

    /// A server that always answers the same, and that is not left any time.
    fn saying(status: &'static str, body: &'static str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut input = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while input.read_line(&mut line).unwrap() > 2 {
                    if let Some(size) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = size.trim().parse().unwrap();
                    }
                    line.clear();
                }
                input.take(length).read_to_end(&mut Vec::new()).unwrap();
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        at_once(Server::new(&url, &Credentials::none()).unwrap())
    }

    fn at_once(server: Server) -> Server {
        let retry = Retry { forced: Some(Duration::ZERO), ..RETRY };
        Server { client: server.client.to_builder().retry(retry).build().unwrap(), ..server }
    }

    /// What a list fails with, without the server.
    async fn failure(server: &Server) -> String {
        let list = server.client.list("/buckets").of::<Listed>().param("_since", "5");
        let error = list.page().await.err().unwrap();
        server.failure(&error).to_string().replace(&server.url, "")
    }

    #[tokio::test]
    async fn failures_tell_where_what_and_after_how_many_attempts() {
        for (status, body, expected) in [
            ("500 Oops", "", "the answer is 500 Internal Server Error, after 8 attempts"),
            ("429 Slow", "", "the answer is 429 Too Many Requests, after 8 attempts"),
            ("400 No", "", "the answer is 400 Bad Request"),
            ("301 Elsewhere", "", "the answer is 301 Moved Permanently"),
            ("200 OK", "{", "the answer is not understood: EOF while parsing"),
            ("200 OK", r#"{"data":[{"id":"a"}]}"#, "the answer is not understood: an object"),
        ] {
            let error = failure(&saying(status, body)).await;
            let expected = format!("/buckets: {expected}");
            assert!(error.starts_with(&expected), "{error}");
            assert_eq!(error.contains("attempts"), expected.contains("attempts"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_asked_eight_times() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        drop(listener);
        let server = at_once(Server::new(&url, &Credentials::none()).unwrap());
        let error = failure(&server).await;
        assert!(error.starts_with("/buckets: ") && error.contains("refused"), "{error}");
        assert!(error.ends_with(", after 8 attempts"), "{error}");
    }

    #[tokio::test]
    async fn parts_of_a_batch_fail_by_themselves() {
        let body = r#"{"settings":{"batch_max_requests":25},"responses":[
            {"status":404,"body":{}},{"status":200,"body":{"data":{"n":1.50e3}}}]}"#;
        let server = saying("200 OK", body);
        let paths = ["/buckets/a".to_owned(), "/buckets/b".to_owned()];
        let answers = server.get_all(&paths).await.unwrap();
        let found: Vec<_> = answers.iter().map(|it| (it.status.as_u16(), &it.body[..])).collect();
        assert_eq!(found, [(404, &b"{}"[..]), (200, br#"{"data":{"n":1.50e3}}"#)]);
        let body = r#"{"settings":{"batch_max_requests":25},"responses":[{"status":503}]}"#;
        let error = saying("200 OK", body).get_all(&paths[..1]).await.unwrap_err().to_string();
        let expected = "/buckets/a: the answer is 503 Service Unavailable, after 8 attempts";
        assert!(error.ends_with(expected), "{error}");
    }

    #[tokio::test]
    async fn requests_tell_who_asks() {
        let version = concat!("user-agent: cumulo/", env!("CARGO_PKG_VERSION"));
        for (credentials, expected) in [
            (Credentials::basic("ann:a:b c"), Some("authorization: Basic YW5uOmE6YiBj")),
            (Credentials::token("abc"), Some("authorization: Bearer abc")),
            (Credentials::token("Token a b"), Some("authorization: Token a b")),
            (Credentials::none(), None),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/v1", listener.local_addr().unwrap());
            let asked = thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map(|line| line.unwrap()).take_while(|line| !line.is_empty());
                let lines: Vec<_> = lines.collect();
                write!(stream, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n").unwrap();
                lines
            });
            let server = Server::new(&url, &credentials).unwrap();
            assert!(server.client.server_info().await.is_err());
            let lines = asked.join().unwrap();
            assert!(lines.iter().any(|line| line == version), "{lines:?}");
            let authorization = lines.iter().find(|line| line.starts_with("authorization"));
            assert_eq!(authorization.map(String::as_str), expected);
        }
    }

    #[test]
    fn users_in_urls_are_refused() {
        for (url, shown) in [
            ("http://ann:s3kr1t@127.0.0.1:9/v1", "http://127.0.0.1:9/v1"),
            ("http:///ann:s3k@r1t@host", "http://host"),
            ("http:ann:s3kr1t@host", "…://host"),
            ("ann:s3kr1t@x", "…://x"),
        ] {
            let error = Server::new(url, &Credentials::none()).err().unwrap().to_string();
            let expected = format!("{shown}: give name and password with --auth, not in the URL");
            assert_eq!(error, expected);
        }
        for url in ["ftp://host", "host", ""] {
            assert!(Server::new(url, &Credentials::none()).is_err(), "{url}");
        }
    }
}
