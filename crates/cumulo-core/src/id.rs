//! Identifiers: which are valid, and new ones.

use cumulo_wire::is_name;
use rand::Rng;
use uuid::Uuid;

use crate::settings::IdGenerator;

impl IdGenerator {
    /// Whether `id` is valid: a lower-case UUID, or letters, digits, `-` and `_` that begin with a
    /// letter or digit.
    pub fn accepts(self, id: &str) -> bool {
        match self {
            Self::Name | Self::RelaxedUuid => is_name(id),
            Self::Uuid4 => is_uuid(id),
        }
    }

    /// The same rule as a regular expression.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Name | Self::RelaxedUuid => "^[a-zA-Z0-9][a-zA-Z0-9_-]*$",
            Self::Uuid4 => "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        }
    }

    /// A new id. Those of records are time-ordered, so that rows that are made one after the other
    /// are stored side by side.
    pub fn generate(self) -> String {
        match self {
            Self::Name => generate_name(),
            Self::RelaxedUuid => Uuid::now_v7().to_string(),
            Self::Uuid4 => Uuid::new_v4().to_string(),
        }
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn generate_name() -> String {
    const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const ALPHANUMERIC: usize = 62;
    let mut rng = rand::rng();
    (0..8)
        .map(|position| if position == 0 { ALPHANUMERIC } else { ALPHABET.len() })
        .map(|choices| char::from(ALPHABET[rng.random_range(0..choices)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_valid() {
        for rule in [IdGenerator::Name, IdGenerator::RelaxedUuid, IdGenerator::Uuid4] {
            for _ in 0..100 {
                let id = rule.generate();
                assert!(rule.accepts(&id), "{rule:?} {id}");
            }
        }
    }

    #[test]
    fn names_begin_with_a_letter_or_digit() {
        for id in ["a", "0", "a_b-C", "b9b6-"] {
            assert!(IdGenerator::Name.accepts(id), "{id}");
        }
        for id in ["", "-a", "_a", "a b", "a\n", "é", "a/b", "*", "a%"] {
            assert!(!IdGenerator::Name.accepts(id), "{id}");
        }
    }

    #[test]
    fn patterns_are_the_rules() {
        let uuid = "0198f3b2-0000-7000-8000-0123456789ab";
        for rule in [IdGenerator::Name, IdGenerator::Uuid4] {
            let schema = serde_json::json!({"type": "string", "pattern": rule.pattern()});
            for id in ["a", "a_b-C", "", "-a", "a b", "é", "a/b", uuid, &uuid.to_uppercase()] {
                let matches = jsonschema::is_valid(&schema, &id.into());
                assert_eq!(matches, rule.accepts(id), "{rule:?} {id}");
            }
        }
    }
}
