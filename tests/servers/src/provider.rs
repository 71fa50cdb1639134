//! An identity provider that tells of itself, and logs in one user if there is one.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;
use percent_encoding::percent_decode_str;

/// The code and the token of the user.
const CODE: &str = "a-code";
const TOKEN: &str = "a-token";

/// A running provider; it stops when it goes out of scope.
pub struct Provider {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Provider {
    /// Start one that answers every request with its metadata (OpenID Connect Discovery 1.0).
    pub fn start() -> Result<Self> {
        Self::begin(None)
    }

    /// Start one that gives a code to whoever comes, a token for every code, and for the token the
    /// profile of the user with this id.
    pub fn start_with_user(id: &'static str) -> Result<Self> {
        Self::begin(Some(id))
    }

    fn begin(user: Option<&'static str>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&stopped);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                // Who asks may go away.
                thread::spawn(move || answer(stream, address, user).ok());
            }
        });
        Ok(Self { address, stopped })
    }

    /// Its name and where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers a request.
fn answer(mut stream: TcpStream, address: SocketAddr, user: Option<&str>) -> Result<()> {
    let head = BufReader::new(&stream).lines().map_while(Result::ok);
    let head: Vec<_> = head.take_while(|line| !line.is_empty()).collect();
    let target = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let issuer = format!("http://{address}");
    let (status, location, body) = match (path, user) {
        ("/authorize", Some(_)) => {
            let (back, state) = (parameter(query, "redirect_uri"), parameter(query, "state"));
            ("302 Found", format!("{back}?code={CODE}&state={state}"), String::new())
        }
        ("/token", Some(_)) => ("200 OK", String::new(), token()),
        ("/userinfo", Some(user)) if has_token(&head) => {
            ("200 OK", String::new(), format!("{{\"sub\": \"{user}\"}}"))
        }
        ("/userinfo", _) => ("401 Unauthorized", String::new(), "{}".to_owned()),
        _ => ("200 OK", String::new(), metadata(&issuer, user.is_some())),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         location: {location}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// What it tells of itself.
fn metadata(issuer: &str, has_user: bool) -> String {
    let userinfo = if has_user {
        format!(", \"userinfo_endpoint\": \"{issuer}/userinfo\"")
    } else {
        String::new()
    };
    format!(
        "{{\"issuer\": \"{issuer}\", \"authorization_endpoint\": \"{issuer}/authorize\", \
         \"token_endpoint\": \"{issuer}/token\"{userinfo}}}"
    )
}

fn token() -> String {
    format!("{{\"access_token\": \"{TOKEN}\", \"token_type\": \"Bearer\", \"expires_in\": 3600}}")
}

fn has_token(head: &[String]) -> bool {
    head.iter().any(|line| line.to_lowercase() == format!("authorization: bearer {TOKEN}"))
}

/// A parameter, decoded.
fn parameter(query: &str, name: &str) -> String {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(other, _)| *other == name).map_or("", |(_, value)| value);
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
