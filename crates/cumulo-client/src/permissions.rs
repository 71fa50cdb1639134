//! What the user may do: <https://docs.kinto-storage.org/en/stable/api/1.x/permissions.html>

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::Row;

/// What the user may do with one object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// What it is, such as `collection`.
    pub resource_name: String,
    /// Its path, such as `/buckets/blog/collections/articles`.
    pub uri: String,
    /// The bucket that it is, or is in.
    pub bucket_id: Option<String>,
    /// The group that it is.
    pub group_id: Option<String>,
    /// The collection that it is, or is in.
    pub collection_id: Option<String>,
    /// The record that it is.
    pub record_id: Option<String>,
    /// What the user may do, such as `write` or `record:create`.
    pub permissions: BTreeSet<String>,
}

impl Row for Entry {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}
