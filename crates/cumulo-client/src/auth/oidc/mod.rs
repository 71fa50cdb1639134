//! Logins at a provider that the server trusts, with the plugin `openid`.
//!
//! The first request opens a browser, in which the user logs in:
//!
//! ```no_run
//! use cumulo_client::{Client, auth::oidc::BrowserLogin};
//!
//! # fn main() -> cumulo_client::Result<()> {
//! let login = BrowserLogin::new().provider("auth0").cache_file("/home/ann/.config/app/logins");
//! let client = Client::builder("https://kinto.example.com/v1").auth(login).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`BrowserLogin`] needs a browser on this machine; [`DeviceLogin`] one on any other, and a
//!   provider that knows RFC 8628. [`CachedLogin`] only uses what these have left in the cache file.
//! - Tokens last as long as the provider says. Then they are refreshed, if the provider gave a
//!   refresh token and takes it from us: one that wants a secret, which only the server has, does
//!   not. Otherwise the user logs in again, as they do when the server refuses a token.

mod browser;
mod cache;
mod device;
mod listener;
mod provider;
mod tokens;
mod web;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http::HeaderValue;
use tokio::{sync::Mutex, time::timeout};

pub use self::{
    browser::Browser,
    device::{Code, Device},
    tokens::Tokens,
};
use self::{cache::Cache, web::Web};
use super::{Auth, sensitive};
use crate::{Error, Result, Root, transport::Direct};

/// A server does not refuse a token that it was just given for another reason than before.
const JUST_NOW: Duration = Duration::from_mins(1);

/// A [`Login`] in the browser of this machine.
pub type BrowserLogin = Login<Browser>;
/// A [`Login`] on another device: the user enters a code there (RFC 8628).
pub type DeviceLogin = Login<Device>;
/// A [`Login`] that was done before: it asks nobody, and fails with [`Error::Login`] if there is no
/// token in the cache file that is good or can be refreshed.
pub type CachedLogin = Login<Cached>;

/// A login at a provider, done when it is needed and once for all requests.
///
/// A program that drops it, or the request that waits for it, ends it.
pub struct Login<W> {
    way: W,
    provider: Option<String>,
    scope: String,
    timeout: Duration,
    cache: Option<Cache>,
    http: Option<reqwest::Client>,
    /// By the URL of the server.
    held: Mutex<HashMap<String, Held>>,
}

struct Held {
    tokens: Tokens,
    /// When they were got, if it was by us.
    since: Option<Instant>,
}

/// A way to get tokens.
#[async_trait]
pub trait Way: fmt::Debug + Send + Sync + 'static {
    /// Gets them, however long it takes.
    #[doc(hidden)]
    async fn obtain(&self, asked: &Asked<'_>) -> Result<Tokens>;
}

/// What a login is for.
#[doc(hidden)]
#[derive(Debug)]
pub struct Asked<'a> {
    server: &'a str,
    /// The name of the provider; the first if there is none.
    provider: Option<&'a str>,
    scope: &'a str,
    web: &'a Web,
}

/// No way to get new tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cached;

#[async_trait]
impl Way for Cached {
    async fn obtain(&self, asked: &Asked<'_>) -> Result<Tokens> {
        Err(Error::Login(format!("nobody is logged in to {}, or not any more", asked.server)))
    }
}

impl<W: Way + Default> Default for Login<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Way + Default> Login<W> {
    /// A login at the first provider of the server, for the scope `openid email`, which may take
    /// five minutes and is kept in memory.
    pub fn new() -> Self {
        Self {
            way: W::default(),
            provider: None,
            scope: "openid email".to_owned(),
            timeout: Duration::from_mins(5),
            cache: None,
            http: None,
            held: Mutex::default(),
        }
    }
}

