//! Who asks.

pub mod oidc;

use std::fmt;

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Error, Result};

/// Credentials, or a way to get them. A scheme of one's own implements this.
#[async_trait]
pub trait Auth: fmt::Debug + Send + Sync {
    /// The value of the header `Authorization` for the next request to the server with this URL.
    async fn authorization(&self, server: &str) -> Result<HeaderValue>;

    /// Told that the server answered 401. Whether the request shall be tried once more, with
    /// credentials that have been renewed.
    async fn renew(&self, server: &str) -> Result<bool> {
        _ = server;
        Ok(false)
    }
}

#[async_trait]
impl Auth for Box<dyn Auth> {
    async fn authorization(&self, server: &str) -> Result<HeaderValue> {
        (**self).authorization(server).await
    }

    async fn renew(&self, server: &str) -> Result<bool> {
        (**self).renew(server).await
    }
}

/// A user and a password.
#[derive(Clone, Debug)]
pub struct Basic(SecretString);

impl Basic {
    /// The credentials of a user.
    pub fn new(user: &str, password: &str) -> Self {
        Self(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))).into())
    }
}

#[async_trait]
impl Auth for Basic {
    async fn authorization(&self, _server: &str) -> Result<HeaderValue> {
        sensitive(self.0.expose_secret())
    }
}

/// A token, which the header `Authorization` has after a word: `Bearer` unless said otherwise.
#[derive(Clone, Debug)]
pub struct Bearer(SecretString);

impl Bearer {
    /// A token of the scheme `Bearer`.
    pub fn new(token: &str) -> Self {
        Self::with_scheme("Bearer", token)
    }

    /// A token of another scheme, such as `Bearer+OIDC`.
    pub fn with_scheme(scheme: &str, token: &str) -> Self {
        Self(format!("{scheme} {token}").into())
    }
}

#[async_trait]
impl Auth for Bearer {
    async fn authorization(&self, _server: &str) -> Result<HeaderValue> {
        sensitive(self.0.expose_secret())
    }
}

/// Reads credentials as people write them: `user:password`, or a scheme and its token, such as
/// `Bearer XYPJTNsFKV2` or `Basic YW5uOnNlY3JldA==`.
///
/// A space before the first colon tells a token from a password, so that tokens may have colons and
/// passwords spaces.
pub fn parse(text: &str) -> Result<Box<dyn Auth>> {
    let colon = text.find(':').unwrap_or(text.len());
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.len() < colon && !scheme.is_empty() => {
            Ok(Box::new(Bearer::with_scheme(scheme, token.trim())))
        }
        _ => match text.split_once(':') {
            Some((user, password)) => Ok(Box::new(Basic::new(user, password))),
            None => Err(Error::Argument(
                "expected credentials as 'user:password' or 'Bearer token'".to_owned(),
            )),
        },
    }
}

/// A header that is not shown in logs.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::Argument("the credentials can't stand in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn header(text: &str) -> String {
        let value = parse(text).unwrap().authorization("").await.unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn tokens_and_passwords_are_told_apart() {
        for (text, expected) in [
            ("ann:secret", "Basic YW5uOnNlY3JldA=="),
            ("ann:a b:c", "Basic YW5uOmEgYjpj"),
            ("Bearer XYZ", "Bearer XYZ"),
            ("Bearer a:b", "Bearer a:b"),
            ("Bearer+OIDC a:b", "Bearer+OIDC a:b"),
            ("Basic YW5uOnNlY3JldA==", "Basic YW5uOnNlY3JldA=="),
        ] {
            assert_eq!(header(text).await, expected, "{text}");
        }
        assert!(parse("ann").is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", Basic::new("ann", "secret"), Bearer::new("XYZ"));
        assert!(!shown.contains("XYZ") && !shown.contains("secret") && !shown.contains("YW5u"));
    }
}
