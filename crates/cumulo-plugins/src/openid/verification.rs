//! Whose token is it? The provider is asked, or its keys, and the answer is remembered in the cache.
//!
//! - With an `audience`, a token must be a JWT for it, signed by the provider. If it grants the scope
//!   `openid`, which is for the profile of the user, the provider is asked for that; else what the
//!   token says is the profile.
//! - Without, the provider is asked for the profile: whoever has one is a user.

use std::{sync::Arc, time::Duration};

use cumulo_core::{
    authentication::{Identity, hmac_hex},
    error::{ApiError, Errno, Result},
    host::Host,
};
use http::StatusCode;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{
    jwt::Jwt,
    provider::{Metadata, Provider},
    web::{self, Answer},
};

/// How long a token waits for others to be asked about.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a user.
type Profile = Map<String, Value>;

impl Provider {
    /// Whose token it is; none if it is nobody's.
    pub(super) async fn identify(&self, host: &dyn Host, token: &str) -> Result<Option<Identity>> {
        let jwt = Jwt::parse(token);
        let now = host.api().clock.now();
        let seconds = now.0.div_euclid(1000);
        if jwt.as_ref().is_some_and(|jwt| jwt.is_over(seconds)) {
            return Ok(None);
        }
        let key = self.cache_key(host, token);
        if let Some(profile) = cached(host, &key).await? {
            return Ok(self.user(profile));
        }
        if self.refused.knows(&key, now) {
            return Ok(None);
        }
        let metadata = self.metadata().await?;
        let profile = match &jwt {
            _ if self.settings.audience.is_empty() => {
                self.ask(host, &metadata, token, &key).await?
            }
            Some(jwt) => self.verify(host, &metadata, jwt, token, &key).await?,
            None => None,
        };
        let Some(profile) = profile else { return Ok(None) };
        let expiry = jwt.as_ref().and_then(Jwt::expiry);
        self.remember(host, &key, &profile, expiry.map(|expiry| expiry - seconds)).await?;
        Ok(self.user(profile))
    }

    /// The key of Kinto.
    fn cache_key(&self, host: &dyn Host, token: &str) -> String {
        let settings = &self.settings;
        let parts = [&settings.issuer, &settings.client_id, &settings.audience, token].join(":");
        format!("openid:verify:{}", hmac_hex(&host.api().settings.userid_hmac_secret, &parts))
    }

    /// Remembers a profile: not beyond the end of the token, and not longer for being used.
    async fn remember(
        &self,
        host: &dyn Host,
        key: &str,
        profile: &Profile,
        seconds_left: Option<i64>,
    ) -> Result<()> {
        let ttl = i64::from(self.settings.verification_ttl_seconds);
        let ttl = seconds_left.map_or(ttl, |left| left.min(ttl));
        let Ok(ttl @ 1..) = u64::try_from(ttl) else { return Ok(()) };
        let value = serde_json::to_vec(profile).expect("JSON can be written");
        let set = host.cache().set(key, &value, Some(Duration::from_secs(ttl)));
        set.await.map_err(|failure| without_cache(&failure))
    }

    /// The user with this profile.
    fn user(&self, profile: Profile) -> Option<Identity> {
        let field = self.settings.userid_field.as_str();
        let id = match profile.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let is_id = !id.is_empty() && id.len() <= 1000 && !id.chars().any(char::is_control);
        // Who claims somebody else's address is not them.
        let is_claimed = field == "email" && profile.get("email_verified") == Some(&false.into());
        if !is_id || is_claimed {
            debug!("a user of '{}' has no usable '{field}'", self.settings.name);
            return None;
        }
        let user = format!("{}:{id}", self.settings.name.to_lowercase());
        Some(Identity { user, profile: Some(Value::Object(profile)) })
    }

    /// The profile of a user whose token is for our audience.
    async fn verify(
        &self,
        host: &dyn Host,
        metadata: &Metadata,
        jwt: &Jwt<'_>,
        token: &str,
        key: &str,
    ) -> Result<Option<Profile>> {
        let now = host.api().clock.now().0.div_euclid(1000);
        if let Some(problem) = jwt.problem(&metadata.issuer, &self.settings.audience, now) {
            debug!("a token of '{}' is refused: {problem}", self.settings.name);
            return Ok(None);
        }
        if !self.has_signed(metadata, jwt).await? {
            debug!("a token of '{}' is refused: nobody has signed it", self.settings.name);
            return Ok(None);
        }
        if jwt.grants("openid") && metadata.userinfo_endpoint.is_some() {
            return self.ask(host, metadata, token, key).await;
        }
        Ok(Some(jwt.claims.clone()))
    }

    /// Whether a token has a signature of the provider, whose keys change now and then.
    async fn has_signed(&self, metadata: &Metadata, jwt: &Jwt<'_>) -> Result<bool> {
        let keys = match jwt.key_id() {
            Some(id) => self.keys(metadata, |keys| keys.has(id)).await?,
            None => self.keys(metadata, |keys| jwt.is_signed(keys)).await?,
        };
        Ok(jwt.is_signed(&keys))
    }

    /// Asks the provider for the profile of the user; none if it refuses the token.
    async fn ask(
        &self,
        host: &dyn Host,
        metadata: &Metadata,
        token: &str,
        key: &str,
    ) -> Result<Option<Profile>> {
        let Some(endpoint) = &metadata.userinfo_endpoint else {
            warn!("'{}' tells nothing about users, set an audience", self.settings.name);
            return Ok(None);
        };
        let now = host.api().clock.now();
        if self.refused.are_too_many(now) {
            return Err(self.unavailable());
        }
        let place = timeout(PATIENCE, self.questions.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(self.unavailable()) };
        // Somebody else may have asked while we waited.
        if let Some(profile) = cached(host, key).await? {
            return Ok(Some(profile));
        }
        let answer = web::send(self.web.get(endpoint).bearer_auth(token)).await;
        match answer {
            Ok(Answer { status: StatusCode::OK, body }) => match serde_json::from_slice(&body) {
                Ok(profile) => return Ok(Some(profile)),
                Err(error) => warn!("{endpoint}: the answer is not understood: {error}"),
            },
            Ok(Answer { status, .. }) if is_refusal(status) => {
                self.refused.remember(key.to_owned(), now);
                return Ok(None);
            }
            Ok(Answer { status, .. }) => warn!("{endpoint}: the answer is {status}"),
            Err(failure) => warn!("the OpenID provider can't be asked: {failure}"),
        }
        Err(self.unavailable())
    }
}

/// Whether the provider says that a token is not good; else it could not tell.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && status != StatusCode::REQUEST_TIMEOUT
}

/// The profile of a token that was found right lately.
async fn cached(host: &dyn Host, key: &str) -> Result<Option<Profile>> {
    let value = host.cache().get(key).await.map_err(|failure| without_cache(&failure))?;
    Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// The answer when the cache does not work.
pub(super) fn without_cache(failure: &cumulo_kvs::Error) -> ApiError {
    tracing::error!(error = failure as &dyn std::error::Error, "the cache failed");
    ApiError::new(Errno::Backend).with_message(
        "Service temporary unavailable due to overloading or maintenance, please retry later.",
    )
}

/// The provider that a token names as its issuer, if there is one: tokens are shown to nobody else.
pub(super) fn named_issuer<'a>(
    providers: &'a [Arc<Provider>],
    token: &str,
) -> Option<&'a Arc<Provider>> {
    let jwt = Jwt::parse(token)?;
    let issuer = jwt.issuer()?.trim_end_matches('/');
    providers.iter().find(|it| it.settings.issuer.trim_end_matches('/') == issuer)
}
