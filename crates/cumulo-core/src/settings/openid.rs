//! The settings of OpenID providers: `multiauth.policy.<name>.issuer` and others.

use secrecy::SecretString;

use super::{
    families::nearest,
    source::Source,
    trusted_url::{Parts, TrustedUrl},
};

/// A provider whose users can log in.
#[derive(Clone, Debug)]
pub struct OpenIdProvider {
    /// The policy as it is named in the settings and in URLs.
    pub name: String,
    /// The address of the provider.
    pub issuer: String,
    /// What the provider calls this service.
    pub client_id: String,
    /// The password of this service at the provider; may be empty.
    pub client_secret: SecretString,
    /// Whom tokens must be for; if empty, the provider alone tells whether a token is good.
    pub audience: String,
    /// The scheme of the `Authorization` header.
    pub header_type: String,
    /// The part of a user's profile that becomes the user id.
    pub userid_field: String,
    /// How long a token that was found right counts as such.
    pub verification_ttl_seconds: u32,
    /// How long a login may take.
    pub state_ttl_seconds: u32,
    /// How many random bytes name a login.
    pub state_length: usize,
    /// What clients may ask for at the provider.
    pub allowed_scopes: Vec<String>,
    /// Where tokens may be sent; if there are none, to this machine.
    pub trusted_callback_urls: Vec<TrustedUrl>,
}

const FIELDS: &[&str] = &[
    "use",
    "issuer",
    "client_id",
    "client_secret",
    "audience",
    "header_type",
    "userid_field",
    "verification_ttl_seconds",
    "state_ttl_seconds",
    "state_length",
    "allowed_scopes",
    "trusted_callback_urls",
    "allow_http",
    "realm",
];

/// Reads the settings of the policy `name`. With a mistake in them, what is returned is of no use.
pub(super) fn read(name: &str, source: &mut Source) -> OpenIdProvider {
    let key = |field: &str| format!("multiauth.policy.{name}.{field}");
    let seconds = Some(1..=31_536_000);
    let provider = OpenIdProvider {
        name: name.to_owned(),
        issuer: required(&key("issuer"), source),
        client_id: required(&key("client_id"), source),
        client_secret: source.read(&key("client_secret"), SecretString::default(), None),
        audience: source.read(&key("audience"), String::new(), None),
        header_type: source.read(&key("header_type"), "Bearer".into(), None),
        userid_field: source.read(&key("userid_field"), "sub".into(), None),
        verification_ttl_seconds: source.read(
            &key("verification_ttl_seconds"),
            86_400,
            seconds.clone(),
        ),
        state_ttl_seconds: source.read(&key("state_ttl_seconds"), 3600, seconds),
        state_length: source.read(&key("state_length"), 32, Some(16..=128)),
        allowed_scopes: source.read(
            &key("allowed_scopes"),
            ["openid", "email", "profile"].map(str::to_owned).into(),
            None,
        ),
        trusted_callback_urls: trusted_urls(&key("trusted_callback_urls"), source),
    };
    let allow_http = source.read(&key("allow_http"), false, None);
    check_issuer(&key("issuer"), &provider.issuer, allow_http, source);
    check_words(&provider, key, source);
    // Part of Kinto's class too, and always the same here.
    source.take(&key("realm"));
    warn_of_others(&key(""), source);
    provider
}

fn required(key: &str, source: &mut Source) -> String {
    let value: String = source.read(key, String::new(), None);
    if value.is_empty() {
        source.mistake(key, "an OpenID policy needs it");
    }
    value
}

fn trusted_urls(key: &str, source: &mut Source) -> Vec<TrustedUrl> {
    let words: Vec<String> = source.read(key, Vec::new(), None);
    let parse = |word: &String| {
        let url = TrustedUrl::parse(word);
        if url.is_none() {
            let problem = format!("expected URLs such as https://*.example.org/*, got '{word}'");
            source.mistake(key, problem);
        }
        url
    };
    words.iter().filter_map(parse).collect()
}

/// Tokens and secrets go to the provider: nobody may listen on the way.
fn check_issuer(key: &str, issuer: &str, allow_http: bool, source: &mut Source) {
    if issuer.is_empty() {
        return;
    }
    match Parts::parse(issuer) {
        None => source.mistake(key, format!("expected a URL, got '{issuer}'")),
        Some(parts) if parts.rest.contains(['?', '#']) || issuer.contains('*') => {
            source.mistake(key, format!("expected a URL without ?, # and *, got '{issuer}'"));
        }
        Some(parts) if parts.scheme == "http" && !parts.is_loopback() && !allow_http => {
            let problem = "expected https://, since secrets are sent there; for a private network \
                           there is 'allow_http' of this policy";
            source.mistake(key, problem);
        }
        Some(_) => {}
    }
}

fn check_words(provider: &OpenIdProvider, key: impl Fn(&str) -> String, source: &mut Source) {
    let scheme = &provider.header_type;
    let is_scheme =
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte));
    if scheme.is_empty() || !is_scheme || scheme.eq_ignore_ascii_case("basic") {
        let problem = format!("expected a word other than Basic, such as Bearer, got '{scheme}'");
        source.mistake(&key("header_type"), problem);
    }
    if provider.userid_field.is_empty() {
        source.mistake(&key("userid_field"), "expected the name of a field, such as sub");
    }
    if provider.name.eq_ignore_ascii_case("account") || provider.name.contains(['/', ':']) {
        let problem = "an OpenID policy can't be called so: its users would be taken for others";
        source.mistake(&key("use"), problem);
    }
}

/// A mistyped name could leave out a check.
fn warn_of_others(start: &str, source: &mut Source) {
    for given in source.take_beginning(start) {
        let field = given.name.strip_prefix(start).unwrap_or(&given.name);
        let near = nearest(field, FIELDS.iter().map(|&known| known.to_owned()));
        let hint = near.map_or_else(String::new, |near| format!(", did you mean '{start}{near}'?"));
        let end = if hint.is_empty() { "." } else { "" };
        source.warnings.push(format!("There is no setting '{}'{hint}{end}", given.typed));
    }
}
