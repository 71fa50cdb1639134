//! Guessing passwords through the program: two copies, one cache.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cumulo_e2e::{Program, Server, Storage, http::Response};
use cumulo_servers::Redis;
use serde_json::json;

fn start(folder: &Path, redis: &Redis) -> Server {
    let settings = [
        ("kinto.includes", "accounts"),
        ("multiauth.policies", "account"),
        ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
        ("kinto.account_create_principals", "system.Everyone"),
        ("kinto.account_login_free_failures", "2"),
        ("kinto.cache_backend", "redis"),
        ("kinto.cache_url", &redis.url()),
    ];
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    Server::start(&program, folder, &Storage::Memory, &settings).unwrap()
}

fn login(server: &Server, name: &str, password: &str) -> Response {
    let login = STANDARD.encode(format!("{name}:{password}"));
    let headers = [("Authorization", format!("Basic {login}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    server.connect().unwrap().request("GET", "/v1/", &headers, None).unwrap()
}

fn user(response: &Response) -> Option<String> {
    Some(response.json().ok()?["user"]["id"].as_str()?.to_owned())
}

#[test]
fn who_guesses_must_wait_and_who_is_known_need_not() {
    let mut redis = Redis::start().unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = folders.each_ref().map(|folder| start(folder.path(), &redis));
    let body = json!({"data": {"password": "right"}}).to_string();
    for server in [&one, &other] {
        let mut connection = server.connect().unwrap();
        let path = "/v1/accounts/alice";
        assert_eq!(
            connection.request("PUT", path, &[], Some(body.as_bytes())).unwrap().status,
            201
        );
    }
    assert_eq!(user(&login(&one, "alice", "right")).as_deref(), Some("account:alice"));
    // Whoever comes first after the free ones has the turn; it may take a few to come in its time.
    let refused = (0..50).find_map(|n| {
        let server = if n % 2 == 0 { &one } else { &other };
        let response = login(server, "alice", "wrong");
        assert!(n < 2 || response.status == 200 || response.status == 429, "{}", response.text());
        assert!(n > 1 || response.status == 200, "the first are free");
        (response.status == 429).then_some(response)
    });
    let refused = refused.expect("guessing ends");
    assert_eq!(refused.json().unwrap()["errno"], 117);
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");
    // Until the delay is long enough for the rest of the test.
    let start = Instant::now();
    let is_long = |it: &str| it.parse::<u32>().unwrap() > 7;
    while !login(&other, "alice", "wrong").header("retry-after").is_some_and(is_long) {
        assert!(start.elapsed() < Duration::from_mins(1), "delays grow");
    }
    assert_eq!(login(&other, "alice", "right").status, 429, "another copy counts too");
    assert_eq!(user(&login(&one, "alice", "right")).as_deref(), Some("account:alice"));
    assert_eq!(login(&one, "alice", "wrong").status, 429);
    assert_eq!(login(&one, "bob", "wrong").status, 200, "others are not concerned");
    redis.stop().unwrap();
    let response = login(&other, "alice", "right");
    assert_eq!(user(&response).as_deref(), Some("account:alice"), "logins need no cache");
}
