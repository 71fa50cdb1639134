//! Metrics for StatsD and what understands it, over UDP, under the names of Kinto's.
//!
//! Lines are gathered and sent several in a packet. Nobody waits for that: what does not fit is
//! dropped, as UDP may drop anything.

use std::{
    fmt::Write as _,
    mem,
    net::{SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use cumulo_core::{
    host::Host,
    metrics::{Label, Metrics},
    plugin::{Plugin, StartError},
    settings::Settings,
    store::BoxFuture,
};

/// The most bytes in a packet: what any network takes whole.
const PACKET: usize = 1432;
/// The most bytes that wait.
const MOST: usize = 1024 * 1024;
/// How long lines are gathered.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Statsd {
    /// `host:port`.
    address: String,
    client: Arc<Client>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Takes measurements.
struct Client {
    prefix: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: String,
    ending: bool,
}

impl Statsd {
    pub(crate) fn new(settings: &Settings) -> Self {
        let name = &settings.project_name;
        let prefix = if name.is_empty() { &settings.statsd_prefix } else { name };
        let client =
            Client { prefix: clean(prefix), state: Mutex::default(), changed: Condvar::new() };
        Self {
            address: settings.statsd_address().unwrap_or_default(),
            client: Arc::new(client),
            thread: Mutex::default(),
        }
    }

    fn connect(&self) -> std::io::Result<UdpSocket> {
        let address = self.address.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| std::io::Error::other("it has no address"))?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

impl Plugin for Statsd {
    fn name(&self) -> &'static str {
        "statsd"
    }

    fn metrics(&self) -> Option<Arc<dyn Metrics>> {
        Some(Arc::clone(&self.client) as Arc<dyn Metrics>)
    }

    fn start<'a>(&'a self, _: &'a Arc<dyn Host>) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async {
            let socket = self.connect().map_err(|error| {
                format!("can't send to the statsd_url udp://{}: {error}", self.address)
            })?;
            let client = Arc::clone(&self.client);
            let send = move || client.send_to(&socket);
            let thread = thread::Builder::new().name("statsd".into()).spawn(send)?;
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
            Ok(())
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.client.lock().ending = true;
            self.client.changed.notify_one();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            // It sends what waits, which does not block.
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        })
    }
}

impl Client {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line. `kind` is what StatsD calls the type.
    fn add(&self, name: &str, labels: &[Label<'_>], value: std::fmt::Arguments<'_>, kind: &str) {
        let mut state = self.lock();
        if state.waiting.len() > MOST {
            return;
        }
        let line = &mut state.waiting;
        let _ = write!(line, "{}.{name}", self.prefix);
        for (label, value) in labels {
            let _ = write!(line, ".{label}.{}", clean(value));
        }
        // Strings take everything.
        let _ = writeln!(line, ":{value}|{kind}");
    }

    /// Sends lines from time to time, and what waits at the end.
    fn send_to(&self, socket: &UdpSocket) {
        let mut lines = String::new();
        loop {
            let mut state = self.lock();
            if !state.ending {
                let paused = self.changed.wait_timeout(state, PAUSE);
                state = paused.unwrap_or_else(PoisonError::into_inner).0;
            }
            mem::swap(&mut state.waiting, &mut lines);
            let ending = state.ending;
            drop(state);
            for packet in packets(&lines) {
                // Nobody may listen at the moment.
                let _ = socket.send(packet.as_bytes());
            }
            lines.clear();
            if ending {
                return;
            }
        }
    }
}

/// Whole lines together, as many as fit in a packet.
fn packets(lines: &str) -> impl Iterator<Item = &str> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let fits = rest.floor_char_boundary(PACKET);
        // A line that does not fit alone goes alone.
        let end = match rest[..fits].rfind('\n') {
            Some(end) => end,
            None => rest.find('\n').unwrap_or(rest.len() - 1),
        };
        let packet = &rest[..end];
        rest = &rest[end + 1..];
        Some(packet)
    })
}

/// Without what has a meaning in a line.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ':' | '|') && !c.is_control()).collect()
}

impl Metrics for Client {
    fn timing(&self, name: &str, took: Duration, labels: &[Label<'_>]) {
        self.add(name, labels, format_args!("{:.6}", took.as_secs_f64() * 1000.0), "ms");
    }

    fn size(&self, name: &str, size: u64, _: &[Label<'_>]) {
        self.add(name, &[], format_args!("{size}"), "g");
    }

    fn count(&self, name: &str, labels: &[Label<'_>]) {
        if labels.is_empty() {
            return self.add(name, &[], format_args!("1"), "c");
        }
        let pairs: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}.{}", clean(value))).collect();
        self.add(name, &[], format_args!("{}", pairs.join(".")), "s");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client { prefix: "kinto".into(), state: Mutex::default(), changed: Condvar::new() }
    }

    #[test]
    fn lines_are_those_of_the_reference() {
        let client = client();
        client.timing("func.seconds", Duration::from_micros(1500), &[("method", "a:b|c")]);
        client.size("request_size", 12, &[("method", "get")]);
        client.count("cache_hits", &[]);
        client.count("users", &[("auth", "basicauth"), ("userid", "x")]);
        assert_eq!(
            client.lock().waiting,
            "kinto.func.seconds.method.abc:1.500000|ms\nkinto.request_size:12|g\n\
             kinto.cache_hits:1|c\nkinto.users:auth.basicauth.userid.x|s\n"
        );
    }

    #[test]
    fn packets_hold_whole_lines() {
        let line = "x".repeat(600);
        let long = "y".repeat(2000);
        let lines = format!("{line}\n{line}\n{line}\n{long}\n{line}\n");
        let sizes: Vec<_> = packets(&lines).map(str::len).collect();
        assert_eq!(sizes, [1201, 600, 2000, 600]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let client = client();
        for _ in 0..100_000 {
            client.count("cache_hits", &[]);
        }
        assert!(client.lock().waiting.len() < MOST + 100);
    }
}
