//! Users with names and passwords, as objects: `/accounts/alice` is the account of the user
//! `account:alice`.
//!
//! They are stored as Kinto stores them, so that both can serve one database: each is alone in a
//! list whose parent is its id, and its `password` is a bcrypt hash. Who is who:
//!
//! - Anybody may create their own account, if `account_create_principals` says so.
//! - Users see and change their own account only.
//! - Administrators, whom `account_write_principals` names, reach all of them.
//!
//! The hashes are in [`password`], the logins that were found right in `login`.

mod login;
pub mod password;

use std::sync::Arc;

use cumulo_core::{
    api::Api,
    authentication::Login,
    call::{Call, Prepared},
    error::{ApiError, Errno, Invalid, Location, Result},
    object::List,
    plugin::{Place, Plugin, Slow, Verdict},
    render,
    resource::{OBJECT_METHODS, PLURAL_METHODS, Resource, Target, right},
    store::{self, Transaction},
};
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use self::login::{Logins, key};

/// The plugin, and the logins that it remembers.
#[derive(Default)]
pub struct Accounts {
    logins: Arc<Logins>,
}

const PASSWORD: &str = "password";

static ACCOUNT: Resource = Resource {
    name: "account",
    plural: "accounts",
    parent: None,
    permissions: &["read", "write"],
    rights: &[
        ("write", &[right("account", "write")]),
        ("read", &[right("account", "write"), right("account", "read")]),
    ],
    plural_methods: PLURAL_METHODS,
    object_methods: OBJECT_METHODS,
    accepts_id: Some(is_name),
    alone: true,
    secrets: &[PASSWORD],
};

static RESOURCES: [&Resource; 1] = [&ACCOUNT];

/// Whether an account can have this name: letters, digits and `+.@_-`, beginning with a letter or a
/// digit.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+.@_-".contains(&byte))
}

/// The user whose account has this name.
fn user_of(name: &str) -> String {
    format!("account:{name}")
}

fn list_of(name: &str) -> List {
    List::new(name, ACCOUNT.name)
}

/// Creates an account, or gives it another password and keeps what else it holds. `hash` is what
/// [`password::hash`] has made.
pub fn put(name: &str, hash: &str, tx: &mut dyn Transaction) -> store::Result<()> {
    let list = list_of(name);
    let (mut data, mut acl) = match tx.get(&list, name)? {
        Some(entry) => (render::parse(&entry.object.data), entry.acl.as_ref().clone()),
        None => Default::default(),
    };
    data.insert(PASSWORD.to_owned(), hash.into());
    acl.add("write", &user_of(name));
    tx.put(&list, name, None, &render::to_data(data), Some(&acl)).map(drop)
}

