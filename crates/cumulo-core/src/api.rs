//! From a request to its answer.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tracing::{error, info};

use crate::{
    authentication::{Authenticator, Login, Sender},
    authorization::ConfiguredRights,
    call::{Call, Endpoint, Prepared},
    clock::Clock,
    cors::{self, Exposed},
    endpoint,
    error::{ApiError, Errno, Result},
    event::Action,
    host::Host,
    metrics::Metrics,
    openapi, paging,
    params::json,
    plugin::{Claim, Plugin, Slow},
    reply::{Reply, ascii},
    request::Request,
    resource::{RESOURCES, Resource, Target},
    schema::Schemas,
    settings::{IdGenerator, Settings},
    store::{self, Outcome, Transaction},
};

/// What browsers may do with an answer that does not say more itself: nothing. As in Kinto.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; ";

/// The protocol, with its settings and plugins.
pub struct Api {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The plugins that are on, in the order of the settings.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// Tells who sends a request.
    pub authenticator: Authenticator,
    /// What the settings let people do.
    pub configured: ConfiguredRights,
    /// Compiled JSON schemas.
    pub schemas: Schemas,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What `__version__` tells; `None` if there is no such file.
    pub version: Option<Vec<u8>>,
    /// Where measurements go.
    pub metrics: Option<Arc<dyn Metrics>>,
    /// First segment of every path, such as `v1`.
    pub(crate) prefix: String,
    /// What the service can do, in words.
    pub(crate) forms: openapi::Forms,
    /// The kinds of objects that plugins add.
    pub(crate) added: Vec<&'static Resource>,
    /// The actions that a plugin wants to be told of.
    pub(crate) told: Vec<Action>,
}

/// What to do about a request.
pub enum Step {
    /// Send this answer; it needs no storage.
    Done(Box<Reply>),
    /// Run [`Api::answer`] in a transaction.
    Run(Box<Call>),
}

/// A request that leads nowhere, and its answer.
pub(crate) struct Refused {
    /// The request.
    pub request: Request,
    /// What its body says, if that was known.
    pub body: Option<Value>,
    /// The answer.
    pub reply: Reply,
}

impl Api {
    /// The protocol with these settings.
    pub fn new(
        settings: Arc<Settings>,
        plugins: Vec<Arc<dyn Plugin>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let major = settings.http_api_version.split('.').next().unwrap_or("1");
        let added: Vec<_> = plugins.iter().flat_map(|plugin| plugin.resources()).copied().collect();
        let is_wanted = |action: &Action| plugins.iter().any(|plugin| plugin.subscribes(*action));
        let told = Action::ALL.into_iter().filter(is_wanted).collect();
        let resources = RESOURCES.iter().chain(&added).copied();
        Self {
            authenticator: Authenticator::new(&settings),
            configured: ConfiguredRights::new(&settings, resources),
            added,
            told,
            schemas: Schemas::default(),
            forms: openapi::Forms::default(),
            version: None,
            metrics: plugins.iter().rev().find_map(|plugin| plugin.metrics()),
            prefix: format!("v{major}"),
            settings,
            plugins,
            clock,
        }
    }

    /// The same with other settings. Plugins keep what they were made with.
    #[must_use]
    pub fn with_settings(&self, settings: Arc<Settings>) -> Self {
        Self::new(settings, self.plugins.clone(), Arc::clone(&self.clock))
    }

    /// The first segment of every path, such as `v1`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How ids of this kind are made, and checked unless the kind has a rule of its own.
    pub(crate) fn ids(&self, resource: &Resource) -> IdGenerator {
        let own = self.settings.id_generators.get(resource.name).copied();
        own.unwrap_or(self.settings.id_generator)
    }

    /// A new id for an object of this kind.
    pub fn new_id(&self, resource: &Resource) -> String {
        self.ids(resource).generate()
    }

    /// Whether an object of this kind can have the id.
    pub fn accepts_id(&self, resource: &Resource, id: &str) -> bool {
        match resource.accepts_id {
            Some(accepts) => accepts(id),
            None => self.ids(resource).accepts(id),
        }
    }

    /// Which list or object a path without version prefix names, those of plugins included.
    pub fn target(&self, path: &str) -> Option<Target> {
        Target::parse_among(path, &self.added)
    }

