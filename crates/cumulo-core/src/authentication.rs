//! Who sends a request, as far as that takes no IO. What does is a [`Login`], which the edge lets a
//! plugin judge.

use base64::{Engine, engine::general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
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
        let Some(credentials) = basic_credentials(authorization) else { return sender };
        for policy in &self.policies {
            match policy.kind {
                PolicyKind::Basic => {
                    let digest = self.digest.clone();
                    sender.user = Some(prefixed_hex(&policy.name, digest, &credentials));
                    break;
                }
                PolicyKind::Plugin(plugin) => {
                    sender.login.get_or_insert_with(|| Login::new(plugin, &credentials));
                }
            }
        }
        if let Some(login) = &mut sender.login {
            login.is_last = sender.user.is_none();
        }
        sender
    }

    /// Whether there may be logins for plugins to judge.
    pub fn has_logins(&self) -> bool {
        self.policies.iter().any(|policy| policy.kind != PolicyKind::Basic)
    }

    /// What a client is told to send, one for each policy.
    pub fn challenges(&self) -> impl Iterator<Item = HeaderValue> + '_ {
        self.policies.iter().map(|policy| match policy.kind {
            PolicyKind::Basic | PolicyKind::Plugin(_) => {
                HeaderValue::from_static("Basic realm=\"Realm\"")
            }
        })
    }
}

/// What a request says of its sender.
#[derive(Debug, Default)]
pub struct Sender {
    /// The user id, such as `basicauth:3a05…`, unless the login is right; none if nobody is logged
    /// in.
    pub user: Option<String>,
    /// Credentials for a policy that comes first, but can't judge without IO.
    pub login: Option<Login>,
}

/// A name and a password that a plugin has yet to judge.
#[derive(Clone, Debug)]
pub struct Login {
    /// The plugin.
    pub plugin: &'static str,
    /// The name.
    pub name: String,
    /// The password.
    pub password: SecretString,
    /// Whether the sender is nobody if the login is wrong; else a later policy takes it.
    pub is_last: bool,
}

impl Login {
    fn new(plugin: &'static str, credentials: &str) -> Self {
        let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        Self { plugin, name: name.to_owned(), password: password.into(), is_last: true }
    }

    /// Whether both are the same, so that one verdict will do. Both come from the client, who learns
    /// nothing from the time it takes.
    pub fn is_same(&self, other: &Self) -> bool {
        self.plugin == other.plugin
            && self.name == other.name
            && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// `user:password` of HTTP Basic authentication (RFC 7617), in UTF-8 or else Latin-1; the name must
/// not be empty.
fn basic_credentials(value: &HeaderValue) -> Option<String> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = general_purpose::STANDARD.decode(encoded.trim()).ok()?;
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

    fn credentials(value: &str) -> Option<String> {
        basic_credentials(&HeaderValue::from_str(value).unwrap())
    }

    #[test]
    fn basic_credentials_are_read() {
        let alice = Some("alice:s:cret".to_owned());
        assert_eq!(credentials("Basic YWxpY2U6czpjcmV0"), alice);
        assert_eq!(credentials("bAsIc YWxpY2U6czpjcmV0"), alice);
        assert_eq!(credentials("Basic OnB3"), None);
        assert_eq!(credentials("Basic !!"), None);
        assert_eq!(credentials("Bearer YWxpY2U6czpjcmV0"), None);
        assert_eq!(credentials("Basic /zp4"), Some("ÿ:x".into()));
    }

    #[test]
    fn the_digest_is_that_of_the_reference() {
        // A vector that is widely published for HMAC-SHA256.
        let digest =
            hmac_hex(&SecretString::from("key"), "The quick brown fox jumps over the lazy dog");
        assert_eq!(digest, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }
}
