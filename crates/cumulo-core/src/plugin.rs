//! What a plugin can do. Each method has a default, so that a plugin only writes what it needs.

use serde_json::{Map, Value};

use crate::{
    api::Api, call::Call, error::Result, reply::Reply, resource::Target, store::Transaction,
};

/// A feature that is switched on by the `includes` setting.
pub trait Plugin: Send + Sync {
    /// The name in the `includes` setting, without `kinto.plugins.`.
    fn name(&self) -> &'static str;

    /// Its entry among the capabilities of the root view: name and description.
    fn capability(&self) -> Option<(&'static str, Value)> {
        None
    }

    /// Whether it answers requests for this path (decoded, without version prefix) itself, with
    /// [`answer`](Self::answer).
    fn claims(&self, path: &str) -> bool {
        let _ = path;
        false
    }

    /// The list or object that a request to a path which it claims (decoded, with version prefix)
    /// is about, as far as that is known without storage. `call` is the request, or the batch that
    /// it is part of.
    fn target(&self, api: &Api, call: &Call, path: &str) -> Option<Target> {
        let _ = (api, call, path);
        None
    }

    /// Answers a request whose path it claims, in the request's transaction.
    fn answer(&self, api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        let _ = (api, call, tx);
        Err(crate::error::ApiError::url_not_found())
    }

    /// Adds to what the root view tells a user of themselves.
    fn describe_user(&self, api: &Api, user: &str, description: &mut Map<String, Value>) {
        let _ = (api, user, description);
    }
}
