//! The program from outside: what it prints and how it ends.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

fn cumulo(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cumulo"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the program runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn init_does_not_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["init", "--ini", "config/kinto.ini", "--backend", "memory"];
    let first = cumulo(folder.path(), &args);
    assert!(first.status.success(), "{}", stderr(&first));
    let second = cumulo(folder.path(), &args);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("config/kinto.ini already exists."));
}

#[test]
fn wrong_settings_are_all_reported_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("kinto.ini"),
        "[app:main]\nkinto.readonly = perhaps\nkinto.includes = kinto.plugins.nothing\n",
    )
    .unwrap();
    let output = cumulo(folder.path(), &["start", "--ini", "kinto.ini"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("kinto.readonly: expected true or false"), "{text}");
    assert!(text.contains("there is no plugin 'kinto.plugins.nothing'"), "{text}");
}

#[test]
fn an_admin_app_without_a_version_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let ini = "[app:main]\nincludes = admin\nkinto.admin_assets_path = app\n";
    fs::write(folder.path().join("kinto.ini"), ini).unwrap();
    let start = || cumulo(folder.path(), &["start", "--ini", "kinto.ini", "--port", "0"]);
    let refused = |problem: &str| {
        let output = start();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    };
    refused("admin_assets_path: app can't be read");
    fs::create_dir(folder.path().join("app")).unwrap();
    refused("there is no index.html in app");
    fs::write(folder.path().join("app/index.html"), "").unwrap();
    refused("there is no VERSION in app");
    fs::write(folder.path().join("app/VERSION"), "\n").unwrap();
    refused("VERSION in app has no text");
}

#[test]
fn a_port_in_use_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = cumulo(folder.path(), &["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("already in use"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn it_says_where_it_listens_and_stops_when_told_to() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut service = Command::new(env!("CARGO_BIN_EXE_cumulo"))
            .args(["--port", "0"])
            .current_dir(folder.path())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Cumulo listens on http://127.0.0.1:"), "{line}");
        assert!(!line.contains(":0/"), "{line}");
        let pid = service.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert!(service.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = cumulo(folder.path(), &["start", "--ini", "nowhere.ini"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere.ini"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn version_is_a_command() {
    let output = cumulo(Path::new("."), &["version"]);
    assert_eq!(stdout(&output).trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_settings_page_is_fresh() {
    let printed = stdout(&cumulo(Path::new("."), &["settings"])).replace("\r\n", "\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let page = fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(page == printed, "update it with: cargo run -- settings > docs/settings.md");
}
