//! The commands for people, as people type them, against a server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use cumulo_e2e::{Program, Server, Storage, http::base64};
use serde_json::{Value, json};

const SETTINGS: [(&str, &str); 7] = [
    ("kinto.includes", "kinto.plugins.accounts kinto.plugins.default_bucket kinto.plugins.history"),
    ("multiauth.policies", "account"),
    (
        "multiauth.policy.account.use",
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    ),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.bucket_create_principals", "account:alice"),
    ("kinto.experimental_permissions_endpoint", "true"),
    ("kinto.paginate_by", "100"),
];

/// A server that knows Alice, and her folder, in which she has logged in.
struct Alice {
    folder: tempfile::TempDir,
    server: Server,
}

impl Alice {
    fn new() -> Self {
        Self::with(|_| Storage::Memory)
    }

    fn with(storage: fn(&Path) -> Storage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
        let storage = storage(folder.path());
        let server = Server::start(&program, folder.path(), &storage, &SETTINGS).unwrap();
        let account = json!({"data": {"password": "secret"}});
        let mut connection = server.connect().unwrap();
        connection.json("PUT", "/v1/accounts/alice", Some(&account)).unwrap().succeeded().unwrap();
        let alice = Self { folder, server };
        alice.done(&["login", &alice.url(), "--user", "alice"], "secret\n");
        alice
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.server.address)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let programs = Path::new(env!("CARGO_BIN_EXE_cumulo")).parent().unwrap();
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn cumulo(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cumulo"));
        command.args(args);
        command
    }

    /// What a command prints that must succeed.
    fn done(&self, args: &[&str], input: &str) -> String {
        let output = run(&mut self.cumulo(args), input);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, args: &[&str]) -> Value {
        let printed = self.done(args, "");
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// How a command ends that must fail, and what it says.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = run(&mut self.cumulo(args), "");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        (output.status.code().unwrap(), text(&output.stderr))
    }

