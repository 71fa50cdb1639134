//! Many clients at one copy with few sessions: all wait, none starves.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cumulo_servers::{Options, Postgres};
use serde_json::json;

use super::{Plan, fleet};
use crate::http::Connection;
use crate::journal::{self, records_path};
use crate::{Program, Server, Storage};

/// How many clients there are, and what each of them asks.
const CLIENTS: usize = 500;
const REQUESTS: usize = 20;
/// How many sessions the program may have.
const SESSIONS: usize = 10;
/// How much longer than the median the slowest client may take.
const FAIRNESS: u32 = 2;
/// How long after the load its sessions are counted: later than the pool lets go of some.
const REST: Duration = Duration::from_secs(1);

const COUNT: &str = "SELECT count(*), count(*) FILTER (WHERE state = 'idle') \
    FROM pg_stat_activity WHERE application_name = 'cumulo'";

/// What happened.
#[derive(Debug, Default)]
pub struct Outcome {
    most_sessions: usize,
    idle_sessions: usize,
    median: Duration,
    slowest: Duration,
    longest_wait: Duration,
}

/// Run it; an error is a broken promise of the program.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let postgres = Postgres::start(&Options { fsync: true, ..Options::default() })?;
    let storage = Storage::Postgresql(postgres.url());
    let sessions = SESSIONS.to_string();
    let settings =
        [("kinto.storage_pool_size", sessions.as_str()), ("kinto.storage_max_overflow", "0")];
    // The cache would have sessions of its own.
    let settings = [&settings[..], &[("kinto.cache_backend", "kinto.core.cache.memory")]].concat();
    fleet::migrate(plan, &storage, &settings)?;
    let program = Program::cumulo(&plan.executable);
    let server = Server::start(&program, &plan.folder, &storage, &settings)?;
    journal::set_up(&mut server.connect()?, 1)?;

    let is_over = AtomicBool::new(false);
    let crowd = Crowd {
        gate: Barrier::new(CLIENTS),
        finished: AtomicUsize::new(0),
        longest_wait: Mutex::default(),
    };
    let mut outcome = Outcome::default();
    let mut durations = thread::scope(|scope| -> Result<Vec<Duration>> {
        let watcher = scope.spawn(|| watch(&postgres, &is_over));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let (crowd, server) = (&crowd, &server);
            let thread = thread::Builder::new().stack_size(512 << 10);
            clients.push(thread.spawn_scoped(scope, move || crowd.ask(server, client))?);
        }
        let durations = super::join(clients);
        is_over.store(true, Ordering::SeqCst);
        outcome.most_sessions = watcher.join().expect("the watcher panicked")?;
        durations
    })?;
    durations.sort_unstable();
    outcome.median = durations[CLIENTS / 2];
    outcome.slowest = durations[CLIENTS - 1];
    outcome.longest_wait = *crowd.longest_wait.lock().expect("nobody panicked");
    sleep(REST);
    let (all, idle) = count(&postgres)?;
    outcome.idle_sessions = all;
    ensure!(idle == all, "{} sessions are still busy", all - idle);
    outcome.check()?;
    server.stop()?;
    Ok(outcome)
}

/// The most sessions that were seen at a time.
fn watch(postgres: &Postgres, is_over: &AtomicBool) -> Result<usize> {
    let mut most = 0;
    while !is_over.load(Ordering::SeqCst) {
        most = most.max(count(postgres)?.0);
        sleep(Duration::from_millis(100));
    }
    Ok(most)
}

/// Sessions of the program, and how many of them are idle.
fn count(postgres: &Postgres) -> Result<(usize, usize)> {
    let text = postgres.query("kinto", COUNT)?;
    let (all, idle) = text.split_once('|').context("two columns")?;
    Ok((all.parse()?, idle.parse()?))
}

/// What the clients share.
struct Crowd {
    gate: Barrier,
    /// How many clients have made their requests, or have failed.
    finished: AtomicUsize,
    longest_wait: Mutex<Duration>,
}

impl Crowd {
    /// The requests of one client. Returns how long they took together; then the client goes on
    /// until all others have finished too, so that nobody gains from those who are done.
    fn ask(&self, server: &Server, client: usize) -> Result<Duration> {
        let connection = server.connect();
        // Even without a connection: the others wait here.
        self.gate.wait();
        let start = Instant::now();
        let asked = connection.and_then(|mut connection| {
            (0..REQUESTS).try_for_each(|it| self.ask_once(&mut connection, client, it))?;
            Ok(connection)
        });
        let duration = start.elapsed();
        self.finished.fetch_add(1, Ordering::SeqCst);
        let mut connection = asked?;
        let mut request = REQUESTS;
        while self.finished.load(Ordering::SeqCst) < CLIENTS {
            self.ask_once(&mut connection, client, request)?;
            request += 1;
        }
        Ok(duration)
    }

    fn ask_once(&self, connection: &mut Connection, client: usize, request: usize) -> Result<()> {
        let path = format!("{}/client{client}", records_path(0));
        let sent = Instant::now();
        let body = json!({"data": {"request": request}});
        let answer = match request % 4 {
            0 => connection.json("PUT", &path, Some(&body)),
            1 => connection.json("GET", &format!("{}?_limit=3", records_path(0)), None),
            _ => connection.json("GET", &path, None),
        };
        answer?.succeeded().with_context(|| format!("client {client}, request {request}"))?;
        let mut longest = self.longest_wait.lock().expect("nobody panicked");
        *longest = longest.max(sent.elapsed());
        Ok(())
    }
}

impl Outcome {
    fn check(&self) -> Result<()> {
        let most = self.most_sessions;
        ensure!(most > 1, "{most} sessions were seen: the test has no power");
        ensure!(most <= SESSIONS, "{most} sessions, of {SESSIONS} that are allowed");
        let idle = self.idle_sessions;
        ensure!(idle <= SESSIONS, "{idle} sessions after the load, of {SESSIONS}");
        ensure!(
            self.slowest <= self.median * FAIRNESS,
            "the slowest client took {:?}, the median {:?}",
            self.slowest,
            self.median
        );
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{CLIENTS} clients with {REQUESTS} requests each: the median took {:.2} s, the slowest \
             {:.2} s, the longest request {:.2} s; at most {} sessions, {} after the load",
            self.median.as_secs_f64(),
            self.slowest.as_secs_f64(),
            self.longest_wait.as_secs_f64(),
            self.most_sessions,
            self.idle_sessions
        )
    }
}
