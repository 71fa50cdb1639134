//! What a change of one object does to others, whoever makes it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::store::{Result, Transaction};

/// Carries out what follows from the deletion of an object: the end of what lies below it, and of
/// the memberships of a group.
pub fn after_delete(resource: &str, uri: &str, tx: &mut dyn Transaction) -> Result<()> {
    match resource {
        "bucket" | "collection" => tx.delete_below(uri),
        "group" => tx.disband(uri),
        _ => Ok(()),
    }
}

/// The members that the data of a group lists; none if it is damaged.
pub fn members(data: &str) -> BTreeSet<String> {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let members = data.get("members").and_then(Value::as_array);
    members.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
