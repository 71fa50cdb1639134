//! The whole protocol in one process, without sockets: settings, plugins, core and a store.

mod stores;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use cumulo_core::{
    api::Api,
    clock::{Clock, SystemClock},
    plugin::Plugin,
    reply::Reply,
    request::Request,
    settings::Settings,
    store::Store,
};
use cumulo_http::Service;
use cumulo_kvs::Kvs;
use cumulo_store::Memory;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use tempfile::TempDir;

pub use stores::Kind;

/// A service with an empty store.
pub struct App {
    service: Arc<Service>,
    runtime: tokio::runtime::Runtime,
    /// Where the store has its files, if it has any.
    _folder: Option<TempDir>,
}

fn cache() -> Arc<dyn Kvs> {
    let options = cumulo_kvs::Options::default();
    Arc::new(cumulo_kvs::Memory::new(1 << 20, options).expect("valid options"))
}

impl Default for App {
    fn default() -> Self {
        Self::with(&[])
    }
}

impl App {
    /// A service with basic authentication, the default bucket, and these settings.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Parts::new(settings).in_memory()
    }

    /// The same over another store.
    pub fn over(
        settings: &[(&str, &str)],
        open: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn Store>,
    ) -> Self {
        Parts::new(settings).over(open)
    }

    /// The same over a store of this kind.
    pub fn on(kind: Kind, settings: &[(&str, &str)]) -> Self {
        Parts::new(settings).on(kind)
    }

    /// What is stored, for tests that look behind the protocol.
    pub fn store(&self) -> &dyn Store {
        &*self.service.store
    }

    /// Waits for something of the store.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A client that is logged in under this name.
    pub fn user(&self, name: &str) -> Client<'_> {
        self.login(name, "password")
    }

    /// A client that sends this name and password.
    pub fn login(&self, name: &str, password: &str) -> Client<'_> {
        self.anonymous().header("authorization", &basic(name, password))
    }

    /// A client that is not logged in.
    pub fn anonymous(&self) -> Client<'_> {
        Client { app: self, headers: HeaderMap::new() }
    }

    /// The user id behind a name.
    pub fn id_of(&self, name: &str) -> String {
        let id = &self.user(name).get("/").json["user"]["id"];
        id.as_str().expect("logged in").to_owned()
    }

    /// The body of an answer to anybody who asks for this path, as text.
    pub fn text(&self, path: &str) -> String {
        let request =
            Request::new(Method::GET, &format!("/v1{path}"), "", HeaderMap::new(), Vec::new());
        let reply = self.runtime.block_on(self.service.answer(request.expect("a valid request")));
        String::from_utf8(reply.body).expect("text")
    }

    fn answer(&self, request: Request) -> Response {
        self.runtime.block_on(self.service.answer(request)).into()
    }
}

/// What an [`App`] is made of.
pub struct Parts {
    settings: Settings,
    plugins: Vec<Arc<dyn Plugin>>,
    clock: Arc<dyn Clock>,
}

impl Parts {
    /// Basic authentication, the default bucket, and these settings.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let basic = [
            ("multiauth.policies", "basicauth"),
            ("includes", "default_bucket flush"),
            ("userid_hmac_secret", "secret"),
            ("experimental_permissions_endpoint", "true"),
            ("experimental_collection_schema_validation", "true"),
        ];
        let pairs: Vec<_> = basic
            .iter()
            .filter(|(name, _)| !settings.iter().any(|(other, _)| other == name))
            .chain(settings)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let settings = Settings::load(&pairs, &[]).expect("valid settings").settings;
        let plugins = cumulo_plugins::enabled(&settings, &[]);
        Self { settings, plugins, clock: Arc::new(SystemClock::default()) }
    }

    /// One more plugin, or another in the place of that with its name.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin + 'static) -> Self {
        self.plugins.retain(|known| known.name() != plugin.name());
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The service over an empty store.
    pub fn over(self, open: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn Store>) -> App {
        let api = Api::new(Arc::new(self.settings), self.plugins, Arc::clone(&self.clock));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let service = Arc::new(Service::new(Arc::new(api), open(self.clock), cache()));
        runtime.block_on(service.start()).expect("the plugins start");
        App { service, runtime, _folder: None }
    }

    /// The service in memory.
    pub fn in_memory(self) -> App {
        self.over(|clock| Arc::new(Memory::new(clock)))
    }

    /// The service over a store of this kind.
    pub fn on(self, kind: Kind) -> App {
        self.on_wrapped(kind, |store| store)
    }

    /// The same, with something between the service and its store.
    pub fn on_wrapped(
        self,
        kind: Kind,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> App {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let app = self.over(|clock| wrap(kind.open(folder.path(), clock)));
        App { _folder: Some(folder), ..app }
    }
}

