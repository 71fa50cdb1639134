//! One provider: where it is asked, and what it has told of itself (OpenID Connect Discovery 1.0).

use std::{sync::Arc, time::Duration};

use cumulo_core::{
    error::{ApiError, Errno},
    settings::OpenIdProvider,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::{
    kept::Kept,
    keys::Keys,
    refused::Refused,
    web::{self, Failure},
};

/// What a provider has told is asked for again after this time, when it is needed.
const MAX_AGE: Duration = Duration::from_mins(15);
/// How many tokens a provider is asked about at the same time.
const QUESTIONS: usize = 16;

/// A provider, and what is known about it.
pub(super) struct Provider {
    pub(super) settings: OpenIdProvider,
    pub(super) web: reqwest::Client,
    /// Tokens that it has refused.
    pub(super) refused: Refused,
    pub(super) questions: Semaphore,
    metadata: Arc<Kept<Metadata>>,
    keys: Arc<Kept<Keys>>,
}

/// What a provider tells of itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: Option<String>,
    jwks_uri: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Provider {
    pub(super) fn new(settings: OpenIdProvider, web: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            settings,
            web,
            refused: Refused::default(),
            questions: Semaphore::new(QUESTIONS),
            metadata: Arc::default(),
            keys: Arc::default(),
        })
    }

    /// What the provider has told of itself, if it has been asked.
    pub(super) fn known(&self) -> Option<Arc<Metadata>> {
        self.metadata.latest()
    }

    /// What the provider tells of itself.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ApiError> {
        let (web, issuer) = (self.web.clone(), self.settings.issuer.clone());
        let name = self.settings.name.clone();
        let fetch = async move {
            let fetched = Metadata::fetch(&web, &issuer).await;
            match &fetched {
                Ok(_) => debug!("the OpenID provider '{name}' is known"),
                Err(failure) => warn!("the OpenID provider '{name}' can't be asked: {failure}"),
            }
            fetched
        };
        let metadata = self.metadata.get(MAX_AGE, |_| true, fetch).await;
        metadata.map_err(|_| self.unavailable())
    }

    /// The keys of the provider: those that `are_wanted`, if they can be had.
    pub(super) async fn keys(
        &self,
        metadata: &Metadata,
        are_wanted: impl Fn(&Keys) -> bool,
    ) -> Result<Arc<Keys>, ApiError> {
        let (web, uri) = (self.web.clone(), metadata.jwks_uri.clone());
        let name = self.settings.name.clone();
        let fetch = async move {
            let fetched = fetch_keys(&web, uri.as_deref()).await;
            if let Err(failure) = &fetched {
                warn!("the keys of the OpenID provider '{name}' can't be had: {failure}");
            }
            fetched
        };
        let keys = self.keys.get(MAX_AGE, are_wanted, fetch).await;
        keys.map_err(|_| self.unavailable())
    }

    /// The answer when the provider has to be asked, and can't be.
    pub(super) fn unavailable(&self) -> ApiError {
        let name = &self.settings.name;
        let message = format!("The identity provider '{name}' can't be asked, please retry later.");
        ApiError::new(Errno::Backend).with_message(message)
    }
}

async fn fetch_keys(web: &reqwest::Client, uri: Option<&str>) -> Result<Keys, Failure> {
    let uri = uri.ok_or_else(|| Failure::new("it has no jwks_uri"))?;
    let document: Value = web::get(web, uri).await?;
    Keys::parse(&document).ok_or_else(|| Failure::new(format!("{uri} is no list of keys")))
}

impl Metadata {
    async fn fetch(web: &reqwest::Client, issuer: &str) -> Result<Self, Failure> {
        let issuer = issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let metadata: Self = web::get(web, &url).await?;
        metadata.check(issuer)?;
        Ok(metadata)
    }

    /// Nobody may speak for another issuer, and what goes to the provider must not be heard.
    fn check(&self, issuer: &str) -> Result<(), Failure> {
        if self.issuer.trim_end_matches('/') != issuer {
            return Err(Failure::new(format!("its issuer is '{}'", self.issuer)));
        }
        let optional = [&self.userinfo_endpoint, &self.jwks_uri].into_iter().flatten();
        for url in optional.chain([&self.authorization_endpoint, &self.token_endpoint]) {
            let is_plain = url.starts_with("http://") && issuer.starts_with("http://");
            if !url.starts_with("https://") && !is_plain {
                return Err(Failure::new(format!("'{url}' does not begin with https://")));
            }
        }
        Ok(())
    }

    /// Whether a login can be tied to who has begun it (RFC 7636).
    pub(super) fn takes_code_challenge(&self) -> bool {
        self.code_challenge_methods_supported.iter().any(|method| method == "S256")
    }

    /// Whether our name and secret go into a header, since the provider does not take them in the
    /// form, where Kinto sends them.
    pub(super) fn wants_basic(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let takes = |wanted: &str| methods.iter().any(|method| method == wanted);
        takes("client_secret_basic") && !takes("client_secret_post")
    }
}
