//! The program without any configuration: closed, with an administrator whose password is shown once.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use cumulo_e2e::{
    http::{Connection, base64},
    server::free_port,
};
use serde_json::{Value, json};

const RECORDS: &str = "/v1/buckets/default/collections/notes/records";

/// A service in a folder, without configuration; its log is appended to a file there.
struct Service {
    process: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
    /// What it said when it started, up to the example.
    announcement: String,
}

impl Service {
    fn start(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cumulo"))
            .args(["--port", "0", "-v"])
            .args(args)
            .current_dir(folder)
            .env_clear()
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut announcement = String::new();
        while !announcement.contains("Try it:\n") {
            assert!(output.read_line(&mut announcement).unwrap() > 0, "it ended: {announcement}");
        }
        while !announcement.ends_with("/v1/\n") && !announcement.ends_with("/records\n") {
            assert!(output.read_line(&mut announcement).unwrap() > 0, "it ended: {announcement}");
        }
        let address = announcement.split('/').nth(2).unwrap().parse().unwrap();
        Self { process, output, address, announcement }
    }

    fn password(&self) -> Option<&str> {
        let (_, rest) = self.announcement.split_once("Password: ")?;
        rest.split_whitespace().next()
    }

    fn status(&self, method: &str, path: &str, login: Option<&str>, body: &Value) -> u16 {
        let login = login.map(|login| format!("Basic {}", base64(login)));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(login.as_deref().map(|login| ("Authorization", login)));
        let body = body.to_string();
        let mut connection = Connection::open(self.address).unwrap();
        connection.request(method, path, &headers, Some(body.as_bytes())).unwrap().status
    }

    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        let mut rest = String::new();
        assert_eq!(self.output.read_line(&mut rest).unwrap(), 0, "{rest}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Everything in the files of a folder, and of those in it.
fn contents(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                contents(&path)
            } else {
                String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
            }
        })
        .collect()
}

#[test]
fn the_password_is_shown_once_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = Service::start(folder, &[], &[]);
    let password = first.password().unwrap().to_owned();
    let login = format!("admin:{password}");
    assert_eq!(password.len(), 20);
    assert!(first.announcement.contains(&format!("curl -u {login} ")), "{}", first.announcement);
    assert_eq!(first.status("POST", RECORDS, Some(&login), &json!({})), 201);
    first.stop();

    let second = Service::start(folder, &[], &[]);
    assert_eq!(second.password(), None);
    assert!(second.announcement.contains("cumulo create-user"), "{}", second.announcement);
    assert_eq!(second.status("GET", RECORDS, Some(&login), &json!({})), 200);
    second.stop();

    let kept = contents(folder);
    assert!(kept.contains("GET /v1/buckets"), "the log is at debug level");
    assert!(kept.contains("$2b$12$"), "the hash is stored");
    assert!(!kept.contains(&password) && !kept.contains(&base64(&login)));
}

#[test]
fn nobody_gets_in_whom_the_administrator_does_not_let() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["--admin-password", "secret"], &[]);
    let admin = Some("admin:secret");
    let (nothing, account) = (json!({}), json!({"data": {"password": "pass"}}));
    assert_eq!(service.status("POST", RECORDS, Some("ann:pass"), &nothing), 401);
    for login in [None, Some("admin:wrong")] {
        for path in ["/v1/buckets", RECORDS, "/v1/permissions", "/v1/accounts", "/v1/accounts/ann"]
        {
            assert_eq!(service.status("GET", path, login, &nothing), 401, "{path} {login:?}");
        }
        for path in ["/v1/buckets/blog", "/v1/accounts/ann", "/v1/accounts/admin"] {
            assert_eq!(service.status("PUT", path, login, &account), 401, "{path} {login:?}");
        }
        assert_eq!(service.status("POST", RECORDS, login, &nothing), 401, "{login:?}");
    }
    assert_eq!(service.status("PUT", "/v1/accounts/ann", admin, &account), 201);
    let ann = Some("ann:pass");
    assert_eq!(service.status("POST", RECORDS, ann, &nothing), 201);
    assert_eq!(service.status("GET", "/v1/permissions", ann, &nothing), 200);
    for path in ["/v1/buckets/blog", "/v1/accounts/admin", "/v1/accounts/bob"] {
        assert!(matches!(service.status("PUT", path, ann, &account), 400 | 403), "{path}");
    }
    assert_eq!(service.status("PUT", "/v1/buckets/blog", admin, &nothing), 201);
}

