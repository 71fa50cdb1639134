//! No secret is in what the program writes, whatever happens and however much it is told to say.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cumulo_e2e::{Program, Server, Storage, server::write_ini};
use cumulo_servers::{Answer, Options, Postgres, Received, Receiver, Redis};
use serde_json::{Value, json};

const DATABASE: &str = "1database/Pa+ss";
const CACHE: &str = "2cache/Pa+ss";
const USER_IDS: &str = "3userid/Sec+ret";
const BUCKET_IDS: &str = "4bucket/Sec+ret";
const PASSWORD: &str = "5right/Pa+ss";
const WRONG: &str = "6wrong/Pa+ss";
const LATER: &str = "7later/Pa+ss";
const TOKEN: &str = "8token/Sec+ret";
const TYPED: &str = "9typed/Pa+ss";
const HOOK: &str = "10hook/Pa+ss";
/// What webhooks are signed with.
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const SECRETS: [&str; 11] =
    [DATABASE, CACHE, USER_IDS, BUCKET_IDS, PASSWORD, WRONG, LATER, TOKEN, TYPED, HOOK, SIGNING];

const ALICE: &str = "/v1/accounts/alice";
const RECORDS: &str = "/v1/buckets/default/collections/c/records";

fn percent_encoded(text: &str) -> String {
    text.replace('/', "%2F").replace('+', "%2B")
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// The forms in which a secret could be written: as it is, in a URL, in a list of bytes, and in
/// base64, wherever it begins there.
fn forms(secret: &str) -> Vec<String> {
    let bytes: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
    let mut forms = vec![secret.to_owned(), percent_encoded(secret), bytes.join(", ")];
    for before in 0..3 {
        let text = STANDARD.encode(["xx".get(..before).unwrap_or_default(), secret].concat());
        // Without the digits that depend on what stands before and after.
        forms.push(text[(before * 8).div_ceil(6)..text.len() - 4].to_owned());
    }
    forms
}

#[track_caller]
fn tells_nothing(text: &str) {
    for secret in SECRETS {
        for form in forms(secret) {
            if let Some(at) = text.find(&form) {
                let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let line = text[start..].lines().next().unwrap_or_default();
                panic!("{secret} is written as {form}:\n{line}");
            }
        }
    }
    assert!(!text.contains("$2b$"), "a hash is written");
}

#[test]
fn every_form_is_found() {
    for text in [
        format!("password={DATABASE}"),
        format!("url=postgresql://u:{}@h", percent_encoded(DATABASE)),
        basic("alice", PASSWORD),
        basic("bob", PASSWORD),
        basic("carol", PASSWORD),
        format!("{:?}", TOKEN.as_bytes()),
    ] {
        assert!(std::panic::catch_unwind(|| tells_nothing(&text)).is_err(), "{text}");
    }
}

struct Setting {
    folder: tempfile::TempDir,
    postgres: Postgres,
    redis: Redis,
    /// The receiver of webhooks that takes every other one.
    receiver: Receiver,
    format: &'static str,
}

impl Setting {
    fn new(format: &'static str) -> Self {
        let options = Options::default();
        let (postgres, redis) = (Postgres::start(&options).unwrap(), Redis::start().unwrap());
        let posts = AtomicUsize::new(0);
        let judge = move |_: &Received| match posts.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Answer::Status(503, ""),
            _ => Answer::Status(204, ""),
        };
        let receiver = Receiver::start(judge).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), postgres, redis, receiver, format }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn ini(&self) -> PathBuf {
        self.folder().join("server.ini")
    }

    /// Starts the program; the INI file has secrets in all places that there are for them.
    fn start(&self) -> Server {
        let with_password =
            |url: String, login: String| url.replacen("//", &format!("//{login}@"), 1);
        let database = self.postgres.url().replacen("kinto@", "", 1);
        let database = with_password(database, format!("kinto:{}", percent_encoded(DATABASE)));
        let cache = with_password(self.redis.url(), format!(":{}", percent_encoded(CACHE)));
        // In INI files a percent sign is doubled.
        let hook = percent_encoded(HOOK);
        let login = format!("kinto:{hook}");
        let url = format!("{}/hook?token={hook}", self.receiver.url());
        let (hook, away) = (with_password(url, login.clone()), "http://127.0.0.1:1".to_owned());
        let [database, cache, hook, away] =
            [database, cache, hook, with_password(away, login)].map(|url| url.replace('%', "%%"));
        let settings = [
            ("kinto.includes", "accounts default_bucket"),
            ("multiauth.policies", "account basicauth"),
            ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
            ("kinto.account_create_principals", "system.Everyone"),
            ("kinto.userid_hmac_secret", USER_IDS),
            ("kinto.default_bucket_hmac_secret", BUCKET_IDS),
            ("kinto.cache_backend", "redis"),
            ("kinto.cache_url", &cache),
            ("kinto.event_listeners", "hook away queue audit"),
            ("kinto.event_listeners.hook.use", "cumulo.listeners.webhook"),
            ("kinto.event_listeners.hook.url", &hook),
            ("kinto.event_listeners.hook.secret", SIGNING),
            ("kinto.event_listeners.away.use", "cumulo.listeners.webhook"),
            ("kinto.event_listeners.away.url", &away),
            ("kinto.event_listeners.away.secret", SIGNING),
            ("kinto.event_listeners.queue.use", "cumulo.listeners.redis"),
            ("kinto.event_listeners.queue.url", &cache),
            ("kinto.event_listeners.audit.use", "cumulo.listeners.log"),
            ("kinto.event_listeners.audit.include_objects", "true"),
            ("kinto.storage_pool_timeout", "1"),
            ("kinto.log_level", "trace"),
            ("kinto.log_format", self.format),
        ];
        let storage = Storage::Postgresql(database);
        write_ini(&self.ini(), 0, &storage, &settings).unwrap();
        let migrated = self.command(&["migrate"]);
        fs::write(self.folder().join("server.log"), migrated).unwrap();
        let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
        Server::start(&program, self.folder(), &storage, &settings).unwrap()
    }

    /// What a command of the program writes, in the first seconds if it waits for its servers.
    fn command(&self, args: &[&str]) -> String {
        let output = Command::new("timeout")
            .args(["5", env!("CARGO_BIN_EXE_cumulo")])
            .args(args)
            .arg("--ini")
            .arg(self.ini())
            .current_dir(self.folder())
            .output()
            .unwrap();
        let written = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&written).into_owned()
    }
}

