//! What happened in a bucket: <https://docs.kinto-storage.org/en/stable/api/1.x/history.html>

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Permissions, Row, Timestamp, delete::DeleteMany, list::List, resource::Bucket,
    transport::Transport,
};

/// One change, of one object.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Change<T = Value> {
    /// The id of the entry.
    pub id: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// `create`, `update` or `delete`.
    pub action: String,
    /// When it happened, as ISO 8601.
    pub date: String,
    /// Who did it, as a principal.
    pub user_id: String,
    /// What was changed, such as `record`.
    pub resource_name: String,
    /// Its path.
    pub uri: String,
    /// The bucket that it is, or is in.
    pub bucket_id: Option<String>,
    /// The group that it is.
    pub group_id: Option<String>,
    /// The collection that it is, or is in.
    pub collection_id: Option<String>,
    /// The record that it is.
    pub record_id: Option<String>,
    /// What it was changed to.
    pub target: Target<T>,
}

/// An object after a change.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Target<T = Value> {
    /// Its data, or what is left of it.
    pub data: T,
    /// Who may do what with it.
    pub permissions: Option<Permissions>,
}

impl<T: DeserializeOwned + Send + 'static> Row for Change<T> {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> List<X, Change<T>> {
    /// Those that were written after this timestamp.
    pub fn since(self, timestamp: Timestamp) -> Self {
        self.param("_since", &timestamp.etag())
    }
}

/// What happened in a bucket.
#[derive(Clone, Debug)]
pub struct History<X>(Bucket<X>);

impl<X: Transport> Bucket<X> {
    /// What happened in it, where the plugin `history` is on.
    pub fn history(&self) -> History<X> {
        History(self.clone())
    }
}

impl<X: Transport> History<X> {
    /// The changes, newest first. Filters are on the fields of [`Change`], such as
    /// `field("resource_name")`, and on those of the object: `field("target.data.title")`.
    pub fn list(&self) -> List<X, Change> {
        List::new(self.0.transport().clone(), self.0.call(http::Method::GET, "/history"))
    }

    /// Forgets the changes, or those that pass the filters.
    pub fn purge(&self) -> DeleteMany<X> {
        DeleteMany::new(self.0.transport().clone(), self.0.call(http::Method::DELETE, "/history"))
    }
}
