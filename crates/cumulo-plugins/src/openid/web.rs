//! Asks a provider, which may be slow, broken or hostile.

use std::{error::Error, fmt, time::Duration};

use reqwest::{RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;

/// How long an answer may take, from the connection to its last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer is larger.
const MAX_BYTES: usize = 256 * 1024;

/// Why a provider gave no answer that could be used; for the log.
#[derive(Clone, Debug)]
pub(super) struct Failure(String);

/// What a provider has said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Makes requests. Redirects could lead secrets astray, so none is followed.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("cumulo/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a request.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, Failure> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Failure::new(format!("the answer has more than {MAX_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), body })
}

/// Gets a JSON document.
pub(super) async fn get<T: DeserializeOwned>(
    client: &reqwest::Client,
    url: &str,
) -> Result<T, Failure> {
    let answer = send(client.get(url)).await?;
    if answer.status != StatusCode::OK {
        return Err(Failure::new(format!("{url}: the answer is {}", answer.status)));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::new(format!("{url}: the answer is not understood: {error}")))
}

impl Failure {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self(reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}