    /// The kinds of objects that have URLs of their own, those of plugins included.
    pub(crate) fn object_kinds(&self) -> Vec<&'static str> {
        let resources = RESOURCES.iter().chain(&self.added);
        let has_urls = |resource: &&&Resource| !resource.object_methods.is_empty();
        resources.filter(has_urls).map(|resource| resource.name).collect()
    }

    /// The plugin that has added this kind of objects.
    pub fn owner(&self, resource: &Resource) -> Option<&dyn Plugin> {
        let mut plugins = self.plugins.iter().map(AsRef::as_ref);
        plugins.find(|plugin| plugin.resources().contains(&resource))
    }

    /// The plugin that judges a login.
    pub fn judge_of(&self, login: &Login) -> Option<&dyn Plugin> {
        self.plugins.iter().map(AsRef::as_ref).find(|plugin| plugin.name() == login.plugin)
    }

    /// Whether there may be logins to judge, or something to work out, before a transaction.
    pub fn prepares(&self) -> bool {
        !self.added.is_empty() || self.authenticator.has_logins()
    }

    /// What is to be worked out before the transaction of a call, without those of its batch.
    pub fn preparation(&self, call: &Call) -> Option<Slow<Prepared>> {
        match &call.endpoint {
            Endpoint::Resource(target) => self.owner(target.resource)?.prepare(call),
            _ => None,
        }
    }

    /// Scheme and host of the server as the client sees it.
    pub fn origin(&self, request: &Request) -> String {
        let scheme = self.settings.http_scheme.as_deref().unwrap_or("http");
        let host = self.settings.http_host.as_deref();
        let host = host.or_else(|| request.header(header::HOST)).unwrap_or("localhost");
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(default_port).unwrap_or(host);
        format!("{scheme}://{host}")
    }

    /// Reads a request. What can be answered without storage is.
    pub fn begin(&self, request: Request) -> Step {
        let sender = self.authenticator.authenticate(&request.headers);
        let call = match self.call(request, None, sender) {
            Ok(call) => call,
            Err(refused) => return Step::Done(Box::new(refused.reply)),
        };
        let is_preflight = call.request.method == Method::OPTIONS;
        if !is_preflight || call.claim() == Some(Claim::Everything) {
            return self.run(call);
        }
        let methods = self.methods(&call.endpoint);
        let reply = cors::preflight(&self.settings, &call.request, &methods, call.exposed());
        Step::Done(Box::new(self.finish(&call.request.headers, Exposed::Common, reply)))
    }

    /// A call to be answered in a transaction; a batch is read before.
    fn run(&self, mut call: Call) -> Step {
        if call.endpoint == Endpoint::Batch && call.request.method == Method::POST {
            match endpoint::batch::read(self, &mut call) {
                Ok(items) => call.items = items,
                Err(error) => {
                    let reply = self.finish_call(&call, error.into_reply());
                    return Step::Done(Box::new(reply));
                }
            }
        }
        Step::Run(Box::new(call))
    }

    /// Reads a request of `sender`, or answers it where it leads nowhere or elsewhere. `body` is what
    /// its body says, if that is known.
    pub(crate) fn call(
        &self,
        request: Request,
        body: Option<Value>,
        sender: Sender,
    ) -> std::result::Result<Call, Box<Refused>> {
        match self.locate(&request) {
            Ok(endpoint) => {
                let parse = || json::parse(&request.body, self.settings.max_json_depth);
                let body = body.map_or_else(parse, Ok);
                Ok(Call::new(request, endpoint, sender, body))
            }
            Err(reply) => {
                let reply = self.finish(&request.headers, Exposed::Common, reply);
                Err(Box::new(Refused { request, body, reply }))
            }
        }
    }

    /// The nonce of the single-use token that a call brings. For a batch, ask its items.
    pub fn single_use(&self, call: &Call) -> Option<String> {
        let deletes = call.request.method == Method::DELETE;
        if deletes { paging::nonce(&call.request.query) } else { None }
    }

    fn locate(&self, request: &Request) -> std::result::Result<Endpoint, Reply> {
        if self.is_gone() {
            let gone = ApiError::new(Errno::ServiceDeprecated).with_message(
                "The service you are trying to connect no longer exists at this location.",
            );
            return Err(gone.into_reply());
        }
        if self.settings.readonly && !request.is_safe() {
            return Err(ApiError::method_not_allowed("").into_reply());
        }
        self.route(&request.path).ok_or_else(|| self.elsewhere(request))
    }

    fn is_gone(&self) -> bool {
        self.settings.eos.is_some_and(|eos| eos <= self.clock.now())
    }

    /// The answer of the plugin whose path a call is for, if it gives one outside of transactions.
    pub async fn serve(&self, host: &dyn Host, call: &Call) -> Option<Reply> {
        let Endpoint::Plugin(index, _) = call.endpoint else { return None };
        let served = match self.require_method(call) {
            Ok(()) => self.plugins[index].serve(host, call)?.await,
            Err(error) => Err(error),
        };
        let served = served.map_err(|error| {
            if let Some(cause) = &error.cause {
                error!(rid = call.request.id(), %cause, "a plugin could not answer");
            }
            self.with_challenges(error)
        });
        Some(self.finish_call(call, served.unwrap_or_else(ApiError::into_reply)))
    }

    /// Refuses methods that the endpoint of `call` does not have.
    fn require_method(&self, call: &Call) -> Result<()> {
        if call.claim() == Some(Claim::Everything) {
            return Ok(());
        }
        if self.has_method(&call.endpoint, &call.request.method) {
            Ok(())
        } else {
            Err(ApiError::method_not_allowed(&self.methods(&call.endpoint)))
        }
    }

    /// Answers a call, with the headers that every response has. A failure of the store is for
    /// the caller, who may try again; any other error is an answer.
    pub fn answer(&self, call: &Call, tx: &mut dyn Transaction) -> store::Result<(Outcome, Reply)> {
        let done = self.dispatch(call, tx).and_then(|reply| self.tell_plugins(reply, tx));
        let (outcome, reply) = match done {
            Ok(reply) => (Outcome::Commit, reply),
            Err(error) => match error.cause {
                Some(cause) => return Err(cause),
                None => (Outcome::Rollback, error.into_reply()),
            },
        };
        Ok((outcome, self.finish_call(call, reply)))
    }

    /// Answers a call. Batch and plugins answer their own calls with this.
    pub fn dispatch(&self, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        self.dispatch_any(call, tx).map_err(|error| {
            if matches!(error.errno, Errno::Forbidden | Errno::MissingAuthToken) {
                tell_denied(call);
            }
            self.with_challenges(error)
        })
    }

    /// Answers a call inside of another one: an error leaves nothing behind, and is an answer.
    /// Only a failure of the store is an error here.
    pub fn dispatch_nested(&self, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        tx.savepoint()?;
        match self.dispatch(call, tx) {
            Ok(reply) => {
                tx.release()?;
                Ok(reply)
            }
            Err(error) if error.cause.is_some() => Err(error),
            Err(error) => {
                tx.rollback()?;
                Ok(error.into_reply())
            }
        }
    }

    fn dispatch_any(&self, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        self.require_method(call)?;
        match &call.endpoint {
            Endpoint::Hello => endpoint::hello::get(self, call, tx),
            Endpoint::Heartbeat => endpoint::heartbeat::get(self, tx),
            Endpoint::LbHeartbeat => Ok(Reply::json(StatusCode::OK, &json!({}))),
            Endpoint::Version => Ok(endpoint::version::get(self)),
            Endpoint::Contribute => Ok(endpoint::contribute::get()),
            Endpoint::Openapi(form) => Ok(endpoint::openapi::get(self, call, *form)),
            Endpoint::Batch => endpoint::batch::post(self, call, tx),
            Endpoint::Permissions => endpoint::permissions::get(self, call, tx),
            Endpoint::UserData(principal) => endpoint::user_data::delete(self, call, principal, tx),
            Endpoint::Resource(target) => endpoint::resource::answer(self, call, target, tx),
            Endpoint::Plugin(index, _) => self.plugins[*index].answer(self, call, tx),
        }
    }

    fn with_challenges(&self, mut error: ApiError) -> ApiError {
        if error.errno == Errno::MissingAuthToken {
            let challenges = self.authenticator.challenges();
            error.headers.extend(challenges.map(|value| (header::WWW_AUTHENTICATE, value)));
        }
        error
    }

    /// The answer to a call whose transaction failed for good.
    pub fn failed(&self, call: &Call, error: store::Error) -> Reply {
        let mut error = ApiError::from(error);
        if error.errno == Errno::Undefined {
            error.info = Some(self.settings.error_info_link.clone());
        }
        self.finish_call(call, error.into_reply())
    }

    /// [`finish`](Self::finish) for the answer to a call.
    pub fn finish_call(&self, call: &Call, reply: Reply) -> Reply {
        let exposed = reply.exposed.unwrap_or_else(|| call.exposed());
        self.finish(&call.request.headers, exposed, reply)
    }

    /// Adds the headers that every response has.
    pub fn finish(&self, request: &http::HeaderMap, exposed: Exposed, mut reply: Reply) -> Reply {
        const CSP: HeaderValue = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
        let headers = &mut reply.headers;
        cors::decorate(&self.settings, request, exposed, headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, CSP);
        }
        if matches!(reply.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT) {
            headers.insert(header::RETRY_AFTER, self.settings.retry_after_seconds.into());
        }
        self.add_backoff(headers);
        self.add_alert(headers);
        reply
    }

    fn add_backoff(&self, headers: &mut http::HeaderMap) {
        let Some(seconds) = self.settings.backoff else { return };
        let percentage = self.settings.backoff_percentage.unwrap_or(100);
        if rand::random_range(0..100) < percentage {
            headers.insert("Backoff", seconds.into());
        }
    }

    /// Warns clients that the service has ended or will.
    fn add_alert(&self, headers: &mut http::HeaderMap) {
        if self.settings.eos.is_none() {
            return;
        }
        let code = if self.is_gone() { "hard-eol" } else { "soft-eol" };
        let url = self.settings.eos_url.as_deref();
        headers.insert("Alert", self.alert(code, self.settings.eos_message.as_deref(), url));
    }

    /// The value of an `Alert` header.
    pub fn alert(&self, code: &str, message: Option<&str>, url: Option<&str>) -> HeaderValue {
        let url = url.unwrap_or(&self.settings.project_docs);
        let alert = json!({"code": code, "message": message, "url": url}).to_string();
        HeaderValue::from_str(&alert).unwrap_or_else(|_| ascii(code.to_owned()))
    }
}

/// For whoever runs the service. It may be told twice if the transaction runs again.
fn tell_denied(call: &Call) {
    info!(
        rid = call.request.id(),
        user = call.user,
        method = %call.request.method,
        path = call.request.path,
        "permission denied"
    );
}
