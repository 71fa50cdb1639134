//! SIGHUP through the program itself: what changes, what stays, and what happens to requests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cumulo_e2e::{Program, Server, Storage, server::write_ini};
use serde_json::json;

const BUCKETS: &str = "/v1/buckets";

struct Service<'a> {
    folder: &'a Path,
    server: Server,
}

impl<'a> Service<'a> {
    fn start(folder: &'a Path, settings: &[(&str, &str)]) -> Self {
        let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
        let server = Server::start(&program, folder, &storage(folder), settings).unwrap();
        Self { folder, server }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.server.log).unwrap()
    }

    /// Lines are written in the background.
    fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "no {text} in {}", self.log());
            thread::yield_now();
        }
    }

    /// Writes other settings, sends the signal, and waits until the log says what came of it.
    fn reload(&self, settings: &[(&str, &str)]) {
        let port = self.server.address.port();
        write_ini(&self.folder.join("server.ini"), port, &storage(self.folder), settings).unwrap();
        self.hang_up();
    }

    fn hang_up(&self) {
        let told = || self.log().matches("the settings were read again").count();
        let before = told();
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(10);
        while told() == before {
            assert!(Instant::now() < deadline, "{}", self.log());
            thread::yield_now();
        }
    }
}

fn storage(folder: &Path) -> Storage {
    Storage::Sqlite(folder.join("test.sqlite"))
}

#[test]
fn settings_change_on_a_connection_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[("kinto.log_level", "warn")]);
    let mut connection = service.server.connect().unwrap();
    let mut create = || connection.json("POST", BUCKETS, Some(&json!({}))).unwrap();
    assert_eq!(create().status, 201);
    assert_eq!(create().header("backoff"), None);
    assert!(!service.log().contains("request.summary"));

    service.reload(&[("kinto.backoff", "7"), ("kinto.log_level", "debug")]);
    assert_eq!(create().header("backoff"), Some("7"));
    service.wait_for("request.summary");

    service.reload(&[("kinto.bucket_create_principals", "account:nobody")]);
    let refused = create();
    assert_eq!((refused.status, refused.header("backoff")), (403, None));

    service.reload(&[("kinto.readonly", "true")]);
    assert_eq!(create().status, 405);
    assert_eq!(connection.json("GET", BUCKETS, None).unwrap().status, 200);
}

#[test]
fn what_needs_a_restart_stays_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let mut connection = service.server.connect().unwrap();
    assert_eq!(connection.json("PUT", "/v1/buckets/a", Some(&json!({}))).unwrap().status, 201);
    service.reload(&[
        ("kinto.storage_url", "sqlite:///elsewhere.sqlite"),
        ("kinto.includes", "default_bucket"),
        ("kinto.max_connections", "1"),
        ("kinto.backoff", "7"),
    ]);
    let log = service.log();
    assert!(log.contains("need a restart: storage_url, includes, max_connections"), "{log}");
    let bucket = connection.json("GET", "/v1/buckets/a", None).unwrap();
    assert_eq!((bucket.status, bucket.header("backoff")), (200, Some("7")));
    assert_eq!(connection.json("POST", "/v1/__flush__", None).unwrap().status, 202);
}

#[test]
fn mistakes_are_told_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[("kinto.backoff", "7")]);
    let mut connection = service.server.connect().unwrap();
    let mut backoff = || {
        let response = connection.get("/v1/").unwrap();
        assert_eq!(response.status, 200);
        response.header("backoff").map(str::to_owned)
    };
    service.reload(&[
        ("kinto.backoff", "8"),
        ("kinto.paginate_by", "many"),
        ("kinto.readonly", "perhaps"),
    ]);
    let log = service.log();
    assert!(log.contains("kinto.paginate_by") && log.contains("kinto.readonly"), "{log}");
    assert_eq!(backoff().as_deref(), Some("7"));
    service.reload(&[("kinto.backoff", "8"), ("kinto.log_level", "cumulo=loud")]);
    assert_eq!(backoff().as_deref(), Some("7"), "{}", service.log());
    fs::remove_file(folder.path().join("server.ini")).unwrap();
    service.hang_up();
    assert_eq!(backoff().as_deref(), Some("7"));
    service.reload(&[("kinto.backoff", "8")]);
    assert_eq!(backoff().as_deref(), Some("8"));
}

#[test]
fn no_request_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let done = AtomicBool::new(false);
    let counts: Vec<usize> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    let mut connection = service.server.connect().unwrap();
                    while !done.load(Ordering::Relaxed) {
                        let response = connection.json("POST", BUCKETS, Some(&json!({}))).unwrap();
                        assert_eq!(response.status, 201, "{}", response.text());
                        // New connections come while settings change, too.
                        if count % 10 == 9 {
                            connection = service.server.connect().unwrap();
                        }
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for backoff in ["1", "2", "3", "4", "5"] {
            service.reload(&[("kinto.backoff", backoff)]);
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let mut connection = service.server.connect().unwrap();
    let listed = connection.json("HEAD", BUCKETS, None).unwrap();
    let total = listed.header("total-objects").map(str::parse);
    assert_eq!(total, Some(Ok(counts.iter().sum::<usize>())));
}
