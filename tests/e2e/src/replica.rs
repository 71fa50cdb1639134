//! Reads from a replica, and its promotion.
//!
//! A primary with a synchronous standby, and two copies of the program that share a cache. Both
//! read from the standby. Then the primary stops and the standby is promoted.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cumulo_servers::{Options, Postgres, Redis};
use serde_json::json;
use tempfile::TempDir;

use crate::http::{Connection, Response};
use crate::server::write_ini;
use crate::{Program, Server, Storage};

/// `storage_read_max_lag_seconds`: long enough for the checks to take place while replay pauses.
const MAX_LAG: Duration = Duration::from_secs(8);
/// How long writes may fail once the standby is promoted.
const BACK_AFTER: Duration = Duration::from_secs(2);
/// How many connections write while the primary stops.
const WRITERS: usize = 4;

const RECORDS: &str = "/v1/buckets/b/collections/c/records";
/// Users, with basic authentication.
const ANN: &str = "Basic YW5uOnM=";
const BEN: &str = "Basic YmVuOnM=";
const CAT: &str = "Basic Y2F0OnM=";

/// What happened.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Writes that were acknowledged before the primary stopped, and are there after it.
    pub kept: usize,
    /// How long after the promotion both copies wrote again.
    pub back_after: Duration,
}

/// The servers.
struct Scene {
    primary: Postgres,
    standby: Postgres,
    redis: Redis,
    copies: [Server; 2],
    _folders: [TempDir; 2],
}

/// Run it with our program; an error is a broken promise.
pub fn run(executable: &Path) -> Result<Outcome> {
    let mut scene = Scene::start(executable)?;
    reads_go_to_the_standby(&scene).context("reads go to the standby")?;
    nobody_notices_a_lag(&mut scene).context("replay pauses")?;
    a_standby_far_behind_answers_nothing(&scene).context("replay pauses for long")?;
    reads_survive_the_standby(&mut scene).context("the standby restarts")?;
    the_standby_takes_over(&mut scene).context("promotion")
}

