//! Accounts through the program itself: signing up, logging in, resetting, and what is left behind.
#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "tests")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use cumulo_e2e::{Program, Server, Storage, http::base64};
use serde_json::{Value, json};

const SETTINGS: [(&str, &str); 7] = [
    ("kinto.includes", "kinto.plugins.accounts kinto.plugins.default_bucket"),
    ("multiauth.policies", "account"),
    (
        "multiauth.policy.account.use",
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    ),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.account_write_principals", "account:admin"),
    ("kinto.account_read_principals", "account:admin"),
    ("kinto.log_level", "trace"),
];

const ALICE: &str = "/v1/accounts/alice";

fn start(folder: &Path) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let storage = Storage::Sqlite(folder.join("test.sqlite"));
    Server::start(&program, folder, &storage, &SETTINGS).unwrap()
}

/// Runs a command of the program, with `input` as its standard input.
fn cumulo(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cumulo"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = command.stdin.take().unwrap().write_all(input.as_bytes());
    command.wait_with_output().unwrap()
}

/// Sends a request as somebody, and notes the response.
struct Client<'a> {
    server: &'a Server,
    seen: String,
}

impl Client<'_> {
    fn send(
        &mut self,
        method: &str,
        path: &str,
        login: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let authorization = login.map(|login| format!("Basic {}", base64(login)));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let body = body.to_string();
        let mut connection = self.server.connect().unwrap();
        let response = connection.request(method, path, &headers, Some(body.as_bytes())).unwrap();
        self.seen += &format!("{response:?} {}\n", String::from_utf8_lossy(&response.body));
        (response.status, response.json().unwrap_or_default())
    }

    fn status(&mut self, method: &str, path: &str, login: Option<&str>, body: &Value) -> u16 {
        self.send(method, path, login, body).0
    }

    fn logs_in(&mut self, login: &str) -> bool {
        let (_, hello) = self.send("GET", "/v1/", Some(login), &json!({}));
        hello["user"]["id"].as_str().is_some_and(|id| id.starts_with("account:"))
    }
}

fn data(password: &str) -> Value {
    json!({"data": {"password": password, "age": 42}})
}

