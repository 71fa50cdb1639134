//! Addresses: how people name what is on a server.
//!
//! | written | means |
//! |---|---|
//! | | the server; where a list is read, all buckets |
//! | `blog` | a bucket |
//! | `blog/` | its collections |
//! | `blog/articles` | a collection |
//! | `blog/articles/` | its records |
//! | `blog/articles/first` | a record |
//! | `/buckets/blog/groups/editors` | a path of the protocol: here a group |
//! | `/buckets` | all buckets |
//! | `accounts`, `permissions` | lists of the server |
//! | `accounts/ann` | an account |
//! | `work:blog/articles` | on the server of the profile `work` |
//! | `https://example.com/v1/buckets/blog` | on the server of this URL |
//!
//! Behind `?` stand filters, as in a URL.

use std::{borrow::Cow, ffi::OsStr, fmt, str::FromStr};

use clap::{
    builder::{TypedValueParser, ValueParserFactory},
    error::ErrorKind,
};
use cumulo_client::{One, Resource, Root, Transport};

use crate::{Error, Result};

/// What a person names: a server, what is meant there, and filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where it is.
    pub server: Server,
    /// What it is.
    pub target: Target,
    /// The parameters behind `?`, decoded.
    pub params: Vec<(String, String)>,
}

/// Which server an address speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// That of the options, or of the profile in use.
    Chosen,
    /// That of another profile.
    Profile(String),
    /// The one with this URL, with its version.
    Url(String),
}

/// What an address means on its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The server: nothing else was named.
    Server,
    /// All buckets.
    Buckets,
    /// One of them.
    Bucket(String),
    /// The groups of a bucket.
    Groups(String),
    /// One of them.
    Group(String, String),
    /// The collections of a bucket.
    Collections(String),
    /// One of them.
    Collection(String, String),
    /// The records of a collection.
    Records(String, String),
    /// One of them.
    Record(String, String, String),
    /// The history of a bucket.
    History(String),
    /// All accounts.
    Accounts,
    /// One of them.
    Account(String),
    /// What the user may do.
    Permissions,
}

impl Target {
    /// The path in the protocol, below the URL of the server.
    pub fn path(&self) -> String {
        match self {
            Self::Server => "/".to_owned(),
            Self::Buckets => "/buckets".to_owned(),
            Self::Bucket(b) => format!("/buckets/{b}"),
            Self::Groups(b) => format!("/buckets/{b}/groups"),
            Self::Group(b, g) => format!("/buckets/{b}/groups/{g}"),
            Self::Collections(b) => format!("/buckets/{b}/collections"),
            Self::Collection(b, c) => format!("/buckets/{b}/collections/{c}"),
            Self::Records(b, c) => format!("/buckets/{b}/collections/{c}/records"),
            Self::Record(b, c, r) => format!("/buckets/{b}/collections/{c}/records/{r}"),
            Self::History(b) => format!("/buckets/{b}/history"),
            Self::Accounts => "/accounts".to_owned(),
            Self::Account(a) => format!("/accounts/{a}"),
            Self::Permissions => "/permissions".to_owned(),
        }
    }

    /// The list that is meant where a list is read: of the server its buckets, of a bucket its
    /// collections, of a collection its records.
    #[must_use]
    pub fn into_list(self) -> Self {
        match self {
            Self::Server => Self::Buckets,
            Self::Bucket(b) => Self::Collections(b),
            Self::Collection(b, c) => Self::Records(b, c),
            other => other,
        }
    }

    /// The objects of a list that can be read and written; nothing if it is no such list.
    pub fn resource<X: Transport>(&self, client: &Root<X>) -> Option<Resource<X>> {
        Some(match self {
            Self::Buckets => client.buckets(),
            Self::Groups(b) => client.bucket(b).groups(),
            Self::Collections(b) => client.bucket(b).collections(),
            Self::Records(b, c) => client.collection(b, c).records(),
            Self::Accounts => client.accounts(),
            _ => return None,
        })
    }

    /// The object; nothing if it is a list.
    pub fn object<X: Transport>(&self, client: &Root<X>) -> Option<One<X>> {
        Some(match self {
            Self::Bucket(b) => client.buckets().one(b),
            Self::Group(b, g) => client.bucket(b).group(g),
            Self::Collection(b, c) => client.bucket(b).collections().one(c),
            Self::Record(b, c, r) => client.collection(b, c).record(r),
            Self::Account(a) => client.accounts().one(a),
            _ => return None,
        })
    }
}

impl fmt::Display for Target {
    /// As short as it can be written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(b) if !is_word(b) => f.write_str(b),
            Self::Collections(b) if !is_word(b) => write!(f, "{b}/"),
            Self::Collection(b, c) if !is_word(b) => write!(f, "{b}/{c}"),
            Self::Records(b, c) if !is_word(b) => write!(f, "{b}/{c}/"),
            Self::Record(b, c, r) if !is_word(b) => write!(f, "{b}/{c}/{r}"),
            Self::Accounts => f.write_str("accounts"),
            Self::Account(a) => write!(f, "accounts/{a}"),
            Self::Permissions => f.write_str("permissions"),
            other => f.write_str(&other.path()),
        }
    }
}

