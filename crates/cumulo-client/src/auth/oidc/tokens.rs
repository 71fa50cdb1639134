//! What a login gives.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::provider::Provider;
use crate::{Error, Result};

/// A token is renewed so long before its end, in seconds: it has to reach the server.
const BEFORE: u64 = 30;

/// What a login gives: the token that requests carry, and how it is renewed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The URL of the server that it is for.
    pub server: String,
    /// The name of the provider.
    pub provider: String,
    /// The word before the token in the header `Authorization`, such as `Bearer`.
    pub scheme: String,
    /// The token.
    pub access_token: String,
    /// When it ends, in seconds since 1970, if the provider told.
    pub expires_at: Option<u64>,
    /// What new tokens are got with, if the provider gave it.
    pub refresh_token: Option<String>,
    /// The provider's URL.
    pub(super) issuer: Option<String>,
    /// The id of the server at the provider.
    pub(super) client_id: Option<String>,
}

impl Tokens {
    /// The value of the header `Authorization`.
    pub fn authorization(&self) -> String {
        format!("{} {}", self.scheme, self.access_token)
    }

    /// Whether the token has come to its end, or is about to.
    pub fn are_over(&self) -> bool {
        self.expires_at.is_some_and(|end| end <= now() + BEFORE)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("server", &self.server)
            .field("provider", &self.provider)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a provider answers (RFC 6749, sections 5.1 and 5.2).
#[derive(Default, Deserialize)]
pub(super) struct Answer {
    access_token: Option<String>,
    /// Seconds, which some providers write as text.
    expires_in: Option<Value>,
    refresh_token: Option<String>,
    pub(super) error: Option<String>,
    error_description: Option<String>,
}

impl Answer {
    pub(super) fn into_tokens(self, server: &str, provider: &Provider) -> Result<Tokens> {
        let access_token = match (self.access_token, self.error) {
            (Some(token), None) if !token.is_empty() => token,
            (_, error) => {
                let error = error.unwrap_or_else(|| "there is no token in its answer".to_owned());
                return Err(refused(&provider.name, &error, self.error_description.as_deref()));
            }
        };
        Ok(Tokens {
            server: server.to_owned(),
            provider: provider.name.clone(),
            scheme: provider.header_type.clone().unwrap_or_else(|| "Bearer".to_owned()),
            access_token,
            expires_at: self.expires_in.as_ref().and_then(end),
            refresh_token: self.refresh_token,
            issuer: provider.issuer.clone(),
            client_id: provider.client_id.clone(),
        })
    }
}

/// The error for a provider that gives no token.
pub(super) fn refused(provider: &str, error: &str, description: Option<&str>) -> Error {
    let description = description.map(|text| format!(", {text}")).unwrap_or_default();
    Error::Login(format!("the provider '{provider}' says: {error}{description}"))
}

fn end(expires_in: &Value) -> Option<u64> {
    let seconds = match expires_in {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    let lifetime = Duration::try_from_secs_f64(seconds).ok()?;
    now().checked_add(lifetime.as_secs())
}

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a client has no clock of its own")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in super::super) fn provider() -> Provider {
        let text = json!({"name": "one", "auth_path": "/openid/one/login", "header_type": "Token"});
        serde_json::from_value(text).unwrap()
    }

    fn tokens(answer: Value) -> Result<Tokens> {
        serde_json::from_value::<Answer>(answer).unwrap().into_tokens("http://s/v1", &provider())
    }

    #[test]
    fn the_scheme_is_that_of_the_server() {
        let tokens = tokens(json!({"access_token": "XYZ", "token_type": "bearer"})).unwrap();
        assert_eq!(tokens.authorization(), "Token XYZ");
        assert!(!tokens.are_over());
        assert!(!format!("{tokens:?}").contains("XYZ"));
    }

    #[test]
    fn tokens_end() {
        for (expires_in, over) in [
            (json!(3600), false),
            (json!("3600"), false),
            (json!(3600.5), false),
            (json!(10), true),
            (json!("soon"), false),
            (json!(-5), false),
            (json!(1e300), false),
        ] {
            let tokens = tokens(json!({"access_token": "XYZ", "expires_in": expires_in})).unwrap();
            assert_eq!(tokens.are_over(), over, "{expires_in}");
        }
    }

    #[test]
    fn refusals_are_told() {
        let answer = json!({"error": "access_denied", "error_description": "no"});
        let error = tokens(answer).unwrap_err().to_string();
        assert_eq!(error, "can't log in: the provider 'one' says: access_denied, no");
        assert!(tokens(json!({"access_token": ""})).is_err());
    }
}
