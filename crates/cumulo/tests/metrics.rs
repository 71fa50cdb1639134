//! What the program measures, as Prometheus and StatsD see it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::UdpSocket,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use cumulo_e2e::{Program, Server, Storage, http::Connection};
use serde_json::json;

const ALICE: (&str, &str) = ("authorization", "Basic YWxpY2U6c2VjcmV0");

fn start(folder: &Path, settings: &[(&str, &str)]) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let storage = Storage::Sqlite(folder.join("store.sqlite"));
    Server::start(&program, folder, &storage, settings).unwrap()
}

fn metrics(connection: &mut Connection) -> String {
    let response = connection.get("/v1/__metrics__").unwrap();
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/plain; version=1.0.0; charset=utf-8"));
    String::from_utf8(response.body).unwrap()
}

#[test]
fn prometheus_sees_requests_and_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = "kinto.plugins.prometheus kinto.plugins.flush";
    let server = start(folder.path(), &[("kinto.includes", plugins)]);
    let mut connection = server.connect().unwrap();
    for (method, path) in [
        ("PUT", "/v1/buckets/beers"),
        ("GET", "/v1/buckets/none"),
        ("GET", "/v1/a-path-of-somebody-else"),
        ("GET", "/v1/buckets/"),
        ("MADEUP", "/v1/buckets/beers"),
    ] {
        connection.request(method, path, &[ALICE], None).unwrap();
    }
    let requests = json!([{"method": "PUT", "path": "/buckets/b2"}, {"path": "/nowhere"}]);
    let batch = json!({"defaults": {"headers": {"Authorization": ALICE.1}}, "requests": requests});
    connection.json("POST", "/v1/batch", Some(&batch)).unwrap();
    let text = metrics(&mut connection);
    let ids = |bucket: &str, endpoint: &str, method: &str, status: u16| {
        format!(
            "kinto_request_summary_total{{bucket_id=\"{bucket}\",collection_id=\"\",\
             endpoint=\"{endpoint}\",group_id=\"\",method=\"{method}\",record_id=\"\",\
             status=\"{status}\"}} "
        )
    };
    for part in [
        ids("beers", "bucket-object", "put", 201) + "1.0",
        ids("b2", "bucket-object", "put", 201) + "1.0",
        ids("", "bucket-object", "get", 403) + "1.0",
        ids("", "unknown", "get", 404) + "2.0",
        ids("", "unnamed", "get", 307) + "1.0",
        ids("", "bucket-object", "other", 405) + "1.0",
        ids("", "batch", "post", 200) + "1.0",
        "# TYPE kinto_request_duration_seconds histogram".into(),
        "# TYPE kinto_request_size summary".into(),
        "kinto_authentication_total{type=\"basicauth\"} ".into(),
        "kinto_users_total{auth=\"basicauth\",userid=\"".into(),
        "kinto_backend_storage_seconds_count{method=\"update\"} 2.0".into(),
        "kinto_backend_storage_seconds_count{method=\"transaction_write\"} ".into(),
        "kinto_backend_permission_seconds_count{method=\"get_user_principals\"} ".into(),
        "process_resident_memory_bytes ".into(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    assert!(!text.contains("somebody") && !text.to_lowercase().contains("madeup"), "{text}");
    let names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(names.len(), unique.len(), "{names:?}");
    assert_eq!(connection.json("POST", "/v1/__metrics__", None).unwrap().status, 405);
    server.stop().unwrap();
}

#[test]
fn deliveries_to_listeners_are_timed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("kinto.includes", "kinto.plugins.prometheus"),
        ("kinto.event_listeners", "audit-log"),
        ("kinto.event_listeners.audit-log.use", "cumulo.listeners.log"),
    ];
    let server = start(folder.path(), &settings);
    let mut connection = server.connect().unwrap();
    connection.request("PUT", "/v1/buckets/beers", &[ALICE], None).unwrap();
    let part = "kinto_listeners_audit_log_seconds_count 1.0";
    let begun = Instant::now();
    while !metrics(&mut connection).contains(part) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", metrics(&mut connection));
        sleep(Duration::from_millis(10));
    }
    assert!(
        metrics(&mut connection).contains("# TYPE kinto_listeners_audit_log_seconds histogram")
    );
    server.stop().unwrap();
}

#[test]
fn statsd_gets_packets() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let settings = [("kinto.includes", "kinto.plugins.statsd"), ("kinto.statsd_url", url.as_str())];
    let server = start(folder.path(), &settings);
    let mut connection = server.connect().unwrap();
    connection.request("PUT", "/v1/buckets/beers", &[ALICE], None).unwrap();
    // What waits is sent at the end.
    server.stop().unwrap();
    let mut lines = Vec::new();
    let mut buffer = [0; 4096];
    while !lines.iter().any(|line: &String| line.contains("endpoint.bucket-object")) {
        let size = socket.recv(&mut buffer).expect("a packet");
        let packet = String::from_utf8_lossy(&buffer[..size]).into_owned();
        lines.extend(packet.lines().map(str::to_owned));
    }
    while let Ok(size) = {
        socket.set_nonblocking(true).unwrap();
        socket.recv(&mut buffer)
    } {
        lines.extend(String::from_utf8_lossy(&buffer[..size]).lines().map(str::to_owned));
    }
    for part in [
        "kinto.backend.storage.seconds.method.update:",
        "kinto.request_duration_seconds.method.put.endpoint.bucket-object.bucket_id.beers.",
        "kinto.request_summary:method.put.endpoint.bucket-object.bucket_id.beers.collection_id.\
         .group_id..record_id..status.201|s",
        "kinto.authentication:type.basicauth|s",
        "kinto.users:auth.basicauth.userid.",
        "kinto.request_size:",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(part)), "{part} in {lines:?}");
    }
}

#[test]
fn what_cannot_work_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |settings: &[(&str, &str)]| {
        let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
        let failure = Server::start(&program, folder.path(), &Storage::Memory, settings);
        format!("{:#}", failure.expect_err("it can't start"))
    };
    let statsd = ("kinto.includes", "kinto.plugins.statsd");
    assert!(refused(&[statsd]).contains("statsd_url: the plugin 'statsd' needs it"));
    let bad = refused(&[statsd, ("kinto.statsd_url", "localhost:8125")]);
    assert!(bad.contains("expected udp://host:port, got 'localhost:8125'"), "{bad}");
    let bad = refused(&[statsd, ("kinto.statsd_url", "udp://no such host:8125")]);
    assert!(bad.contains("can't send to the statsd_url udp://no such host:8125"), "{bad}");
    let bad = refused(&[("kinto.prometheus_histogram_buckets", "1 0.5")]);
    assert!(bad.contains("prometheus_histogram_buckets: expected numbers"), "{bad}");
}
