//! Moments of changes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch. Strictly increasing within a list of objects.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest moment after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The entity tag of this moment, as `ETag` and `If-Match` have it: `"1767225600000"`.
    pub fn etag(self) -> String {
        format!("\"{self}\"")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<i64> for Timestamp {
    fn from(milliseconds: i64) -> Self {
        Self(milliseconds)
    }
}

/// The text is not a number of milliseconds, quoted or not.
#[derive(Debug, PartialEq, Eq)]
pub struct NotATimestamp;

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected milliseconds since 1970, such as 1767225600000")
    }
}

impl std::error::Error for NotATimestamp {}

/// Reads a number with or without the quotes of an entity tag.
impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let text = text.trim();
        let bare = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
        bare.parse().map(Self).map_err(|_| NotATimestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_optional() {
        for text in ["12", "\"12\"", " 12 "] {
            assert_eq!(text.parse(), Ok(Timestamp(12)), "{text}");
        }
        for text in ["", "\"", "\"12", "12.5", "soon"] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }

    #[test]
    fn an_entity_tag_is_quoted() {
        assert_eq!(Timestamp(12).etag(), "\"12\"");
    }
}
