//! Who sends a request, as far as that takes no IO. What does is a [`Login`], which the edge lets a
//! plugin judge.

use base64::{Engine, engine::general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;

use crate::settings::{AuthPolicy, PolicyKind, Settings};

/// Tells who sends a request, as the settings say.
pub struct Authenticator {
    policies: Vec<AuthPolicy>,
    /// Digests with the secret of user ids; keyed once, copied for each request.
    digest: Hmac<Sha256>,
}

impl Authenticator {
    /// With the policies and the secret of the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            policies: settings.auth_policies.clone(),
            digest: keyed(&settings.userid_hmac_secret),
        }
    }

    /// Who sends a request with these headers. Malformed credentials count as none.
    pub fn authenticate(&self, headers: &HeaderMap) -> Sender {
        let mut sender = Sender::default();
        let Some(authorization) = headers.get(header::AUTHORIZATION) else { return sender };
        let Some((scheme, value)) = scheme_and_value(authorization) else { return sender };
        let basic =
            if scheme.eq_ignore_ascii_case(BASIC) { basic_credentials(value) } else { None };
        for policy in self.policies.iter().filter(|it| it.scheme.eq_ignore_ascii_case(scheme)) {
            match (policy.kind, &basic) {
                (PolicyKind::Basic, Some(credentials)) => {
                    let digest = self.digest.clone();
                    sender.user = Some(prefixed_hex(&policy.name, digest, credentials));
                    break;
                }
                (PolicyKind::Plugin(plugin), Some(credentials)) => {
                    let credentials = Credentials::of_basic(credentials);
                    sender.logins.push(Login::new(plugin, policy, credentials));
                }
                (PolicyKind::Plugin(plugin), None) if !scheme.eq_ignore_ascii_case(BASIC) => {
                    let credentials = Credentials::Token(value.into());
                    sender.logins.push(Login::new(plugin, policy, credentials));
                }
                _ => {}
            }
        }
        if sender.user.is_none()
            && let Some(last) = sender.logins.last_mut()
        {
            last.is_last = true;
        }
        sender
    }

    /// Whether there may be logins for plugins to judge.
    pub fn has_logins(&self) -> bool {
        self.policies.iter().any(|policy| policy.kind != PolicyKind::Basic)
    }

    /// What a client is told to send, one for each policy.
    pub fn challenges(&self) -> impl Iterator<Item = HeaderValue> + '_ {
        self.policies.iter().filter_map(|policy| {
            HeaderValue::try_from(format!("{} realm=\"Realm\"", policy.scheme)).ok()
        })
    }
}

/// The scheme of HTTP Basic authentication (RFC 7617).
pub const BASIC: &str = "Basic";

/// What a request says of its sender.
#[derive(Debug, Default)]
pub struct Sender {
    /// The user id, such as `basicauth:3a05…`, unless a login is right; none if nobody is logged
    /// in.
    pub user: Option<String>,
    /// Credentials for policies that come first, but can't judge without IO; in their order.
    pub logins: Vec<Login>,
}

/// Credentials that a plugin has yet to judge.
#[derive(Clone, Debug)]
pub struct Login {
    /// The plugin.
    pub plugin: &'static str,
    /// The name of the policy.
    pub policy: String,
    /// The credentials.
    pub credentials: Credentials,
    /// Whether the sender is nobody if the login is wrong; else a later policy takes it.
    pub is_last: bool,
}

/// What a sender shows to be believed.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: SecretString,
    },
    /// What stands after another scheme than Basic.
    Token(SecretString),
}

/// Who a login has turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The user id.
    pub user: String,
    /// What the root view shows as the user's profile, if there is one.
    pub profile: Option<Value>,
}

impl Identity {
    /// A user without a profile.
    pub fn of(user: impl Into<String>) -> Self {
        Self { user: user.into(), profile: None }
    }
}

impl Credentials {
    fn of_basic(credentials: &str) -> Self {
        let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        Self::Password { name: name.to_owned(), password: password.into() }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Password { name, password },
                Self::Password { name: other_name, password: other },
            ) => name == other_name && password.expose_secret() == other.expose_secret(),
            (Self::Token(token), Self::Token(other)) => {
                token.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }
}

