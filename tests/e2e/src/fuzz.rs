//! Bad input of every kind, to every endpoint of the real program.
//!
//! Whatever comes, the answer is a success, a redirect, or a 4xx with a JSON error that has an
//! errno; never a 5xx. The server does not panic, does not grow, and goes on serving others.
//! The randomness has a seed, so that a run can be repeated. `input` makes the requests.

mod input;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::http::{Connection, Response};
use crate::{Program, Server, Storage};
use input::Input;

/// How much the server may grow, in KiB.
const GROWTH: u64 = 256 << 10;
/// How long others may have to wait while bad input arrives.
const PATIENCE: Duration = Duration::from_secs(2);
/// Half requests that are left open at once.
const HALF_REQUESTS: usize = 100;
/// Requests between two looks at the process and its objects.
const INTERVAL: usize = 40;
/// Broken rules of one kind of input that are shown.
const SHOWN: usize = 5;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server.
    pub program: Program,
    /// Where its objects go.
    pub storage: Storage,
    /// Where its INI file and log go.
    pub folder: PathBuf,
    /// Where the randomness begins.
    pub seed: u64,
    /// Requests to send...
    pub requests: usize,
    /// ... unless this much time has passed.
    pub limit: Duration,
}

/// The kinds of input, each with the number of requests and the rules that were broken.
pub type Outcome = BTreeMap<&'static str, (usize, Vec<String>)>;

/// Run it; an error means that the server as a whole has suffered.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let settings = [
        ("kinto.experimental_collection_schema_validation", "true"),
        ("kinto.experimental_permissions_endpoint", "true"),
    ];
    let mut server = Server::start(&plan.program, &plan.folder, &plan.storage, &settings)?;
    let start = Instant::now();
    let memory = resident_memory(server.id())?;
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut outcome = Outcome::new();
    for number in 0..plan.requests {
        if start.elapsed() > plan.limit {
            break;
        }
        if number % INTERVAL == 0 {
            check_process(&mut server, memory)?;
            make_objects(&mut server.connect()?)?;
        }
        let input = input::any(&mut random);
        let (count, broken) = outcome.entry(input.kind.name()).or_default();
        *count += 1;
        if let Err(error) = send(&server, &input) {
            broken.push(format!("{error:#}\n    {}", input.summary()));
        }
    }
    outcome.insert("half requests", (HALF_REQUESTS, leave_half_requests_open(&server)));
    check_process(&mut server, memory)?;
    let log = fs::read_to_string(&server.log)?;
    server.stop()?;
    ensure!(!log.contains("panicked"), "the server panicked:\n{log}");
    outcome.values_mut().for_each(|(_, broken)| broken.truncate(SHOWN));
    Ok(outcome)
}

/// What requests can work on; they delete it now and then.
fn make_objects(connection: &mut Connection) -> Result<()> {
    connection.json("PUT", "/v1/buckets/fuzz", None)?.succeeded()?;
    let collection = "/v1/buckets/fuzz/collections/items";
    connection.json("PUT", collection, None)?.succeeded()?;
    let group = json!({"data": {"members": ["basicauth:x"]}});
    connection.json("PUT", "/v1/buckets/fuzz/groups/team", Some(&group))?.succeeded()?;
    for index in 0..20 {
        let data = json!({"data": {"n": index, "tags": ["a", "b"], "nested": {"deep": [1, null]}}});
        let path = format!("{collection}/records/r{index}");
        connection.json("PUT", &path, Some(&data))?.succeeded()?;
    }
    Ok(())
}

/// Send it on a connection of its own; the error is the rule that was broken.
fn send(server: &Server, input: &Input) -> Result<()> {
    let mut connection = server.connect().context("cannot connect")?;
    // The server may answer and close before it has read everything.
    let mut sent = connection.send(&input.bytes);
    if sent.is_ok() && input.may_stay_unanswered() {
        sent = connection.finish_sending();
    }
    match connection.receive(&input.method) {
        Ok(response) => check_response(&response, &input.method),
        // What is no whole request needs no answer, but must not keep the connection for ever.
        Err(error) if is_timeout(&error) => bail!("no answer and no end: {error:#}"),
        Err(_) if input.may_stay_unanswered() || sent.is_err() => Ok(()),
        Err(error) => bail!("no answer: {error:#}"),
    }
}

fn is_timeout(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};

    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind.is_some_and(|kind| kind == TimedOut || kind == WouldBlock)
}

fn check_response(response: &Response, method: &str) -> Result<()> {
    let (status, text) = (response.status, response.text());
    ensure!(status < 500, "{status}: {text}");
    if status < 400 || method == "HEAD" {
        return Ok(());
    }
    let body = response.json().with_context(|| format!("a {status} that is not JSON"))?;
    ensure!(body["code"] == status, "the code of a {status} is {}: {text}", body["code"]);
    ensure!(body["errno"].is_u64(), "a {status} without errno: {text}");
    ensure!(body["error"].is_string(), "a {status} without error: {text}");
    Ok(())
}

/// The server runs, answers, and has not grown.
fn check_process(server: &mut Server, memory_at_start: u64) -> Result<()> {
    server.check_running()?;
    check_patience(server)?;
    let growth = resident_memory(server.id())?.saturating_sub(memory_at_start);
    ensure!(growth < GROWTH, "the server has grown by {growth} KiB");
    Ok(())
}

fn check_patience(server: &Server) -> Result<()> {
    let start = Instant::now();
    let response = server.connect()?.get("/v1/")?;
    ensure!(response.status == 200, "hello answers {}: {}", response.status, response.text());
    let elapsed = start.elapsed();
    ensure!(elapsed < PATIENCE, "hello takes {elapsed:?}");
    Ok(())
}

/// Clients that begin a request and then say nothing do not hinder others.
fn leave_half_requests_open(server: &Server) -> Vec<String> {
    let halves: [&[u8]; 4] = [
        b"",
        b"GET /v1/ HT",
        b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Le",
        b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{\"requests\": [",
    ];
    let open = |half: &[u8]| {
        let mut connection = server.connect()?;
        connection.send(half)?;
        Ok(connection)
    };
    let connections: Result<Vec<_>> =
        halves.iter().cycle().take(HALF_REQUESTS).map(|half| open(half)).collect();
    let checked = connections.and_then(|connections| {
        check_patience(server)?;
        drop(connections);
        check_patience(server)
    });
    checked.err().map(|error| format!("{error:#}")).into_iter().collect()
}

/// In KiB.
fn resident_memory(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("an empty VmRSS")?.parse()?)
}