impl<W: Way> Login<W> {
    /// The provider with this name, of those in the server's capability `openid`.
    #[must_use]
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// What the provider is asked for, such as `openid email offline_access`, with which some give
    /// refresh tokens. The server must allow it.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// How long the user has to log in.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where tokens are kept, for all servers and providers. Only the user may read the file.
    #[must_use]
    pub fn cache_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(Cache::new(path.into()));
        self
    }

    /// Uses the proxy, certificates and timeouts of this client to ask server and provider.
    #[must_use]
    pub fn like<X: Direct>(mut self, client: &Root<X>) -> Self {
        self.http = Some(client.transport().connection().http().clone());
        self
    }

    /// Logs in now, at the server with this URL, whether that was done before or not.
    pub async fn log_in(&self, server: &str) -> Result<Tokens> {
        let server = server.trim_end_matches('/');
        let mut held = self.held.lock().await;
        let tokens = self.obtain(server).await?;
        self.keep(&mut held, tokens).await
    }

    /// Forgets the login at the server with this URL. The provider is not told.
    pub async fn log_out(&self, server: &str) -> Result<()> {
        let server = server.trim_end_matches('/');
        self.held.lock().await.remove(server);
        match &self.cache {
            Some(cache) => cache.remove(server, self.provider.as_deref()).await,
            None => Ok(()),
        }
    }

    /// The tokens for the server with this URL: those that are there, refreshed ones, or new ones.
    pub async fn tokens(&self, server: &str) -> Result<Tokens> {
        let server = server.trim_end_matches('/');
        let mut held = self.held.lock().await;
        let mut old = held.get(server).map(|it| it.tokens.clone());
        if old.as_ref().is_none_or(Tokens::are_over) {
            old = self.cached(server).await?.or(old);
        }
        if let Some(tokens) = old.as_ref().filter(|it| !it.are_over()) {
            let known = || Held { tokens: tokens.clone(), since: None };
            let held = held.entry(server.to_owned()).or_insert_with(known);
            tokens.clone_into(&mut held.tokens);
            return Ok(tokens.clone());
        }
        let tokens = self.renewed(server, old).await?;
        self.keep(&mut held, tokens).await
    }

    async fn cached(&self, server: &str) -> Result<Option<Tokens>> {
        match &self.cache {
            Some(cache) => cache.find(server, self.provider.as_deref()).await,
            None => Ok(None),
        }
    }

    async fn keep(&self, held: &mut HashMap<String, Held>, tokens: Tokens) -> Result<Tokens> {
        if let Some(cache) = &self.cache {
            cache.put(&tokens).await?;
        }
        let entry = Held { tokens: tokens.clone(), since: Some(Instant::now()) };
        held.insert(tokens.server.clone(), entry);
        Ok(tokens)
    }

    /// Refreshes tokens, or gets new ones.
    async fn renewed(&self, server: &str, old: Option<Tokens>) -> Result<Tokens> {
        if let Some(old) = old.filter(|it| it.refresh_token.is_some()) {
            match provider::refresh(&self.web()?, &old).await {
                Ok(tokens) => return Ok(tokens),
                Err(error) => tracing::info!("the login can't be refreshed: {error}"),
            }
        }
        self.obtain(server).await
    }

    async fn obtain(&self, server: &str) -> Result<Tokens> {
        let web = self.web()?;
        let provider = self.provider.as_deref();
        let asked = Asked { server, provider, scope: &self.scope, web: &web };
        timeout(self.timeout, self.way.obtain(&asked)).await.unwrap_or_else(|_| {
            let seconds = self.timeout.as_secs();
            Err(Error::Login(format!("the user has not logged in within {seconds} s")))
        })
    }

    fn web(&self) -> Result<Web> {
        self.http.clone().map_or_else(Web::new, |http| Ok(Web::over(http)))
    }
}

#[async_trait]
impl<W: Way> Auth for Login<W> {
    async fn authorization(&self, server: &str) -> Result<HeaderValue> {
        let tokens = self.tokens(server).await?;
        sensitive(&tokens.authorization())
    }

    async fn renew(&self, server: &str) -> Result<bool> {
        let mut held = self.held.lock().await;
        let old = held.get(server);
        if old.and_then(|it| it.since).is_some_and(|since| since.elapsed() < JUST_NOW) {
            // Another request has renewed it meanwhile; or the server does not want this user.
            return Ok(true);
        }
        let old = old.map(|it| it.tokens.clone());
        let refused = old.as_ref().map(|it| it.access_token.clone());
        let is_another = |it: &Tokens| !it.are_over() && Some(&it.access_token) != refused.as_ref();
        // Another program may have renewed it.
        let tokens = match self.cached(server).await?.filter(is_another) {
            Some(tokens) => tokens,
            None => self.renewed(server, old).await?,
        };
        self.keep(&mut held, tokens).await?;
        Ok(true)
    }
}

impl<W: fmt::Debug> fmt::Debug for Login<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("way", &self.way)
            .field("provider", &self.provider)
            .field("scope", &self.scope)
            .field("timeout", &self.timeout)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
