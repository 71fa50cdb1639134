//! What a pull does when the server is not at its best. `cargo xtask moving` pulls from the genuine
//! Kinto.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use cumulo_core::{
    clock::ManualClock,
    object::{List, Timestamp},
    store::{Access, Outcome, Store},
};
use cumulo_moving::{
    Error, Unwatched, Watch,
    import::Mode,
    kinto::{Credentials, Options, Report, pull},
};
use cumulo_store::Memory;

const BUCKET: &str = r#"{"id":"b","last_modified":5}"#;

/// What a request gets: status line, more headers, body. Nothing hangs up.
type Answer = Option<(&'static str, &'static str, String)>;

/// Serves one request per connection; returns the URL and what was asked for.
fn serve(mut answer: impl FnMut(&str) -> Answer + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = one(stream.unwrap(), &mut answer, &log);
        }
    });
    (url, asked)
}

type Asked = Arc<Mutex<Vec<String>>>;

fn one(
    mut stream: TcpStream,
    answer: &mut impl FnMut(&str) -> Answer,
    log: &Asked,
) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    input.read_line(&mut first)?;
    let (mut line, mut length) = (String::new(), 0);
    while input.read_line(&mut line)? > 2 {
        if let Some(size) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = size.trim().parse().unwrap();
        }
        line.clear();
    }
    input.take(length).read_to_end(&mut Vec::new())?;
    let request = first.trim_end().trim_end_matches(" HTTP/1.1").replace("/v1", "");
    log.lock().unwrap().push(request.clone());
    let Some((status, headers, body)) = answer(&request) else { return Ok(()) };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    )?;
    if !request.starts_with("HEAD") {
        stream.write_all(body.as_bytes())?;
    }
    Ok(())
}

/// A server with one bucket, whose groups nobody may see.
fn small(request: &str) -> Answer {
    let etag = "ETag: \"5\"\r\nTotal-Objects: 1\r\n";
    let ok = |body: String| Some(("200 OK", etag, body));
    if request == "GET /" {
        return ok(r#"{"settings":{"batch_max_requests":25},"capabilities":{"history":{}}}"#.into());
    }
    if request == "POST /batch" {
        let body = format!(r#"{{"data":{BUCKET},"permissions":{{"write":["account:a"]}}}}"#);
        return ok(format!(r#"{{"responses":[{{"status":200,"body":{body}}}]}}"#));
    }
    match request.split('?').next().unwrap() {
        "HEAD /buckets" => ok(String::new()),
        "GET /buckets" if request.contains("_since=5") => ok(r#"{"data":[]}"#.into()),
        "GET /buckets" => ok(format!(r#"{{"data":[{BUCKET}]}}"#)),
        "HEAD /buckets/b/collections" => Some(("200 OK", "Total-Objects: 0\r\n", String::new())),
        "GET /buckets/b/collections" => Some(("200 OK", "", r#"{"data":[]}"#.into())),
        _ => Some(("403 Forbidden", "", "{}".into())),
    }
}

fn run(url: &str) -> (Result<Report, Error>, Arc<dyn Store>) {
    let store: Arc<dyn Store> = Arc::new(Memory::new(Arc::new(ManualClock::at(1_000))));
    let watch: Arc<dyn Watch> = Arc::new(Unwatched);
    let options = Options {
        credentials: Credentials::basic("a:b"),
        mode: Mode::Empty,
        connections: 2,
        record_permissions: true,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime.block_on(pull(&store, url, options, &watch)), store)
}

#[test]
fn failures_that_pass_are_tried_again() {
    let mut requests = 0;
    let (url, asked) = serve(move |request| {
        requests += 1;
        match requests {
            1 => None,
            2 => Some(("503 Service Unavailable", "Retry-After: 0\r\n", "{}".into())),
            3 => Some(("429 Too Many Requests", "Retry-After: 0\r\n", "{}".into())),
            _ => small(request),
        }
    });
    let (report, store) = run(&url);
    let report = report.unwrap();
    assert_eq!((report.objects, report.counts.written), (1, 1));
    assert_eq!(asked.lock().unwrap()[..4], ["GET /", "GET /", "GET /", "GET /"]);
    let work = store.transact(Access::Read, |tx| {
        let entry = tx.get(&List::new("", "bucket"), "b")?.unwrap();
        Ok((Outcome::Rollback, (entry, tx.lists(None, 9)?)))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (entry, lists) = runtime.block_on(work).unwrap();
    assert_eq!((entry.object.last_modified, entry.object.data.as_str()), (Timestamp(5), "{}"));
    assert!(entry.acl.0["write"].contains("account:a"));
    assert!(lists.iter().all(|(list, _)| list.parent != "/moving"), "{lists:?}");
}

#[test]
fn what_is_not_shown_is_told() {
    let (url, _) = serve(small);
    let remarks = run(&url).0.unwrap().remarks.join("\n");
    assert!(remarks.contains("not shown to this user: /buckets/b/groups"), "{remarks}");
    assert!(remarks.contains("history"), "{remarks}");
}

#[test]
fn a_server_that_shows_nothing_is_an_error() {
    let (url, _) = serve(|request| match request {
        "GET /" => small(request),
        _ => Some(("401 Unauthorized", "", "{}".into())),
    });
    assert!(matches!(run(&url).0, Err(Error::Remote { .. })));
}

#[test]
fn a_wrong_count_is_no_success() {
    let (url, _) = serve(|request| match request {
        "HEAD /buckets" => Some(("200 OK", "ETag: \"5\"\r\nTotal-Objects: 2\r\n", String::new())),
        _ => small(request),
    });
    let error = run(&url).0.unwrap_err();
    assert!(error.to_string().contains("2 objects there and 1 here"), "{error}");
}

#[test]
fn secrets_in_urls_are_refused_and_not_shown() {
    for url in ["http://ann:s3kr1t@127.0.0.1:9/v1", "http://ann:s3kr1t@/v1", "ann:s3kr1t@x"] {
        let error = run(url).0.unwrap_err().to_string();
        assert!(!error.contains("s3kr1t"), "{error}");
    }
}
