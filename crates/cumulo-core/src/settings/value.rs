//! How the text of a setting becomes a value.
//!
//! The reference server decodes each value as JSON when it can. Here the type of the setting
//! decides, and JSON is only one more way to write it: `"text"`, `null` and `["a", "b"]` work,
//! while a project version of `1.10` stays `1.10` and a secret of digits stays a text.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

/// A type that a setting can have.
pub trait Value: Sized {
    /// Whether the value must not be repeated in messages.
    const SECRET: bool = false;
    /// What values there are, to be read after "expected".
    fn expects() -> String;
    /// Understands `text`, or not.
    fn parse(text: &str) -> Option<Self>;
    /// The value as one would write it.
    fn show(&self) -> String;
    /// The number that it is, to check limits.
    fn number(&self) -> Option<i128> {
        None
    }
}

/// The text without JSON quotes; nothing for `null`.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text {
        "null" => Cow::Borrowed(""),
        _ if text.starts_with('"') => {
            serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned)
        }
        _ => Cow::Borrowed(text),
    }
}

/// The words of a list, which is separated by whitespace or written as JSON.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = plain(text);
    if text.starts_with('[')
        && let Ok(list) = serde_json::from_str(&text)
    {
        return list;
    }
    text.split_whitespace().map(str::to_owned).collect()
}

impl Value for bool {
    fn expects() -> String {
        "true or false".into()
    }

    fn parse(text: &str) -> Option<Self> {
        match plain(text).to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            // Nothing means no, as upstream.
            "false" | "no" | "off" | "n" | "f" | "0" | "" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn expects() -> String {
                "a whole number".into()
            }

            fn parse(text: &str) -> Option<Self> {
                plain(text).trim().parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn number(&self) -> Option<i128> {
                i128::try_from(*self).ok()
            }
        }
    )+ };
}
whole_numbers!(u8, u32, u64, usize, i64);

impl Value for String {
    fn expects() -> String {
        "a text".into()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(plain(text).into_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for SecretString {
    const SECRET: bool = true;

    fn expects() -> String {
        "a secret text".into()
    }

    fn parse(text: &str) -> Option<Self> {
        // `null` would be a strange secret, but it is one.
        Some(if text.trim() == "null" { "null".into() } else { plain(text).into_owned().into() })
    }

    fn show(&self) -> String {
        if self.expose_secret().is_empty() { String::new() } else { "…".into() }
    }
}

impl Value for Vec<String> {
    fn expects() -> String {
        "a list of words, separated by spaces or new lines".into()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(words(text))
    }

    fn show(&self) -> String {
        self.join(" ")
    }
}

impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expects() -> String {
        format!("{} or nothing", T::expects())
    }

    fn parse(text: &str) -> Option<Self> {
        if plain(text).trim().is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, T::show)
    }

    fn number(&self) -> Option<i128> {
        self.as_ref().and_then(T::number)
    }
}

/// Makes an enum whose values are words; the first word of each is its name.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal $(| $alias:literal)*, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $name {
            /// The name of this choice.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl Value for $name {
            fn expects() -> String {
                let words: &[&str] = &[$($word),+];
                either(words)
            }

            fn parse(text: &str) -> Option<Self> {
                match plain(text).trim() {
                    $( $word $(| $alias)* => Some(Self::$variant), )+
                    _ => None,
                }
            }

            fn show(&self) -> String {
                self.as_str().into()
            }
        }
    };
}

/// `a, b or c`.
pub(super) fn either(words: &[&str]) -> String {
    match words {
        [] => "nothing".into(),
        [only] => (*only).into(),
        [start @ .., last] => format!("{} or {last}", start.join(", ")),
    }
}

choice! {
    /// An engine that stores objects and permissions.
    Engine {
        /// In the memory of the process: gone when it ends.
        Memory = "memory" | "kinto.core.storage.memory" | "kinto.core.permission.memory",
        /// One SQLite file.
        Sqlite = "sqlite" | "kinto.core.storage.sqlite" | "kinto.core.permission.sqlite",
        /// A PostgreSQL database, which other copies and Kinto may use at the same time.
        Postgresql = "postgresql" | "kinto.core.storage.postgresql"
            | "kinto.core.permission.postgresql",
    }
}

choice! {
    /// An engine that caches.
    CacheEngine {
        /// In the memory of the process.
        Memory = "memory" | "kinto.core.cache.memory",
        /// One SQLite file.
        Sqlite = "sqlite" | "kinto.core.cache.sqlite",
        /// Kinto's table in PostgreSQL.
        Postgresql = "postgresql" | "kinto.core.cache.postgresql",
        /// Redis 6.2 or later.
        Redis = "redis" | "kinto.core.cache.redis" | "kinto_redis.cache",
        /// One or more memcached servers.
        Memcached = "memcached" | "kinto.core.cache.memcached",
    }
}

choice! {
    /// How objects that are created without an id get one, and which ids are accepted.
    IdGenerator {
        /// Eight letters and digits; any valid id is accepted.
        Name = "kinto.views.NameGenerator",
        /// A UUID; any valid id is accepted.
        RelaxedUuid = "kinto.views.RelaxedUUID",
        /// A UUID; only such are accepted.
        Uuid4 = "kinto.core.storage.generators.UUID4",
    }
}

choice! {
    /// What an acknowledged write survives.
    SqliteDurability {
        /// A power cut: every commit is flushed to the disk.
        Full = "full",
        /// The end of the process; a power cut may lose the latest writes, not the file.
        Normal = "normal",
        /// The end of the process; a power cut may damage the file.
        Off = "off",
    }
}

choice! {
    /// How passwords of accounts are hashed.
    PasswordScheme {
        /// bcrypt, which Kinto reads too.
        Bcrypt = "bcrypt",
        /// Argon2id (RFC 9106).
        Argon2id = "argon2id",
    }
}

choice! {
    /// The shape of log lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_many_spellings() {
        for yes in ["true", "True", "yes", "on", "y", "t", "1", "\"true\""] {
            assert_eq!(bool::parse(yes), Some(true), "{yes}");
        }
        for no in ["false", "no", "OFF", "n", "f", "0", "", "null"] {
            assert_eq!(bool::parse(no), Some(false), "{no}");
        }
        assert_eq!(bool::parse("maybe"), None);
    }

    #[test]
    fn json_is_one_more_way_to_write_a_value() {
        assert_eq!(String::parse("\"a b\"").as_deref(), Some("a b"));
        assert_eq!(String::parse("1.10").as_deref(), Some("1.10"));
        assert_eq!(Option::<u32>::parse("null"), Some(None));
        assert_eq!(Option::<u32>::parse(""), Some(None));
        assert_eq!(Option::<u32>::parse("\"12\""), Some(Some(12)));
        assert_eq!(words("[\"a\", \"b\"]"), ["a", "b"]);
        assert_eq!(words("a\n  b c"), ["a", "b", "c"]);
    }

    #[test]
    fn secrets_stay_texts() {
        let secret = |text| SecretString::parse(text).unwrap().expose_secret().to_owned();
        assert_eq!(secret("0123456789"), "0123456789");
        assert_eq!(secret("1e5"), "1e5");
        assert_eq!(secret("null"), "null");
        assert_eq!(secret("\"quoted\""), "quoted");
    }

    #[test]
    fn numbers_are_whole_and_fit() {
        assert_eq!(u8::parse("255"), Some(255));
        assert_eq!(u8::parse("256"), None);
        assert_eq!(u32::parse("-1"), None);
        assert_eq!(i64::parse("-1"), Some(-1));
        assert_eq!(u32::parse("ten"), None);
    }
}
