//! Asks a Kinto server, as often as it takes, and not faster than it wants.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use reqwest::{Method, StatusCode, header::HeaderMap, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::time::{Instant, sleep, sleep_until};

use super::Credentials;
use crate::{Error, Result};

/// How often a request is tried before the server counts as gone.
const ATTEMPTS: u32 = 8;
/// The first wait after a failure; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// No wait is longer, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const TIMEOUT: Duration = Duration::from_mins(2);
/// No response is larger.
const MAX_RESPONSE_BYTES: usize = 256 << 20;

/// An answer that is not a failure of the server.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The timestamp in `ETag`.
    pub(super) etag: Option<i64>,
    /// The query string of `Next-Page`.
    pub(super) next: Option<String>,
    /// How many objects a list has.
    pub(super) total: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// One answer in a batch.
#[derive(Deserialize)]
pub(super) struct Part {
    pub(super) status: u16,
    pub(super) body: Box<RawValue>,
}

#[derive(Deserialize)]
struct Parts {
    responses: Vec<Part>,
}

/// A connection to one server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<SecretString>,
    /// When the server wants to be asked again.
    open_from: Mutex<Instant>,
}

impl Client {
    pub(super) fn new(url: &str, credentials: &Credentials) -> Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let failed = |reason: String| Error::Remote { url: shown(&base), reason };
        let parsed = reqwest::Url::parse(&base).map_err(|error| failed(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(failed("expected a URL that begins with http:// or https://".into()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(failed("give name and password with --auth, not in the URL".into()));
        }
        // Redirects could lead the credentials astray.
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT);
        let http = http.user_agent(concat!("cumulo/", env!("CARGO_PKG_VERSION"))).build();
        let http = http.map_err(|error| failed(reason(&error)))?;
        let authorization = credentials.0.clone();
        Ok(Self { http, base, authorization, open_from: Mutex::new(Instant::now()) })
    }

    /// What the credentials are for, without them.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        self.ask(&Method::GET, path, None).await
    }

    pub(super) async fn head(&self, path: &str) -> Result<Answer> {
        self.ask(&Method::HEAD, path, None).await
    }

    /// Gets all paths in one request.
    pub(super) async fn batch(&self, paths: &[String]) -> Result<Vec<Part>> {
        let requests: Vec<_> = paths.iter().map(|path| json!({"path": path})).collect();
        let body = json!({"defaults": {"method": "GET"}, "requests": requests}).to_string();
        let answer = self.ask(&Method::POST, "/batch", Some(body)).await?;
        let parts: Parts = self.parse("/batch", &answer)?;
        if parts.responses.len() != paths.len() {
            return Err(self.failed("/batch", "another number of responses than of requests"));
        }
        Ok(parts.responses)
    }

    /// Reads an answer, which must be a success.
    pub(super) fn parse<'a, T: Deserialize<'a>>(
        &self,
        path: &str,
        answer: &'a Answer,
    ) -> Result<T> {
        if !answer.status.is_success() {
            return Err(self.failed(path, format!("the answer is {}", answer.status)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.failed(path, format!("the answer is not understood: {error}")))
    }

    /// The error of a request.
    pub(super) fn failed(&self, path: &str, reason: impl Into<String>) -> Error {
        let path = path.split('?').next().unwrap_or(path);
        Error::Remote { url: format!("{}{path}", self.base), reason: reason.into() }
    }

    async fn ask(&self, method: &Method, path: &str, body: Option<String>) -> Result<Answer> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let open_from = *self.open_from.lock().unwrap_or_else(PoisonError::into_inner);
            sleep_until(open_from).await;
            let (reason, asked) = match self.try_once(method, path, body.clone()).await {
                Ok((answer, wanted)) if !is_passing(answer.status) => {
                    if let Some(backoff) = wanted.backoff {
                        self.hold(backoff);
                    }
                    return Ok(answer);
                }
                Ok((answer, wanted)) => {
                    (format!("the answer is {}", answer.status), wanted.retry_after)
                }
                Err(reason) => (reason, None),
            };
            if attempt == ATTEMPTS {
                let reason = format!("{reason}, after {ATTEMPTS} attempts");
                return Err(self.failed(path, reason));
            }
            tracing::debug!(attempt, "asking again: {reason}");
            sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
            wait *= 2;
            attempt += 1;
        }
    }

    async fn try_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<String>,
    ) -> std::result::Result<(Answer, Wanted), String> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose_secret());
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| reason(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE_BYTES {
                return Err(format!("the answer is larger than {MAX_RESPONSE_BYTES} bytes"));
            }
        }
        let headers = response.headers();
        let wanted = Wanted {
            backoff: seconds(headers, "Backoff"),
            retry_after: seconds(headers, "Retry-After"),
        };
        let answer = Answer {
            status: response.status(),
            etag: text(headers, "ETag").and_then(|etag| etag.trim_matches('"').parse().ok()),
            next: text(headers, "Next-Page")
                .and_then(|url| url.split_once('?'))
                .map(|(_, query)| query.to_owned()),
            total: ["Total-Objects", "Total-Records"]
                .iter()
                .find_map(|name| text(headers, name)?.parse().ok()),
            body,
        };
        Ok((answer, wanted))
    }

    fn hold(&self, pause: Duration) {
        let from = Instant::now() + pause.min(LONGEST_WAIT);
        let mut open_from = self.open_from.lock().unwrap_or_else(PoisonError::into_inner);
        *open_from = (*open_from).max(from);
    }
}

/// What the server asks of its clients.
struct Wanted {
    backoff: Option<Duration>,
    retry_after: Option<Duration>,
}

/// Whether the same request may succeed later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn seconds(headers: &HeaderMap, name: &str) -> Option<Duration> {
    text(headers, name)?.trim().parse().ok().map(Duration::from_secs)
}

/// What went wrong, down to its cause, without the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    source.to_string()
}

/// A URL without what must not be shown.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("…", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}
