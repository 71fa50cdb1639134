//! What the program reports to Sentry and to OpenTelemetry collectors, as they see it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use cumulo_e2e::{Program, Server, Storage};
use serde_json::Value;

struct Report {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that takes reports.
struct Collector {
    port: u16,
    reports: Receiver<Report>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (take, reports) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let take = take.clone();
                thread::spawn(move || serve(stream.unwrap(), &take));
            }
        });
        Self { port, reports }
    }

    /// The first report that `find` finds something in.
    fn wait<T>(&self, find: impl Fn(&Report) -> Option<T>) -> T {
        loop {
            let report = self.reports.recv_timeout(Duration::from_secs(10)).expect("a report");
            if let Some(found) = find(&report) {
                return found;
            }
        }
    }
}

fn serve(stream: TcpStream, take: &mpsc::Sender<Report>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    while reader.read_line(&mut first).is_ok_and(|size| size > 0) {
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let path = first.split(' ').nth(1).unwrap().to_owned();
        let _ = take.send(Report { path, headers, body: String::from_utf8(body).unwrap() });
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        first.clear();
    }
}

fn start(folder: &Path, settings: &[(&str, &str)]) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    Server::start(&program, folder, &Storage::Memory, settings).unwrap()
}

/// The event in an envelope.
fn event(report: &Report) -> Value {
    let lines: Vec<Value> =
        report.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1]["type"], "event");
    assert_eq!(lines[0]["event_id"], lines[2]["event_id"]);
    lines[2].clone()
}

#[test]
fn sentry_gets_errors_with_what_came_before() {
    let sentry = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("http://s3cretkey@127.0.0.1:{}/sub/7", sentry.port);
    let settings = [
        ("kinto.sentry_dsn", dsn.as_str()),
        ("kinto.sentry_env", "stage"),
        // Nobody listens there.
        ("kinto.cache_backend", "kinto.core.cache.memcached"),
        ("kinto.cache_hosts", "127.0.0.1:1"),
    ];
    let server = start(folder.path(), &settings);
    let running = sentry.wait(|report| {
        let event = event(report);
        (event["level"] == "info").then_some(event)
    });
    assert_eq!(running["logentry"]["formatted"], "Running kinto 26.5.0.");
    assert_eq!(running["environment"], "stage");
    let mut connection = server.connect().unwrap();
    let headers = [("x-request-id", "rid-1"), ("authorization", "Basic YWxpY2U6aHVudGVyMg==")];
    connection.request("GET", "/v1/buckets?code=hunter2", &headers, None).unwrap();
    let answer = connection.request("GET", "/v1/__heartbeat__", &headers, None).unwrap();
    assert_eq!(answer.status, 503);
    let (event, path, auth) = sentry.wait(|report| {
        let event = event(report);
        let auth = report.headers["x-sentry-auth"].clone();
        (event["level"] == "error").then_some((event, report.path.clone(), auth))
    });
    assert_eq!(path, "/sub/api/7/envelope/");
    assert!(auth.contains("sentry_key=s3cretkey"), "{auth}");
    assert_eq!(event["logger"], "cumulo_http::heartbeat");
    assert_eq!(event["extra"]["part"], "cache");
    assert_eq!(event["tags"]["request_id"], "rid-1");
    assert!(event["timestamp"].as_f64().unwrap() > 1e9);
    let before = event["breadcrumbs"]["values"].as_array().unwrap();
    assert!(before.iter().any(|line| line["data"]["path"] == "/v1/buckets"), "{event}");
    let log = server.log.clone();
    server.stop().unwrap();
    let log = fs::read_to_string(log).unwrap();
    for secret in ["hunter2", "YWxpY2U6aHVudGVyMg", "s3cretkey"] {
        assert!(!event.to_string().contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn a_sentry_that_is_gone_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("kinto.sentry_dsn", "http://s3cretkey@127.0.0.1:1/7")]);
    assert_eq!(server.connect().unwrap().get("/v1/").unwrap().status, 200);
    let log = server.log.clone();
    server.stop().unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("can't report to Sentry"), "{log}");
    assert!(!log.contains("s3cretkey"), "{log}");
}

#[test]
fn collectors_get_traces() {
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let settings = [
        ("kinto.otel_exporter_otlp_endpoint", endpoint.as_str()),
        ("kinto.otel_exporter_otlp_headers", "api-key=k"),
        ("kinto.otel_service_name", "notes"),
    ];
    let server = start(folder.path(), &settings);
    let mut connection = server.connect().unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let unwanted = "00-00000000000000000000000000000abc-00f067aa0ba902b7-00";
    let get = |connection: &mut cumulo_e2e::http::Connection, path: &str, parent: &str| {
        let headers = [("traceparent", parent), ("user-agent", "tester")];
        connection.request("GET", path, &headers, None).unwrap()
    };
    get(&mut connection, "/v1/buckets/unwanted?code=hunter2", unwanted);
    let answer = get(&mut connection, "/v1/buckets/blog?code=hunter2", &parent);
    let response = answer.header("traceresponse").unwrap().to_owned();
    server.stop().unwrap();
    let (span, resource, headers) = collector.wait(|report| {
        assert_eq!(report.path, "/v1/traces");
        assert!(!report.body.contains("hunter2"));
        assert!(!report.body.contains("unwanted"), "{}", report.body);
        let body: Value = serde_json::from_str(&report.body).unwrap();
        let resource = &body["resourceSpans"][0];
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        let span = spans.iter().find(|span| span["traceId"] == trace)?;
        Some((span.clone(), resource["resource"].clone(), report.headers.clone()))
    });
    assert_eq!(headers["api-key"], "k");
    assert_eq!(headers["content-type"], "application/json");
    assert!(resource.to_string().contains(r#"{"stringValue":"notes"}"#), "{resource}");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(response, format!("00-{trace}-{}-01", span["spanId"].as_str().unwrap()));
    assert_eq!(span["name"], "GET bucket-object");
    assert_eq!(span["kind"], 2);
    let time = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time("endTimeUnixNano") > time("startTimeUnixNano"));
    let attribute = |key: &str| {
        let mut attributes = span["attributes"].as_array().unwrap().iter();
        attributes.find(|attribute| attribute["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(attribute("url.path")["stringValue"], "/v1/buckets/blog");
    assert_eq!(attribute("http.response.status_code")["intValue"], "401");
    assert_eq!(attribute("user_agent.original")["stringValue"], "tester");
}

#[test]
fn addresses_that_make_no_sense_are_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, value: &str| {
        let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
        let failure = Server::start(&program, folder.path(), &Storage::Memory, &[(name, value)]);
        format!("{:#}", failure.expect_err("it can't start"))
    };
    let problem = refused("kinto.sentry_dsn", "s3cret");
    assert!(problem.contains("sentry_dsn: expected https://key@host/project"), "{problem}");
    assert!(!problem.contains("s3cret"), "{problem}");
    let problem = refused("kinto.otel_exporter_otlp_endpoint", "localhost:4318");
    assert!(problem.contains("otel_exporter_otlp_endpoint: expected http://host"), "{problem}");
}