#[test]
fn a_given_password_is_set_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let start = |password| {
        let service = Service::start(folder, &[], &[("CUMULO_ADMIN_PASSWORD", password)]);
        assert!(!service.announcement.contains(password), "{}", service.announcement);
        let login = format!("admin:{password}");
        assert_eq!(service.status("GET", "/v1/accounts", Some(&login), &json!({})), 200);
        service
    };
    start("the-first").stop();
    start("the-first").stop();
    let log = fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(log.matches("the account 'admin'").count(), 1, "the second start changes nothing");
    let service = start("the-other");
    assert_eq!(service.status("GET", "/v1/accounts", Some("admin:the-first"), &json!({})), 401);
    service.stop();
    let kept = contents(folder);
    assert!(!kept.contains("the-first") && !kept.contains("the-other"));

    let output = Command::new(env!("CARGO_BIN_EXE_cumulo"))
        .args(["--port", "0"])
        .current_dir(folder)
        .env_clear()
        .env("CUMULO_ADMIN_PASSWORD", "")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("--admin-password"), "{error}");
}

#[test]
fn records_from_before_accounts_stay_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // What the versions did that knew basic authentication only.
    let before = [
        ("CUMULO_INCLUDES", "default_bucket"),
        ("CUMULO_MULTIAUTH_POLICIES", "basicauth"),
        ("CUMULO_BUCKET_CREATE_PRINCIPALS", "system.Authenticated"),
    ];
    let service = Service::start(folder, &[], &before);
    assert_eq!(service.status("POST", RECORDS, Some("ann:any"), &json!({})), 201);
    assert_eq!(service.status("PUT", "/v1/buckets/blog", Some("ann:any"), &json!({})), 201);
    service.stop();
    let file = folder.join("data/secrets.ini");
    let secrets = fs::read_to_string(&file).unwrap();
    fs::write(&file, secrets.replace("multiauth.policies = account\n", "")).unwrap();

    let service = Service::start(folder, &[], &[]);
    let admin = format!("admin:{}", service.password().unwrap());
    assert_eq!(service.status("GET", "/v1/accounts", Some(&admin), &json!({})), 200);
    for path in [RECORDS, "/v1/buckets/blog"] {
        assert_eq!(service.status("GET", path, Some("ann:any"), &json!({})), 200, "{path}");
    }
    assert_eq!(service.status("GET", RECORDS, None, &json!({})), 401);
    service.stop();
    assert!(fs::read_to_string(folder.join("log")).unwrap().contains("data/secrets.ini"));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    Service::start(folder.path(), &[], &[]).stop();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
    assert_eq!(mode("data") & 0o777, 0o700);
    assert_eq!(mode("data/secrets.ini") & 0o777, 0o600);
    assert_eq!(mode("data/cumulo.sqlite") & 0o777, 0o600);
}

#[test]
fn nobody_sees_a_password_that_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    // A quiet start shows nothing, so it leaves the account to the next one.
    let port = free_port().unwrap();
    let mut quiet = Command::new(env!("CARGO_BIN_EXE_cumulo"))
        .args(["--quiet", "--port", &port.to_string()])
        .current_dir(folder.path())
        .env_clear()
        .spawn()
        .unwrap();
    while Connection::open(SocketAddr::from(([127, 0, 0, 1], port)))
        .and_then(|mut connection| connection.get("/v1/"))
        .is_err()
    {
        assert_eq!(quiet.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    quiet.kill().unwrap();
    quiet.wait().unwrap();
    let service = Service::start(folder.path(), &[], &[]);
    assert!(service.password().is_some());
    service.stop();
}
