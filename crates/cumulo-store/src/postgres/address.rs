//! Where a database is: what the URL of the settings says.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::config::{self, TargetSessionAttrs};

use super::tls::Verify;

/// How long to wait for a server to take a connection, where the URL does not tell.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One way to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Name or address, and port.
    Tcp(String, u16),
    /// The socket file.
    Unix(PathBuf),
}

/// Which of the servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first that answers.
    Any,
    /// One that takes writes.
    Primary,
    /// One that follows another.
    Standby,
}

/// Everything that is needed to connect.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) hosts: Vec<Host>,
    pub(super) role: Role,
    pub(super) user: String,
    pub(super) password: Option<Vec<u8>>,
    pub(super) database: String,
    /// Parameters of the session.
    pub(super) parameters: Vec<(String, String)>,
    /// Whether to encrypt; if not at all, `None`.
    pub(super) tls: Option<Verify>,
    /// Whether a server that can't encrypt will do.
    pub(super) plain_will_do: bool,
    pub(super) timeout: Duration,
}

/// What is wrong with a URL; never repeats it, since it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

impl Address {
    /// Reads a URL as Kinto takes it: `postgresql://user:password@host:port/database?options`, with
    /// an optional driver as in `postgresql+psycopg2://`. Several hosts are separated by commas;
    /// options are those of libpq. With several hosts, the one that takes writes is looked for,
    /// unless `target_session_attrs` says otherwise.
    pub(super) fn parse(url: &str) -> Result<Self, BadUrl> {
        let wrong = || BadUrl("expected postgresql://user:password@host:port/database".to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        if !matches!(scheme.split('+').next(), Some("postgresql" | "postgres")) {
            return Err(wrong());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut sslmode, mut root, mut kept) = ("prefer".to_owned(), None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => mode.clone_into(&mut sslmode),
                Some(("sslrootcert", path)) => root = Some(decoded(path)?),
                _ => kept.push(pair),
            }
        }
        let url = format!("postgresql://{rest}?{}", kept.join("&"));
        let config: tokio_postgres::Config =
            url.parse().map_err(|error| BadUrl(explain(&error)))?;
        let (tls, plain_will_do) = encryption(&sslmode, root)?;
        let hosts = hosts(&config);
        let role = match config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => Role::Primary,
            TargetSessionAttrs::ReadOnly => Role::Standby,
            _ if hosts.len() > 1 && !query.contains("target_session_attrs") => Role::Primary,
            _ => Role::Any,
        };
        let user = config.get_user().unwrap_or("postgres").to_owned();
        let mut parameters = Vec::new();
        let application = config.get_application_name().unwrap_or("cumulo").to_owned();
        parameters.push(("application_name".to_owned(), application));
        parameters.extend(config.get_options().map(|it| ("options".to_owned(), it.to_owned())));
        Ok(Self {
            hosts,
            role,
            database: config.get_dbname().unwrap_or(&user).to_owned(),
            user,
            password: config.get_password().map(<[u8]>::to_vec),
            parameters,
            tls,
            plain_will_do,
            timeout: config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT),
        })
    }
}

fn decoded(text: &str) -> Result<PathBuf, BadUrl> {
    let pairs = cumulo_core::request::percent_decode(text);
    pairs.map(PathBuf::from).ok_or_else(|| BadUrl("sslrootcert is not a path".to_owned()))
}

/// The reason without the URL itself.
fn explain(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// As libpq reads `sslmode`.
fn encryption(mode: &str, root: Option<PathBuf>) -> Result<(Option<Verify>, bool), BadUrl> {
    Ok(match (mode, root) {
        ("disable", _) => (None, true),
        ("allow" | "prefer", _) => (Some(Verify::Nothing), true),
        ("require", None) => (Some(Verify::Nothing), false),
        ("require" | "verify-ca", root) => (Some(Verify::Authority(root)), false),
        ("verify-full", root) => (Some(Verify::Everything(root)), false),
        _ => {
            let modes = "disable, allow, prefer, require, verify-ca or verify-full";
            return Err(BadUrl(format!("sslmode: expected {modes}")));
        }
    })
}

fn hosts(config: &tokio_postgres::Config) -> Vec<Host> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let host = |(index, host): (usize, &config::Host)| match host {
        config::Host::Tcp(name) => Host::Tcp(name.clone(), port(index)),
        #[cfg(unix)]
        config::Host::Unix(folder) => Host::Unix(folder.join(format!(".s.PGSQL.{}", port(index)))),
    };
    let hosts: Vec<_> = config.get_hosts().iter().enumerate().map(host).collect();
    if hosts.is_empty() { vec![Host::Tcp("localhost".to_owned(), port(0))] } else { hosts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(name: &str, port: u16) -> Host {
        Host::Tcp(name.to_owned(), port)
    }

    #[test]
    fn urls_of_kinto_are_understood() {
        for scheme in ["postgresql", "postgresql+psycopg2", "postgres"] {
            let address = Address::parse(&format!("{scheme}://me:p%40ss@db:5433/kinto")).unwrap();
            assert_eq!(address.hosts, [tcp("db", 5433)]);
            assert_eq!((address.user.as_str(), address.database.as_str()), ("me", "kinto"));
            assert_eq!(address.password.as_deref(), Some(&b"p@ss"[..]));
            assert_eq!(address.role, Role::Any);
        }
    }

    #[test]
    fn several_hosts_mean_the_primary() {
        let address = Address::parse("postgresql://a:1,b:2/kinto").unwrap();
        assert_eq!((address.hosts, address.role), (vec![tcp("a", 1), tcp("b", 2)], Role::Primary));
        let any = Address::parse("postgresql://a,b/kinto?target_session_attrs=any").unwrap();
        assert_eq!((any.hosts, any.role), (vec![tcp("a", 5432), tcp("b", 5432)], Role::Any));
    }

    #[test]
    fn sockets_are_found_in_folders() {
        let address = Address::parse("postgresql:///kinto?host=/run/postgresql").unwrap();
        assert_eq!(address.hosts, [Host::Unix("/run/postgresql/.s.PGSQL.5432".into())]);
    }

    #[test]
    fn encryption_is_as_in_libpq() {
        let of = |query: &str| {
            let address = Address::parse(&format!("postgresql://db/kinto{query}")).unwrap();
            (address.tls, address.plain_will_do)
        };
        assert_eq!(of(""), (Some(Verify::Nothing), true));
        assert_eq!(of("?sslmode=disable"), (None, true));
        assert_eq!(of("?sslmode=require"), (Some(Verify::Nothing), false));
        assert_eq!(of("?sslmode=verify-full"), (Some(Verify::Everything(None)), false));
        let root = Some("/etc/my ca.pem".into());
        let query = "?sslrootcert=/etc/my%20ca.pem&sslmode=verify-ca";
        assert_eq!(of(query), (Some(Verify::Authority(root)), false));
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for url in [
            "db/kinto",
            "mysql://db/kinto",
            "postgresql://u:secret@h:99999x/d",
            "postgresql://u:secret@h/d?sslmode=x",
        ] {
            let error = Address::parse(url).err().expect(url);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
