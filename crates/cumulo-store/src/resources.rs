//! Names that come out of an engine.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Names of resources, which the port wants to live forever. The program knows few.
#[derive(Debug, Default)]
pub(crate) struct Resources(Mutex<BTreeSet<&'static str>>);

impl Resources {
    /// Remembers a name that lives forever anyway.
    pub(crate) fn note(&self, name: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// A name out of the engine; leaked if the program has not used it yet.
    pub(crate) fn intern(&self, name: &str) -> &'static str {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return known;
        }
        let name: &'static str = name.to_owned().leak();
        names.insert(name);
        name
    }
}