/// Whether a first word means something else than a bucket.
fn is_word(text: &str) -> bool {
    matches!(text, "accounts" | "permissions")
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let params = query.split('&').filter(|it| !it.is_empty()).map(param).collect();
        let (server, target) = place_of(place).map_err(|problem| {
            let text = without_user(text);
            Error::Usage(format!("the address '{text}' is not understood: {problem}"))
        })?;
        Ok(Self { server, target, params })
    }
}

/// Reads addresses of the command line. The library's own way would repeat what is not understood,
/// which may have a password.
#[derive(Clone, Debug)]
pub struct Parser;

impl ValueParserFactory for Address {
    type Parser = Parser;

    fn value_parser() -> Parser {
        Parser
    }
}

impl TypedValueParser for Parser {
    type Value = Address;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Address, clap::Error> {
        let parsed = value.to_string_lossy().parse::<Address>();
        parsed.map_err(|error| {
            let problem = format!("{error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, problem).with_cmd(command)
        })
    }
}

/// A URL without user and password; other text as it is.
pub(crate) fn without_user(url: &str) -> Cow<'_, str> {
    let Some(host) = url.find("://").map(|at| at + 3) else { return Cow::Borrowed(url) };
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    match url[host..end].rfind('@') {
        Some(at) => Cow::Owned(format!("{}{}", &url[..host], &url[host + at + 1..])),
        None => Cow::Borrowed(url),
    }
}

type Understood<T> = Result<T, String>;

fn place_of(place: &str) -> Understood<(Server, Target)> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return of_url(place);
    }
    match place.split_once(':') {
        Some((profile, rest)) if is_profile(profile) => {
            Ok((Server::Profile(profile.to_owned()), target(rest)?))
        }
        Some((profile, _)) if !profile.contains('/') => {
            Err(format!("'{profile}' is not the name of a profile"))
        }
        _ => Ok((Server::Chosen, target(place)?)),
    }
}

/// Whether a profile may have this name.
pub(crate) fn is_profile(name: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(is_valid)
}

/// Everything up to the version is the server.
fn of_url(url: &str) -> Understood<(Server, Target)> {
    let host = url.find("://").map_or(0, |at| at + 3);
    let mut end = url[host..].find('/').map_or(url.len(), |at| host + at);
    while end < url.len() {
        let next = url[end + 1..].find('/').map_or(url.len(), |at| end + 1 + at);
        if is_version(&url[end + 1..next]) {
            let path = decoded(&url[next..], false);
            return Ok((Server::Url(url[..next].to_owned()), of_path(&path)?));
        }
        end = next;
    }
    Err("the URL lacks the version of the protocol, such as /v1".to_owned())
}

fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

fn target(text: &str) -> Understood<Target> {
    if text.starts_with('/') {
        return of_path(text);
    }
    let owned = str::to_owned;
    Ok(match text.split('/').collect::<Vec<_>>()[..] {
        [""] => Target::Server,
        ["accounts"] | ["accounts", ""] => Target::Accounts,
        ["accounts", a] => Target::Account(owned(a)),
        ["permissions"] => Target::Permissions,
        [word, ..] if is_word(word) => {
            return Err(format!("a bucket of this name is /buckets/{word}"));
        }
        [b] => Target::Bucket(owned(b)),
        [b, ""] if !b.is_empty() => Target::Collections(owned(b)),
        [b, c] if !b.is_empty() => Target::Collection(owned(b), owned(c)),
        [b, c, ""] if !b.is_empty() && !c.is_empty() => Target::Records(owned(b), owned(c)),
        [b, c, r] if !b.is_empty() && !c.is_empty() => Target::Record(owned(b), owned(c), owned(r)),
        _ => {
            return Err("expected BUCKET, BUCKET/COLLECTION or BUCKET/COLLECTION/RECORD".to_owned());
        }
    })
}

/// A path of the protocol, with or without its version.
fn of_path(path: &str) -> Understood<Target> {
    let path = path.trim_matches('/');
    let path = match path.split_once('/') {
        Some((version, rest)) if is_version(version) => rest,
        None if is_version(path) => "",
        _ => path,
    };
    let owned = str::to_owned;
    let segments: Vec<_> = path.split('/').collect();
    if segments.iter().skip(1).any(|it| it.is_empty()) {
        return Err("an id is empty".to_owned());
    }
    Ok(match segments[..] {
        [""] => Target::Server,
        ["buckets"] => Target::Buckets,
        ["buckets", b] => Target::Bucket(owned(b)),
        ["buckets", b, "groups"] => Target::Groups(owned(b)),
        ["buckets", b, "groups", g] => Target::Group(owned(b), owned(g)),
        ["buckets", b, "collections"] => Target::Collections(owned(b)),
        ["buckets", b, "collections", c] => Target::Collection(owned(b), owned(c)),
        ["buckets", b, "collections", c, "records"] => Target::Records(owned(b), owned(c)),
        ["buckets", b, "collections", c, "records", r] => {
            Target::Record(owned(b), owned(c), owned(r))
        }
        ["buckets", b, "history"] => Target::History(owned(b)),
        ["accounts"] => Target::Accounts,
        ["accounts", a] => Target::Account(owned(a)),
        ["permissions"] => Target::Permissions,
        _ => return Err(format!("there is nothing at '/{path}' in the protocol")),
    })
}

