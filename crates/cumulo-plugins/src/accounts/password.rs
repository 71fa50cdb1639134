//! Password hashes: bcrypt as Python's library makes and reads them, and Argon2id. Which one a hash is,
//! it says itself.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use cumulo_core::{
    render::MASK,
    settings::PasswordScheme::{self, Argon2id, Bcrypt},
};

/// How slow a bcrypt hash is, as a power of two: what Kinto uses.
const COST: u32 = 12;

/// What OWASP asks of Argon2id: 19 MiB of memory, in KiB here, and two passes in one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most that a stored hash may ask for. Kinto lets patches store any text.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 8;

/// The most bytes of a password. bcrypt looks at no more than 72.
fn max_bytes(scheme: PasswordScheme) -> usize {
    match scheme {
        Bcrypt => 72,
        Argon2id => 1024,
    }
}

/// A hash of no password that anybody knows, as slow to verify as others.
pub(super) fn nobodys(scheme: PasswordScheme) -> &'static str {
    match scheme {
        Bcrypt => "$2b$12$I6Klbf7i95RWO4J/7uEWh.mVplBDw6lWEdfYl4FkA3.9EpFpPSNLa",
        Argon2id => {
            "$argon2id$v=19$m=19456,t=2,p=1$NFQoSp3VEeQpkQQs909KcA\
             $yN53NSu8tdvdiW7cLel3U8M5SRQmoUt6Tilp3au9CfU"
        }
    }
}

/// What keeps a text from becoming a password.
pub fn problem(scheme: PasswordScheme, password: &str) -> Option<&'static str> {
    if password == MASK {
        Some("The password is the text that stands for hidden ones.")
    } else if password.is_empty() {
        Some("The password is empty.")
    } else if password.len() > max_bytes(scheme) {
        Some(match scheme {
            Bcrypt => "The password is longer than 72 bytes.",
            Argon2id => "The password is longer than 1024 bytes.",
        })
    } else if password.contains('\0') {
        Some("The password contains a NUL character.")
    } else {
        None
    }
}

/// The hash of a password without [`problem`]. Takes a good part of a second.
pub fn hash(scheme: PasswordScheme, password: &str) -> String {
    match scheme {
        Bcrypt => bcrypt::hash(password, COST)
            .expect("the cost is valid, and the system has random numbers"),
        Argon2id => {
            let params = Params::new(MEMORY, PASSES, LANES, None).expect("they are valid");
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = argon2.hash_password(password.as_bytes());
            hash.expect("the password is short, and the system has random numbers").to_string()
        }
    }
}

/// Whether a password is the one that `hash` was made of. Takes as long as to make it.
pub fn verify(password: &str, hash: &str) -> bool {
    // What is stored may be no hash at all.
    !password.contains('\0')
        && if hash.starts_with("$argon2id$") {
            verify_argon2id(password, hash).unwrap_or(false)
        } else {
            verify_bcrypt(password, hash)
        }
}

/// Of a long password only the first bytes count, as when it was hashed by older versions of Python's
/// library.
fn verify_bcrypt(password: &str, hash: &str) -> bool {
    let bytes = password.as_bytes();
    bcrypt::verify(&bytes[..bytes.len().min(max_bytes(Bcrypt))], hash).unwrap_or(false)
}

/// Nothing if it is no hash, or one that takes too much.
fn verify_argon2id(password: &str, hash: &str) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&hash).ok()?;
    if password.len() > max_bytes(Argon2id)
        || params.m_cost() > MOST_MEMORY
        || params.t_cost() > MOST_PASSES
    {
        return None;
    }
    Some(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: [&str; 3] = [
        "$2b$04$ua.GelTtT3/WVSCsvlTEbORcMXbKai30/ExZ7rpLwbAKQw4McciM6",
        "$2a$04$ua.GelTtT3/WVSCsvlTEbORcMXbKai30/ExZ7rpLwbAKQw4McciM6",
        "$2y$04$ua.GelTtT3/WVSCsvlTEbORcMXbKai30/ExZ7rpLwbAKQw4McciM6",
    ];
    const LONG: &str = "$2b$04$4g8PqgPXJo8jiwnY1W/3b.N.q7ZHuWhZzwmLr2owyYPZfi5AWxFWS";

    #[test]
    fn hashes_are_those_of_python() {
        // Made with `bcrypt.hashpw(password, bcrypt.gensalt(4))`, and other prefixes.
        for hash in PYTHON {
            assert!(verify("pässword", hash), "{hash}");
            assert!(!verify("passwort", hash), "{hash}");
        }
        let ours = hash(Bcrypt, "pässword");
        assert!(ours.starts_with("$2b$12$") && ours.len() == 60, "{ours}");
        assert!(verify("pässword", &ours));
    }

    #[test]
    fn long_passwords_count_with_their_first_bytes() {
        assert!(verify(&"a".repeat(100), LONG));
        assert!(verify(&"a".repeat(72), LONG));
        assert!(!verify(&"a".repeat(71), LONG));
    }

    #[test]
    fn hashes_of_argon2id_are_those_of_others() {
        // Made with `argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=2)` of Python.
        let python = "$argon2id$v=19$m=64,t=1,p=2$i5v7oMnxow0OrE6U98mOQQ\
                      $4lvmWgNnGMji+1BdhDBhbmRUALszrhtyzINAYQlKmn4";
        assert!(verify("pässword", python));
        assert!(!verify("passwort", python));
        let ours = hash(Argon2id, "pässword");
        assert!(ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{ours}");
        assert!(verify("pässword", &ours));
        assert!(!verify("passwort", &ours));
        let long = hash(Argon2id, &"a".repeat(100));
        assert!(verify(&"a".repeat(100), &long));
        assert!(!verify(&"a".repeat(99), &long));
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_much_memory() {
        let large = "$argon2id$v=19$m=262144,t=1,p=1$pKK5tbj4d+xVQnbhDKrKnA\
                     $lN/5SzVpGV+t4zXztSckUKadQf4E9pqOWwxLU7JBOaE";
        assert_eq!(verify_argon2id("pässword", large), None);
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        for hash in
            ["", "secret", "$2b$", "$1$abc$def", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$"]
        {
            assert!(!verify("secret", hash), "{hash}");
        }
        assert!(!verify("secret", nobodys(Bcrypt)));
        bcrypt::verify("secret", nobodys(Bcrypt)).expect("a hash, which takes its time");
        assert_eq!(verify_argon2id("secret", nobodys(Argon2id)), Some(false));
    }

    #[test]
    fn new_passwords_are_checked() {
        assert_eq!(problem(Bcrypt, &"a".repeat(72)), None);
        assert!(problem(Bcrypt, &"é".repeat(37)).is_some_and(|text| text.contains("72 bytes")));
        assert_eq!(problem(Argon2id, &"é".repeat(512)), None);
        assert!(problem(Argon2id, &"é".repeat(513)).is_some_and(|text| text.contains("1024")));
        for scheme in [Bcrypt, Argon2id] {
            assert!(problem(scheme, "a\0b").is_some());
            assert!(problem(scheme, "").is_some());
        }
    }
}
