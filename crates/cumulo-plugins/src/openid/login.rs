//! The way of a user through a login at the provider, in a browser:
//!
//! 1. The application sends them to `/openid/{provider}/login`, we send them on to the provider.
//! 2. The provider sends them back to `/openid/{provider}/token` with a code. We trade it for a token,
//!    which goes to the application in the URL that it has named.
//!
//! Between the two, what was begun is in the cache under a random name, the `state`. It is taken out
//! once, and is good for this provider and this address of ours only.

use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use cumulo_core::{
    api::Api,
    call::Call,
    error::{ApiError, Invalid, Location, Result},
    host::Host,
    reply::Reply,
    request::{encode_query, parse_query},
    settings::TrustedUrl,
};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    provider::{Metadata, Provider},
    verification::without_cache,
    web,
};

/// Where tokens may be sent if the settings don't say: to programs on the user's machine.
const LOCAL: [&str; 2] = ["http://localhost:*/*", "http://127.0.0.1:*/*"];
pub(super) const MAX_CALLBACK: usize = 2048;
/// What Kinto tells beside an invalid state: that a token is invalid.
const INVALID_TOKEN: u16 = 105;
/// What a header can't hold. Letters outside of ASCII are always encoded.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ');

/// A login that was begun.
#[derive(Deserialize, Serialize)]
struct Begun {
    provider: String,
    /// Where the token goes.
    callback: String,
    /// Where the provider sends the user, as it was told.
    redirect_uri: String,
    /// What only we know of the code challenge (RFC 7636), if the provider takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
}

/// The parameters of a request.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(call: &Call) -> Self {
        Self(parse_query(&call.request.query).unwrap_or_default())
    }

    /// A parameter; what is empty counts as missing.
    fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(other, _)| other == name);
        pair.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn require(&self, name: &str, problems: &mut Vec<Invalid>) -> &str {
        self.get(name).unwrap_or_else(|| {
            problems.push(Invalid::new(Location::Querystring, name, "Required"));
            ""
        })
    }
}

/// What is wrong with the path of a provider that does not exist.
fn unknown(name: &str) -> Invalid {
    Invalid::new(Location::Path, "provider", format!("Unknown provider '{name}'"))
}

/// `GET /openid/{provider}/login`: sends the user to the provider.
pub(super) async fn begin(
    host: &dyn Host,
    call: &Call,
    name: &str,
    provider: Option<&Provider>,
) -> Result<Reply> {
    let parameters = Parameters::of(call);
    let mut problems = Vec::from_iter(provider.is_none().then(|| unknown(name)));
    let callback = parameters.require("callback", &mut problems);
    let scope = parameters.require("scope", &mut problems);
    let prompt = parameters.get("prompt");
    if !callback.is_empty() && (!callback.contains("://") || callback.len() > MAX_CALLBACK) {
        let problem = format!("Must be a URL of at most {MAX_CALLBACK} bytes");
        problems.push(Invalid::new(Location::Querystring, "callback", problem));
    }
    if prompt.is_some_and(|prompt| prompt != "none") {
        problems.push(Invalid::new(Location::Querystring, "prompt", "Must be 'none'"));
    }
    let (Some(provider), true) = (provider, problems.is_empty()) else {
        return Err(ApiError::invalid(problems));
    };
    check_scope(provider, scope)?;
    check_callback(host.api(), call, provider, callback)?;
    let metadata = provider.metadata().await?;
    let verifier = metadata.takes_code_challenge().then(|| URL_SAFE_NO_PAD.encode(random(32)));
    let begun = Begun {
        provider: name.to_owned(),
        callback: callback.to_owned(),
        redirect_uri: redirect_uri(host.api(), call, name),
        verifier,
    };
    let state = hex(&random(provider.settings.state_length));
    let value = serde_json::to_vec(&begun).expect("plain data serializes to memory");
    let ttl = Duration::from_secs(provider.settings.state_ttl_seconds.into());
    let stored = host.cache().set(&key(&state), &value, Some(ttl)).await;
    stored.map_err(|failure| without_cache(&failure))?;
    Ok(redirect(&authorization_url(provider, &metadata, &begun, &state, scope, prompt)))
}

