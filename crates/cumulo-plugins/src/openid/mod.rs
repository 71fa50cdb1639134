//! Users of identity providers: who has a token of `auth0` is the user `auth0:{their id there}`.
//!
//! - [`login`]: how a user gets a token, in a browser
//! - [`description`]: all that for readers of the API's description
//! - [`verification`]: whose token it is
//! - [`provider`], [`kept`]: what a provider tells of itself
//! - [`jwt`], [`keys`]: tokens that are signed
//! - [`refused`], [`web`]: what keeps us from asking too often, and from waiting too long
//!
//! A provider that can't be reached is asked again when it is needed; the service starts and is
//! healthy without it.

mod description;
mod jwt;
mod kept;
mod keys;
mod login;
mod provider;
mod refused;
#[cfg(test)]
mod tests;
mod verification;
mod web;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use cumulo_core::{
    api::Api,
    authentication::{Credentials, Identity, Login},
    call::Call,
    error::Result,
    host::Host,
    openapi::Description,
    plugin::{Claim, Plugin, StartError},
    reply::Reply,
    store::BoxFuture,
};
use futures_util::future::join_all;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::provider::Provider;

/// How long the start waits for what providers tell of themselves.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// The plugin. Its providers are known once it has started.
#[derive(Default)]
pub(crate) struct OpenId {
    providers: OnceLock<Vec<Arc<Provider>>>,
}

impl OpenId {
    fn providers(&self) -> &[Arc<Provider>] {
        self.providers.get().map(Vec::as_slice).unwrap_or_default()
    }
}

/// The provider and the step in `/openid/{provider}/{step}`.
fn parse(path: &str) -> Option<(&str, &str)> {
    let (provider, step) = path.strip_prefix("/openid/")?.split_once('/')?;
    (!provider.is_empty() && matches!(step, "login" | "token")).then_some((provider, step))
}

impl Plugin for OpenId {
    fn name(&self) -> &'static str {
        "openid"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        if self.providers().is_empty() {
            return None;
        }
        let value = json!({
            "description": "OpenID connect support.",
            "url": "http://kinto.readthedocs.io/en/stable/api/1.x/authentication.html",
            "providers": self.providers().iter().map(|it| describe(it)).collect::<Vec<_>>(),
        });
        Some(("openid", value))
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        parse(path).map(|_| Claim::Methods(&[Method::GET]))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        description::add(self.providers(), description);
    }

    fn serve<'a>(
        &'a self,
        host: &'a dyn Host,
        call: &'a Call,
    ) -> Option<BoxFuture<'a, Result<Reply>>> {
        let path = call.request.path.get(1 + host.api().prefix().len()..)?;
        let (name, step) = parse(path)?;
        let provider = self.providers().iter().find(|it| it.settings.name == name);
        let provider = provider.map(AsRef::as_ref);
        Some(match step {
            "login" => Box::pin(login::begin(host, call, name, provider)),
            _ => Box::pin(login::finish(host, call, name, provider)),
        })
    }

    fn authenticate<'a>(
        &'a self,
        host: &'a dyn Host,
        login: &'a Login,
    ) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(async move {
            let Credentials::Token(token) = &login.credentials else { return Ok(None) };
            let is_meant = |it: &&Arc<Provider>| it.settings.name.to_lowercase() == login.policy;
            let Some(provider) = self.providers().iter().find(is_meant) else { return Ok(None) };
            let token = token.expose_secret();
            match verification::named_issuer(self.providers(), token) {
                Some(other) if other.settings.issuer != provider.settings.issuer => Ok(None),
                _ => provider.identify(host, token).await,
            }
        })
    }

    fn start<'a>(
        &'a self,
        host: &'a Arc<dyn Host>,
    ) -> BoxFuture<'a, std::result::Result<(), StartError>> {
        Box::pin(async move {
            let web = web::client()?;
            let settings = &host.api().settings.openid_providers;
            let providers = settings.iter().map(|it| Provider::new(it.clone(), web.clone()));
            let providers = self.providers.get_or_init(|| providers.collect());
            // Who can't be reached now is asked later.
            let looks = providers.iter().map(|it| timeout(FIRST_LOOK, it.metadata()));
            join_all(looks).await;
            Ok(())
        })
    }
}

/// What clients have to know about a provider.
fn describe(provider: &Provider) -> Value {
    let settings = &provider.settings;
    let known = provider.known();
    let known = known.as_deref();
    json!({
        "name": settings.name,
        "issuer": known.map_or(settings.issuer.as_str(), |it| it.issuer.as_str()),
        "auth_path": format!("/openid/{}/login", settings.name),
        "client_id": settings.client_id,
        "audience": settings.audience,
        "header_type": settings.header_type,
        "userinfo_endpoint": known.and_then(|it| it.userinfo_endpoint.as_deref()),
    })
}
