//! What the program tells about requests, on its standard error.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use cumulo_e2e::{
    Program, Server, Storage,
    http::{Connection, Response},
};
use serde_json::{Value, json};

fn start(folder: &Path, settings: &[(&str, &str)]) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    Server::start(&program, folder, &Storage::Memory, settings).unwrap()
}

fn send(
    connection: &mut Connection,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    connection.request(method, path, headers, None).unwrap()
}

/// The lines, after the end of the server.
fn lines(server: Server) -> Vec<Value> {
    let log = server.log.clone();
    server.stop().unwrap();
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn summaries<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["Type"] == kind).map(|line| &line["Fields"]).collect()
}

#[test]
fn each_request_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("log_format", "json"), ("project_name", "notes")]);
    let mut connection = server.connect().unwrap();
    let headers = [
        ("authorization", "Basic YWxpY2U6c2VjcmV0"),
        ("user-agent", "tester/1"),
        ("x-request-id", "from-outside"),
    ];
    let response = send(&mut connection, "PUT", "/v1/buckets/blog", &headers);
    assert_eq!(response.status, 201, "{}", response.text());
    assert_eq!(response.header("x-request-id"), Some("from-outside"));
    let response = send(&mut connection, "GET", "/v1/buckets/blog?a=1&token=s3cr3t", &[]);
    assert_eq!(response.status, 401);
    let made_up = response.header("x-request-id").unwrap().to_owned();
    assert_eq!(made_up.len(), 36);

    let lines = lines(server);
    assert!(lines.iter().any(|line| line["Fields"]["msg"] == "Running notes 26.5.0."));
    let line = lines.iter().find(|line| line["Fields"]["rid"] == "from-outside").unwrap();
    assert_eq!(line["Logger"], "notes");
    assert_eq!(line["EnvVersion"], "2.0");
    assert_eq!(line["Severity"], 6);
    assert!(line["Timestamp"].as_u64().unwrap() > 1_700_000_000_000_000_000);
    assert!(line["Hostname"].is_string() && line["Pid"].is_u64());
    let fields = &line["Fields"];
    assert_eq!(fields["method"], "PUT");
    assert_eq!(fields["path"], "/v1/buckets/blog");
    assert_eq!(fields["code"], 201);
    assert_eq!(fields["errno"], 0);
    assert_eq!(fields["agent"], "tester/1");
    assert_eq!(fields["authn_type"], "basicauth");
    assert_eq!(fields["uid"].as_str().unwrap().len(), 64);
    assert_eq!(fields["bucket_id"], "blog");
    assert!(fields["t"].as_f64().unwrap() < 10_000.0);
    let about: Vec<_> = lines.iter().filter(|line| line["Fields"]["rid"] == *made_up).collect();
    assert_eq!(about[0]["Fields"]["msg"], "permission denied");
    assert_eq!(about[1]["Fields"]["querystring"], json!({"a": "1", "token": "***"}));
    assert_eq!(about[1]["Fields"]["errno"], 104);
    assert!(about[1]["Fields"].get("uid").is_none());
}

#[test]
fn requests_of_a_batch_have_lines_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("log_format", "json")]);
    let mut connection = server.connect().unwrap();
    let batch = json!({
        "defaults": {"headers": {"Authorization": "Basic YWxpY2U6c2VjcmV0"}},
        "requests": [
            {"method": "PUT", "path": "/buckets/blog"},
            {"path": "/nowhere"},
            {"path": "/buckets/blog/collections/c/records/r"},
        ],
    });
    connection.json("POST", "/v1/batch", Some(&batch)).unwrap();
    let lines = lines(server);
    let whole = summaries(&lines, "request.summary");
    let whole = whole.iter().find(|fields| fields["path"] == "/v1/batch").unwrap();
    assert_eq!(whole["batch_size"], 3);
    let items = summaries(&lines, "subrequest.summary");
    let told: Vec<_> = items.iter().map(|item| (&item["path"], &item["code"])).collect();
    assert_eq!(
        told,
        [
            (&json!("/v1/buckets/blog"), &json!(201)),
            (&json!("/v1/nowhere"), &json!(404)),
            (&json!("/v1/buckets/blog/collections/c/records/r"), &json!(404)),
        ]
    );
    assert!(items.iter().all(|item| item["rid"] == whole["rid"]));
    assert_eq!(items[2]["record_id"], "r");
}

#[test]
fn details_have_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("log_format", "json"),
        ("log_level", "debug"),
        ("kinto.includes", "kinto.plugins.accounts"),
        ("multiauth.policies", "account"),
        ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
        ("account_create_principals", "system.Everyone"),
    ];
    let server = start(folder.path(), &settings);
    let mut connection = server.connect().unwrap();
    let account = json!({"data": {"password": "hunter2-in-body", "age": 7}});
    let created = connection.json("PUT", "/v1/accounts/alice", Some(&account)).unwrap();
    assert_eq!(created.status, 201, "{}", created.text());
    let login = [("authorization", "Basic YWxpY2U6aHVudGVyMi1pbi1ib2R5"), ("cookie", "hunter2")];
    assert_eq!(send(&mut connection, "GET", "/v1/accounts/alice", &login).status, 200);
    send(&mut connection, "GET", "/v1/openid/x/token?code=hunter2&state=hunter2", &[]);
    // The answer repeats what it can't read.
    send(&mut connection, "GET", "/v1/?code=hunter2%FF", &[]);
    let log = server.log.clone();
    let lines = lines(server);
    let put = summaries(&lines, "request.summary")
        .into_iter()
        .find(|fields| fields["method"] == "PUT")
        .unwrap();
    assert!(put["body"].as_str().unwrap().contains("\"age\":7"), "{put}");
    assert!(put["headers"].as_str().unwrap().contains("content-type"), "{put}");
    assert!(put["response_body"].as_str().unwrap().contains("alice"), "{put}");
    let text = fs::read_to_string(log).unwrap();
    for secret in ["hunter2", "YWxpY2U6aHVudGVyMi1pbi1ib2R5"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn people_read_one_line_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let mut connection = server.connect().unwrap();
    let agent = [("user-agent", "a \"b\""), ("x-request-id", "not fit")];
    send(&mut connection, "GET", "/v1/contribute.json?x=%0Ainjected", &agent);
    let log = server.log.clone();
    server.stop().unwrap();
    let text = fs::read_to_string(log).unwrap();
    let line = text.lines().find(|line| line.contains("/v1/contribute.json")).unwrap();
    for part in [
        "Z  INFO request.summary: GET /v1/contribute.json?x=%0Ainjected 200 (",
        " ms) errno=0 rid=",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(line.contains(r#" agent="a \"b\"""#), "{line}");
    assert!(!line.contains("rid=\"not fit\""), "{line}");
}

#[test]
fn nothing_is_told_of_requests_where_nobody_wants_to_hear() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("log_level", "warn"), ("log_format", "json")]);
    let mut connection = server.connect().unwrap();
    assert_eq!(send(&mut connection, "GET", "/v1/", &[]).status, 200);
    assert_eq!(summaries(&lines(server), "request.summary").len(), 0);
}
