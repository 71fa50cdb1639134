//! A load generator: it sends the same few requests again and again through some connections, and
//! measures.
//!
//! It reads a [`Job`] as JSON from its standard input, and writes a [`Report`] to its standard
//! output. It does as little as it can for each request, since it shares the processors with the
//! server: requests come rendered, and of an answer it looks only at the status and the length.

mod answer;

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use answer::Answers;

/// What to send.
#[derive(Deserialize)]
struct Job {
    /// `127.0.0.1:PORT`.
    address: String,
    connections: usize,
    /// Whole requests, head and body; they are sent in turn.
    requests: Vec<String>,
    /// The status that each answer must have.
    status: u16,
    /// Stop after this many requests...
    count: Option<u64>,
    /// ... or after this many seconds.
    seconds: Option<f64>,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    /// Requests that were answered with the right status.
    requests: usize,
    /// Those that were answered with another.
    refused: usize,
    /// The last of those other statuses, or 0.
    refusal: u16,
    seconds: f64,
    /// Of the latencies, in microseconds.
    p50: u32,
    p99: u32,
    max: u32,
}

/// What the connections share.
struct Shared {
    job: Job,
    started: Instant,
    next: Cell<u64>,
    refused: Cell<usize>,
    refusal: Cell<u16>,
    latencies: RefCell<Vec<u32>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let job: Job = serde_json::from_reader(std::io::stdin())?;
    if job.requests.is_empty() || (job.count.is_none() && job.seconds.is_none()) {
        bail!("nothing to do, or no end to it");
    }
    let report = LocalSet::new().run_until(run(job)).await?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?)
}

async fn run(job: Job) -> Result<Report> {
    let mut streams = Vec::new();
    for _ in 0..job.connections {
        streams.push(connect(&job.address).await?);
    }
    let shared = Rc::new(Shared {
        job,
        started: Instant::now(),
        next: Cell::new(0),
        refused: Cell::new(0),
        refusal: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(1 << 20)),
    });
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn_local(work(stream, Rc::clone(&shared)));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let seconds = shared.started.elapsed().as_secs_f64();
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
    Ok(Report {
        requests: latencies.len(),
        refused: shared.refused.get(),
        refusal: shared.refusal.get(),
        seconds,
        p50: at(50).unwrap_or_default(),
        p99: at(99).unwrap_or_default(),
        max: latencies.last().copied().unwrap_or_default(),
    })
}

async fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn work(mut stream: TcpStream, shared: Rc<Shared>) -> Result<()> {
    let job = &shared.job;
    let mut answers = Answers::default();
    while let Some(request) = shared.next_request() {
        let start = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let answer = answers.read(&mut stream).await?;
        let latency = start.elapsed();
        if answer.closes {
            stream = connect(&job.address).await?;
        }
        if answer.status == job.status {
            shared.latencies.borrow_mut().push(microseconds(latency));
        } else {
            shared.refused.set(shared.refused.get() + 1);
            shared.refusal.set(answer.status);
        }
    }
    Ok(())
}

impl Shared {
    fn next_request(&self) -> Option<&str> {
        let number = self.next.get();
        if self.job.count.is_some_and(|count| number >= count) {
            return None;
        }
        if self.job.seconds.is_some_and(|limit| self.started.elapsed().as_secs_f64() >= limit) {
            return None;
        }
        self.next.set(number + 1);
        let requests = &self.job.requests;
        let index = number % u64::try_from(requests.len()).expect("a length fits");
        Some(&requests[usize::try_from(index).expect("an index fits")])
    }
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
