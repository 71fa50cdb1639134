//! The servers start, stop, come back, and do not outlive the process that has started them.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cumulo_servers::{Memcached, Options, Postgres, Redis};

fn listens(url: &str) -> bool {
    let address = url.rsplit("//").next().unwrap_or_default();
    let address = address.rsplit('@').next().unwrap_or_default();
    TcpStream::connect(address.split('/').next().unwrap_or_default()).is_ok()
}

fn runs(id: u32) -> bool {
    Path::new(&format!("/proc/{id}/cmdline")).exists()
}

#[test]
fn redis_comes_back_where_it_was() {
    let mut server = Redis::with_password("secret").unwrap();
    let url = server.url();
    assert!(url.contains(":secret@") && listens(&url));
    server.kill().unwrap();
    assert!(!listens(&url));
    server.restart().unwrap();
    assert!(listens(&url));
    let id = server.id();
    drop(server);
    assert!(!runs(id));
}

#[test]
fn memcached_comes_back_where_it_was() {
    let mut server = Memcached::start().unwrap();
    let url = server.url();
    assert!(listens(&url));
    server.stop().unwrap();
    assert!(!listens(&url));
    server.restart().unwrap();
    assert!(listens(&url));
}

#[test]
fn postgres_keeps_its_data_when_it_comes_back() {
    let options = Options { fsync: false, lines: vec!["max_connections = 20".to_owned()] };
    let mut server = Postgres::start(&options).unwrap();
    let url = server.create_database("other").unwrap();
    assert!(url.ends_with("/other") && listens(&url));
    server.kill().unwrap();
    server.restart().unwrap();
    assert!(server.create_database("other").is_err());
    server.query("other", "CREATE TABLE numbers AS SELECT 7 AS one, 8 AS two").unwrap();
    server.stop_immediately().unwrap();
    assert!(server.query("other", "SELECT 1").is_err());
    server.restart().unwrap();
    assert_eq!(server.query("other", "TABLE numbers").unwrap(), "7|8");
    let id = server.id();
    server.stop().unwrap();
    assert!(!listens(&url) && !runs(id));
}

/// The test runs itself again, as a process that ends without dropping anything.
#[test]
fn a_server_ends_with_the_process_that_has_started_it() {
    if std::env::var_os("CUMULO_SERVERS_CHILD").is_some() {
        let id = Postgres::shared().id();
        let folder = std::fs::read_link(format!("/proc/{id}/cwd")).unwrap();
        println!("\nserver {id} {}", folder.display());
        std::process::exit(0);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_ends_with_the_process_that_has_started_it", "--nocapture"])
        .env("CUMULO_SERVERS_CHILD", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("server ")).expect("it starts");
    let (id, folder) = line.split_once(' ').unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while runs(id.parse().unwrap()) || Path::new(folder).exists() {
        assert!(Instant::now() < deadline, "{line} is still there");
        sleep(Duration::from_millis(10));
    }
}
