//! Which operations can be sent again without undoing later ones.

use std::collections::HashSet;

/// The paths of operations that were done, and of what is above them.
#[derive(Default)]
pub(super) struct Done<'a> {
    paths: HashSet<&'a str>,
    above: HashSet<&'a str>,
}

impl<'a> Done<'a> {
    pub(super) fn add(&mut self, path: &'a str) {
        self.paths.insert(path);
        self.above.extend(ancestors(path));
    }

    /// Whether one of them is about the same object, or one above or below.
    pub(super) fn concern(&self, path: &'a str) -> bool {
        self.paths.contains(path)
            || self.above.contains(path)
            || ancestors(path).any(|above| self.paths.contains(above))
    }
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at]).filter(|above| !above.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_concern_each_other_along_their_paths() {
        let mut done = Done::default();
        done.add("/buckets/a/collections/b/records/c");
        for path in ["/buckets/a", "/buckets/a/collections/b/records", "/buckets"] {
            assert!(done.concern(path), "{path}");
        }
        for path in ["/buckets/b", "/buckets/a/collections/b/records/d", "/buckets/a/groups/b"] {
            assert!(!done.concern(path), "{path}");
        }
        done.add("/buckets/b");
        assert!(done.concern("/buckets/b/groups/c") && done.concern("/buckets/b"));
    }
}
