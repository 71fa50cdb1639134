//! The way of a request to the server, as often as it takes, and not faster than the server wants.

use std::{
    fmt, io,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::{self, Either};
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH},
};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::{
    Plan,
    body::{Body, Content, silence},
    compression,
    retry::{OnBackoff, Retry, Verdict},
    state::State,
};
use crate::{
    Error, Result,
    auth::Auth,
    builder::Wire,
    call::Call,
    error::Refusal,
    response::{Request, Response},
    server::ServerInfo,
};

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
    /// What it is made of.
    wire: Wire,
    /// Connections that let the server be silent while something is sent to it.
    patient: OnceLock<reqwest::Client>,
    config: Config,
    state: Arc<State>,
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
    pub(crate) fn new(
        http: reqwest::Client,
        wire: Wire,
        config: Config,
        state: Arc<State>,
    ) -> Self {
        Self(Arc::new(Inner { http, wire, patient: OnceLock::new(), config, state }))
    }

    fn patient(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.patient.get() {
            return Ok(client);
        }
        let client = self.0.wire.patient()?;
        Ok(self.0.patient.get_or_init(|| client))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// The URL of the server with its version, without a slash at the end.
    pub(crate) fn server(&self) -> &str {
        &self.config().server
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

    /// The same for a request with a body that is not in memory.
    pub(crate) async fn execute_with(&self, call: &Call, body: impl Body) -> Result<Response> {
        call.check()?;
        let (response, repeated) = self.insist_with(call, body).await?;
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
        if response.is_answer(call.accepted) {
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
        self.insist_with(call, call.body.clone()).await
    }

    async fn insist_with(&self, call: &Call, mut body: impl Body) -> Result<(Response, bool)> {
        let Config { retry, plan, .. } = self.config();
        if let Some(plan) = plan {
            return Ok((plan.note(call, self.url(call)), false));
        }
        let mut repeated = false;
        let mut renewed = false;
        let mut number = 0;
        let mut attempts = 0;
        self.wait_until_open().await?;
        loop {
            attempts += 1;
            let request = Request { method: call.method.clone(), url: self.url(call), attempts };
            let attempt = self.attempt(request, call, body.make().await?).await?;
            if let Attempt::Answered(response) = &attempt
                && response.status == StatusCode::UNAUTHORIZED
                && !renewed
                && body.is_lasting()
                && let Some(auth) = &self.config().auth
                && auth.renew(&self.config().server).await?
            {
                self.wait_until_open().await?;
                renewed = true;
                continue;
            }
            let (verdict, asked) = match &attempt {
                Attempt::Answered(response) => {
                    let asked = response.retry_after();
                    (call.verdict(response.status, asked), asked)
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
            let again = again && body.is_lasting();
            let wait = again.then(|| retry.wait(number, asked, rand::random())).flatten();
            let Some(wait) = wait else {
                return attempt.into_result().map(|response| (response, repeated));
            };
            tracing::debug!(number, ?wait, method = %call.method, path = call.path, "sending again");
            self.state().pushed_back(wait);
            sleep(wait).await;
            if self.wait_until_open().await.is_err() {
                // It was sent, so that the caller must know what came of that.
                return attempt.into_result().map(|response| (response, repeated));
            }
            repeated |= verdict == Verdict::Unknown;
            number += 1;
        }
    }

    /// Fails if there are no credentials: to ask for them again is not for us.
    async fn attempt(&self, request: Request, call: &Call, content: Content) -> Result<Attempt> {
        tracing::debug!(method = %request.method, url = request.url, "request");
        let http = match content {
            Content::Stream { .. } => self.patient()?,
            _ => self.http(),
        };
        let builder = http.request(call.method.clone(), &request.url);
        let mut builder = self.prepare(builder, &call.headers).await?;
        if self.config().compression && !call.headers.contains_key(ACCEPT_ENCODING) {
            builder = builder.header(ACCEPT_ENCODING, compression::GZIP);
        }
        Ok(match content {
            Content::None => self.exchange(request, builder).await,
            Content::Memory(bytes) => self.exchange(request, builder.body(bytes)).await,
            Content::Stream { body, length, sending } => {
                let builder = match length {
                    Some(length) => builder.header(CONTENT_LENGTH, length),
                    None => builder,
                };
                let exchange = pin!(self.exchange(request.clone(), builder.body(body)));
                let silence = pin!(silence(sending, self.0.wire.read_timeout));
                match future::select(exchange, silence).await {
                    Either::Left((attempt, _)) => attempt,
                    Either::Right(_) => {
                        let request = Box::new(request);
                        Attempt::Failed(Error::Timeout { request, source: None })
                    }
                }
            }
        })
    }

    async fn exchange(&self, request: Request, builder: RequestBuilder) -> Attempt {
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

    /// A request to the server, with the credentials and headers of the client and `headers`.
    pub(crate) async fn prepare(
        &self,
        builder: RequestBuilder,
        headers: &HeaderMap,
    ) -> Result<RequestBuilder> {
        let config = self.config();
        let mut all = config.headers.clone();
        all.extend(headers.clone());
        if let Some(auth) = &config.auth
            && !all.contains_key(AUTHORIZATION)
        {
            all.insert(AUTHORIZATION, auth.authorization(&config.server).await?);
        }
        let builder = builder.headers(all);
        Ok(match config.timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        })
    }

    /// Reads an answer to its end.
    pub(crate) async fn read(
        &self,
        request: Request,
        mut answer: reqwest::Response,
    ) -> Result<Response> {
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

    /// Does what a server asks of its clients in passing.
    pub(crate) fn heed(&self, headers: &HeaderMap) {
        self.state().heed(headers);
    }

    pub(crate) async fn wait_until_open(&self) -> Result<()> {
        while let Some(remaining) = self.state().closed_for() {
            match self.config().on_backoff {
                OnBackoff::Wait(longest) if remaining <= longest => sleep(remaining).await,
                _ => return Err(Error::Backoff { remaining }),
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.config().server).finish()
    }
}

pub(crate) fn failed(request: Request, source: reqwest::Error) -> Error {
    let request = Box::new(request);
    let source = source.without_url();
    if source.is_timeout() {
        Error::Timeout { request, source: Some(source) }
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
    call.method == Method::PUT && sent.is_some() && sent == read(&existing.body)
}
