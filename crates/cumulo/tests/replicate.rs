//! `cumulo diff`, `sync` and `copy`, between two running servers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use cumulo_client::{Basic, blocking};
use cumulo_e2e::{Program, Server, Storage};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two servers, and somebody who has profiles for them: `prod` (the default too) and `staging`.
struct Desk {
    home: TempDir,
    prod: Server,
    staging: Server,
    _folders: [TempDir; 2],
}

impl Desk {
    fn new() -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let start = |folder: &TempDir| {
            let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
            Server::start(&program, folder.path(), &Storage::Memory, &[]).unwrap()
        };
        let home = tempfile::tempdir().unwrap();
        let this =
            Self { prod: start(&folders[0]), staging: start(&folders[1]), _folders: folders, home };
        this.write_profiles();
        this
    }

    fn write_profiles(&self) {
        let (prod, staging) = (self.prod.url(), self.staging.url());
        let servers = [
            ("default", &prod),
            ("prod", &prod),
            ("work", &prod),
            ("staging", &staging),
            ("backup", &staging),
        ];
        let profile =
            |(name, url)| format!("[{name}]\nserver = \"{url}\"\nauth = \"ann:secret\"\n");
        let folder = self.home.path().join(".config/cumulo");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("profiles.toml");
        fs::write(&file, servers.map(profile).concat()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cumulo"))
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .output()
            .unwrap()
    }

    /// Runs it; the status, and what it prints.
    #[track_caller]
    fn ends(&self, status: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {shown}{error}");
        shown + &error
    }

    /// Two articles on each.
    fn fill(&self) {
        for (server, records) in [
            (&self.prod, [json!({"id": "a", "n": 1}), json!({"id": "b", "n": 1})]),
            (&self.staging, [json!({"id": "b", "n": 2}), json!({"id": "z", "n": 2})]),
        ] {
            let ann = client(server);
            ann.bucket("blog").create().send().unwrap();
            let articles = ann.collection("blog", "articles");
            articles.create().send().unwrap();
            for record in records {
                articles.records().create(record).send().unwrap();
            }
        }
    }

    fn ids(server: &Server, bucket: &str, collection: &str) -> Vec<String> {
        let records = client(server).collection(bucket, collection).records();
        records.list().sort("id").all().unwrap().into_iter().map(|it| it.id).collect()
    }
}

fn client(server: &Server) -> blocking::Client {
    let auth = Basic::new("ann", "secret");
    blocking::Client::builder(&server.url()).auth(auth).build_blocking().unwrap()
}

#[test]
fn differences_are_shown() {
    let desk = Desk::new();
    desk.fill();
    let diff = ["diff", "prod:blog/articles", "staging:blog/articles"];
    let shown = desk.ends(1, &diff);
    assert_eq!(
        shown,
        "+ blog/articles/a\n~ blog/articles/b\n    n: 2 → 1\n- blog/articles/z\n\
         cumulo: staging:blog/articles differs from prod:blog/articles: 1 object to create, \
         1 object to change, 1 object to delete\n"
    );
    let output = desk.run(&[&diff[..], &["-o", "ndjson"]].concat());
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["path"], "/buckets/blog/collections/articles/records/a");
    assert_eq!((&lines[0]["before"], &lines[0]["after"]["data"]), (&Value::Null, &json!({"n": 1})));
    let output = desk.run(&[&diff[..], &["-o", "json"]].concat());
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!(lines));
    assert_eq!(desk.ends(0, &["diff", "blog/articles", "prod:blog/articles/"]), "");
}