/// Sends a request, whatever comes of it.
fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> u16 {
    let body = body.to_string();
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    let mut connection = server.connect().unwrap();
    connection.request(method, path, &headers, Some(body.as_bytes())).unwrap().status
}

/// Requests with secrets wherever clients put them.
fn ask(server: &Server) {
    let data = |password: &str| json!({"data": {"password": password}});
    let (right, wrong) = (basic("alice", PASSWORD), basic("alice", WRONG));
    let right = [("Authorization", right.as_str())];
    let nothing = json!({});
    assert_eq!(send(server, "PUT", ALICE, &[], &data(PASSWORD)), 201);
    assert_eq!(send(server, "GET", ALICE, &right, &nothing), 200);
    send(server, "GET", ALICE, &[("Authorization", &wrong)], &nothing);
    send(server, "PATCH", ALICE, &[("Authorization", &wrong)], &data(LATER));
    send(server, "PUT", ALICE, &right, &json!({"data": {"password": [LATER]}}));
    send(server, "POST", "/v1/accounts", &[], &json!({"data": {"id": "/", "password": LATER}}));
    let long = format!("{LATER}{}", "x".repeat(80));
    send(server, "PATCH", ALICE, &right, &data(&long));
    for value in [format!("Bearer {TOKEN}"), format!("Basic {TOKEN}"), format!("{TOKEN} {TOKEN}")] {
        send(server, "GET", "/v1/", &[("Authorization", &value)], &nothing);
    }
    send(server, "GET", "/v1/", &[("Cookie", &format!("session={TOKEN}"))], &nothing);
    let encoded = percent_encoded(TOKEN);
    for name in ["token", "access_token", "code", "state", "password", "client_secret"] {
        for path in ["/v1/", "/v1/buckets", "/v1/openid/x/token", "/nowhere", RECORDS] {
            send(server, "GET", &format!("{path}?a=1&{name}={encoded}"), &right, &nothing);
            send(server, "GET", &format!("{path}?{name}={TOKEN}&_limit=x"), &[], &nothing);
        }
    }
    let item = json!({"path": ALICE, "headers": {"Authorization": right[0].1}});
    let change = json!({"method": "PATCH", "path": ALICE, "body": data(LATER)});
    let requests = json!({"requests": [item, {"path": format!("/?token={TOKEN}")}, change]});
    assert_eq!(send(server, "POST", "/v1/batch", &right, &requests), 200);
    let later = basic("alice", LATER);
    assert_eq!(send(server, "GET", ALICE, &[("Authorization", &later)], &nothing), 200);
    let bad = [
        format!("{{\"data\": {{\"password\": \"{LATER}\""),
        format!("[\"{LATER}\", NaN]"),
        LATER.to_owned(),
    ];
    for body in bad {
        let mut connection = server.connect().unwrap();
        connection.request("PUT", ALICE, &right, Some(body.as_bytes())).unwrap();
    }
    let headers = format!("Authorization: {}\r\n", right[0].1);
    let long = "x".repeat(100_000);
    for raw in [
        format!("GET /v1/ HTTP/9\r\n{headers}\r\n"),
        format!("GET /v1/?token={TOKEN} HTTP/1.1\r\n{headers}bad header\r\n\r\n"),
        format!("GET /v1/ HTTP/1.1\r\nHost: h\r\n{headers}X: {long}\r\n\r\n"),
    ] {
        let mut connection = server.connect().unwrap();
        connection.send(raw.as_bytes()).unwrap();
        let _ = connection.receive("GET");
    }
}

