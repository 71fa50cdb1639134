//! Logins on another device (RFC 8628).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Asked, Login, Tokens, Way,
    provider::{self, Metadata, Provider},
    tokens::{Answer, refused},
};
use crate::{Error, Result};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Another device, on which the user enters a code.
#[derive(Clone)]
pub struct Device(Arc<dyn Fn(&Code) + Send + Sync>);

/// What the user has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The page to open, on any device.
    pub page: String,
    /// The code to enter there.
    pub code: String,
    /// A page that knows the code already, if the provider has one.
    pub complete_page: Option<String>,
}

impl Default for Device {
    fn default() -> Self {
        Self(Arc::new(show))
    }
}

#[expect(clippy::print_stderr, reason = "there is no other way to the user")]
fn show(code: &Code) {
    eprintln!("To log in, open {} on any device, and enter the code {}", code.page, code.code);
}

impl Login<Device> {
    /// What tells the user what to do. Without this, it is written to standard error.
    #[must_use]
    pub fn show_with(mut self, show: impl Fn(&Code) + Send + Sync + 'static) -> Self {
        self.way = Device(Arc::new(show));
        self
    }
}

/// What the provider answers first.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Begun {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    /// How many seconds are between two questions.
    interval: Option<u64>,
    error: Option<Value>,
}

#[async_trait]
impl Way for Device {
    async fn obtain(&self, asked: &Asked<'_>) -> Result<Tokens> {
        let provider = provider::find(asked.web, asked.server, asked.provider).await?;
        let (Some(issuer), Some(client_id)) = (&provider.issuer, &provider.client_id) else {
            let problem = format!("the server does not tell enough of '{}'", provider.name);
            return Err(Error::Missing(problem));
        };
        let metadata = provider::discover(asked.web, issuer).await?;
        let begun = begin(asked, &provider, &metadata, client_id).await?;
        (self.0)(&Code {
            page: begun.verification_uri.clone(),
            code: begun.user_code.clone(),
            complete_page: begun.verification_uri_complete.clone(),
        });
        let answer = wait(asked, &metadata, client_id, &begun).await?;
        answer.into_tokens(asked.server, &provider)
    }
}

/// Asks for a code (section 3.1).
async fn begin(
    asked: &Asked<'_>,
    provider: &Provider,
    metadata: &Metadata,
    client_id: &str,
) -> Result<Begun> {
    let Some(url) = &metadata.device_authorization_endpoint else {
        let name = &provider.name;
        return Err(Error::Missing(format!(
            "the provider '{name}' has no logins on other devices"
        )));
    };
    let mut form = vec![("client_id", client_id), ("scope", asked.scope)];
    // Not of the RFC, but what providers that know several audiences want.
    form.extend(
        provider.audience.as_deref().filter(|it| !it.is_empty()).map(|it| ("audience", it)),
    );
    let begun: Begun = asked.web.post(url, &form).await?;
    match &begun.error {
        Some(error) => Err(refused(&provider.name, error.as_str().unwrap_or("no"), None)),
        None if begun.device_code.is_empty() || begun.verification_uri.is_empty() => {
            Err(refused(&provider.name, "there is no code in its answer", None))
        }
        None => Ok(begun),
    }
}

/// Asks until the user has entered the code, or the provider says that it is too late (section 3.4).
async fn wait(
    asked: &Asked<'_>,
    metadata: &Metadata,
    client_id: &str,
    begun: &Begun,
) -> Result<Answer> {
    let form =
        [("grant_type", GRANT), ("device_code", &begun.device_code), ("client_id", client_id)];
    let mut interval = Duration::from_secs(begun.interval.unwrap_or(5).min(60));
    loop {
        sleep(interval).await;
        let answer: Answer = match asked.web.post(&metadata.token_endpoint, &form).await {
            Ok(answer) => answer,
            // Section 3.5: a connection that fails is tried again later.
            Err(Error::Timeout { .. }) => {
                interval *= 2;
                continue;
            }
            Err(error) => return Err(error),
        };
        match answer.error.as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => interval += Duration::from_secs(5),
            _ => return Ok(answer),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}
