//! What every answer of the program says to browsers, proxies and the curious.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use cumulo_e2e::{
    Program, Server, Storage,
    http::{AUTHORIZATION, Response},
};

const RECORD: &str = "/v1/buckets/default/collections/c/records/r";

const SETTINGS: [(&str, &str); 5] = [
    ("kinto.includes", "accounts default_bucket flush"),
    ("multiauth.policies", "account basicauth"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("kinto.experimental_permissions_endpoint", "true"),
    ("kinto.max_body_bytes", "1024"),
];

/// A status, and the method, the path and the headers of a request that it answers.
type Case<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)]);

fn start(folder: &Path, more: &[(&str, &str)]) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let settings: Vec<_> = SETTINGS.iter().chain(more).copied().collect();
    Server::start(&program, folder, &Storage::Memory, &settings).unwrap()
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let body = ["PUT", "POST", "PATCH"].contains(&method).then_some(&br#"{"data":{}}"#[..]);
    server.connect().unwrap().request(method, path, headers, body).unwrap()
}

#[track_caller]
fn is_guarded(response: &Response, what: &str) {
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{what}");
    let policy = response.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    for name in ["server", "x-powered-by", "via"] {
        assert_eq!(response.header(name), None, "{what}");
    }
}

#[test]
fn every_answer_is_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let user = [AUTHORIZATION];
    assert_eq!(ask(&server, "PUT", RECORD, &user).status, 201);
    let preflight = [("Origin", "http://localhost"), ("Access-Control-Request-Method", "GET")];
    let cases: &[Case<'_>] = &[
        (200, "GET", "/v1/", &[]),
        (200, "GET", "/v1/", &user),
        (200, "GET", "/v1/__heartbeat__", &[]),
        (200, "GET", "/v1/__lbheartbeat__", &[]),
        (200, "GET", "/v1/__version__", &[]),
        (200, "GET", "/v1/contribute.json", &[]),
        (200, "GET", "/v1/permissions", &user),
        (200, "GET", RECORD, &user),
        (200, "HEAD", RECORD, &user),
        (200, "PATCH", RECORD, &user),
        (200, "GET", "/v1/buckets", &user),
        (200, "OPTIONS", RECORD, &preflight),
        (400, "OPTIONS", RECORD, &[]),
        (202, "POST", "/v1/__flush__", &[]),
        (201, "PUT", RECORD, &user),
        (307, "GET", "/buckets", &[]),
        (307, "GET", "/v1/buckets/", &[]),
        (307, "GET", "/v1", &[]),
        (400, "GET", "/v1/buckets?_limit=x", &user),
        (400, "GET", "/v1/%ff", &user),
        (401, "GET", "/v1/buckets", &[]),
        (401, "GET", "/v1/accounts", &[]),
        (403, "GET", "/v1/buckets/other", &user),
        (404, "GET", "/v1/nothing", &[]),
        (404, "GET", "/v2/nothing", &[]),
        (405, "POST", "/v1/buckets/default", &user),
        (405, "PUT", "/v1/__heartbeat__", &user),
        (406, "GET", "/v1/buckets", &[AUTHORIZATION, ("Accept", "text/html")]),
        (412, "GET", RECORD, &[AUTHORIZATION, ("If-Match", "\"1\"")]),
        (415, "PUT", RECORD, &[AUTHORIZATION, ("Content-Type", "text/plain")]),
    ];
    for (status, method, path, headers) in cases {
        let response = ask(&server, method, path, headers);
        let what = format!("{method} {path} {headers:?}");
        assert_eq!(response.status, *status, "{what}: {}", response.text());
        is_guarded(&response, &what);
    }
    let etag = ask(&server, "GET", RECORD, &user).header("etag").unwrap().to_owned();
    let unchanged = ask(&server, "GET", RECORD, &[AUTHORIZATION, ("If-None-Match", &etag)]);
    assert_eq!(unchanged.status, 304);
    is_guarded(&unchanged, "304");
}

#[test]
fn refusals_before_the_protocol_are_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let large = format!("X: {}\r\n", "x".repeat(300_000));
    let many = "X: y\r\n".repeat(1000);
    for (status, head) in [
        (400, "GET /v1/ HTTP/9\r\n\r\n"),
        (400, "nonsense\r\n\r\n"),
        (413, "PUT /v1/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"),
        (431, &format!("GET /v1/ HTTP/1.1\r\nHost: h\r\n{large}\r\n")),
        (431, &format!("GET /v1/ HTTP/1.1\r\nHost: h\r\n{many}\r\n")),
    ] {
        let mut connection = server.connect().unwrap();
        // It may answer before it has read all.
        let _ = connection.send(head.as_bytes());
        let response = connection.receive("GET").unwrap();
        let what: String = head.chars().take(40).collect();
        assert_eq!(response.status, status, "{what}");
        is_guarded(&response, &what);
    }
}

#[test]
fn the_end_of_the_service_is_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("kinto.eos", "2020-01-01")]);
    let response = ask(&server, "GET", "/v1/buckets", &[]);
    assert_eq!(response.status, 410);
    is_guarded(&response, "410");
}

#[test]
fn what_somebody_may_read_is_not_kept_for_others() {
    let folder = tempfile::tempdir().unwrap();
    // Anonymous readers may keep answers: those who are logged in may not.
    let cached = ["bucket", "collection", "record", "group"]
        .map(|name| format!("kinto.{name}_cache_expires_seconds"));
    let settings: Vec<_> = cached.iter().map(|name| (name.as_str(), "60")).collect();
    let server = start(folder.path(), &settings);
    let user = [AUTHORIZATION];
    assert_eq!(ask(&server, "PUT", RECORD, &user).status, 201);
    let records = RECORD.strip_suffix("/r").unwrap();
    for path in [RECORD, records, "/v1/buckets", "/v1/buckets/default", "/v1/permissions"] {
        for method in ["GET", "HEAD"] {
            let response = ask(&server, method, path, &user);
            assert_eq!(response.status, 200, "{path}");
            let caching = response.header("cache-control");
            assert_eq!(caching, Some("no-cache, no-store"), "{method} {path}");
        }
    }
    let shared = "/v1/buckets/shared";
    let body = br#"{"permissions":{"read":["system.Everyone"]}}"#;
    server.connect().unwrap().request("PUT", shared, &user, Some(body)).unwrap();
    assert_eq!(ask(&server, "GET", shared, &[]).header("cache-control"), Some("max-age=60"));
    let theirs = ask(&server, "GET", shared, &user);
    assert_eq!(theirs.header("cache-control"), Some("no-cache, no-store"));
}
