//! Who sends a request. Only schemes that need no IO; others belong to the edge.

use base64::{Engine, engine::general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::settings::{AuthPolicy, PolicyKind, Settings};

/// The id of the user who sends a request with these headers, such as `basicauth:3a05…`; none if
/// nobody is logged in. Malformed credentials count as none.
pub fn authenticate(settings: &Settings, headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(header::AUTHORIZATION)?;
    settings.auth_policies.iter().find_map(|policy| user_id(settings, policy, authorization))
}

fn user_id(settings: &Settings, policy: &AuthPolicy, value: &HeaderValue) -> Option<String> {
    match policy.kind {
        PolicyKind::Basic => {
            let (user, password) = basic_credentials(value)?;
            let id = hmac_hex(&settings.userid_hmac_secret, &format!("{user}:{password}"));
            Some(format!("{}:{id}", policy.name))
        }
    }
}

/// What a client is told to send, one for each policy.
pub fn challenges(settings: &Settings) -> impl Iterator<Item = HeaderValue> + '_ {
    settings.auth_policies.iter().map(|policy| match policy.kind {
        PolicyKind::Basic => HeaderValue::from_static("Basic realm=\"Realm\""),
    })
}

/// User name and password of HTTP Basic authentication (RFC 7617), in UTF-8 or else Latin-1; the
/// name must not be empty.
fn basic_credentials(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
    let (user, password) = text.split_once(':')?;
    (!user.is_empty()).then(|| (user.to_owned(), password.to_owned()))
}

/// HMAC-SHA256 of `message` in lower case hexadecimal.
pub fn hmac_hex(secret: &SecretString, message: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(value: &str) -> Option<(String, String)> {
        basic_credentials(&HeaderValue::from_str(value).unwrap())
    }

    #[test]
    fn basic_credentials_are_read() {
        let alice = Some(("alice".to_owned(), "s:cret".to_owned()));
        assert_eq!(credentials("Basic YWxpY2U6czpjcmV0"), alice);
        assert_eq!(credentials("bAsIc YWxpY2U6czpjcmV0"), alice);
        assert_eq!(credentials("Basic OnB3"), None);
        assert_eq!(credentials("Basic !!"), None);
        assert_eq!(credentials("Bearer YWxpY2U6czpjcmV0"), None);
        assert_eq!(credentials("Basic /zp4"), Some(("ÿ".into(), "x".into())));
    }

    #[test]
    fn the_digest_is_that_of_the_reference() {
        // The reference server's own test vector for user `mat` and secret `b4c96a8692291d88fe5a97dd91846eb4`.
        let digest =
            hmac_hex(&SecretString::from("key"), "The quick brown fox jumps over the lazy dog");
        assert_eq!(digest, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }
}
