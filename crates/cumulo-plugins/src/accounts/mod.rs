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
mod throttle;

use std::time::Duration;

use cumulo_core::{
    api::Api,
    authentication::{Credentials, Identity, Login},
    call::{Call, Prepared},
    error::{ApiError, Errno, Invalid, Location, Result},
    host::Host,
    object::List,
    openapi::Description,
    plugin::{Place, Plugin, Slow},
    render,
    resource::{OBJECT_METHODS, PLURAL_METHODS, Resource, Target, right},
    settings::{PasswordScheme, Settings},
    store::{self, Access, BoxFuture, Outcome, Transaction},
};
use http::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use self::{
    login::{Logins, key},
    throttle::Attempts,
};

/// The plugin, and the logins that it remembers.
pub struct Accounts {
    logins: Logins,
    /// How new passwords are hashed.
    scheme: PasswordScheme,
}

impl Accounts {
    /// With the settings that it starts with.
    pub fn new(settings: &Settings) -> Self {
        Self { logins: Logins::default(), scheme: settings.account_password_hash }
    }
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
    fields: None,
    texts: &[],
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
pub fn user_of(name: &str) -> String {
    format!("account:{name}")
}

/// The list in which the account with this name is, alone, under the name as its id.
pub fn list_of(name: &str) -> List {
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
    tx.put(&list, name, None, &render::to_data(&data), Some(&acl)).map(drop)
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

    fn describe(&self, _: &Api, description: &mut Description) {
        let id = json!({"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9+.@_-]*$"});
        description.schemas.insert("AccountId".to_owned(), id);
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
        let scheme = self.scheme;
        if password::problem(scheme, &password).is_some() {
            return None;
        }
        Some(Box::new(move || {
            let hash = password::hash(scheme, &password);
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
            let problem = password::problem(self.scheme, given);
            invalid("data.password", problem.unwrap_or("The password must be given as a value."))
        })?;
        data.insert(PASSWORD.to_owned(), hash.as_str().into());
        Ok(())
    }

    fn authenticate<'a>(
        &'a self,
        host: &'a dyn Host,
        login: &'a Login,
    ) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(async move {
            let Credentials::Password { name, password } = &login.credentials else {
                return Ok(None);
            };
            let is_right = self.is_right(host, name, password, login.is_last).await?;
            Ok(is_right.then(|| Identity::of(user_of(name))))
        })
    }
}

impl Accounts {
    /// Whether there is an account with this name and password. If wrong logins are nobody, one
    /// with a wrong name takes as long as others.
    async fn is_right(
        &self,
        host: &dyn Host,
        name: &str,
        password: &SecretString,
        is_last: bool,
    ) -> Result<bool> {
        let hash = if is_name(name) { hash_of(host, name).await? } else { None };
        let given = password.clone();
        let Some(hash) = hash else {
            if is_last {
                let nobodys = password::nobodys(self.scheme);
                let verify = move || password::verify(given.expose_secret(), nobodys);
                try_password(host, name, Box::new(verify)).await?;
            }
            return Ok(false);
        };
        let settings = &host.api().settings;
        let key = key(&settings.userid_hmac_secret, name, password.expose_secret(), &hash);
        let now = host.api().clock.now();
        if self.logins.knows(&key, now) {
            return Ok(true);
        }
        let verify = move || password::verify(given.expose_secret(), &hash);
        let is_right = try_password(host, name, Box::new(verify)).await?;
        if is_right {
            let ttl = i64::from(settings.account_cache_ttl_seconds) * 1000;
            self.logins.remember(key, now, ttl);
        }
        Ok(is_right)
    }
}

/// Has a password checked, unless too many were wrong lately.
async fn try_password(host: &dyn Host, name: &str, verify: Slow<bool>) -> Result<bool> {
    let log = |failure: cumulo_kvs::Error| {
        tracing::error!(error = &failure as &dyn std::error::Error, "the cache failed");
    };
    let settings = &host.api().settings;
    let attempts = Attempts::new(&**host.cache(), settings, name, host.api().clock.now());
    match attempts.begin().await {
        Ok(Ok(())) => {}
        Ok(Err(delay)) => return Err(too_many_logins(delay)),
        Err(failure) => log(failure),
    }
    let is_right = host.work_out(verify).await?;
    if is_right && let Err(failure) = attempts.succeed().await {
        log(failure);
    }
    Ok(is_right)
}

fn too_many_logins(delay: Duration) -> ApiError {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    ApiError::new(Errno::TooManyRequests)
        .with_message("Too many wrong passwords for this name, please retry later.")
        .with_header(header::RETRY_AFTER, seconds.into())
}

/// The hash of an account's password; none if there is no such account.
pub fn stored_hash(name: &str, tx: &mut dyn Transaction) -> store::Result<Option<String>> {
    let Some(entry) = tx.get(&list_of(name), name)? else { return Ok(None) };
    match render::parse(&entry.object.data).remove(PASSWORD) {
        Some(Value::String(hash)) => Ok(Some(hash)),
        _ => Ok(None),
    }
}

/// The same, in a transaction of its own.
async fn hash_of(host: &dyn Host, name: &str) -> Result<Option<String>> {
    let asked = name.to_owned();
    let read = host
        .store()
        .transact(Access::Read, move |tx| Ok((Outcome::Rollback, stored_hash(&asked, tx)?)));
    Ok(read.await.inspect_err(|failure| {
        tracing::error!(error = failure as &dyn std::error::Error, "the storage failed");
    })?)
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
