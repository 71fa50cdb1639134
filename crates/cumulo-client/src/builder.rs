//! How a client is made.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
#[cfg(feature = "tls")]
use reqwest::{Certificate, Identity};
use reqwest::{Proxy, Url, redirect};

use crate::{
    Client, Error, Result, Root,
    auth::{Auth, Basic},
    blocking,
    client::Defaults,
    transport::{Async, Blocking, Config, Connection, OnBackoff, Plan, Retry, State},
};

/// What connections are made of. A change of it needs new ones.
#[derive(Clone)]
pub(crate) struct Wire {
    connect_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    user_agent: String,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    certificates: Vec<Certificate>,
    #[cfg(feature = "tls")]
    identity: Option<Identity>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(Duration::from_mins(1)),
            user_agent: concat!("cumulo-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: None,
            #[cfg(feature = "tls")]
            certificates: Vec::new(),
            #[cfg(feature = "tls")]
            identity: None,
        }
    }
}

/// Makes clients: [`Client::builder`], or [`Client::to_builder`] for one like another.
///
/// ```
/// use std::time::Duration;
///
/// use cumulo_client::{Basic, Client, Retry};
///
/// # fn main() -> cumulo_client::Result<()> {
/// let client = Client::builder("http://localhost:8888/v1")
///     .auth(Basic::new("alexis", "p4ssw0rd"))
///     .bucket("payments")
///     .collection("receipts")
///     .timeout(Duration::from_secs(30))
///     .retry(Retry::times(10))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    config: Config,
    defaults: Defaults,
    wire: Wire,
    /// The connections of the client that this comes from, as long as they fit.
    shared: Option<reqwest::Client>,
    /// What is known of the server.
    state: Arc<State>,
    /// The client that this comes from, if it waits.
    waiting: Option<Blocking>,
    problem: Option<String>,
}

impl Builder {
    pub(crate) fn new(server: &str) -> Self {
        let mut this = Self {
            config: Config {
                server: String::new(),
                auth: None,
                headers: HeaderMap::new(),
                timeout: None,
                retry: Retry::default(),
                on_backoff: OnBackoff::Wait(Duration::from_mins(1)),
                max_response_bytes: 256 << 20,
                compression: false,
                plan: None,
            },
            defaults: Defaults::default(),
            wire: Wire::default(),
            shared: None,
            state: Arc::default(),
            waiting: None,
            problem: None,
        };
        this.set_server(server);
        this
    }

    /// Another server, with its version, such as `https://kinto.example.com/v1`. A user and a
    /// password in the URL become credentials; otherwise those that were given stay.
    pub fn server(mut self, url: &str) -> Self {
        self.shared = None;
        self.state = Arc::default();
        self.set_server(url);
        self
    }

