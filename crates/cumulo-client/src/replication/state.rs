//! How far a replication has got.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::Timestamp;

/// How far a replication has got, for the next one between the same places to begin there. Keep it
/// as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The URL of what is replicated.
    pub source: String,
    /// The URL of where to.
    pub destination: String,
    /// How it was done: what is left out once would stay unseen.
    pub(super) manner: Manner,
    /// The lists of records, by the id of their collection in the destination.
    pub(super) records: BTreeMap<String, Marks>,
}

/// What of the options makes replications differ in what they see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manner {
    updates: bool,
    deletes: bool,
    record_permissions: bool,
    ignored: Vec<String>,
}

impl Manner {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            updates: options.updates,
            deletes: options.deletes,
            record_permissions: options.record_permissions,
            ignored: options.ignored.iter().cloned().collect(),
        }
    }
}

/// The timestamps of two lists that were the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    pub(super) source: Timestamp,
    pub(super) destination: Timestamp,
}