/// The value of an `Authorization` header.
pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// Somebody who sends requests. Paths are without `/v1`.
#[derive(Clone)]
pub struct Client<'a> {
    app: &'a App,
    headers: HeaderMap,
}

impl Client<'_> {
    /// The same client with one more header.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let name: HeaderName = name.parse().expect("a header name");
        client.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        client
    }

    /// Sends a request.
    pub fn send(&self, method: &Method, path: &str, body: Vec<u8>) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/v1{path}");
        let request = Request::new(method.clone(), &path, query, self.headers.clone(), body);
        match request {
            Ok(request) => self.app.answer(request),
            Err(error) => error.into_reply().into(),
        }
    }

    fn send_json(&self, method: &Method, path: &str, body: &Value) -> Response {
        self.send(method, path, body.to_string().into_bytes())
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Response {
        self.send(&Method::GET, path, Vec::new())
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Response {
        self.send(&Method::DELETE, path, Vec::new())
    }

    /// `PUT` of a JSON body.
    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.send_json(&Method::PUT, path, body)
    }

    /// `POST` of a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send_json(&Method::POST, path, body)
    }

    /// `times` `POST`s at the same time; the statuses.
    pub fn post_all(&self, path: &str, body: &Value, times: usize) -> Vec<u16> {
        let one = || {
            let (headers, body) = (self.headers.clone(), body.to_string().into_bytes());
            Request::new(Method::POST, &format!("/v1{path}"), "", headers, body)
        };
        let answers: Vec<_> =
            (0..times).map(|_| self.app.service.answer(one().expect("a valid request"))).collect();
        let answers = self.app.runtime.block_on(futures_util::future::join_all(answers));
        answers.into_iter().map(|reply| reply.status.as_u16()).collect()
    }

    /// `PATCH` with a JSON body of this content type, such as `merge-patch+json`.
    pub fn patch(&self, path: &str, subtype: &str, body: &Value) -> Response {
        let typed = self.header("content-type", &format!("application/{subtype}"));
        typed.send_json(&Method::PATCH, path, body)
    }

    /// Creates a bucket, a collection in it, and records in that, and returns the client.
    pub fn with_records(&self, bucket: &str, collection: &str, records: &[(&str, Value)]) -> &Self {
        let nothing = Value::Object(serde_json::Map::new());
        self.put(&format!("/buckets/{bucket}"), &nothing);
        self.put(&format!("/buckets/{bucket}/collections/{collection}"), &nothing).expect(201);
        for (id, data) in records {
            let path = format!("/buckets/{bucket}/collections/{collection}/records/{id}");
            self.put(&path, &serde_json::json!({"data": data})).expect(201);
        }
        self
    }
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null if there is none, or if it is not JSON.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status.as_u16(),
            headers: reply.headers,
            json: serde_json::from_slice(&reply.body).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&reply.body).into_owned(),
        }
    }
}

impl Response {
    /// Panics if the status is another one.
    #[track_caller]
    #[must_use = "for its body, or call `check`"]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.json);
        self
    }

    /// Panics if the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) {
        assert_eq!(self.status, status, "{}", self.json);
    }

    /// The text of a header; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The ids of the objects in a list.
    pub fn ids(&self) -> Vec<&str> {
        let objects = self.json["data"].as_array().expect("a list");
        objects.iter().map(|object| object["id"].as_str().expect("an id")).collect()
    }
}
