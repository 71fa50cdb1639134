//! The way of a request to the server, as often as it takes, and not faster than the server wants.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use super::{
    Plan, compression,
    retry::{self, OnBackoff, Retry, Verdict},
};
use crate::{
    Error, Result,
    auth::Auth,
    call::Call,
    error::Refusal,
    response::{Request, Response},
    server::ServerInfo,
};

/// A year; moments far beyond can't be told.
const LONGEST_BACKOFF_SECONDS: u64 = 31_536_000;

/// What all requests of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The URL of the server with its version, without a slash at the end.
    pub(crate) server: String,
    pub(crate) auth: Option<Arc<dyn Auth>>,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) on_backoff: OnBackoff,
    pub(crate) max_response_bytes: usize,
    /// Whether answers may be compressed.
    pub(crate) compression: bool,
    /// Where requests are noted in place of being sent.
    pub(crate) plan: Option<Plan>,
}

/// A server, and how it is asked.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    config: Config,
    state: Arc<State>,
}

/// What is known of a server, for all who share a connection to it.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Until when the server wants no requests.
    closed_until: Mutex<Option<Instant>>,
    /// What the server has announced last.
    announced: Mutex<Option<String>>,
    /// How many requests it takes in a batch.
    pub(crate) batch_limit: OnceCell<usize>,
    /// How large a batch may be in bytes, if one was too large.
    batch_bytes: Mutex<Option<usize>>,
}