fn param(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name, true), decoded(value, true))
}

/// Text of a URL; in queries, a plus stands for a space.
fn decoded(text: &str, is_query: bool) -> String {
    let text = if is_query { text.replace('+', " ") } else { text.to_owned() };
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Server and path, as one text.
    fn shown(text: &str) -> String {
        match text.parse::<Address>() {
            Ok(Address { server, target, params }) => {
                let server = match server {
                    Server::Chosen => String::new(),
                    Server::Profile(name) => format!("[{name}] "),
                    Server::Url(url) => format!("<{url}> "),
                };
                let params: Vec<_> = params.iter().map(|(n, v)| format!(" {n}={v}")).collect();
                format!("{server}{}{}", target.path(), params.concat())
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn addresses_name_what_they_mean() {
        for (text, expected) in [
            ("", "/"),
            ("blog", "/buckets/blog"),
            ("blog/", "/buckets/blog/collections"),
            ("blog/articles", "/buckets/blog/collections/articles"),
            ("blog/articles/", "/buckets/blog/collections/articles/records"),
            ("blog/articles/a", "/buckets/blog/collections/articles/records/a"),
            ("/", "/"),
            ("/v1", "/"),
            ("/buckets", "/buckets"),
            ("/buckets/", "/buckets"),
            ("/buckets/accounts", "/buckets/accounts"),
            ("/buckets/blog/groups", "/buckets/blog/groups"),
            ("/buckets/blog/groups/editors", "/buckets/blog/groups/editors"),
            ("/v1/buckets/blog/collections/", "/buckets/blog/collections"),
            ("/buckets/blog/collections/c/records", "/buckets/blog/collections/c/records"),
            ("/buckets/blog/history", "/buckets/blog/history"),
            ("accounts", "/accounts"),
            ("accounts/", "/accounts"),
            ("accounts/ann", "/accounts/ann"),
            ("/accounts/ann@example.com", "/accounts/ann@example.com"),
            ("permissions", "/permissions"),
            ("work:", "[work] /"),
            ("work:blog/articles", "[work] /buckets/blog/collections/articles"),
            ("work:/buckets/blog/groups", "[work] /buckets/blog/groups"),
            ("https://example.com/v1", "<https://example.com/v1> /"),
            ("https://example.com/v1/", "<https://example.com/v1> /"),
            ("https://example.com/v1/buckets", "<https://example.com/v1> /buckets"),
            ("http://h:8888/v1/buckets/b", "<http://h:8888/v1> /buckets/b"),
            ("https://h/kinto/v1/buckets/b/groups", "<https://h/kinto/v1> /buckets/b/groups"),
            ("https://h/v1/accounts/a%40b", "<https://h/v1> /accounts/a@b"),
            (
                "blog/articles?min_price=3&title=a%20b+c",
                "/buckets/blog/collections/articles min_price=3 title=a b c",
            ),
            ("work:blog?_sort=-id", "[work] /buckets/blog _sort=-id"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (text, expected) in [
            ("a/b/c/d", "expected BUCKET"),
            ("a//b", "expected BUCKET"),
            ("accounts/ann/x", "a bucket of this name is /buckets/accounts"),
            ("permissions/x", "a bucket of this name is /buckets/permissions"),
            ("/nothing", "there is nothing at '/nothing'"),
            ("/buckets//collections", "an id is empty"),
            ("/buckets/b/others", "there is nothing"),
            ("my profile:blog", "not the name of a profile"),
            (":blog", "not the name of a profile"),
            ("https://example.com/buckets/b", "lacks the version"),
            ("https://example.com", "lacks the version"),
        ] {
            assert!(shown(text).contains(expected), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn passwords_in_urls_are_not_repeated() {
        for (url, expected) in [
            ("http://ann:secret@h:8888/v1", "http://h:8888/v1"),
            ("http://ann:s@cret@h", "http://h"),
            ("https://h/v1/accounts/ann@example.com", "https://h/v1/accounts/ann@example.com"),
            ("ann@example.com", "ann@example.com"),
        ] {
            assert_eq!(without_user(url), expected);
        }
        let error = shown("http://ann:secret@h/");
        assert!(error.contains("lacks the version") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn targets_are_shown_so_that_they_mean_the_same() {
        for text in [
            "/",
            "/buckets",
            "blog",
            "blog/",
            "blog/c",
            "blog/c/",
            "blog/c/r",
            "/buckets/accounts",
            "/buckets/accounts/collections/c",
            "accounts",
            "accounts/ann",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().target.to_string(), text);
        }
    }
}
