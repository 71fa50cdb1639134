//! The two servers, and the requests that both get.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::Server;
use crate::http::{Connection, Response};

/// Servers close connections that are idle for longer.
const MAX_IDLE: Duration = Duration::from_secs(2);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Kinto,
    Cumulo,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Kinto => Self::Cumulo,
            Self::Cumulo => Self::Kinto,
        }
    }
}

/// Both servers on the same database.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) kinto: Server,
    pub(super) cumulo: Server,
}

impl Pair {
    pub(super) fn client(&self, side: Side) -> Client {
        let server = match side {
            Side::Kinto => &self.kinto,
            Side::Cumulo => &self.cumulo,
        };
        Client { address: server.address, connection: None, used: Instant::now() }
    }
}

/// Sends requests to one server, and connects again when it has closed the connection.
#[derive(Debug)]
pub(super) struct Client {
    address: std::net::SocketAddr,
    connection: Option<Connection>,
    /// When it was used last.
    used: Instant,
}

impl Client {
    pub(super) fn send(&mut self, request: &Request) -> Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) if self.used.elapsed() < MAX_IDLE => connection,
            _ => Connection::open(self.address)?,
        };
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("/v1{}", request.path);
        let body = request.body.as_deref().map(str::as_bytes);
        let response = connection
            .request(request.method, &path, &headers, body)
            .with_context(|| request.to_string())?;
        let closes = response.header("connection").is_some_and(|it| it == "close");
        self.used = Instant::now();
        self.connection = (!closes).then_some(connection);
        Ok(response)
    }
}

/// A request to either server.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    /// Without the version of the API.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
}

impl Request {
    pub(super) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// As the user with this `name:password`; none if it is empty.
    #[must_use]
    pub(super) fn by(mut self, user: &str) -> Self {
        self.headers.retain(|(name, _)| *name != "Authorization");
        if !user.is_empty() {
            self.headers.push(("Authorization", format!("Basic {}", STANDARD.encode(user))));
        }
        self
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub(super) fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    /// A body as it is.
    #[must_use]
    pub(super) fn text(mut self, content_type: &str, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.with("Content-Type", content_type)
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            match (*name, value.strip_prefix("Basic ").and_then(|it| STANDARD.decode(it).ok())) {
                ("Authorization", Some(user)) => {
                    let user = String::from_utf8_lossy(&user).into_owned();
                    write!(f, " by {}", user.split(':').next().unwrap_or_default())?;
                }
                ("Content-Type", _) => {}
                _ => write!(f, " ({name}: {value})")?,
            }
        }
        if let Some(body) = &self.body {
            write!(f, " {}", body.chars().take(300).collect::<String>())?;
        }
        Ok(())
    }
}
