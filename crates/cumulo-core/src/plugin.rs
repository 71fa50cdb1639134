//! What a plugin can do. Each method has a default, so that a plugin only writes what it needs.
//!
//! - What it is: [`name`](Plugin::name), [`capability`](Plugin::capability)
//! - Paths of its own: [`claims`](Plugin::claims), [`target`](Plugin::target),
//!   [`serve`](Plugin::serve), [`answer`](Plugin::answer)
//! - Objects of its own: [`resources`](Plugin::resources), [`place`](Plugin::place),
//!   [`prepare`](Plugin::prepare), [`before_put`](Plugin::before_put)
//! - What others do: [`subscribes`](Plugin::subscribes), [`on_events`](Plugin::on_events),
//!   [`on_event`](Plugin::on_event), [`foresee`](Plugin::foresee),
//!   [`after_commit`](Plugin::after_commit)
//! - Users: [`authenticate`](Plugin::authenticate), [`describe_user`](Plugin::describe_user)
//! - How it is described: [`describe`](Plugin::describe)
//! - What it measures: [`metrics`](Plugin::metrics), [`endpoint_name`](Plugin::endpoint_name)
//! - Its life: [`start`](Plugin::start), [`probe`](Plugin::probe), [`stop`](Plugin::stop)

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value};

use crate::{
    api::Api,
    authentication::{Identity, Login},
    call::{Call, Prepared},
    error::Result,
    event::{Action, Event},
    host::Host,
    metrics::Metrics,
    openapi::Description,
    reply::Reply,
    resource::{Resource, Target},
    store::{BoxFuture, Outlook, Transaction},
};

/// Work that takes long. The edge runs it before the transaction, on a thread for such work.
pub type Slow<T> = Box<dyn FnOnce() -> T + Send>;

/// Why a plugin can't start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// What a plugin does with the paths that it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It answers these methods. Others are refused, and preflights answered, for it.
    Methods(&'static [Method]),
    /// It answers whatever comes.
    Everything,
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
    /// [`serve`](Self::serve) or else [`answer`](Self::answer).
    fn claims(&self, path: &str) -> Option<Claim> {
        let _ = path;
        None
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

    /// Answers a request whose path it claims outside of a transaction, if that is how it is done:
    /// what has to wait for others, and what needs no storage.
    fn serve<'a>(
        &'a self,
        host: &'a dyn Host,
        call: &'a Call,
    ) -> Option<BoxFuture<'a, Result<Reply>>> {
        let _ = (host, call);
        None
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

    /// Judges a login for one of its authentication policies. None if it is wrong; an error if
    /// that can't be told.
    fn authenticate<'a>(
        &'a self,
        host: &'a dyn Host,
        login: &'a Login,
    ) -> BoxFuture<'a, Result<Option<Identity>>> {
        let _ = (host, login);
        Box::pin(async { Ok(None) })
    }

    /// Whether it wants to be told of events with this action.
    fn subscribes(&self, action: Action) -> bool {
        let _ = action;
        false
    }

    /// Adds what [`on_event`](Self::on_event) is likely to touch when `call` writes at `target`.
    fn foresee(&self, api: &Api, call: &Call, target: &Target, outlook: &mut Outlook) {
        let _ = (api, call, target, outlook);
    }

    /// [`on_event`](Self::on_event) for everything that was done, one by one and in the order in
    /// which it was done. It is called before that, if the plugin subscribes to any of it.
    fn on_events(
        &self,
        api: &Api,
        events: &[Event],
        tx: &mut dyn Transaction,
        raised: &mut Vec<Event>,
    ) -> Result<()> {
        let _ = (api, events, tx, raised);
        Ok(())
    }

    /// Is told what a request, or a batch, has done, in its transaction. An error becomes the
    /// answer, and everything is undone. What it does that others should know of it adds to
    /// `raised`; they are told after those of this round.
    fn on_event(
        &self,
        api: &Api,
        event: &Event,
        tx: &mut dyn Transaction,
        raised: &mut Vec<Event>,
    ) -> Result<()> {
        let _ = (api, event, tx, raised);
        Ok(())
    }

    /// Is told what was done when it is committed. It must not block, and can't fail; what must
    /// not get lost belongs into the transaction.
    fn after_commit(&self, event: &Event) {
        let _ = event;
    }

    /// Where measurements go, if it takes them. If several plugins do, the last one gets them.
    fn metrics(&self) -> Option<Arc<dyn Metrics>> {
        None
    }

    /// The name in metrics of a path that it claims.
    fn endpoint_name(&self, path: &str) -> &'static str {
        let _ = path;
        self.name()
    }

    /// What it adds to the answer of `/__heartbeat__`: a name, and whether that works.
    fn probe<'a>(&'a self, host: &'a dyn Host) -> Option<(&'static str, BoxFuture<'a, bool>)> {
        let _ = host;
        None
    }

    /// Starts what runs beside the requests. Before the first one.
    fn start<'a>(
        &'a self,
        host: &'a Arc<dyn Host>,
    ) -> BoxFuture<'a, std::result::Result<(), StartError>> {
        let _ = host;
        Box::pin(async { Ok(()) })
    }

    /// Ends what [`start`](Self::start) has started. After the last request, and before the
    /// storage is closed.
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