fn authorization_url(
    provider: &Provider,
    metadata: &Metadata,
    begun: &Begun,
    state: &str,
    scope: &str,
    prompt: Option<&str>,
) -> String {
    let settings = &provider.settings;
    let mut query = vec![
        ("client_id", settings.client_id.as_str()),
        ("response_type", "code"),
        ("scope", scope),
        ("redirect_uri", &begun.redirect_uri),
        ("state", state),
    ];
    query.extend(prompt.map(|prompt| ("prompt", prompt)));
    if !settings.audience.is_empty() {
        query.push(("audience", &settings.audience));
    }
    let challenge = begun.verifier.as_deref().map(challenge);
    if let Some(challenge) = &challenge {
        query.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
    }
    let endpoint = &metadata.authorization_endpoint;
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{separator}{}", encode_query(query))
}

/// Clients get no more rights at the provider than they need.
fn check_scope(provider: &Provider, scope: &str) -> Result<()> {
    let settings = &provider.settings;
    let scopes: Vec<_> = scope.split_whitespace().collect();
    let is_unknown = |scope: &&str| !settings.allowed_scopes.iter().any(|known| known == scope);
    let mut refused: Vec<_> = scopes.iter().copied().filter(is_unknown).collect();
    refused.sort_unstable();
    refused.dedup();
    let problem = if !refused.is_empty() {
        format!("Scopes not allowed: {}", refused.join(", "))
    } else if settings.userid_field == "email" && !scopes.contains(&"email") {
        format!("Provider {} requires 'email' scope", settings.name)
    } else {
        return Ok(());
    };
    Err(Invalid::new(Location::Body, "scope", problem).into())
}

/// Tokens are sent to no stranger.
fn check_callback(api: &Api, call: &Call, provider: &Provider, callback: &str) -> Result<()> {
    let trusted = &provider.settings.trusted_callback_urls;
    let is_trusted = if trusted.is_empty() {
        let has_admin = api.settings.includes.iter().any(|plugin| plugin == "admin");
        let admin = has_admin.then(|| own_url(api, call, "/admin/*"));
        let defaults = LOCAL.map(str::to_owned).into_iter().chain(admin);
        { defaults }.filter_map(|url| TrustedUrl::parse(&url)).any(|url| url.matches(callback))
    } else {
        trusted.iter().any(|url| url.matches(callback))
    };
    if is_trusted {
        return Ok(());
    }
    Err(Invalid::new(Location::Body, "callback", "Untrusted callback URL").into())
}

/// `GET /openid/{provider}/token`: sends the user back to the application, with the answer of the
/// provider.
pub(super) async fn finish(
    host: &dyn Host,
    call: &Call,
    name: &str,
    provider: Option<&Provider>,
) -> Result<Reply> {
    let parameters = Parameters::of(call);
    let mut problems = Vec::from_iter(provider.is_none().then(|| unknown(name)));
    let state = parameters.require("state", &mut problems);
    let (code, error) = (parameters.get("code"), parameters.get("error"));
    if code.is_some() == error.is_some() {
        let problem = "Provide either 'state' and 'code', or 'error' and 'error_description', but \
                       not both.";
        problems.push(Invalid::new(Location::Querystring, "", problem));
    }
    let (Some(provider), true) = (provider, problems.is_empty()) else {
        return Err(ApiError::invalid(problems));
    };
    if let Some(error) = error {
        let begun = take(host, call, name, state).await?;
        let description = parameters.get("error_description");
        let description = description.map(|text| ("error_description", text));
        let query = encode_query([("error", error)].into_iter().chain(description));
        return Ok(redirect(&format!("{}{query}", begun.callback)));
    }
    // Before the state is used up: the user may try again.
    let metadata = provider.metadata().await?;
    let begun = take(host, call, name, state).await?;
    let answer = trade(provider, &metadata, &begun, code.unwrap_or_default()).await?;
    let token = encode_query([("", STANDARD.encode(answer).as_str())]);
    Ok(redirect(&format!("{}{}", begun.callback, token.trim_start_matches('='))))
}