fn says_much_and_no_secret(format: &'static str) {
    let mut setting = Setting::new(format);
    let server = setting.start();
    ask(&server);
    let begun = Instant::now();
    while setting.receiver.received().iter().all(|received| !received.accepted) {
        assert!(begun.elapsed() < Duration::from_secs(10), "no webhook is taken");
        sleep(Duration::from_millis(10));
    }
    let later = basic("alice", LATER);
    let login = [("Authorization", later.as_str())];
    setting.redis.stop().unwrap();
    send(&server, "DELETE", &format!("{RECORDS}?_limit=1"), &login, &json!({}));
    setting.postgres.stop().unwrap();
    assert_eq!(send(&server, "GET", ALICE, &login, &json!({})), 503);
    send(&server, "GET", "/v1/__heartbeat__", &login, &json!({}));
    server.stop().unwrap();
    let mut written = fs::read_to_string(setting.folder().join("server.log")).unwrap();
    assert!(written.contains("/v1/accounts/alice"), "it tells what happened");
    assert!(written.contains("impacted_objects"), "the log is told of changes");
    assert!(written.contains("could not be delivered"), "it tells what is not delivered");
    assert!(written.contains("the storage failed"), "it tells what failed");
    for command in [
        &["migrate"][..],
        &["start", "--port", "0"],
        &["flush-cache"],
        &["create-user", "-u", "bob", "-p", TYPED],
    ] {
        let told = setting.command(command);
        assert!(!told.is_empty(), "{command:?} fails without its servers, and says so");
        written += &told;
    }
    let ini = fs::read_to_string(setting.ini()).unwrap();
    let port = format!(":{}/", setting.postgres.address().rsplit_once(':').unwrap().1);
    for (from, to) in [
        (port.as_str(), ":port/"),
        ("postgresql://", "postgres//"),
        ("kinto.cache_backend = redis", "kinto.cache_backend = sqlite"),
        ("kinto.log_level = trace", "kinto.log_level = trace\nkinto.readonly = perhaps"),
    ] {
        assert!(ini.contains(from), "{from}");
        fs::write(setting.ini(), ini.replace(from, to)).unwrap();
        let told = setting.command(&["start", "--port", "0"]);
        assert!(!told.is_empty(), "{to} keeps it from starting");
        written += &told;
    }
    tells_nothing(&written);
}

#[test]
fn text_logs_have_no_secrets() {
    says_much_and_no_secret("text");
}

#[test]
fn json_logs_have_no_secrets() {
    says_much_and_no_secret("json");
}