impl Login {
    fn new(plugin: &'static str, policy: &AuthPolicy, credentials: Credentials) -> Self {
        Self { plugin, policy: policy.name.clone(), credentials, is_last: false }
    }

    /// Whether both are the same, so that one verdict will do. Both come from the client, who learns
    /// nothing from the time it takes.
    pub fn is_same(&self, other: &Self) -> bool {
        self.plugin == other.plugin
            && self.policy == other.policy
            && self.credentials.is_same(&other.credentials)
    }
}

/// The parts of an `Authorization` header (RFC 9110, section 11.6.2).
fn scheme_and_value(header: &HeaderValue) -> Option<(&str, &str)> {
    let (scheme, value) = header.to_str().ok()?.split_once(' ')?;
    Some((scheme, value.trim()))
}

/// `user:password` in UTF-8 or else Latin-1; the name must not be empty.
fn basic_credentials(encoded: &str) -> Option<String> {
    let bytes = general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
    let has_name = text.find(':').is_some_and(|colon| colon > 0);
    has_name.then_some(text)
}

/// HMAC-SHA256 of `message` in lower case hexadecimal.
pub fn hmac_hex(secret: &SecretString, message: &str) -> String {
    let mut out = String::with_capacity(64);
    push_hex(keyed(secret), message, &mut out);
    out
}

fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length")
}

/// `prefix:digest`.
fn prefixed_hex(prefix: &str, digest: Hmac<Sha256>, message: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + 65);
    out.push_str(prefix);
    out.push(':');
    push_hex(digest, message, &mut out);
    out
}

fn push_hex(mut digest: Hmac<Sha256>, message: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digest.update(message.as_bytes());
    for byte in digest.finalize().into_bytes() {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, kind: PolicyKind, scheme: &str) -> AuthPolicy {
        AuthPolicy { name: name.into(), kind, scheme: scheme.into() }
    }

    fn authenticator(auth_policies: Vec<AuthPolicy>) -> Authenticator {
        Authenticator::new(&Settings { auth_policies, ..Settings::default() })
    }

    fn sender(authenticator: &Authenticator, authorization: &str) -> Sender {
        let value = HeaderValue::from_str(authorization).unwrap();
        authenticator.authenticate(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    #[test]
    fn basic_credentials_are_read() {
        let basic = authenticator(vec![policy("basicauth", PolicyKind::Basic, BASIC)]);
        let user = |authorization: &str| sender(&basic, authorization).user;
        let alice = user("Basic YWxpY2U6czpjcmV0");
        assert!(alice.as_ref().is_some_and(|user| user.starts_with("basicauth:")));
        assert_eq!(user("bAsIc YWxpY2U6czpjcmV0"), alice);
        for other in ["Basic OnB3", "Basic !!", "Bearer YWxpY2U6czpjcmV0", "Basic"] {
            assert_eq!(user(other), None, "{other}");
        }
        assert_eq!(basic_credentials("/zp4"), Some("ÿ:x".into()));
    }

    #[test]
    fn policies_are_tried_in_their_order() {
        let all = authenticator(vec![
            policy("one", PolicyKind::Plugin("openid"), "Bearer"),
            policy("account", PolicyKind::Plugin("accounts"), BASIC),
            policy("two", PolicyKind::Plugin("openid"), "bearer"),
            policy("basicauth", PolicyKind::Basic, BASIC),
        ]);
        let tried = |authorization: &str| {
            let sender = sender(&all, authorization);
            let logins = sender.logins.into_iter().map(|login| (login.policy, login.is_last));
            (logins.collect::<Vec<_>>(), sender.user.is_some())
        };
        let bearer = vec![("one".to_owned(), false), ("two".to_owned(), true)];
        assert_eq!(tried("Bearer abc"), (bearer, false));
        assert_eq!(tried("Basic YWxpY2U6cw=="), (vec![("account".to_owned(), false)], true));
        assert_eq!(tried("Basic !!"), (vec![], false));
        assert_eq!(tried("Other abc"), (vec![], false));
    }

    #[test]
    fn the_digest_is_that_of_the_reference() {
        // A vector that is widely published for HMAC-SHA256.
        let digest =
            hmac_hex(&SecretString::from("key"), "The quick brown fox jumps over the lazy dog");
        assert_eq!(digest, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }
}
