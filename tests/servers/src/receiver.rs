//! A receiver of webhooks that answers as a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A request that has arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its path.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Whether it was answered with a status of success.
    pub accepted: bool,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Answer with this status, and with these lines in the head.
    Status(u16, &'static str),
    /// Close the connection.
    Cut,
    /// Answer 200 after some time.
    Late(Duration),
}

type Judge = dyn Fn(&Received) -> Answer + Send + Sync;

/// A running receiver; it stops when it goes out of scope.
pub struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stopped: Arc<AtomicBool>,
}

impl Receiver {
    /// Start one that does with each request what `judge` says.
    pub fn start(judge: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let stopped = Arc::<AtomicBool>::default();
        let (judge, seen, ended) =
            (Arc::new(judge) as Arc<Judge>, Arc::clone(&received), Arc::clone(&stopped));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (judge, seen) = (Arc::clone(&judge), Arc::clone(&seen));
                // Whoever sends breaks connections as they like.
                thread::spawn(move || serve(stream, &*judge, &seen).ok());
            }
        });
        Ok(Self { address, received, stopped })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Received {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Fails unless one of the signatures is that with this secret, as Standard Webhooks has it.
    pub fn check_signature(&self, secret: &str) -> Result<()> {
        let header = |name| self.header(name).with_context(|| format!("no header {name}"));
        let key = STANDARD.decode(secret.strip_prefix("whsec_").context("no secret")?)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        mac.update(format!("{id}.{timestamp}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let found = header("webhook-signature")?;
        ensure!(found.split(' ').any(|it| it == expected), "{found} without {expected}");
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of a connection.
fn serve(stream: TcpStream, judge: &Judge, seen: &Mutex<Vec<Received>>) -> Result<()> {
    let mut input = BufReader::new(stream);
    while let Some(mut received) = read(&mut input)? {
        let answer = judge(&received);
        let (status, head) = match &answer {
            Answer::Cut => (0, ""),
            Answer::Status(status, head) => (*status, *head),
            Answer::Late(_) => (200, ""),
        };
        received.accepted = (200..300).contains(&status) && !matches!(answer, Answer::Late(_));
        lock(seen).push(received);
        match answer {
            Answer::Cut => return Ok(()),
            Answer::Late(wait) => thread::sleep(wait),
            Answer::Status(..) => {}
        }
        let text = format!("HTTP/1.1 {status} X\r\n{head}content-length: 2\r\n\r\n{{}}");
        input.get_mut().write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The next request; none at the end.
fn read(input: &mut BufReader<TcpStream>) -> Result<Option<Received>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut received = Received { path, headers, body: String::new(), accepted: false };
    let length = received.header("content-length").unwrap_or("0").parse()?;
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    received.body = String::from_utf8(body)?;
    Ok(Some(received))
}
