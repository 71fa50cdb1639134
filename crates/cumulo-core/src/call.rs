//! A request that has been read: where it leads, who sends it, what its body says.

use http::Method;
use serde_json::Value;

use crate::{
    cors::Exposed,
    error::{Invalid, Result},
    request::Request,
    resource::Target,
    store::Access,
};

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// The root view.
    Hello,
    /// Whether the parts work.
    Heartbeat,
    /// Whether the process lives.
    LbHeartbeat,
    /// Which build it is.
    Version,
    /// Who makes it.
    Contribute,
    /// Many requests in one.
    Batch,
    /// What the user may do.
    Permissions,
    /// Removal of all that a principal owns; without a principal, nothing.
    UserData(String),
    /// A list or an object.
    Resource(Target),
    /// A plugin, by its place among those that are on.
    Plugin(usize),
}

/// A request on its way to an answer.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// Where its path leads.
    pub endpoint: Endpoint,
    /// Who sends it.
    pub user: Option<String>,
    /// The parsed body, or what is wrong with it; an empty body is an empty object.
    pub body: std::result::Result<Value, Invalid>,
    /// The nonces of [`Api::single_use`](crate::api::Api::single_use) that were good. The caller
    /// has taken them out of the cache.
    pub redeemed: Vec<String>,
    /// Whether the cache works; the caller knows, if [`Endpoint::Heartbeat`] is asked.
    pub cache_works: bool,
}

impl Call {
    /// What the answer needs of its transaction, at first; an answer that turns out to need more
    /// fails with [`store::Error::ReadOnly`](crate::store::Error::ReadOnly) and is tried again.
    pub fn access(&self) -> Access {
        /// Parameters that an index serves.
        const CHEAP: [&str; 6] = ["_limit", "_since", "_before", "_to", "_token", "_fields"];
        let cheap = |pair: &str| CHEAP.contains(&pair.split('=').next().unwrap_or(""));
        if self.endpoint == Endpoint::Batch || !self.request.is_safe() {
            return Access::Write;
        }
        match &self.endpoint {
            Endpoint::Heartbeat => Access::Write,
            Endpoint::Permissions => Access::Scan,
            Endpoint::Resource(Target { id: None, .. }) | Endpoint::Plugin(_)
                if !self.request.query.split('&').all(|pair| pair.is_empty() || cheap(pair)) =>
            {
                Access::Scan
            }
            _ => Access::Read,
        }
    }

    /// Which headers scripts may read from the answer; of a preflight, from any answer of the URL.
    pub fn exposed(&self) -> Exposed {
        match (&self.endpoint, &self.request.method) {
            (
                Endpoint::Resource(Target { id: Some(_), .. }),
                &Method::GET | &Method::HEAD | &Method::OPTIONS,
            ) => Exposed::Object,
            (Endpoint::Resource(_) | Endpoint::Permissions, &Method::GET) => Exposed::List,
            (Endpoint::Resource(_) | Endpoint::Permissions, &Method::HEAD | &Method::OPTIONS) => {
                Exposed::Count
            }
            _ => Exposed::Common,
        }
    }

    /// Who writes, for access control lists: anonymous users are everyone.
    pub fn principal(&self) -> &str {
        self.user.as_deref().unwrap_or(crate::authorization::EVERYONE)
    }

    /// The parsed body.
    pub fn json(&self) -> Result<&Value> {
        self.body.as_ref().map_err(|problem| problem.clone().into())
    }
}
