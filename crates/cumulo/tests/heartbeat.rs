//! `/__heartbeat__` of the program says what does not work, and the log says why.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cumulo_e2e::{Program, Server, Storage, http::Response};
use cumulo_servers::{Options, Postgres, Redis};
use serde_json::json;

struct Running {
    _folder: tempfile::TempDir,
    server: Server,
    postgres: Postgres,
    redis: Redis,
}

/// The program with a PostgreSQL and a Redis of its own.
fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(&Options::default()).unwrap();
    let redis = Redis::start().unwrap();
    let url = postgres.create_database("heartbeat").unwrap();
    migrate(folder.path(), &url);
    let settings = [
        ("kinto.cache_backend", "kinto.core.cache.redis"),
        ("kinto.cache_url", &redis.url()),
        ("kinto.heartbeat_timeout_seconds", "2"),
    ];
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let server =
        Server::start(&program, folder.path(), &Storage::Postgresql(url), &settings).unwrap();
    Running { _folder: folder, server, postgres, redis }
}

fn migrate(folder: &Path, url: &str) {
    let ini = folder.join("migrate.ini");
    let text = format!("[app:main]\nstorage_backend = postgresql\nstorage_url = {url}\n");
    fs::write(&ini, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cumulo"));
    let output = command.args(["migrate", "--ini"]).arg(&ini).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Running {
    fn heartbeat(&self) -> Response {
        self.server.connect().unwrap().get("/v1/__heartbeat__").unwrap()
    }

    /// Which part the log says does not work, after the end of the server.
    fn blamed(self) -> String {
        let log = self.server.log.clone();
        self.server.stop().unwrap();
        fs::read_to_string(log).unwrap()
    }
}

#[test]
fn all_is_well() {
    let running = start();
    let answer = running.heartbeat();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let parts = json!({"storage": true, "permission": true, "cache": true});
    assert_eq!(answer.json().unwrap(), parts);
}

#[test]
fn a_storage_that_is_gone_is_named() {
    let mut running = start();
    running.postgres.stop_immediately().unwrap();
    let answer = running.heartbeat();
    assert_eq!(answer.status, 503, "{}", answer.text());
    let parts = json!({"storage": false, "permission": false, "cache": true});
    assert_eq!(answer.json().unwrap(), parts);
    let log = running.blamed();
    assert!(log.contains("part=storage"), "{log}");
    assert!(!log.contains("part=cache"), "{log}");
}

#[test]
fn a_cache_that_is_gone_is_named() {
    let mut running = start();
    running.redis.stop().unwrap();
    let answer = running.heartbeat();
    assert_eq!(answer.status, 503, "{}", answer.text());
    let parts = json!({"storage": true, "permission": true, "cache": false});
    assert_eq!(answer.json().unwrap(), parts);
    let log = running.blamed();
    assert!(log.contains("part=cache"), "{log}");
    assert!(!log.contains("part=storage"), "{log}");
}

#[test]
fn what_hangs_does_not_work_either_and_both_are_asked_at_once() {
    let running = start();
    let signal = |name: &str| {
        let (postgres, redis) = (running.postgres.id(), running.redis.id());
        // Those that speak to clients.
        let children = format!("/proc/{postgres}/task/{postgres}/children");
        let children = fs::read_to_string(children).unwrap();
        let mut command = Command::new("kill");
        command.arg(name).args([postgres, redis].map(|id| id.to_string()));
        assert!(command.args(children.split_whitespace()).status().unwrap().success());
    };
    signal("-STOP");
    let begun = Instant::now();
    let answer = running.heartbeat();
    let took = begun.elapsed();
    signal("-CONT");
    assert_eq!(answer.status, 503, "{}", answer.text());
    let parts = json!({"storage": false, "permission": false, "cache": false});
    assert_eq!(answer.json().unwrap(), parts);
    assert!(took < Duration::from_millis(3500), "{took:?}");
}