    fn set_server(&mut self, url: &str) {
        match Url::parse(url) {
            Ok(parsed) if parsed.scheme() == "https" && !cfg!(feature = "tls") => {
                self.refuse("https needs the feature tls of cumulo-client".to_owned());
            }
            Ok(mut parsed) if matches!(parsed.scheme(), "http" | "https") => {
                if !parsed.username().is_empty() || parsed.password().is_some() {
                    let user = decoded(parsed.username());
                    let password = decoded(parsed.password().unwrap_or_default());
                    self.config.auth = Some(Arc::new(Basic::new(&user, &password)));
                    let _ = (parsed.set_username(""), parsed.set_password(None));
                }
                parsed.set_query(None);
                parsed.set_fragment(None);
                parsed.as_str().trim_end_matches('/').clone_into(&mut self.config.server);
            }
            Ok(parsed) => self.refuse(format!(
                "the URL of the server must begin with http:// or https://, not {}:",
                parsed.scheme()
            )),
            Err(error) => self.refuse(format!("the URL of the server: {error}")),
        }
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// Credentials.
    pub fn auth(mut self, auth: impl Auth + 'static) -> Self {
        self.config.auth = Some(Arc::new(auth));
        self
    }

    /// Credentials that were made elsewhere; `None` asks as nobody.
    pub fn shared_auth(mut self, auth: Option<Arc<dyn Auth>>) -> Self {
        self.config.auth = auth;
        self
    }

    /// The bucket of [`Client::records`] and the like; `default` if never set.
    pub fn bucket(mut self, id: impl Into<String>) -> Self {
        self.defaults.bucket = id.into();
        self
    }

    /// The collection of [`Client::records`].
    pub fn collection(mut self, id: impl Into<String>) -> Self {
        self.defaults.collection = Some(id.into());
        self
    }

    /// A header of all requests.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                // It may be a key, so it is not shown.
                value.set_sensitive(true);
                self.config.headers.insert(name, value);
            }
            (Err(_), _) => self.refuse(format!("{name:?} is not the name of a header")),
            (_, Err(_)) => self.refuse(format!("the value of the header {name} is not valid")),
        }
        self
    }

    /// What `User-Agent` says.
    pub fn user_agent(mut self, name: &str) -> Self {
        name.clone_into(&mut self.wire.user_agent);
        self.shared = None;
        self
    }

    /// How long a request may take in all, each time that it is sent; as long as it likes if never
    /// set.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.timeout = timeout.into();
        self
    }

    /// How long it may take to connect: 10 seconds if never set, without end for `None`.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.wire.connect_timeout = timeout.into();
        self.shared = None;
        self
    }

    /// How long the server may be silent: a minute if never set, without end for `None`.
    pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.wire.read_timeout = timeout.into();
        self.shared = None;
        self
    }

    /// How requests are repeated that may succeed later.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.config.retry = retry;
        self
    }

    /// What to do while the server wants no requests: wait up to a minute if never set.
    pub fn on_backoff(mut self, on_backoff: OnBackoff) -> Self {
        self.config.on_backoff = on_backoff;
        self
    }

    /// Operations that the server refuses (4xx) don't make a batch fail:
    /// [`Batch::ignore_refusals`](crate::Batch::ignore_refusals).
    pub fn ignore_batch_refusals(mut self) -> Self {
        self.defaults.ignores_batch_refusals = true;
        self
    }

    /// How large an answer may be, in bytes: 256 MiB if never set.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.config.max_response_bytes = bytes;
        self
    }

    /// Whether the server may compress its answers with gzip; it may not if never set.
    ///
    /// It saves time on slow networks and costs processor time on fast ones. Neither Cumulo nor
    /// Kinto compresses by itself, but what stands before them may.
    pub fn compression(mut self, compression: bool) -> Self {
        self.config.compression = compression;
        self
    }

    /// Dry mode: requests are noted in `plan` and logged, and none is sent. Writes answer as if they
    /// were done, lists are empty, and a read of one object gives one with an id only, so that a
    /// type with other fields can't be read.
    pub fn dry(mut self, plan: &Plan) -> Self {
        self.config.plan = Some(plan.clone());
        self
    }

    /// The proxy of all requests; that of the environment if never set.
    pub fn proxy(mut self, url: &str) -> Self {
        match Proxy::all(url) {
            Ok(proxy) => self.wire.proxy = Some(proxy),
            Err(_) => self.refuse("the URL of the proxy is not valid".to_owned()),
        }
        self.shared = None;
        self
    }

    /// One more certificate to trust, as PEM.
    #[cfg(feature = "tls")]
    pub fn certificate(mut self, pem: &[u8]) -> Self {
        match Certificate::from_pem(pem) {
            Ok(certificate) => self.wire.certificates.push(certificate),
            Err(_) => self.refuse("the certificate is not valid PEM".to_owned()),
        }
        self.shared = None;
        self
    }

    /// The certificate and the key that tell who we are, as PEM.
    #[cfg(feature = "tls")]
    pub fn identity(mut self, pem: &[u8]) -> Self {
        match Identity::from_pem(pem) {
            Ok(identity) => self.wire.identity = Some(identity),
            Err(_) => self.refuse("the certificate and key are not valid PEM".to_owned()),
        }
        self.shared = None;
        self
    }

    /// A client whose calls are awaited.
    pub fn build(self) -> Result<Client> {
        let (connection, rest) = self.connect()?;
        Ok(Root::of(Async(connection), rest))
    }

    /// A client whose calls wait.
    pub fn build_blocking(mut self) -> Result<blocking::Client> {
        let waiting = self.waiting.take();
        let (connection, rest) = self.connect()?;
        let transport = match waiting {
            Some(other) => other.with(connection),
            None => Blocking::new(connection)?,
        };
        Ok(Root::of(transport, rest))
    }

    /// The connection, and what else a client is made of.
    fn connect(mut self) -> Result<(Connection, Parts)> {
        if let Some(problem) = self.problem {
            return Err(Error::Argument(problem));
        }
        let http = match self.shared.take() {
            Some(shared) => shared,
            None => self.wire.client()?,
        };
        let connection = Connection::new(http, self.wire.clone(), self.config, self.state);
        Ok((connection, Parts { defaults: self.defaults, wire: self.wire }))
    }
}

impl Builder {
    /// On the thread of a client that waits.
    pub(crate) fn on_thread_of(self, waiting: &Blocking) -> Self {
        Self { waiting: Some(waiting.clone()), ..self }
    }
}

/// What a client keeps to make another like it.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) defaults: Defaults,
    wire: Wire,
}

impl Parts {
    pub(crate) fn builder(&self, connection: &Connection) -> Builder {
        Builder {
            config: connection.config().clone(),
            defaults: self.defaults.clone(),
            wire: self.wire.clone(),
            shared: Some(connection.http().clone()),
            state: connection.state().clone(),
            waiting: None,
            problem: None,
        }
    }
}

impl Wire {
    /// Connections on which the server may be silent.
    pub(crate) fn patient(&self) -> Result<reqwest::Client> {
        Self { read_timeout: None, ..self.clone() }.client()
    }

    pub(crate) fn client(&self) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent.as_str())
            .redirect(redirect::Policy::custom(follow_within_origin))
            .tcp_nodelay(true);
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(timeout) = self.read_timeout {
            builder = builder.read_timeout(timeout);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        #[cfg(feature = "tls")]
        for certificate in &self.certificates {
            builder = builder.add_root_certificate(certificate.clone());
        }
        #[cfg(feature = "tls")]
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        builder.build().map_err(|error| Error::Argument(format!("can't make a client: {error}")))
    }
}

/// Without the proxy, whose URL may have a password, and the key.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Servers redirect within themselves only; elsewhere credentials would go astray. Redirects that
/// make a read of a write are none: it would seem to be done.
fn follow_within_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().map(Url::origin);
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    let is_inside = from == Some(attempt.url().origin());
    if attempt.previous().len() < 5 && keeps_method && is_inside {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