impl State {
    pub(crate) fn batch_bytes(&self) -> Option<usize> {
        *self.batch_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_batch_bytes(&self, bytes: usize) {
        *self.batch_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

/// What came of sending a request once.
enum Attempt {
    Answered(Response),
    /// The request did not reach the server.
    Unsent(Error),
    /// It may have.
    Failed(Error),
    /// The next one would end in the same way.
    Hopeless(Error),
}

impl Attempt {
    fn into_result(self) -> Result<Response> {
        match self {
            Self::Answered(response) => Ok(response),
            Self::Unsent(error) | Self::Failed(error) | Self::Hopeless(error) => Err(error),
        }
    }
}

impl Connection {
    pub(crate) fn new(http: reqwest::Client, config: Config, state: Arc<State>) -> Self {
        Self(Arc::new(Inner { http, config, state }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.0.state
    }

    pub(crate) fn url(&self, call: &Call) -> String {
        format!("{}{}", self.config().server, call.target())
    }

    /// Sends a request until there is an answer, and gives it if it is a success or one that the
    /// call accepts.
    pub(crate) async fn execute(&self, call: &Call) -> Result<Response> {
        call.check()?;
        let (response, repeated) = self.insist(call).await?;
        self.settle(call, response, repeated).await
    }

    /// What an answer means to its call. If the request was `repeated` after it may have been
    /// carried out, a failed precondition can be the trace of ourselves.
    pub(crate) async fn settle(
        &self,
        call: &Call,
        response: Response,
        repeated: bool,
    ) -> Result<Response> {
        let status = response.status;
        if status.is_success()
            || status == StatusCode::NOT_MODIFIED
            || call.accepted.contains(&status)
        {
            return Ok(response);
        }
        if status == StatusCode::PRECONDITION_FAILED && (call.or_existing || repeated) {
            let (existing, _) = self.insist(&call.look()).await?;
            if existing.status.is_success() && (call.or_existing || wrote(call, &existing)) {
                return Ok(existing);
            }
        }
        if status == StatusCode::NOT_FOUND
            && let Some(capability) = call.capability
            && self.lacks(capability).await
        {
            return Err(Error::Unsupported {
                capability,
                refusal: Box::new(Refusal::new(response)),
            });
        }
        Err(Error::of(response))
    }

    /// Whether the server surely has not this capability. It is asked only after it had no answer,
    /// so that calls which succeed cost no request more.
    async fn lacks(&self, capability: &str) -> bool {
        let answer = self.insist(&Call::get("/")).await;
        let info = answer.and_then(|(response, _)| ServerInfo::read(&response));
        info.is_ok_and(|info| !info.has(capability))
    }

    /// Sends a request until there is a final answer. Also tells whether it was repeated after it
    /// may have been carried out.
    pub(crate) async fn insist(&self, call: &Call) -> Result<(Response, bool)> {
        let Config { retry, plan, .. } = self.config();
        if let Some(plan) = plan {
            return Ok((plan.note(call, self.url(call)), false));
        }
        let mut repeated = false;
        let mut renewed = false;
        let mut number = 0;
        self.wait_until_open().await?;
        loop {
            let attempt = self.attempt(call).await;
            if let Attempt::Answered(response) = &attempt
                && response.status == StatusCode::UNAUTHORIZED
                && !renewed
                && let Some(auth) = &self.config().auth
                && auth.renew(&self.config().server).await?
            {
                self.wait_until_open().await?;
                renewed = true;
                continue;
            }
            let (verdict, asked) = match &attempt {
                Attempt::Answered(response) => {
                    let asked = response.header("Retry-After").and_then(retry::delay);
                    (retry::verdict(response.status, asked), asked)
                }
                Attempt::Unsent(_) => (Verdict::Undone, None),
                Attempt::Failed(_) => (Verdict::Unknown, None),
                Attempt::Hopeless(_) => (Verdict::Final, None),
            };
            let again = match verdict {
                Verdict::Final => false,
                Verdict::Undone => true,
                Verdict::Unknown => call.is_repeatable(),
            };
            let wait = again.then(|| retry.wait(number, asked, rand::random())).flatten();
            let Some(wait) = wait else {
                return attempt.into_result().map(|response| (response, repeated));
            };
            tracing::debug!(number, ?wait, method = %call.method, path = call.path, "sending again");
            sleep(wait).await;
            if self.wait_until_open().await.is_err() {
                // It was sent, so that the caller must know what came of that.
                return attempt.into_result().map(|response| (response, repeated));
            }
            repeated |= verdict == Verdict::Unknown;
            number += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Attempt {
        let config = self.config();
        let request = Request { method: call.method.clone(), url: self.url(call) };
        let mut headers = config.headers.clone();
        headers.extend(call.headers.clone());
        if let Some(auth) = &config.auth
            && !headers.contains_key(AUTHORIZATION)
        {
            match auth.authorization(&config.server).await {
                Ok(value) => _ = headers.insert(AUTHORIZATION, value),
                Err(error) => return Attempt::Hopeless(error),
            }
        }
        if config.compression {
            compression::ask(&mut headers);
        }
        let mut builder = self.http().request(call.method.clone(), &request.url).headers(headers);
        if let Some(timeout) = config.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(body) = &call.body {
            builder = builder.body(body.clone());
        }
        tracing::debug!(method = %request.method, url = request.url, "request");
        match builder.send().await {
            Ok(answer) => match self.read(request, answer).await {
                Ok(response) => Attempt::Answered(response),
                Err(error @ Error::AnswerTooLarge { .. }) => Attempt::Hopeless(error),
                Err(error) => Attempt::Failed(error),
            },
            Err(source) if source.is_builder() => Attempt::Hopeless(failed(request, source)),
            Err(source) if source.is_connect() => Attempt::Unsent(failed(request, source)),
            Err(source) => Attempt::Failed(failed(request, source)),
        }
    }

    /// Reads an answer to its end.
    async fn read(&self, request: Request, mut answer: reqwest::Response) -> Result<Response> {
        let limit = self.config().max_response_bytes;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        self.heed(&headers);
        let mut body: Bytes = Bytes::new();
        let mut parts = BytesMut::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.is_empty() && parts.is_empty() => body = chunk,
                Ok(Some(chunk)) => {
                    parts.extend_from_slice(&std::mem::take(&mut body));
                    parts.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                Err(source) => return Err(failed(request, source)),
            }
            if body.len() + parts.len() > limit {
                return Err(Error::AnswerTooLarge { request: Box::new(request), limit });
            }
        }
        let body = if parts.is_empty() { body } else { parts.freeze() };
        let mut response = Response { request, status, headers, body };
        let body = response.body.clone();
        match compression::decode(&mut response.headers, body, limit) {
            Ok(body) => Ok(Response { body, ..response }),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(Error::AnswerTooLarge { request: Box::new(response.request), limit })
            }
            Err(error) => Err(response.not_understood(serde_json::Error::io(error))),
        }
    }

    /// Does what a server asks of its clients in passing:
    /// <https://docs.kinto-storage.org/en/stable/api/1.x/backoff.html>
    fn heed(&self, headers: &HeaderMap) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let backoff = text("Backoff").and_then(|it| it.trim().parse::<u64>().ok());
        let until = backoff.map(|seconds| {
            let seconds = Duration::from_secs(seconds.min(LONGEST_BACKOFF_SECONDS));
            Instant::now() + seconds
        });
        *self.0.state.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        if let Some(alert) = text("Alert") {
            self.announce(alert);
        }
    }

    /// Logs what the server announces, which it does with each answer, once.
    fn announce(&self, alert: &str) {
        let mut announced = self.0.state.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.as_deref() != Some(alert) {
            tracing::warn!("the server announces: {alert}");
            *announced = Some(alert.to_owned());
        }
    }

    async fn wait_until_open(&self) -> Result<()> {
        loop {
            let until = *self.0.state.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(remaining) = until.and_then(|it| it.checked_duration_since(Instant::now()))
            else {
                return Ok(());
            };
            if remaining.is_zero() {
                return Ok(());
            }
            match self.config().on_backoff {
                OnBackoff::Wait(longest) if remaining <= longest => sleep(remaining).await,
                _ => return Err(Error::Backoff { remaining }),
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.config().server).finish()
    }
}

fn failed(request: Request, source: reqwest::Error) -> Error {
    let request = Box::new(request);
    let source = source.without_url();
    if source.is_timeout() {
        Error::Timeout { request, source }
    } else {
        Error::Transport { request, source }
    }
}

/// Whether `existing` is what `call` would have written.
fn wrote(call: &Call, existing: &Response) -> bool {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        data: Map<String, Value>,
    }
    let read = |text: &[u8]| {
        let Body { mut data } = serde_json::from_slice(text).ok()?;
        data.retain(|name, _| !matches!(name.as_str(), "id" | "last_modified" | "schema"));
        Some(data)
    };
    let sent = call.body.as_deref().and_then(read);
    call.method == http::Method::PUT && sent.is_some() && sent == read(&existing.body)
}