impl Scene {
    fn start(executable: &Path) -> Result<Self> {
        let lines = ["wal_level = replica", "max_wal_senders = 5", "hot_standby = on"];
        let lines = lines.map(String::from).to_vec();
        let primary = Postgres::start(&Options { lines, ..Options::default() })?;
        let standby = primary.start_standby()?;
        // What is acknowledged is there too.
        primary.query("kinto", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        primary.query("kinto", "SELECT pg_reload_conf()")?;
        primary
            .wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")?;
        let redis = Redis::start()?;
        let url = format!("postgresql://kinto@{},{}/kinto", primary.address(), standby.address());
        let (read_url, redis_url) = (standby.url(), redis.url());
        let max_lag = MAX_LAG.as_secs().to_string();
        let settings = [
            ("kinto.storage_read_url", read_url.as_str()),
            ("kinto.storage_read_max_lag_seconds", &max_lag),
            ("kinto.cache_backend", "redis"),
            ("kinto.cache_url", &redis_url),
            ("kinto.bucket_create_principals", "system.Authenticated"),
        ];
        let storage = Storage::Postgresql(url);
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        migrate(executable, folders[0].path(), &storage)?;
        let program = Program::cumulo(executable);
        let start = |folder: &TempDir| Server::start(&program, folder.path(), &storage, &settings);
        let copies = [start(&folders[0])?, start(&folders[1])?];
        let scene = Self { primary, standby, redis, copies, _folders: folders };
        scene.set_up()?;
        Ok(scene)
    }

    fn set_up(&self) -> Result<()> {
        let mut ann = self.client(0, ANN)?;
        let everybody = json!({"permissions": {"write": ["system.Authenticated"]}});
        ann.send("PUT", "/v1/buckets/b", &[], &everybody.to_string())?.succeeded()?;
        ann.send("PUT", "/v1/buckets/b/collections/c", &[], "{}")?.succeeded()?;
        ann.put("first")?.succeeded().map(drop)
    }

    fn client(&self, copy: usize, user: &'static str) -> Result<Client> {
        Ok(Client { connection: self.copies[copy].connect()?, user })
    }

    /// How many statements the standby has answered in the database, or rather their transactions.
    fn standby_reads(&self) -> Result<u64> {
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
                   WHERE datname = 'kinto'";
        Ok(self.standby.query("kinto", sql)?.parse()?)
    }

    /// Wait until what is on the primary is on the standby, and until nobody is known as a writer.
    fn settle(&self) -> Result<()> {
        let end = self.primary.query("kinto", "SELECT pg_current_wal_flush_lsn()")?;
        self.standby.wait_for(&format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"))?;
        sleep(MAX_LAG + Duration::from_millis(1500));
        Ok(())
    }
}

/// Creates the tables.
pub(crate) fn migrate(executable: &Path, folder: &Path, storage: &Storage) -> Result<()> {
    let ini = folder.join("migrate.ini");
    write_ini(&ini, 0, storage, &[])?;
    let mut migrate = Command::new(executable);
    let status = migrate.args(["migrate", "--quiet", "--ini"]).arg(ini).status()?;
    ensure!(status.success(), "cumulo migrate ended with {status}");
    Ok(())
}

/// A user's connection to a copy.
struct Client {
    connection: Connection,
    user: &'static str,
}

impl Client {
    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response> {
        let mut all = vec![("Authorization", self.user), ("Content-Type", "application/json")];
        all.extend(headers);
        let body = (!body.is_empty()).then_some(body.as_bytes());
        self.connection.request(method, path, &all, body)
    }

    fn put(&mut self, id: &str) -> Result<Response> {
        self.send("PUT", &format!("{RECORDS}/{id}"), &[], r#"{"data":{}}"#)
    }

    fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.send("GET", path, headers, "")
    }

    /// The `ETag` of the records, asked as who has seen `etag` asks.
    fn poll(&mut self, etag: Option<&str>) -> Result<Response> {
        match etag {
            Some(etag) => self.get(RECORDS, &[("If-None-Match", etag)]),
            None => self.get(RECORDS, &[]),
        }
    }
}

fn etag(response: &Response) -> Result<String> {
    response.header("etag").map(str::to_owned).context("no ETag")
}

/// The number of an `ETag`.
fn time(etag: &str) -> Result<u64> {
    Ok(etag.trim_matches('"').parse()?)
}

fn ids(response: Response) -> Result<Vec<String>> {
    let list = response.succeeded()?.json()?;
    let objects = list["data"].as_array().context("no list")?;
    let mut ids: Vec<_> =
        objects.iter().map(|it| it["id"].as_str().unwrap_or("").to_owned()).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn reads_go_to_the_standby(scene: &Scene) -> Result<()> {
    const READS: u64 = 200;
    scene.settle()?;
    let before = scene.standby_reads()?;
    for copy in 0..2 {
        let mut ben = scene.client(copy, BEN)?;
        for _ in 0..READS / 2 {
            ben.poll(None)?.succeeded()?;
        }
    }
    // Sessions report their counts after a while.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answered = scene.standby_reads()? - before;
        if answered >= READS {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the standby answered {answered} of {READS} reads");
        sleep(Duration::from_millis(200));
        scene.client(0, BEN)?.poll(None)?.succeeded()?;
    }
}

/// With replay paused.
fn nobody_notices_a_lag(scene: &mut Scene) -> Result<()> {
    scene.settle()?;
    scene.standby.pause_replay()?;
    let mut ann = [scene.client(0, ANN)?, scene.client(1, ANN)?];
    let mut ben = [scene.client(0, BEN)?, scene.client(1, BEN)?];
    let old = etag(&ben[0].poll(None)?)?;
    let written = ann[0].put("second")?.succeeded()?;
    let new = etag(&written)?;
    for client in &mut ann {
        let list = client.poll(None)?;
        ensure!(etag(&list)? == new, "who wrote sees an old ETag");
        ensure!(ids(list)? == ["first", "second"], "who wrote does not see it in the list");
        client.get(&format!("{RECORDS}/second"), &[])?.succeeded().context("who wrote")?;
    }
    for client in &mut ben {
        let list = client.poll(None)?;
        ensure!(etag(&list)? == old, "another client does not see the state of the standby");
        ensure!(ids(list)? == ["first"], "the list is not that of its ETag");
        ensure!(client.poll(Some(&old))?.status == 304, "nothing is new to the standby");
        pollers_never_go_back(client, &new)?;
    }
    scene.redis.stop()?;
    for client in &mut ben {
        let list = client.poll(None)?.succeeded().context("without the cache")?;
        ensure!(etag(&list)? == new, "without the cache, a reader may be a writer");
    }
    scene.redis.restart()?;
    scene.standby.resume_replay()
}

/// Someone who was told of a change by other means asks in every way for what comes after it.
fn pollers_never_go_back(client: &mut Client, new: &str) -> Result<()> {
    ensure!(client.poll(Some(new))?.status == 304, "a poller goes back");
    let digits = new.trim_matches('"');
    for name in ["_since", "_before", "gt_last_modified", "_expected"] {
        let list = client.get(&format!("{RECORDS}?{name}={digits}"), &[])?.succeeded()?;
        ensure!(etag(&list)? == new, "a list goes back with {name}");
    }
    let matched = client.get(RECORDS, &[("If-Match", new)])?;
    ensure!(matched.status == 200, "If-Match: {}", matched.status);
    let object = client.get(&format!("{RECORDS}/second"), &[("If-None-Match", new)])?;
    ensure!(object.status == 304, "an object goes back: {}", object.status);
    Ok(())
}

/// With replay paused for longer than it may be behind.
fn a_standby_far_behind_answers_nothing(scene: &Scene) -> Result<()> {
    scene.settle()?;
    scene.standby.pause_replay()?;
    let mut ann = scene.client(0, ANN)?;
    let new = etag(&ann.put("third")?.succeeded()?)?;
    sleep(MAX_LAG + Duration::from_millis(1500));
    for copy in 0..2 {
        for user in [ANN, BEN] {
            let found = etag(&scene.client(copy, user)?.poll(None)?)?;
            ensure!(found == new, "a standby that is too far behind has answered");
        }
    }
    scene.standby.resume_replay()
}

fn reads_survive_the_standby(scene: &mut Scene) -> Result<()> {
    scene.settle()?;
    let mut clients = [scene.client(0, BEN)?, scene.client(1, BEN)?];
    let mut check = |what: &str| {
        for client in &mut clients {
            let begin = Instant::now();
            let answer = client.poll(None)?;
            ensure!(answer.status == 200, "{what}: {} {}", answer.status, answer.text());
            ensure!(begin.elapsed() < Duration::from_secs(1), "{what}: {:?}", begin.elapsed());
        }
        Ok(())
    };
    check("before")?;
    scene.standby.stop()?;
    for _ in 0..20 {
        check("without the standby")?;
    }
    scene.standby.restart()?;
    let sync = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    scene.primary.wait_for(sync)?;
    check("with it again")
}

/// Writers, and a reader that never goes back, while the primary stops and the standby takes over.
fn the_standby_takes_over(scene: &mut Scene) -> Result<Outcome> {
    let (stop, kept) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let mut clients = Vec::new();
    for writer in 0..WRITERS {
        clients.push(scene.client(writer % 2, [ANN, BEN][writer / 2 % 2])?);
    }
    let pollers = [scene.client(0, CAT)?, scene.client(1, CAT)?];
    let back_after = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (writer, client) in clients.into_iter().enumerate() {
            let (stop, kept) = (&stop, &kept);
            threads.push(scope.spawn(move || write_until(stop, kept, client, writer)));
        }
        for poller in pollers {
            let stop = &stop;
            threads.push(scope.spawn(move || poll_until(stop, poller)));
        }
        let result = fail_over(scene);
        stop.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().expect("a client panicked")?;
        }
        result
    })?;
    let kept = kept.into_inner().expect("no client panicked");
    for copy in 0..2 {
        let found = ids(scene.client(copy, ANN)?.poll(None)?)?;
        let lost: Vec<_> = kept.iter().filter(|id| found.binary_search(id).is_err()).collect();
        ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
    Ok(Outcome { kept: kept.len(), back_after })
}

/// How long after the promotion both copies wrote again.
fn fail_over(scene: &mut Scene) -> Result<Duration> {
    sleep(Duration::from_secs(1));
    let mut clients = [scene.client(0, ANN)?, scene.client(1, ANN)?];
    scene.primary.stop()?;
    for (copy, client) in clients.iter_mut().enumerate() {
        let refused = client.put(&format!("between-{copy}"))?;
        ensure!(refused.status == 503, "without a primary: {}", refused.status);
        ensure!(refused.header("retry-after").is_some(), "no Retry-After");
    }
    scene.standby.promote()?;
    let begin = Instant::now();
    for (copy, client) in clients.iter_mut().enumerate() {
        while client.put(&format!("after-{copy}"))?.status >= 300 {
            ensure!(begin.elapsed() < BACK_AFTER, "copy {copy} does not write again");
            sleep(Duration::from_millis(20));
        }
    }
    let back_after = begin.elapsed();
    ensure!(back_after < BACK_AFTER, "writes are back after {back_after:?}");
    sleep(Duration::from_secs(1));
    Ok(back_after)
}

/// Creates records; notes the ids of those that were acknowledged.
fn write_until(
    stop: &AtomicBool,
    kept: &Mutex<Vec<String>>,
    mut client: Client,
    writer: usize,
) -> Result<()> {
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("w{writer}-{number}");
        let response = client.put(&id)?;
        match response.status {
            201 => {
                kept.lock().expect("no client panics").push(id);
                // All of them are read on one page in the end.
                sleep(Duration::from_millis(2));
            }
            503 => {
                ensure!(response.header("retry-after").is_some(), "no Retry-After");
                sleep(Duration::from_millis(50));
            }
            status => bail!("{status} {}", response.text()),
        }
    }
    Ok(())
}

/// Polls as kinto.js does; a timestamp that goes back would mean a flushed server to it.
fn poll_until(stop: &AtomicBool, mut client: Client) -> Result<()> {
    let mut last: Option<String> = None;
    while !stop.load(Ordering::SeqCst) {
        let response = client.poll(last.as_deref())?;
        match response.status {
            200 | 304 => {
                let next = etag(&response)?;
                if let Some(last) = &last {
                    ensure!(time(&next)? >= time(last)?, "the ETag went from {last} to {next}");
                }
                last = Some(next);
            }
            503 => sleep(Duration::from_millis(50)),
            status => bail!("{status} {}", response.text()),
        }
    }
    Ok(())
}
