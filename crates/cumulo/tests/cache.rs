//! The program with each cache: tokens survive its restart, and only what needs a cache that is
//! gone fails.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path, process::Command};

use cumulo_e2e::{
    Program, Server, Storage,
    http::{Connection, Response},
};
use cumulo_servers::{Memcached, Postgres, Redis};
use serde_json::json;

const RECORDS: &str = "/v1/buckets/default/collections/c/records";

fn start(folder: &Path, cache: &[(&str, &str)]) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let storage = Storage::Sqlite(folder.join("store.sqlite"));
    Server::start(&program, folder, &storage, cache).unwrap()
}

/// A command of the program with the settings of the server.
fn command(folder: &Path, name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cumulo"));
    let output = command.args([name, "--ini"]).arg(folder.join("server.ini")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ask(connection: &mut Connection, method: &str, path: &str) -> Response {
    connection.json(method, path, None).unwrap()
}

/// Deletes the first of `count` new records: the path of the next page.
fn delete_one(connection: &mut Connection, count: usize) -> String {
    for _ in 0..count {
        let record = json!({"data": {}});
        connection.json("POST", RECORDS, Some(&record)).unwrap().succeeded().unwrap();
    }
    let page = ask(connection, "DELETE", &format!("{RECORDS}?_limit=1"));
    assert_eq!(page.status, 200, "{}", page.text());
    let next = page.header("next-page").expect("there are more");
    next[next.find("/v1/").unwrap()..].to_owned()
}

fn tokens_survive_a_restart(cache: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), cache);
    let mut connection = server.connect().unwrap();
    let heartbeat = ask(&mut connection, "GET", "/v1/__heartbeat__");
    assert_eq!(heartbeat.json().unwrap()["cache"], true, "{}", heartbeat.text());
    let next = delete_one(&mut connection, 3);
    server.stop().unwrap();

    let server = start(folder.path(), cache);
    let mut connection = server.connect().unwrap();
    assert_eq!(ask(&mut connection, "DELETE", &next).status, 200);
    assert_eq!(ask(&mut connection, "DELETE", &next).status, 400);
    let next = delete_one(&mut connection, 2);
    assert_eq!(command(folder.path(), "flush-cache"), "The cache is empty.\n");
    assert_eq!(ask(&mut connection, "DELETE", &next).status, 400);
    server.stop().unwrap();
}

fn only_what_needs_the_cache_fails(cache: &[(&str, &str)], stop: impl FnOnce()) {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), cache);
    let mut connection = server.connect().unwrap();
    let next = delete_one(&mut connection, 2);
    stop();
    assert_eq!(ask(&mut connection, "GET", RECORDS).status, 200);
    let refused = ask(&mut connection, "DELETE", &next);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    let heartbeat = ask(&mut connection, "GET", "/v1/__heartbeat__");
    assert_eq!(heartbeat.status, 503);
    let parts = heartbeat.json().unwrap();
    assert_eq!(parts, json!({"storage": true, "permission": true, "cache": false}));
    server.stop().unwrap();
}

#[test]
fn sqlite() {
    tokens_survive_a_restart(&[]);
}

#[test]
fn redis() {
    let mut server = Redis::with_password("s3cret").unwrap();
    let url = server.url();
    let cache = [("kinto.cache_backend", "kinto.core.cache.redis"), ("kinto.cache_url", &url)];
    tokens_survive_a_restart(&cache);
    only_what_needs_the_cache_fails(&cache, || server.stop().unwrap());
}

#[test]
fn memcached() {
    let mut server = Memcached::start().unwrap();
    let hosts = server.url();
    let cache = [
        ("kinto.cache_backend", "kinto.core.cache.memcached"),
        ("kinto.cache_hosts", &hosts),
        ("kinto.cache_prefix", "here:"),
    ];
    tokens_survive_a_restart(&cache);
    only_what_needs_the_cache_fails(&cache, || server.stop().unwrap());
}

#[test]
fn postgresql() {
    let url = Postgres::shared().create_database("cumulo").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[app:main]\ncache_backend = postgresql\ncache_url = {url}\n");
    fs::write(folder.path().join("server.ini"), text).unwrap();
    assert!(command(folder.path(), "migrate").contains("The table of the cache was created."));
    assert!(command(folder.path(), "migrate").contains("is there already."));
    let cache = [("kinto.cache_backend", "kinto.core.cache.postgresql"), ("kinto.cache_url", &url)];
    tokens_survive_a_restart(&cache);
}
