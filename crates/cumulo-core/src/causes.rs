//! Errors in logs. Log lines in JSON would show no more of an error than its own message.

use std::{error::Error, fmt};

/// Shows an error and what led to it, as one line.
pub struct Causes<'a>(pub &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Causes;
    use crate::store;

    #[test]
    fn the_cause_is_told() {
        let failure = store::Error::Internal("the table is gone".into());
        assert_eq!(Causes(&failure).to_string(), "the storage failed: the table is gone");
    }
}