/// What the database holds of all accounts: parent, resource, id, data and permissions.
fn rows(folder: &Path) -> Value {
    let script = "import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(\
        'SELECT parent, resource, object.id, data, text FROM object \
        JOIN list ON list.id = list JOIN acl ON acl.id = acl ORDER BY parent').fetchall()))";
    let file = folder.join("test.sqlite");
    let output = Command::new("python3").args(["-c", script]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn is_hash(text: &str) -> bool {
    text.starts_with("$2b$12$") && text.len() == 60
}

#[test]
fn an_account_from_its_creation_to_a_lost_password() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = start(folder);
    let mut client = Client { server: &server, seen: String::new() };
    assert_eq!(client.status("PUT", ALICE, None, &data("one")), 201);
    assert!(client.logs_in("alice:one"));
    assert!(!client.logs_in("alice:two"));
    assert_eq!(client.status("PUT", ALICE, Some("alice:one"), &data("two")), 200);
    assert!(!client.logs_in("alice:one"), "the old password fails at once");
    assert!(client.logs_in("alice:two"));
    let records = "/v1/buckets/default/collections/notes/records";
    assert_eq!(client.status("POST", records, Some("alice:two"), &json!({})), 201);
    let reset = ["create-user", "--ini", "server.ini", "-u", "alice", "-p", "three"];
    let output = cumulo(folder, &reset, "");
    assert_eq!(output.status.code(), Some(1), "the service has the file");
    let mut seen = client.seen;
    server.stop().unwrap();

    let output = cumulo(folder, &reset, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = ["create-user", "--ini", "server.ini"];
    let output = cumulo(folder, &asked, "not valid\nadmin\n\nadmin's\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    seen += &format!("{output:?}");

    let server = start(folder);
    let mut client = Client { server: &server, seen };
    assert!(!client.logs_in("alice:two"));
    assert!(client.logs_in("alice:three"));
    for path in ["/v1/accounts", ALICE, "/v1/accounts?_sort=password"] {
        client.status("GET", path, Some("admin:admin's"), &json!({}));
    }
    let (_, all) = client.send("GET", "/v1/accounts", Some("admin:admin's"), &json!({}));
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2), "{all}");
    let seen = client.seen;
    server.stop().unwrap();

    let rows = rows(folder);
    let accounts: Vec<_> =
        rows.as_array().unwrap().iter().filter(|row| row[1] == "account").collect();
    for (row, name) in accounts.iter().zip(["admin", "alice"]) {
        assert_eq!((&row[0], &row[2]), (&json!(name), &json!(name)));
        let mut stored: Value = serde_json::from_str(row[3].as_str().unwrap()).unwrap();
        let hash = stored["password"].take();
        assert!(hash.as_str().is_some_and(is_hash), "{row}");
        let others = if name == "alice" { json!({"age": 42}) } else { json!({}) };
        stored.as_object_mut().unwrap().remove("password");
        assert_eq!(stored, others, "a reset keeps the other data");
        assert_eq!(row[4], format!(r#"{{"write":["account:{name}"]}}"#));
    }
    assert_eq!(accounts.len(), 2);
    let log = fs::read_to_string(folder.join("server.log")).unwrap();
    assert!(log.contains("/v1/accounts/alice"), "the log tells what happened");
    for text in [&seen, &log] {
        assert!(!text.contains("$2b$"), "{text}");
        assert!(!text.contains(&base64("alice:three")), "{text}");
    }
}

#[test]
fn create_user_ends_with_the_codes_of_kinto() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let accounts = "kinto.includes = kinto.plugins.accounts\nmultiauth.policies = account\n\
                    multiauth.policy.account.use = kinto.plugins.accounts.AccountsPolicy\n\
                    kinto.storage_backend = sqlite\n";
    let code = |settings: &str, args: &[&str], input: &str| {
        fs::write(folder.join("test.ini"), format!("[app:main]\n{settings}")).unwrap();
        let output = cumulo(folder, &[&["create-user", "--ini", "test.ini"], args].concat(), input);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), errors)
    };
    let login = ["-u", "ann", "-p", "secret"];
    assert_eq!(code(&format!("{accounts}readonly = true"), &login, "").0, Some(51));
    assert_eq!(code("storage_backend = sqlite", &login, "").0, Some(52));
    assert_eq!(code(accounts, &[], "").0, Some(53));
    assert_eq!(code(accounts, &["-u", "ann"], "").0, Some(53));
    let (status, errors) = code(accounts, &["-u", "not valid", "-p", "secret"], "");
    assert!(status == Some(1) && errors.contains("letters, digits"), "{errors}");
    let (status, errors) = code(accounts, &["-u", "ann", "-p", &"x".repeat(73)], "");
    assert!(status == Some(1) && errors.contains("72 bytes"), "{errors}");
    let in_memory = accounts.replace("sqlite", "memory");
    let (status, errors) = code(&in_memory, &login, "");
    assert!(status == Some(1) && errors.contains("in memory"), "{errors}");
    assert_eq!(code(accounts, &login, "").0, Some(0));
    assert_eq!(code(accounts, &["-u", "bob"], "secret\n").0, Some(0));
}

#[test]
fn a_new_settings_file_serves_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = cumulo(folder, &["init", "--ini", "my.ini"], "");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("cumulo create-user --ini my.ini --username admin"), "{told}");
    let create = ["create-user", "--ini", "my.ini", "--username", "admin"];
    let output = cumulo(folder, &create, "secret\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn argon2id_is_a_choice_for_new_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let start = |scheme| {
        let storage = Storage::Sqlite(folder.join("test.sqlite"));
        let settings = [&SETTINGS[..], &[("kinto.account_password_hash", scheme)]].concat();
        Server::start(&program, folder, &storage, &settings).unwrap()
    };
    let long = "long".repeat(50);
    let server = start("argon2id");
    let mut client = Client { server: &server, seen: String::new() };
    assert_eq!(client.status("PUT", ALICE, None, &data(&long)), 201);
    assert!(client.logs_in(&format!("alice:{long}")));
    assert!(!client.logs_in(&format!("alice:{}", &long[..199])));
    server.stop().unwrap();
    assert!(rows(folder)[0][3].as_str().unwrap().contains("$argon2id$v=19$m=19456,t=2,p=1$"));

    let server = start("bcrypt");
    let mut client = Client { server: &server, seen: String::new() };
    assert!(client.logs_in(&format!("alice:{long}")));
    assert_eq!(client.status("PUT", ALICE, Some(&format!("alice:{long}")), &data("short")), 200);
    assert!(client.logs_in("alice:short"));
    server.stop().unwrap();
    assert!(rows(folder)[0][3].as_str().unwrap().contains("$2b$12$"));
}
