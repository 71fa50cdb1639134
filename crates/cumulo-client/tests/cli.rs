//! The example script, run as people run it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
    thread::{self, JoinHandle},
};

/// Cargo builds examples next to the folder of tests.
fn script() -> Command {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.ancestors().nth(2).unwrap().join("examples");
    let path: PathBuf = folder.join(format!("count_records{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run the tests with --examples", path.display());
    Command::new(path)
}

/// A server that answers one request. Gives its URL, and the lines of the request.
fn answer_once(status: &str, body: &str) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let request = lines.take_while(|line| !line.is_empty()).collect();
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (url, server)
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_script_explains_itself() {
    let output = script().arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.starts_with("Count the records of a collection"), "{help}");
    for option in ["-s, --server <URL>", "-a, --auth", "--retry-after", "-D, --debug"] {
        assert!(help.contains(option), "{option}: {help}");
    }
}

#[test]
fn the_script_counts_what_the_server_has() {
    let records = r#"{"data":[{"id":"a","last_modified":1},{"id":"b","last_modified":2}]}"#;
    let (url, server) = answer_once("200 OK", records);
    let options = ["--server", &url, "-a", "Bearer a:b", "-b", "blog", "-c", "posts", "-v"];
    let output = script().args(options).output().unwrap();
    let lines = errors(&output);
    assert!(output.status.success() && output.stdout.is_empty(), "{lines}");
    assert_eq!(lines, " INFO Fetch records.\n WARN 2 records.\n");
    let request = server.join().unwrap();
    let path = "/v1/buckets/blog/collections/posts/records";
    assert!(request[0].starts_with(&format!("GET {path}?")), "{request:?}");
    assert!(request.iter().any(|line| line == "authorization: Bearer a:b"), "{request:?}");
}

#[test]
fn the_script_fails_with_the_words_of_the_server() {
    let refusal = r#"{"errno":121,"message":"This user cannot access this resource."}"#;
    let (url, server) = answer_once("403 Forbidden", refusal);
    let output = script().args(["--server", &url, "-c", "posts", "-q"]).output().unwrap();
    let lines = errors(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.starts_with("ERROR GET ") && lines.contains("cannot access"), "{lines}");
    server.join().unwrap();
}

#[test]
fn a_dry_run_shows_what_it_would_send() {
    let server = ["--server", "http://127.0.0.1:1/v1", "-c", "posts", "--dry-run"];
    let output = script().args(server).output().unwrap();
    let lines = errors(&output);
    assert!(output.status.success(), "{lines}");
    let path = "/v1/buckets/default/collections/posts/records";
    assert!(lines.contains(&format!("not sent: GET http://127.0.0.1:1{path}")), "{lines}");
}
