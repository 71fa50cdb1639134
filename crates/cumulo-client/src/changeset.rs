//! A collection as remote settings serve it, signed:
//! <https://remote-settings.readthedocs.io/en/latest/client-specifications.html>

use cumulo_wire::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Response, Root, call::Call, get::Get, resource::Collection, transport::Transport};

/// A collection, or what changed in it, with its signature.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Changeset<T = Value> {
    /// The data of the collection.
    pub metadata: Map<String, Value>,
    /// When it was changed last.
    pub timestamp: Timestamp,
    /// Its records, or those that changed, tombstones too.
    pub changes: Vec<T>,
}

/// Which changeset a cache may answer with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any that a cache has.
    #[default]
    Any,
    /// The one of this timestamp, as the list of changes tells.
    At(Timestamp),
    /// One that no cache has.
    Uncached,
}

impl<X: Transport> Collection<X> {
    /// Its changeset; `since` gives what changed after that timestamp.
    pub fn changeset<T: DeserializeOwned + Send + 'static>(
        &self,
        expected: Expected,
        since: Option<Timestamp>,
    ) -> Get<X, T, Changeset<T>> {
        let expected = match expected {
            Expected::Any => 0,
            Expected::At(timestamp) => timestamp.0,
            Expected::Uncached => rand::random_range(999_999_000_001..1_000_000_000_000),
        };
        let call = self.call(http::Method::GET, "/changeset");
        let mut call = Call { capability: Some("changes"), ..call };
        call.param("_expected", &expected.to_string());
        if let Some(since) = since {
            call.param("_since", &since.etag());
        }
        Get::new(self.transport().clone(), call, Response::json)
    }
}

impl<X: Transport> Root<X> {
    /// Which collections of remote settings have changed: the changeset of `monitor/changes`.
    pub fn monitor_changes<T: DeserializeOwned + Send + 'static>(
        &self,
        expected: Expected,
        since: Option<Timestamp>,
    ) -> Get<X, T, Changeset<T>> {
        self.collection("monitor", "changes").changeset(expected, since)
    }
}
