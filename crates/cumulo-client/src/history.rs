//! What happened in a bucket: <https://docs.kinto-storage.org/en/stable/api/1.x/history.html>

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Permissions, Row, Timestamp,
    call::Call,
    delete::DeleteMany,
    field,
    list::{List, Page},
    resource::Bucket,
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
        List::new(self.0.transport().clone(), self.call(http::Method::GET))
    }

    /// The changes of objects of one kind, such as `record`, that are in a collection, or of the
    /// `collection` itself.
    pub(crate) fn of_collection(&self, kind: &str, collection: &str) -> List<X, Change> {
        let list = self.list().filter(field("resource_name").is(kind));
        list.filter(field("collection_id").is(collection))
    }

    /// Whether it has all that happened in a collection, from its creation on.
    pub fn is_complete(&self, collection: impl AsRef<str>) -> X::Sent<bool> {
        let creation = self.of_collection("collection", collection.as_ref());
        let creation = creation.filter(field("action").is("create")).limit(1);
        self.0.transport().send(creation.into_page_call(), |response| {
            Page::<Change>::read(response).map(|page| !page.rows.is_empty())
        })
    }

    fn call(&self, method: http::Method) -> Call {
        Call { capability: Some("history"), ..self.0.call(method, "/history") }
    }

    /// Forgets the changes, or those that pass the filters.
    pub fn purge(&self) -> DeleteMany<X> {
        DeleteMany::new(self.0.transport().clone(), self.call(http::Method::DELETE))
    }
}