    /// A bucket with a bit of everything.
    fn blog(&self) {
        for args in [
            &["put", "blog"][..],
            &["put", "blog/articles"],
            &["put", "blog/drafts"],
            &["put", "/buckets/blog/groups/editors", "members:=[\"account:alice\"]"],
            &["put", "blog/articles/first", "title=First", "price:=3.5", "tags:=[\"a\"]"],
            &["put", "blog/articles/second", "title=Second", "price:=2"],
        ] {
            self.done(args, "");
        }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut process = command.spawn().unwrap();
    // It may end without reading.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The commands that the help of a command shows.
fn examples(help: &str) -> Vec<String> {
    let (_, shown) = help.split_once("Example").unwrap_or_default();
    let shown = shown.replace("\\\n", " ");
    shown.lines().skip(1).map(|line| line.trim().to_owned()).filter(|it| !it.is_empty()).collect()
}

#[test]
fn every_example_of_the_help_works() {
    let alice = Alice::new();
    alice.write("article.json", r#"{"title": "From a file"}"#);
    alice.write("articles.ndjson", "{\"title\": \"A\"}\n{\"title\": \"B\"}\n");
    alice.write("articles.csv", "id,title,price\nc,\"C, or so\",3\n");
    alice.write("blog.yaml", BLOG);
    alice.write("more.json", r#"[{"id": "d", "title": "D"}]"#);
    for name in [
        "get",
        "put",
        "patch",
        "delete",
        "list",
        "watch",
        "history",
        "upload",
        "download",
        "apply",
        "login",
        "info",
        "completions",
        "man",
        "logout",
    ] {
        alice.blog();
        let examples = examples(&alice.done(&[name, "--help"], ""));
        assert!(!examples.is_empty(), "{name} shows no example");
        for example in examples {
            assert!(example.contains(&format!("cumulo {name}")), "{example}");
            let line = example.replace("127.0.0.1:8888", &alice.server.address.to_string());
            let mut command = alice.command("bash");
            command.args(["-o", "pipefail", "-c", &line]);
            // The profile 'default' is there already.
            command.env("XDG_CONFIG_HOME", alice.folder.path().join(".config"));
            let input = match (name, line.contains("--user")) {
                ("login", true) => "secret\n",
                ("login", false) => "alice\nsecret\n",
                _ => "",
            };
            let output = run(&mut command, input);
            assert!(output.status.success(), "{example}: {}", text(&output.stderr));
        }
    }
    assert_eq!(
        alice.done(&["list", "blog/articles", "id=c", "--columns", "title,price"], ""),
        "{\"title\":\"C, or so\",\"price\":3}\n"
    );
    assert!(alice.read("some.csv").starts_with("id,title,price\n"));
    assert!(alice.read("man1/cumulo-upload.1").contains("cumulo upload articles.ndjson"));
    assert!(alice.read("_cumulo").contains("history"));
}

/// What a blog shall be.
const BLOG: &str = "
buckets:
  blog:
    data: { title: My blog, motto: null }
    permissions: { write: ['group:editors'] }
    groups:
      editors: { members: ['account:bob'] }
    collections:
      articles:
        schema: { type: object, properties: { title: { type: string } } }
        permissions: { read: [system.Everyone] }
";

#[test]
fn a_server_becomes_what_a_file_says() {
    let alice = Alice::new();
    alice.write("blog.yaml", BLOG);
    let plan = alice.done(&["apply", "blog.yaml", "--dry-run"], "");
    assert!(plan.contains("+ create blog/collections/articles"), "{plan}");
    assert!(plan.ends_with("3 to create, 0 to change, 0 to delete, 0 as they should be.\n"));
    assert_eq!(alice.fails(&["get", "blog"]).0, 4, "a dry run changes nothing");

    alice.done(&["apply", "blog.yaml", "--yes"], "");
    let again = alice.done(&["apply", "blog.yaml", "--yes"], "");
    assert!(again.contains("0 to create, 0 to change, 0 to delete, 3 as they"), "{again}");

    // Others change something, and add something.
    alice.done(&["patch", "blog", "title=Ours", "motto=Fun"], "");
    alice.done(&["patch", "blog/articles", "--permission", "read=account:bob"], "");
    alice.done(&["put", "blog/drafts"], "");
    alice.done(&["put", "blog/drafts/one", "title=One"], "");
    let plan = alice.json(&["apply", "blog.yaml", "--prune", "--dry-run", "-o", "json"]);
    let steps = plan["steps"].as_array().unwrap();
    let actions: Vec<_> = steps.iter().map(|it| (&it["action"], &it["object"])).collect();
    assert_eq!(
        actions,
        [
            (&json!("change"), &json!("blog")),
            (&json!("change"), &json!("blog/collections/articles")),
            (&json!("delete"), &json!("blog/collections/drafts")),
        ]
    );
    assert_eq!(steps[2]["differences"], json!(["with 1 record"]));

    alice.done(&["apply", "blog.yaml", "--prune", "--yes"], "");
    let blog = alice.json(&["get", "blog"]);
    assert_eq!((&blog["title"], blog.get("motto")), (&json!("My blog"), None));
    let articles = alice.json(&["get", "blog/articles", "--full"]);
    assert_eq!(articles["permissions"]["read"], json!(["system.Everyone"]));
    assert_eq!(alice.fails(&["get", "blog/drafts"]).0, 3);
}

#[test]
fn a_dry_run_creates_nothing_in_default() {
    let alice = Alice::new();
    alice.write("mine.yaml", "buckets: {default: {collections: {notes: {}}}}");
    let plan = alice.done(&["apply", "mine.yaml", "--dry-run"], "");
    assert!(plan.contains("+ create default/collections/notes"), "{plan}");
    assert_eq!(alice.json(&["list", "default/", "-o", "json"]), json!([]));
    alice.done(&["apply", "mine.yaml", "--yes"], "");
    let plan = alice.done(&["apply", "mine.yaml", "--dry-run"], "");
    assert!(plan.contains("0 to create"), "{plan}");
}

#[test]
fn a_file_that_is_wrong_is_not_applied() {
    let alice = Alice::new();
    alice.write("wrong.yaml", "buckets:\n  blog:\n    permision: {}\n");
    let (code, problem) = alice.fails(&["apply", "wrong.yaml", "--yes"]);
    assert_eq!(code, 6);
    assert!(problem.contains("wrong.yaml") && problem.contains("permision"), "{problem}");
    assert_eq!(alice.fails(&["apply", "none.yaml"]).0, 1);
}

#[test]
fn objects_are_written_changed_and_deleted() {
    let alice = Alice::new();
    alice.done(&["put", "blog", "--permission", "read=system.Everyone"], "");
    alice.done(&["put", "blog/articles"], "");
    let first = alice.json(&["put", "blog/articles/first", "title=First", "n:=1"]);
    assert_eq!(
        (&first["title"], &first["n"], &first["id"]),
        (&json!("First"), &json!(1), &json!("first"))
    );
    let timestamp = first["last_modified"].to_string();

    let (code, error) = alice.fails(&["put", "blog/articles/first", "n:=2", "--if-match", "7"]);
    assert_eq!(code, 5, "{error}");
    assert!(error.contains("cumulo get"), "{error}");
    alice.done(&["put", "blog/articles/first", "title=New", "--if-match", &timestamp], "");
    let kept = alice.json(&["put", "blog/articles/first", "title=Other", "--if-not-exists"]);
    assert_eq!(kept["title"], "New");

    alice.done(
        &["patch", "blog/articles/first", "--merge", r#"{"a": {"b": 1}, "title": null}"#],
        "",
    );
    let operations = r#"[{"op": "add", "path": "/data/a/c", "value": 2}]"#;
    alice.done(&["patch", "blog/articles/first", "--json-patch", operations], "");
    let full =
        alice.json(&["patch", "blog/articles/first", "--permission", "read=account:bob", "--full"]);
    assert_eq!(full["data"]["a"], json!({"b": 1, "c": 2}));
    assert_eq!(full["permissions"]["read"], json!(["account:bob"]));

    let copy = full.to_string().replace("\"first\"", "\"copy\"");
    let copied = alice.done(&["put", "blog/articles/copy", "--full", "--overwrite", "-"], &copy);
    assert_eq!(
        serde_json::from_str::<Value>(&copied).unwrap()["permissions"]["read"],
        json!(["account:bob"])
    );
    let made = alice.json(&["put", "blog/articles/", "title=Made"]);
    let made = format!("blog/articles/{}", made["id"].as_str().unwrap());
    assert_eq!(
        alice.json(&[
            "get",
            &format!("{}/buckets/blog/collections/articles/records/copy", alice.url())
        ])["id"],
        "copy"
    );
    assert_eq!(alice.json(&["get", &format!("default:{made}")])["title"], "Made");

    alice.done(&["delete", &made], "");
    assert_eq!(alice.fails(&["get", &made]).0, 3);
    assert_eq!(alice.fails(&["delete", &made]).0, 3);
    alice.done(&["delete", &made, "--if-exists"], "");
    for (args, asked) in [
        (&["delete", "blog"][..], "Delete blog with 1 collection and 0 groups?"),
        (&["delete", "blog/articles"], "Delete blog/articles with 2 records?"),
        (&["delete", "blog/articles/", "id=copy"], "Delete 1 object of blog/articles/ (copy)?"),
    ] {
        let (code, error) = alice.fails(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(error.contains(asked) && error.contains("--yes"), "{error}");
    }
    alice.done(&["put", "blog/many"], "");
    alice.done(&["upload", "-", "blog/many"], &"{}".repeat(1_207));
    let (_, error) = alice.fails(&["delete", "blog/many/"]);
    assert!(error.contains("Delete 1,207 objects of blog/many/ (") && error.contains(", …)?"));
    let (_, error) = alice.fails(&["delete", "blog/many/", "_limit=7"]);
    assert!(error.contains("Delete 7 objects"), "{error}");
    alice.done(&["delete", "blog/many/", "_limit=7", "--yes"], "");
    assert_eq!(alice.done(&["list", "blog/many", "--count"], ""), "1200\n");
    alice.done(&["delete", "blog/articles/", "id=copy", "--yes"], "");
    assert_eq!(alice.done(&["list", "blog/articles", "--count"], ""), "1\n");
    alice.done(&["delete", "blog", "--yes"], "");
    assert_eq!(alice.done(&["list"], ""), "");
}

#[test]
fn the_exit_code_tells_what_kind_of_error_it_is() {
    let alice = Alice::new();
    alice.blog();
    alice.write("blog.yaml", BLOG);
    alice.write("wrong.json", r#"[{"id": "no id!"}]"#);
    let nobody = ["list", "blog", "--auth", "alice:wrong"];
    let nowhere = ["list", "--server", "http://127.0.0.1:1/v1", "--retry", "0"];
    for (args, expected, words) in [
        (&["get", "a/b/c/d"][..], 2, "expected BUCKET"),
        (&["get", "blog/"], 2, "cumulo list blog/"),
        (&["list", "blog/articles/first"], 2, "cumulo get blog/articles/first"),
        (&["put", "blog/x y"], 2, "not a valid id"),
        (&["delete", "", "--yes"], 2, "the address names nothing"),
        (&["delete", "/", "--yes"], 2, "the address names nothing"),
        (&["delete", "default:", "--yes"], 2, "the address names nothing"),
        (&["put", "", "a=b"], 2, "the address names nothing"),
        (&["patch", "", "a=b"], 2, "the address names nothing"),
        (&["upload", "-", "", "--kind", "json"], 2, "the address names nothing"),
        (&["upload", "-", "blog"], 2, "blog is a bucket"),
        (&["get", "http://ann:hunter2@host/"], 2, "'http://host/' is not understood"),
        (&["watch", "blog", "--interval", "0"], 2, "0.1 s or more"),
        (&["diff", "nowhere:blog", "blog"], 2, "there is no profile 'nowhere'"),
        (&["get", "blog/articles/third"], 3, "there is no record 'third'"),
        (&nobody[..], 4, "cumulo login"),
        (&["info", "--auth", "alice:wrong"], 4, "does not know these credentials"),
        (&["apply", "blog.yaml", "--yes", "--auth", "alice:wrong"], 4, "does not know these"),
        (&["get", "/accounts/bob"], 4, "cumulo"),
        (&["delete", "blog/articles/first", "--if-match", "7"], 5, "412"),
        (&["put", "blog/articles/x", "{\"a\":"], 6, "the data is not JSON"),
        (&["put", "blog/articles/x", "[1]"], 6, "the data is not a JSON object"),
        (&["patch", "blog/articles/first", "[1]"], 6, "the data is not a JSON object"),
        (&["upload", "wrong.json", "blog/articles"], 6, "object 1: "),
        (&["download", "blog/articles", "-o", "none/all.json"], 1, "none/all.json: No such file"),
        (&["list", "blog/articles", "min_last_modified=x"], 6, "min_last_modified"),
        (&nowhere[..], 8, "is the server running"),
        (&["list", "nowhere:blog"], 2, "there is no profile 'nowhere' (there are: default)"),
    ] {
        let (code, error) = alice.fails(args);
        assert_eq!(code, expected, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        let first = error.lines().next().unwrap();
        assert_eq!(error.matches(first).count(), 1, "told once: {error}");
    }
}

#[test]
fn profiles_are_private_and_the_environment_wins() {
    use std::os::unix::fs::PermissionsExt as _;
    let alice = Alice::new();
    let path = alice.folder.path().join(".config/cumulo/profiles.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = alice.done(&["login", "--list"], "");
    assert!(listed.contains("\"user\":\"alice\"") && !listed.contains("secret"), "{listed}");
    assert_eq!(alice.json(&["info"])["user"]["id"], "account:alice");

    let refused = run(&mut alice.cumulo(&["login", &alice.url(), "--user", "alice"]), "wrong\n");
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    assert!(!text(&refused.stderr).contains("wrong"));
    assert_eq!(alice.json(&["info"])["user"]["id"], "account:alice", "the profile is as it was");
    let (code, error) = alice.fails(&["login", "http://127.0.0.1:1/v1", "--anonymous"]);
    assert_eq!(code, 2);
    assert!(error.contains("--profile NAME"), "{error}");

    let who = |variables: &[(&str, &str)]| {
        let mut command = alice.cumulo(&["info", "--columns", "user.id"]);
        let output = run(command.envs(variables.iter().copied()), "");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()["user.id"].clone()
    };
    alice.done(&["login", &alice.url(), "--anonymous", "--profile", "nobody"], "");
    assert_eq!(who(&[("CUMULO_PROFILE", "nobody")]), Value::Null);
    assert_eq!(
        who(&[("CUMULO_PROFILE", "nobody"), ("CUMULO_AUTH", "alice:secret")]),
        "account:alice"
    );
    let elsewhere = format!("http://localhost:{}/v1", alice.server.address.port());
    assert_eq!(who(&[("CUMULO_SERVER", &elsewhere)]), Value::Null, "not with this password");
    alice.done(&["logout", "nobody"], "");
    let (code, error) = alice.fails(&["logout", "nobody"]);
    assert_eq!(code, 2);
    assert!(error.contains("no profile 'nobody'") && !error.contains("make it"), "{error}");
    let empty = [("CUMULO_PROFILE", ""), ("CUMULO_SERVER", ""), ("CUMULO_AUTH", "")];
    assert_eq!(who(&empty), "account:alice");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = alice.fails(&["list"]);
    assert_eq!(code, 2);
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn many_objects_go_up_and_come_down() {
    let alice = Alice::new();
    alice.blog();
    alice.done(&["delete", "blog/articles/", "--yes"], "");
    let line =
        |n: usize| json!({"id": format!("a{n}"), "n": n, "title": format!("Título, \"{n}\"")});
    let lines: Vec<_> = (0..3_000).map(|n| line(n).to_string()).collect();
    alice.write("all.ndjson", &lines.join("\n"));
    alice.done(
        &["upload", "all.ndjson", "blog/articles", "--permission", "read=system.Everyone"],
        "",
    );
    assert_eq!(alice.done(&["list", "blog/articles", "--count"], ""), "3000\n");
    let full = alice.json(&["get", "blog/articles/a7", "--full"]);
    assert_eq!(full["permissions"]["read"], json!(["system.Everyone"]));

    alice.done(
        &["download", "blog/articles", "_sort=n", "-o", "all.csv", "--columns", "id,n,title"],
        "",
    );
    assert_eq!(
        alice.read("all.csv").lines().nth(2999),
        Some("a2998,2998,\"Título, \"\"2998\"\"\"")
    );
    alice.done(&["put", "blog/copies"], "");
    alice.done(&["upload", "all.csv", "blog/copies"], "");
    let read = |list: &str| {
        alice
            .done(&["download", list, "_sort=n"], "")
            .lines()
            .map(|line| {
                let mut row: Value = serde_json::from_str(line).unwrap();
                row.as_object_mut().unwrap().remove("last_modified");
                row.to_string()
            })
            .collect::<Vec<_>>()
    };
    let sorted = |text: &str| {
        serde_json::from_str::<std::collections::BTreeMap<String, Value>>(text).unwrap()
    };
    let copies = read("blog/copies");
    assert_eq!(copies.len(), 3_000);
    assert!(copies.iter().zip(&lines).all(|(copy, line)| sorted(copy) == sorted(line)));

    let again = run(&mut alice.cumulo(&["upload", "all.ndjson", "blog/articles"]), "");
    let error = text(&again.stderr);
    assert_eq!(again.status.code(), Some(5), "{error}");
    assert!(error.contains("3000 of 3000 objects were not written"), "{error}");
    assert!(error.contains(": it is there already") && error.contains("and 2,990 more"), "{error}");
    alice.done(&["upload", "all.ndjson", "blog/articles", "--if-not-exists"], "");
    alice.done(&["upload", "-", "blog/articles", "--overwrite"], r#"[{"id": "a7", "n": -1}]"#);
    assert_eq!(alice.json(&["get", "blog/articles/a7"])["n"], -1);

    let broken = run(
        &mut alice.cumulo(&["upload", "-", "blog/copies", "--overwrite"]),
        "{\"id\": \"x\"}\n{\"id\": ",
    );
    assert_eq!(broken.status.code(), Some(6), "{}", text(&broken.stderr));
    let error = text(&broken.stderr);
    assert!(error.contains("line 2") && error.contains("1 created before the error"), "{error}");
    assert_eq!(alice.json(&["get", "blog/copies/x"])["id"], "x");
    assert_eq!(alice.fails(&["download", "nowhere/articles", "-o", "none.json"]).0, 4);
    assert!(!alice.folder.path().join("none.json").exists());
}

#[test]
fn ids_that_look_like_numbers_survive_csv() {
    let alice = Alice::new();
    alice.blog();
    alice.done(&["put", "blog/numbers"], "");
    alice.write("n.csv", "id,title\n1,One\ntrue,2\n");
    alice.done(&["upload", "n.csv", "blog/numbers"], "");
    alice.done(&["download", "blog/numbers", "-o", "again.csv", "--columns", "id,title"], "");
    alice.done(&["upload", "again.csv", "blog/numbers", "--overwrite"], "");
    assert_eq!(alice.json(&["get", "blog/numbers/1"])["title"], "One");
    assert_eq!(alice.json(&["get", "blog/numbers/true"])["title"], 2);
    assert_eq!(alice.done(&["list", "blog/numbers", "--count"], ""), "2\n");
}

#[test]
fn a_quiet_diff_says_nothing() {
    let alice = Alice::new();
    alice.blog();
    let quiet = run(&mut alice.cumulo(&["diff", "blog/articles", "blog/drafts", "-q"]), "");
    assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(1), String::new()));
}

#[test]
fn a_download_that_is_interrupted_leaves_nothing() {
    let alice = Alice::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}/v1", listener.local_addr().unwrap());
    // The first answer tells how many there are; the second never ends.
    let (begun, has_begun) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().map(Result::unwrap) {
            let begun = begun.clone();
            kept.push(stream.try_clone().unwrap());
            thread::spawn(move || {
                let mut stream = stream;
                let reader = BufReader::new(stream.try_clone().unwrap());
                for line in reader.lines().map_while(Result::ok) {
                    if line.starts_with("HEAD ") {
                        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                        stream.write_all(head.as_bytes()).unwrap();
                    } else if line.starts_with("GET ") {
                        begun.send(()).unwrap();
                    }
                }
            });
        }
    });
    let args = ["download", "blog/articles", "-o", "all.ndjson", "--server", &server];
    let mut process = alice.cumulo(&args).spawn().unwrap();
    has_begun.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(hidden_files(&alice) > 0, "there is a file that is not complete");
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(130));
    assert_eq!(hidden_files(&alice), 0);
}

/// How many files are there that are not complete.
fn hidden_files(alice: &Alice) -> usize {
    let names = fs::read_dir(alice.folder.path()).unwrap().map(|it| it.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".tmp")).count()
}

#[test]
fn who_stops_reading_is_no_error() {
    let alice = Alice::new();
    alice.blog();
    let line = json!({"title": "x".repeat(1_000)}).to_string() + "\n";
    alice.done(&["upload", "-", "blog/articles"], &line.repeat(500));
    for format in ["table", "json", "ndjson", "csv"] {
        let mut process = alice.cumulo(&["list", "blog/articles", "-o", format]).spawn().unwrap();
        let mut first = [0; 10];
        process.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{format}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn tables_have_columns() {
    let alice = Alice::new();
    alice.blog();
    let table = alice.done(
        &["list", "blog/articles", "_sort=title", "-o", "table", "--columns", "id,title,price"],
        "",
    );
    assert_eq!(
        table,
        "id      title   price\n──────  ──────  ─────\nfirst   First     3.5\nsecond  Second      2\n"
    );
    let history = alice.done(&["history", "blog/articles/first", "-o", "table"], "");
    assert!(history.starts_with("date ") && history.contains("account:alice"), "{history}");
    let info = alice.done(&["info", "-o", "table"], "");
    assert!(info.contains("user                 account:alice\n"), "{info}");
}

#[test]
fn changes_are_shown_as_they_come() {
    let alice = Alice::new();
    alice.blog();
    let args = ["watch", "blog/articles", "--since", "0", "--interval", "0.1", "--changes", "4"];
    let mut watch = alice.cumulo(&args).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((next()["id"].clone(), next()["id"].clone()), (json!("first"), json!("second")));
    alice.done(&["patch", "blog/articles/first", "title=New"], "");
    assert_eq!(next()["title"], "New");
    alice.done(&["delete", "blog/articles/second"], "");
    let last = next();
    assert_eq!((&last["id"], &last["deleted"]), (&json!("second"), &json!(true)));
    assert!(watch.wait().unwrap().success());
}

#[test]
fn a_watch_outlives_its_server() {
    let storage: fn(&Path) -> Storage = |folder| Storage::Sqlite(folder.join("test.sqlite"));
    let alice = Alice::with(storage);
    alice.blog();
    let args = ["watch", "blog/articles", "--interval", "0.1", "--changes", "1", "--retry", "0"];
    let mut watch = alice.cumulo(&args).spawn().unwrap();
    let mut remarks = BufReader::new(watch.stderr.take().unwrap()).lines();
    let mut changes = BufReader::new(watch.stdout.take().unwrap()).lines();
    // It has begun when it was answered once.
    let asked = || fs::read_to_string(&alice.server.log).unwrap().contains("_since");
    for _ in 0..500 {
        if asked() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(asked());

    let Alice { folder, server } = alice;
    let port = server.address.port();
    server.kill().unwrap();
    let remark = remarks.next().unwrap().unwrap();
    assert!(remark.contains("/articles/records"), "{remark}");
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let storage = storage(folder.path());
    let server = Server::start_on(port, &program, folder.path(), &storage, &SETTINGS).unwrap();
    let alice = Alice { folder, server };
    alice.done(&["patch", "blog/articles/first", "title=New"], "");
    let change: Value = serde_json::from_str(&changes.next().unwrap().unwrap()).unwrap();
    assert_eq!(change["title"], "New");
    assert!(watch.wait().unwrap().success());
}

/// A server that knows who comes from its provider, and a provider that lets everybody in.
fn open_id(listener: &TcpListener) {
    let token = json!({"access_token": "token", "token_type": "Bearer"}).to_string();
    let token = base64(&token).replace('=', "%3D");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
        let answer = if let Some((_, rest)) = head.split_once("login?callback=") {
            let callback = rest.split('&').next().unwrap().replace("%3A", ":").replace("%2F", "/");
            format!("302 Found\r\nLocation: {callback}{token}\r\nContent-Length: 0\r\n\r\n")
        } else {
            let provider = json!({"name": "acme", "auth_path": "/openid/acme/login"});
            let mut info = json!({"capabilities": {"openid": {"providers": [provider]}}});
            if head.to_lowercase().contains("authorization: bearer token") {
                info["user"] = json!({"id": "acme:ann"});
            }
            let info = info.to_string();
            let length = info.len();
            format!(
                "200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{info}"
            )
        };
        stream
            .write_all(
                format!("HTTP/1.1 {answer}")
                    .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
    }
}

#[test]
fn a_browser_can_log_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let alice = Alice::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    thread::spawn(move || open_id(&listener));
    // The browser.
    alice.write("xdg-open", "#!/bin/sh\nexec curl --silent --location --output /dev/null \"$1\"\n");
    let browser = alice.folder.path().join("xdg-open");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();

    let mut login = alice.cumulo(&["login", &url, "--openid", "acme", "--profile", "acme"]);
    login.env("PATH", format!("{}:/usr/bin:/bin", alice.folder.path().display()));
    let output = run(&mut login, "");
    assert!(text(&output.stderr).contains("acme:ann"), "{}", text(&output.stderr));
    let info = ["info", "acme:", "--columns", "user.id"];
    assert_eq!(alice.json(&info)["user.id"], "acme:ann");
    let folder = alice.folder.path().join(".config/cumulo");
    for file in fs::read_dir(&folder).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(alice.done(&["login", "--list"], "").contains("\"user\":\"OpenID\""));
    let (code, error) = alice.fails(&["login", &url, "--openid", "other", "--profile", "acme"]);
    assert!(code == 3 && error.contains("no provider 'other'"), "{error}");
    alice.done(&["logout", "acme"], "");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "its tokens are gone");
}
