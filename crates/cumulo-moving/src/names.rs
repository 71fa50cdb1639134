//! Names of resources, which the port wants to live forever.

use std::collections::BTreeSet;

use cumulo_core::{object::List, resource::RESOURCES};

/// More names than any program has: an export with more of them is none.
const MAX_NAMES: usize = 1000;

/// Gives out names that live forever, each leaked once.
pub(crate) struct Names(BTreeSet<&'static str>);

impl Names {
    pub(crate) fn new() -> Self {
        Self(RESOURCES.iter().map(|resource| resource.name).collect())
    }

    /// The list with these names; `None` if there are too many names.
    pub(crate) fn list(&mut self, parent: &str, resource: &str) -> Option<List> {
        if let Some(known) = self.0.get(resource) {
            return Some(List::new(parent, known));
        }
        if self.0.len() >= MAX_NAMES {
            return None;
        }
        let resource: &'static str = resource.to_owned().leak();
        self.0.insert(resource);
        Some(List::new(parent, resource))
    }
}
