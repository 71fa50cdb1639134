//! Providers, as servers and they themselves tell of them.

use serde::Deserialize;

use super::{
    Tokens,
    tokens::{Answer, refused},
    web::{Web, is_private},
};
use crate::{Error, Result, server::ServerInfo};

/// A provider, as a server tells of it in its capability `openid`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Provider {
    pub(super) name: String,
    /// Where the login begins, below the URL of the server.
    pub(super) auth_path: String,
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) header_type: Option<String>,
    /// Whom tokens are for.
    #[serde(default)]
    pub(super) audience: Option<String>,
}

/// What a provider tells of itself (`OpenID` Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) token_endpoint: String,
    pub(super) device_authorization_endpoint: Option<String>,
}

/// The provider with a name, or the first.
pub(super) async fn find(web: &Web, server: &str, name: Option<&str>) -> Result<Provider> {
    let info: ServerInfo = web.get(&format!("{server}/")).await?;
    let capability = info.capabilities.get("openid").ok_or_else(|| {
        Error::Missing(format!("the server {server} has not the capability 'openid'"))
    })?;
    let listed = capability.get("providers").cloned().unwrap_or_default();
    let providers: Vec<Provider> = serde_json::from_value(listed).map_err(|error| {
        Error::Login(format!("the providers of {server} are not understood: {error}"))
    })?;
    let names: Vec<_> = providers.iter().map(|it| it.name.clone()).collect();
    let is_meant = |it: &Provider| name.is_none_or(|name| it.name == name);
    providers.into_iter().find(is_meant).ok_or_else(|| match name {
        Some(name) => Error::Missing(format!(
            "the server {server} has no provider '{name}', but: {}",
            names.join(", ")
        )),
        None => Error::Missing(format!("the server {server} has no provider")),
    })
}

/// What the provider with this URL tells of itself.
pub(super) async fn discover(web: &Web, issuer: &str) -> Result<Metadata> {
    let issuer = issuer.trim_end_matches('/');
    let metadata: Metadata = web.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
    if metadata.issuer.trim_end_matches('/') != issuer {
        let problem = format!("the provider {issuer} says that it is {}", metadata.issuer);
        return Err(Error::Login(problem));
    }
    let device = metadata.device_authorization_endpoint.as_deref();
    for url in [Some(metadata.token_endpoint.as_str()), device].into_iter().flatten() {
        if !is_private(url) {
            return Err(Error::Login(format!("the provider {issuer} has no TLS at {url}")));
        }
    }
    Ok(metadata)
}

/// New tokens for old ones (RFC 6749, section 6).
pub(super) async fn refresh(web: &Web, old: &Tokens) -> Result<Tokens> {
    let missing = || Error::Login("the provider gave nothing to refresh the token with".to_owned());
    let (Some(issuer), Some(client_id)) = (&old.issuer, &old.client_id) else {
        return Err(missing());
    };
    let refresh_token = old.refresh_token.as_deref().ok_or_else(missing)?;
    let metadata = discover(web, issuer).await?;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", client_id),
    ];
    let answer: Answer = web.post(&metadata.token_endpoint, &form).await?;
    answer.refreshed(old)
}

impl Answer {
    fn refreshed(self, old: &Tokens) -> Result<Tokens> {
        if let Some(error) = &self.error {
            return Err(refused(&old.provider, error, None));
        }
        let provider = Provider {
            name: old.provider.clone(),
            auth_path: String::new(),
            issuer: old.issuer.clone(),
            client_id: old.client_id.clone(),
            header_type: Some(old.scheme.clone()),
            audience: None,
        };
        let new = self.into_tokens(&old.server, &provider)?;
        // The old one goes on if there is no new one.
        let refresh_token = new.refresh_token.clone().or_else(|| old.refresh_token.clone());
        Ok(Tokens { refresh_token, ..new })
    }
}
