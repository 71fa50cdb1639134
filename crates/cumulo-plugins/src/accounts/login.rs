//! Logins that were found right a moment ago: to check a password takes a good part of a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cumulo_core::{authentication::hmac_hex, object::Timestamp};
use secrecy::SecretString;

/// How many logins are remembered at the most.
const CAPACITY: usize = 10_000;

/// A bounded memory of logins; each is forgotten a while after it was checked, used or not.
///
/// The key of a login is made of the stored hash too, which is read for each request: that costs
/// little, and a login ends at once when the password is changed or the account deleted, by this
/// process, by another copy or by Kinto. What is remembered never becomes wrong.
#[derive(Default)]
pub(super) struct Logins {
    /// When they are forgotten, by key.
    until: Mutex<HashMap<String, Timestamp>>,
}

/// Names the fact that `password` is right for `hash`, in a way that does not tell it.
pub(super) fn key(secret: &SecretString, name: &str, password: &str, hash: &str) -> String {
    hmac_hex(secret, &format!("{name}\0{hash}\0{password}"))
}

impl Logins {
    /// Whether a login was found right lately.
    pub(super) fn knows(&self, key: &str, now: Timestamp) -> bool {
        self.until().get(key).is_some_and(|until| *until > now)
    }

    /// Remembers a login for `ttl` milliseconds from `now`.
    pub(super) fn remember(&self, key: String, now: Timestamp, ttl: i64) {
        let mut until = self.until();
        if until.len() >= CAPACITY {
            until.retain(|_, until| *until > now);
        }
        if until.len() >= CAPACITY {
            until.clear();
        }
        until.insert(key, Timestamp(now.0.saturating_add(ttl)));
    }

    fn until(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_makes_no_login_last_longer() {
        let logins = Logins::default();
        logins.remember("a".into(), Timestamp(0), 1000);
        assert!(logins.knows("a", Timestamp(999)));
        assert!(!logins.knows("a", Timestamp(1000)));
        assert!(!logins.knows("b", Timestamp(0)));
        logins.remember("c".into(), Timestamp(0), 0);
        assert!(!logins.knows("c", Timestamp(0)));
    }

    #[test]
    fn their_number_is_bounded() {
        let logins = Logins::default();
        for n in 0..2 * CAPACITY {
            logins.remember(n.to_string(), Timestamp(0), 1000);
        }
        assert!(logins.until().len() <= CAPACITY);
    }

    #[test]
    fn each_part_makes_another_key() {
        let key = |name, password, hash| key(&"secret".into(), name, password, hash);
        let keys = [key("a", "b", "c"), key("a", "c", "c"), key("b", "b", "c"), key("a", "b", "d")];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }
}