#[test]
fn nothing_is_deleted_unasked() {
    let desk = Desk::new();
    desk.fill();
    let sync = ["sync", "blog/articles", "staging:blog/articles"];
    let shown = desk.ends(2, &sync);
    assert!(shown.contains("- blog/articles/z\n") && shown.contains("give --yes"), "{shown}");
    let shown = desk.ends(0, &[&sync[..], &["--dry-run"]].concat());
    assert!(
        shown.contains("+ blog/articles/a\n") && shown.contains("1 object to delete"),
        "{shown}"
    );
    assert_eq!(Desk::ids(&desk.staging, "blog", "articles"), ["b", "z"]);

    // What deletes nothing needs no answer.
    let shown = desk.ends(0, &[&sync[..], &["--keep-extra"]].concat());
    assert!(shown.contains("1 object created, 1 object changed, 1 object kept"), "{shown}");
    let shown = desk.ends(0, &[&sync[..], &["--yes"]].concat());
    assert!(shown.contains("1 object deleted; 3 objects compared"), "{shown}");
    assert_eq!(Desk::ids(&desk.staging, "blog", "articles"), ["a", "b"]);
    let shown = desk.ends(0, &sync);
    assert!(shown.contains("nothing to do; 2 objects compared"), "{shown}");
}

#[test]
fn a_state_file_spares_what_has_not_changed() {
    let desk = Desk::new();
    desk.fill();
    let sync = ["sync", "blog", "staging:blog", "--yes", "--state", "blog.json"];
    desk.ends(0, &sync);
    desk.ends(0, &sync);
    // The collection itself is always compared.
    let shown = desk.ends(0, &sync);
    assert!(shown.contains("nothing to do; 1 object compared"), "{shown}");
    let elsewhere = ["sync", "blog", "staging:other", "--yes", "--state", "blog.json"];
    assert!(desk.ends(2, &elsewhere).contains("the state is that of a replication from"));
    fs::write(desk.home.path().join("blog.json"), "nonsense").unwrap();
    assert!(desk.ends(2, &sync).contains("blog.json is not the state of a sync"));
}

#[test]
fn a_copy_leaves_what_is_there() {
    let desk = Desk::new();
    desk.fill();
    let copy = ["copy", "blog/articles", "archive/articles-2026"];
    let shown = desk.ends(0, &copy);
    assert!(shown.contains("4 objects created"), "{shown}");
    assert_eq!(Desk::ids(&desk.prod, "archive", "articles-2026"), ["a", "b"]);
    assert!(desk.ends(0, &copy).contains("nothing to do"));
    let shown = desk.ends(5, &["copy", "blog/articles", "staging:blog/articles"]);
    assert!(
        shown.contains("staging:blog/articles had other objects, which stay as they are"),
        "{shown}"
    );
    assert_eq!(Desk::ids(&desk.staging, "blog", "articles"), ["a", "b", "z"]);
}

#[test]
fn places_of_different_kinds_are_refused() {
    let desk = Desk::new();
    for (args, expected) in [
        (["diff", "blog", "blog/articles"], "expected two buckets or two collections"),
        (["sync", "blog/articles/a", "staging:blog/articles/a"], "expected two buckets"),
        (["copy", "blog?n=1", "other"], "filters are not for this"),
        (["diff", "blog", "nowhere:blog"], "no profile 'nowhere'"),
        (["sync", "blog", "-n"], "unexpected argument '-n'"),
        (["copy", "blog", "-n"], "unexpected argument '-n'"),
    ] {
        let output = desk.run(&args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(expected), "{args:?}: {error}");
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}");
    }
    let shown = desk.ends(4, &["diff", "prod:blog", "staging:blog"]);
    assert!(shown.contains("403"), "{shown}");
}

/// The examples of `--help`, where everything that they name is there.
#[test]
fn examples_work() {
    for command in ["diff", "sync", "copy"] {
        let desk = Desk::new();
        desk.fill();
        client(&desk.prod).bucket("backup").create().send().unwrap();
        let help = desk.ends(0, &[command, "--help"]);
        let examples: Vec<_> =
            help.lines().filter_map(|line| line.strip_prefix("  cumulo ")).collect();
        assert!(examples.len() >= 3, "{help}");
        for example in examples {
            let url = desk.staging.url();
            let example = example.replace("http://localhost:8888/v1", &url);
            let args: Vec<_> = example.split(' ').collect();
            let output = desk.run(&args);
            let error = String::from_utf8_lossy(&output.stderr);
            let is_expected = match output.status.code() {
                Some(0) => true,
                // They differ, or are to be left alone.
                Some(1) => command == "diff",
                Some(5) => command == "copy",
                _ => false,
            };
            assert!(is_expected, "{example}: {:?} {error}", output.status);
        }
    }
}