impl Plugin for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let value = json!({
            "description": "Manage user accounts.",
            "url": "https://kinto.readthedocs.io/en/latest/api/1.x/accounts.html",
            "validation_enabled": false,
        });
        Some(("accounts", value))
    }

    fn resources(&self) -> &'static [&'static Resource] {
        &RESOURCES
    }

    fn place(
        &self,
        api: &Api,
        call: &Call,
        target: &Target,
        principals: &[String],
    ) -> Result<Place> {
        let named = target.id.as_deref().or_else(|| posted_id(call));
        let of_name = |name: &str| Place { parent: Some(name.into()), writer: user_of(name) };
        let is_post = call.request.method == Method::POST;
        let missing_id = || invalid("data.id", "data.id in body: Required");
        if is_administrator(api, principals) {
            return match named {
                Some(name) => Ok(of_name(name)),
                None if is_post => Err(missing_id()),
                None => Ok(Place { parent: None, writer: call.principal().to_owned() }),
            };
        }
        if let Some(user) = &call.user {
            let name = user.split_once(':').map_or(user.as_str(), |(_, name)| name);
            return Ok(Place { parent: Some(name.to_owned()), writer: user.clone() });
        }
        match named {
            // Who only reads is not taken for its owner.
            Some(name) if call.request.is_safe() => {
                Ok(Place { writer: call.principal().to_owned(), ..of_name(name) })
            }
            Some(name) => Ok(of_name(name)),
            None if is_post => Err(missing_id()),
            None => Err(cannot_read()),
        }
    }

    fn prepare(&self, call: &Call) -> Option<Slow<Prepared>> {
        let password = new_password(call)?.to_owned();
        if password::problem(&password).is_some() {
            return None;
        }
        Some(Box::new(move || {
            let hash = password::hash(&password);
            Prepared::from([(password, hash)])
        }))
    }

    fn before_put(
        &self,
        call: &Call,
        target: &Target,
        id: &str,
        data: &mut Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Result<()> {
        if target.id.is_none() && posted_id(call).is_none() {
            return Err(invalid("data.id", "Accounts must have an ID."));
        }
        if target.list.parent != id {
            return Err(invalid("data.id", "Username and account ID do not match."));
        }
        let text = |data: &Map<_, Value>| data.get(PASSWORD)?.as_str().map(str::to_owned);
        let (given, kept) = (text(data).unwrap_or_default(), old.and_then(text));
        // The hash that is there, unless somebody guesses it: how much of it is right takes no time
        // to tell.
        if kept.is_some_and(|kept| kept.as_bytes().ct_eq(given.as_bytes()).into()) {
            return Ok(());
        }
        let given = given.as_str();
        let hash = call.prepared.get(given).ok_or_else(|| {
            // A patch can take a text from elsewhere, of which no hash was made.
            let problem = password::problem(given);
            invalid("data.password", problem.unwrap_or("The password must be given as a value."))
        })?;
        data.insert(PASSWORD.to_owned(), hash.as_str().into());
        Ok(())
    }

    fn judge(&self, api: &Api, login: &Login, tx: &mut dyn Transaction) -> store::Result<Verdict> {
        let hash = if is_name(&login.name) { stored_hash(&login.name, tx)? } else { None };
        let password = login.password.expose_secret();
        let Some(hash) = hash else {
            // Where wrong logins are nobody, one with a wrong name takes as long as others.
            return Ok(if login.is_last { slow_refusal(password) } else { Verdict::Known(None) });
        };
        let key = key(&api.settings.userid_hmac_secret, &login.name, password, &hash);
        let user = user_of(&login.name);
        let now = api.clock.now();
        if self.logins.knows(&key, now) {
            return Ok(Verdict::Known(Some(user)));
        }
        let (logins, password) = (Arc::clone(&self.logins), login.password.clone());
        let ttl = i64::from(api.settings.account_cache_ttl_seconds) * 1000;
        Ok(Verdict::Slow(Box::new(move || {
            let right = password::verify(password.expose_secret(), &hash);
            if right {
                logins.remember(key, now, ttl);
            }
            right.then_some(user)
        })))
    }
}

/// The hash of an account's password; none if there is no such account.
fn stored_hash(name: &str, tx: &mut dyn Transaction) -> store::Result<Option<String>> {
    let Some(entry) = tx.get(&list_of(name), name)? else { return Ok(None) };
    match render::parse(&entry.object.data).remove(PASSWORD) {
        Some(Value::String(hash)) => Ok(Some(hash)),
        _ => Ok(None),
    }
}

fn slow_refusal(password: &str) -> Verdict {
    let password = password.to_owned();
    Verdict::Slow(Box::new(move || {
        password::verify(&password, password::NOBODYS);
        None
    }))
}

fn is_administrator(api: &Api, principals: &[String]) -> bool {
    let administrators = api.settings.principals.get("account_write");
    administrators.is_some_and(|holders| holders.iter().any(|it| principals.contains(it)))
}

/// The id in the body of a POST.
fn posted_id(call: &Call) -> Option<&str> {
    call.body.as_ref().ok()?.get("data")?.get("id")?.as_str()
}

/// The password that a request wants to set, as far as its body tells.
fn new_password(call: &Call) -> Option<&str> {
    if !matches!(call.request.method, Method::POST | Method::PUT | Method::PATCH) {
        return None;
    }
    match call.body.as_ref().ok()? {
        Value::Array(operations) => {
            let sets = |operation: &&Value| {
                operation["path"] == "/data/password" && operation["value"].is_string()
            };
            operations.iter().rfind(sets)?["value"].as_str()
        }
        body => body.get("data")?.get(PASSWORD)?.as_str(),
    }
}

fn invalid(name: &str, problem: &str) -> ApiError {
    Invalid::new(Location::Body, name, problem).into()
}

/// For anonymous users, who have no account to read.
fn cannot_read() -> ApiError {
    let mut error = ApiError::new(Errno::Undefined);
    error.status = StatusCode::UNAUTHORIZED;
    error.error = "Cannot read accounts.".into();
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_mail_addresses() {
        for name in ["alice", "a", "0", "alice+test@example.com", "A_b-c.d"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "@a", "a b", "a/b", "a:b", "é", "a\n", "*", "a%"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
