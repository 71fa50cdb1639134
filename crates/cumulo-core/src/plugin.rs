//! What a plugin can do. Each method has a default, so that a plugin only writes what it needs.

use serde_json::{Map, Value};

use crate::{
    api::Api,
    authentication::Login,
    call::{Call, Prepared},
    error::Result,
    openapi::Description,
    reply::Reply,
    resource::{Resource, Target},
    store::{self, Transaction},
};

/// Work that takes long. The edge runs it before the transaction, on a thread for such work.
pub type Slow<T> = Box<dyn FnOnce() -> T + Send>;

/// What a plugin makes of a login: the id of the user, or none if the login is wrong.
pub enum Verdict {
    /// It is known.
    Known(Option<String>),
    /// It takes long to tell.
    Slow(Slow<Option<String>>),
}

/// Where the objects are that a request means.
pub struct Place {
    /// The parent of their list; none for all lists of the resource together.
    pub parent: Option<String>,
    /// Who is named as the writer of what the request writes.
    pub writer: String,
}

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

    /// The list or object that a request whose path it claims is about, as far as that is known
    /// without storage.
    fn target(&self, api: &Api, call: &Call) -> Option<Target> {
        let _ = (api, call);
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

    /// Adds the paths that it answers to the description of the service, and completes what that
    /// says of its resources, which are described like all others.
    fn describe(&self, api: &Api, description: &mut Description) {
        let _ = (api, description);
    }

    /// The kinds of objects that it adds, at the root of all URLs.
    fn resources(&self) -> &'static [&'static Resource] {
        &[]
    }

    /// Where the objects are that a request to one of its resources means.
    fn place(
        &self,
        api: &Api,
        call: &Call,
        target: &Target,
        principals: &[String],
    ) -> Result<Place> {
        let _ = (api, principals);
        Ok(Place { parent: Some(target.list.parent.clone()), writer: call.principal().to_owned() })
    }

    /// Work to do before the transaction of a request to one of its resources, if there is any.
    /// What it returns will be in [`Call::prepared`].
    fn prepare(&self, call: &Call) -> Option<Slow<Prepared>> {
        let _ = call;
        None
    }

    /// Checks and completes the data of an object of one of its resources, in the transaction and
    /// before it is stored. `target` is where [`place`](Self::place) has put the request, `old` what
    /// the object held so far.
    fn before_put(
        &self,
        call: &Call,
        target: &Target,
        id: &str,
        data: &mut Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Result<()> {
        let _ = (call, target, id, data, old);
        Ok(())
    }

    /// Judges a login for its authentication policy. The transaction only reads.
    fn judge(&self, api: &Api, login: &Login, tx: &mut dyn Transaction) -> store::Result<Verdict> {
        let _ = (api, login, tx);
        Ok(Verdict::Known(None))
    }
}
