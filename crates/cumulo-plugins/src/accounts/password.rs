//! Password hashes, as the bcrypt library of Python makes and reads them.

/// The most bytes of a password: bcrypt looks at no more.
pub const MAX_BYTES: usize = 72;

/// How slow a hash is, as a power of two: what Kinto uses.
const COST: u32 = 12;

/// A hash of no password that anybody knows, as slow to verify as others.
pub(super) const NOBODYS: &str = "$2b$12$I6Klbf7i95RWO4J/7uEWh.mVplBDw6lWEdfYl4FkA3.9EpFpPSNLa";

/// What keeps a text from becoming a password.
pub fn problem(password: &str) -> Option<&'static str> {
    if password.is_empty() {
        Some("The password is empty.")
    } else if password.len() > MAX_BYTES {
        Some("The password is longer than 72 bytes.")
    } else if password.contains('\0') {
        Some("The password contains a NUL character.")
    } else {
        None
    }
}

/// The hash of a password without [`problem`]. Takes a good part of a second.
pub fn hash(password: &str) -> String {
    bcrypt::hash(password, COST).expect("the cost is valid, and the system has random numbers")
}

/// Whether a password is the one that `hash` was made of. Takes as long as to make it. Of a long
/// password only the first bytes count, as when it was hashed by older versions of Python's library.
pub fn verify(password: &str, hash: &str) -> bool {
    let bytes = password.as_bytes();
    // What is stored may be no hash at all: Kinto lets patches store any text.
    !bytes.contains(&0)
        && bcrypt::verify(&bytes[..bytes.len().min(MAX_BYTES)], hash).unwrap_or(false)
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
        let ours = hash("pässword");
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
    fn what_is_no_hash_matches_nothing() {
        for hash in ["", "secret", "$2b$", "$1$abc$def"] {
            assert!(!verify("secret", hash), "{hash}");
        }
        assert!(!verify("secret", NOBODYS));
        bcrypt::verify("secret", NOBODYS).expect("a hash, which takes its time");
    }

    #[test]
    fn new_passwords_are_checked() {
        assert_eq!(problem(&"a".repeat(72)), None);
        assert!(problem(&"é".repeat(37)).is_some_and(|text| text.contains("72 bytes")));
        assert!(problem("a\0b").is_some());
        assert!(problem("").is_some());
    }
}