/// The answer of the provider to a code, whatever it says: that is for the application.
async fn trade(
    provider: &Provider,
    metadata: &Metadata,
    begun: &Begun,
    code: &str,
) -> Result<Vec<u8>> {
    let settings = &provider.settings;
    let secret = settings.client_secret.expose_secret();
    let mut form = vec![
        ("code", code),
        ("redirect_uri", &begun.redirect_uri),
        ("grant_type", "authorization_code"),
    ];
    form.extend(begun.verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
    let mut request = provider.web.post(&metadata.token_endpoint);
    if secret.is_empty() {
        form.push(("client_id", &settings.client_id));
    } else if metadata.wants_basic() {
        let encoded = |text: &str| encode_query([("", text)]).trim_start_matches('=').to_owned();
        request = request.basic_auth(encoded(&settings.client_id), Some(encoded(secret)));
    } else {
        form.extend([("client_id", settings.client_id.as_str()), ("client_secret", secret)]);
    }
    let request = request
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(encode_query(form));
    match web::send(request).await {
        Ok(answer) => Ok(answer.body),
        Err(failure) => {
            warn!("the OpenID provider '{}' can't be asked: {failure}", settings.name);
            Err(provider.unavailable())
        }
    }
}

/// Takes a login that was begun here out of the cache: nobody else can end it.
async fn take(host: &dyn Host, call: &Call, name: &str, state: &str) -> Result<Begun> {
    // What we have not made would be a strange key.
    let is_ours = state.len() <= 256 && state.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_ours {
        return Err(invalid_state());
    }
    let taken = host.cache().take(&key(state)).await.map_err(|failure| without_cache(&failure))?;
    let begun = taken.and_then(|value| serde_json::from_slice::<Begun>(&value).ok());
    // Another address would mean that who has begun it lied about ours.
    let fits = |begun: &Begun| {
        begun.provider == name && begun.redirect_uri == redirect_uri(host.api(), call, name)
    };
    begun.filter(fits).ok_or_else(invalid_state)
}

fn invalid_state() -> ApiError {
    let mut error = ApiError::from(Invalid::new(Location::Body, "state", "Invalid state"));
    if let Some(details) = &mut error.details {
        details[0]["errno"] = INVALID_TOKEN.into();
    }
    error
}

/// Where the provider sends users back to.
fn redirect_uri(api: &Api, call: &Call, name: &str) -> String {
    own_url(api, call, &format!("/openid/{name}/token"))
}

fn own_url(api: &Api, call: &Call, path: &str) -> String {
    format!("{}/{}{path}", api.origin(&call.request), api.prefix())
}

fn redirect(url: &str) -> Reply {
    let url = utf8_percent_encode(url, IN_HEADER).to_string();
    let location = HeaderValue::try_from(url).expect("what a header can't hold is encoded");
    let mut reply = Reply::empty(StatusCode::TEMPORARY_REDIRECT);
    reply.headers.extend([
        (header::LOCATION, location),
        // It may hold a token.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]);
    reply
}

fn key(state: &str) -> String {
    format!("openid:state:{state}")
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("a half is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What the provider gets to know of the verifier, until the code is traded.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let challenge = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn redirects_are_headers_whatever_they_hold() {
        let reply = redirect("https://example.org/é?a=b c\u{7f}#\n");
        assert_eq!(reply.headers[header::LOCATION], "https://example.org/%C3%A9?a=b%20c%7F#%0A");
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
    }
}
