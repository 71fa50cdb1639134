//! A request that has been read: where it leads, who sends it, what its body says.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use crate::{
    authentication::{Login, Sender},
    cors::Exposed,
    error::{Invalid, Result},
    plugin::Claim,
    reply::Reply,
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
    /// A plugin, by its place among those that are on, and how it claims the path.
    Plugin(usize, Claim),
}

/// A request on its way to an answer.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// Where its path leads.
    pub endpoint: Endpoint,
    /// Who sends it, unless there is a login and it is right.
    pub user: Option<String>,
    /// What is known of the user beyond the id.
    pub profile: Option<Value>,
    /// Credentials that are to be judged before the transaction.
    pub logins: Vec<Login>,
    /// The parsed body, or what is wrong with it; an empty body is an empty object.
    pub body: std::result::Result<Value, Invalid>,
    /// The nonce of [`Api::single_use`](crate::api::Api::single_use), if it was good. The caller
    /// has taken it out of the cache.
    pub redeemed: Option<String>,
    /// Which parts outside the storage work; the caller knows, if [`Endpoint::Heartbeat`] is asked.
    pub probes: Vec<(&'static str, bool)>,
    /// What the plugin that owns the resource has worked out before the transaction.
    pub prepared: Prepared,
    /// The requests of a batch.
    pub items: Vec<Item>,
}

/// What a plugin worked out, by what it was made of.
pub type Prepared = BTreeMap<String, String>;

/// One request of a batch.
#[derive(Debug)]
pub struct Item {
    /// Where it leads, as its response says.
    pub path: String,
    /// Whether its response has no body.
    pub is_head: bool,
    /// The request; or its response, if it leads nowhere.
    pub call: std::result::Result<Box<Call>, Box<Reply>>,
}

impl Call {
    /// A request that was just read.
    pub fn new(
        request: Request,
        endpoint: Endpoint,
        sender: Sender,
        body: std::result::Result<Value, Invalid>,
    ) -> Self {
        Self {
            request,
            endpoint,
            user: sender.user,
            profile: None,
            logins: sender.logins,
            body,
            redeemed: None,
            probes: Vec::new(),
            prepared: Prepared::new(),
            items: Vec::new(),
        }
    }

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
            // What a plugin answers by itself may take long.
            Endpoint::Permissions | Endpoint::Plugin(_, Claim::Methods(_)) => Access::Scan,
            // It may turn out to be all lists together.
            Endpoint::Resource(Target { id: None, resource, .. }) if resource.alone => Access::Scan,
            Endpoint::Resource(Target { id: None, .. }) | Endpoint::Plugin(..)
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

    /// What the plugin that answers does with the path; none if no plugin does.
    pub(crate) fn claim(&self) -> Option<Claim> {
        match self.endpoint {
            Endpoint::Plugin(_, claim) => Some(claim),
            _ => None,
        }
    }

    /// The call itself, or those of a batch.
    pub fn singles(&self) -> impl Iterator<Item = &Self> {
        let own = (self.endpoint != Endpoint::Batch).then_some(self);
        own.into_iter().chain(self.items.iter().filter_map(|item| item.call.as_deref().ok()))
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
