//! Tokens that say something themselves: JSON Web Tokens (RFC 7519), signed (RFC 7515).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::keys::Keys;

/// How many seconds the clocks of provider and service may be apart.
const LEEWAY: i64 = 30;
/// No time is later: that of claims may be any number.
const LAST: f64 = 253_402_300_799.0;

/// A token that was taken apart. What it says is true only if [`Jwt::is_signed`].
pub(super) struct Jwt<'a> {
    header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    message: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart; none if it is of another kind.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let object = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let (header, claims) = (object(header)?, object(claims)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header, claims, message, signature })
    }

    /// The name of the key, if the token names one.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.get("kid")?.as_str()
    }

    /// Whether one of these keys has signed it.
    pub(super) fn is_signed(&self, keys: &Keys) -> bool {
        let Some(algorithm) = self.header.get("alg").and_then(Value::as_str) else { return false };
        keys.verify(self.key_id(), algorithm, self.message.as_bytes(), &self.signature)
    }

    /// What is wrong with a token that was made by `issuer` for `audience`, `now` in seconds.
    pub(super) fn problem(&self, issuer: &str, audience: &str, now: i64) -> Option<&'static str> {
        if self.header.contains_key("crit") {
            return Some("it needs extensions that are not known here");
        }
        if !self.is_for_access() {
            return Some("it is made for another purpose");
        }
        if self.issuer() != Some(issuer) {
            return Some("it has another issuer");
        }
        if !self.is_for(audience) {
            return Some("it has another audience");
        }
        match self.expiry() {
            None => Some("it does not expire"),
            Some(_) if self.is_over(now) => Some("it has expired"),
            Some(_) if self.begins_after(now) => Some("it is not valid yet"),
            Some(_) => None,
        }
    }

    /// Who says to have made it.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// When it ends, in seconds.
    pub(super) fn expiry(&self) -> Option<i64> {
        self.time("exp")
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self, now: i64) -> bool {
        self.expiry().is_some_and(|expiry| expiry.saturating_add(LEEWAY) <= now)
    }

    fn begins_after(&self, now: i64) -> bool {
        match self.claims.get("nbf") {
            None => false,
            Some(_) => self.time("nbf").is_none_or(|start| start.saturating_sub(LEEWAY) > now),
        }
    }

    /// Not for logouts and the like, which are signed with the same keys (RFC 8725, section 3.11).
    fn is_for_access(&self) -> bool {
        let kind = match self.header.get("typ") {
            None => return true,
            Some(kind) => kind.as_str().unwrap_or_default().to_ascii_lowercase(),
        };
        matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
    }

    fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// Whether it grants this scope.
    pub(super) fn grants(&self, scope: &str) -> bool {
        ["scope", "scp"].iter().filter_map(|name| self.claims.get(*name)).any(|value| match value {
            Value::String(words) => words.split(' ').any(|word| word == scope),
            Value::Array(words) => words.iter().any(|word| word == scope),
            _ => false,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is within the years that dates have")]
    fn time(&self, name: &str) -> Option<i64> {
        let seconds = self.claims.get(name)?.as_f64()?;
        Some(seconds.clamp(-LAST, LAST) as i64)
    }
}
