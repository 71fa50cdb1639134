//! What the settings say about history.

use std::collections::HashSet;

use cumulo_core::{resource::Target, settings::Settings};
use serde_json::{Map, Value};

/// The settings, ready to be asked.
pub(super) struct Rules {
    /// In the order of the setting.
    excluded_resources: Vec<String>,
    excluded_users: HashSet<String>,
    /// When old entries are removed, if ever.
    pub(super) trim: Option<Trim>,
    /// Whether entries get access control lists of their own.
    pub(super) has_permissions: bool,
}

/// When old entries are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trim {
    /// How many stay.
    pub(super) keep: u64,
    /// How many more there may be before.
    pub(super) threshold: u64,
    /// Whose; nothing for those of everybody together.
    pub(super) users: Vec<String>,
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        let keep = u64::try_from(settings.history_auto_trim_max_count).unwrap_or(0);
        let trim = (keep > 0).then(|| Trim {
            keep,
            threshold: settings.history_auto_trim_threshold.into(),
            users: settings.history_auto_trim_user_ids.clone(),
        });
        Self {
            excluded_resources: settings.history_exclude_resources.clone(),
            excluded_users: settings.history_exclude_user_ids.iter().cloned().collect(),
            trim,
            has_permissions: settings.explicit_permissions,
        }
    }

    /// Whether what this user does is not noted.
    pub(super) fn excludes_user(&self, user: Option<&str>) -> bool {
        user.is_some_and(|user| self.excluded_users.contains(user))
    }

    /// Whether what is done to the object with this URI is not noted: because of itself, or of an
    /// object above it.
    pub(super) fn excludes(&self, uri: &str) -> bool {
        self.excluded_resources.iter().any(|excluded| {
            uri.strip_prefix(excluded.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Adds to the capability what clients should know.
    pub(super) fn describe(&self, capability: &mut Map<String, Value>) {
        if let Some(trim) = &self.trim {
            capability.insert("auto_trim_max_count".into(), trim.keep.into());
            if !trim.users.is_empty() {
                capability.insert("auto_trim_user_ids".into(), trim.users.clone().into());
            }
        }
        let excluded: Vec<_> =
            self.excluded_resources.iter().filter_map(|uri| named_ids(uri)).collect();
        if !excluded.is_empty() {
            capability.insert("excluded_resources".into(), excluded.into());
        }
    }
}

/// The ids in a URI, such as `{"bucket": "blog", "group": "editors"}`.
fn named_ids(uri: &str) -> Option<Value> {
    let target = Target::parse(uri)?;
    let ancestors = target.ancestors.iter().map(|it| (it.resource.name, it.id.as_str()));
    let ids = ancestors.chain([(target.resource.name, target.id.as_deref()?)]);
    Some(ids.map(|(name, id)| (name.to_owned(), Value::from(id))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluding(uris: &[&str]) -> Rules {
        Rules {
            excluded_resources: uris.iter().map(ToString::to_string).collect(),
            excluded_users: HashSet::from(["account:bot".to_owned()]),
            trim: None,
            has_permissions: true,
        }
    }

    #[test]
    fn what_lies_below_is_excluded_too() {
        let rules = excluding(&["/buckets/a", "/buckets/b/collections/c"]);
        for uri in ["/buckets/a", "/buckets/a/groups/g", "/buckets/b/collections/c/records/r"] {
            assert!(rules.excludes(uri), "{uri}");
        }
        for uri in ["/buckets/ab", "/buckets/b", "/buckets/b/collections/cc", "/buckets"] {
            assert!(!rules.excludes(uri), "{uri}");
        }
    }

    #[test]
    fn nobody_is_no_excluded_user() {
        let rules = excluding(&[]);
        assert!(rules.excludes_user(Some("account:bot")));
        assert!(!rules.excludes_user(Some("account:ann")));
        assert!(!rules.excludes_user(None));
    }
}
