//! Commands that keep the storage in order, through the program itself: on SQLite while no service
//! runs, on PostgreSQL beside one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use cumulo_e2e::{Program, Server, Storage, http::base64};
use cumulo_servers::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;

const SETTINGS: [(&str, &str); 5] = [
    ("kinto.includes", "kinto.plugins.accounts"),
    ("multiauth.policies", "account"),
    (
        "multiauth.policy.account.use",
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    ),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.bucket_create_principals", "system.Authenticated"),
];

/// A service with a storage of its own.
struct World {
    folder: TempDir,
    storage: Storage,
    server: Option<Server>,
}

impl World {
    fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::Sqlite(folder.path().join("test.sqlite"));
        Self { folder, storage, server: None }.begin()
    }

    fn on_postgresql() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("upkeep{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = Postgres::shared().create_database(&name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ini = format!(
            "[app:main]\nkinto.storage_backend = postgresql\nkinto.storage_url = {url}\n\
             kinto.permission_backend = postgresql\nkinto.permission_url = {url}\n"
        );
        fs::write(folder.path().join("migrate.ini"), ini).unwrap();
        let world = Self { folder, storage: Storage::Postgresql(url), server: None };
        assert_eq!(world.run(&["migrate", "--ini", "migrate.ini"]).0, 0);
        world.begin()
    }

    fn begin(mut self) -> Self {
        self.serve();
        for name in ["alice", "bob"] {
            let account = json!({"data": {"password": "secret"}});
            assert_eq!(self.send("PUT", &format!("/accounts/{name}"), "", &account).0, 201);
        }
        self
    }

    fn serve(&mut self) {
        if self.server.is_none() {
            let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
            let server = Server::start(&program, self.folder.path(), &self.storage, &SETTINGS);
            self.server = Some(server.unwrap());
        }
    }

    /// Stops the service, which owns a file.
    fn rest(&mut self) {
        if matches!(self.storage, Storage::Sqlite(_))
            && let Some(server) = self.server.take()
        {
            server.stop().unwrap();
        }
    }

    fn send(&mut self, method: &str, path: &str, user: &str, body: &Value) -> (u16, Value) {
        self.serve();
        let login = format!("Basic {}", base64(&format!("{user}:secret")));
        let mut headers = vec![("Content-Type", "application/json")];
        if !user.is_empty() {
            headers.push(("Authorization", &login));
        }
        let mut connection = self.server.as_ref().unwrap().connect().unwrap();
        let body = body.to_string();
        let body = (method != "GET").then_some(body.as_bytes());
        let path = format!("/v1{path}");
        let response = connection.request(method, &path, &headers, body).unwrap();
        (response.status, response.json().unwrap_or_default())
    }

    fn put(&mut self, path: &str, user: &str, body: &Value) {
        let (status, answer) = self.send("PUT", path, user, body);
        assert!(matches!(status, 200 | 201), "{path}: {answer}");
    }

    fn delete(&mut self, path: &str, user: &str) {
        assert_eq!(self.send("DELETE", path, user, &json!({})).0, 200, "{path}");
    }

    /// All objects and tombstones of a list, oldest first.
    fn all(&mut self, path: &str) -> Vec<Value> {
        let path = format!("{path}?_since=0&_sort=last_modified");
        let (status, answer) = self.send("GET", &path, "alice", &json!({}));
        assert_eq!(status, 200, "{path}: {answer}");
        answer["data"].as_array().unwrap().clone()
    }

    fn ids(&mut self, path: &str) -> Vec<String> {
        let name = |object: &Value| {
            let mark = if object["deleted"] == true { "†" } else { "" };
            format!("{}{mark}", object["id"].as_str().unwrap())
        };
        self.all(path).iter().map(name).collect()
    }

    /// Runs a command; its exit code and all that it says.
    fn run(&self, args: &[&str]) -> (i32, String) {
        told(&cumulo(self.folder.path(), args))
    }

    /// Runs a command on the storage.
    fn command(&mut self, line: &str) -> (i32, String) {
        self.rest();
        let args: Vec<_> = line.split(' ').chain(["--ini", "server.ini"]).collect();
        self.run(&args)
    }

    /// Runs a command that must succeed; what it says.
    fn succeed(&mut self, line: &str) -> String {
        let (code, said) = self.command(line);
        assert_eq!(code, 0, "{line}: {said}");
        said
    }

    /// Breaks something by hand.
    fn sql(&mut self, sql: &str) {
        self.rest();
        match &self.storage {
            Storage::Sqlite(file) => {
                let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                              db.executescript(sys.argv[2]); db.commit()";
                let output =
                    Command::new("python3").args(["-c", script]).arg(file).arg(sql).output();
                assert_eq!(told(&output.unwrap()).0, 0);
            }
            Storage::Postgresql(url) => {
                let database = url.rsplit('/').next().unwrap();
                Postgres::shared().query(database, sql).unwrap();
            }
            Storage::Memory => panic!("nothing is kept"),
        }
    }
}

fn cumulo(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cumulo"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn told(output: &Output) -> (i32, String) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// Expands to one test per case and storage.
macro_rules! on_each_storage {
    ($($case:ident)+) => {
        mod sqlite {
            $(#[test] fn $case() { super::$case(super::World::on_sqlite()); })+
        }
        mod postgresql {
            $(#[test] fn $case() { super::$case(super::World::on_postgresql()); })+
        }
    };
}

on_each_storage! {
    tombstones_are_purged_and_nothing_else
    a_collection_gets_another_name
    a_collection_is_removed
    a_user_is_removed_and_their_data_stays
    a_user_is_removed_with_their_data
    refusals_have_codes
    a_storage_in_order_has_no_flaws
}

const A_B: &str = "/buckets/blog/collections/a_b/records";
const AXB: &str = "/buckets/blog/collections/axb/records";

/// A bucket of alice's with two collections, live records `one`, `two` and three tombstones in the
/// one, and live records with the ids of these in the other.
fn fill(world: &mut World) {
    let shared = json!({"permissions": {"read": ["account:bob"]}});
    world.put("/buckets/blog", "alice", &shared);
    for path in [A_B, AXB] {
        world.put(path.trim_end_matches("/records"), "alice", &shared);
    }
    for id in ["one", "dead1", "dead2", "dead3", "two"] {
        world.put(&format!("{A_B}/{id}"), "alice", &json!({"data": {"of": "a_b"}}));
        world.put(&format!("{AXB}/{id}"), "alice", &shared);
    }
    for id in ["dead1", "dead2", "dead3"] {
        world.delete(&format!("{A_B}/{id}"), "alice");
    }
}

fn tombstones_are_purged_and_nothing_else(mut world: World) {
    fill(&mut world);
    let (a_b, axb) = (world.all(A_B), world.all(AXB));
    let newest = a_b.last().unwrap()["last_modified"].as_i64().unwrap();
    let said = world.succeed("purge-deleted record group 1 --dry-run");
    assert!(said.contains("2 tombstones of 1 list would be removed."), "{said}");
    assert!(said.contains("There are no lists of 'group'."), "{said}");
    let said = world.succeed("purge-deleted record 0 --before 2001-01-01");
    assert!(said.contains("nothing to remove"), "{said}");
    assert_eq!(world.all(A_B), a_b);
    let said = world.succeed("purge-deleted record 1 --yes");
    assert!(said.contains("2 tombstones of 1 list were removed."), "{said}");
    assert_eq!(world.ids(A_B), ["one", "two", "dead3†"]);
    let said = world.succeed("purge-deleted record collection 0 --before 2999-01-01");
    assert!(said.contains("1 tombstone of 1 list were removed."), "{said}");
    assert_eq!(world.ids(A_B), ["one", "two"]);
    assert_eq!(world.all(AXB), axb, "live objects with the ids of tombstones stay");
    let (_, next) = world.send("PUT", &format!("{A_B}/dead1"), "alice", &json!({"data": {}}));
    assert!(next["data"]["last_modified"].as_i64().unwrap() > newest, "{next}");
    world.succeed("check");
}

fn a_collection_gets_another_name(mut world: World) {
    fill(&mut world);
    world.put("/buckets/archive", "alice", &json!({}));
    let (a_b, axb) = (world.all(A_B), world.all(AXB));
    let said = world.succeed("rename-collection blog axb renamed --dry-run");
    assert!(said.contains("5 records and 0 tombstones would become"), "{said}");
    assert_eq!(world.ids("/buckets/blog/collections"), ["a_b", "axb"]);
    let code =
        |world: &mut World, names: &str| world.command(&format!("rename-collection {names}")).0;
    assert_eq!(code(&mut world, "blog axb a_b"), 34, "the target is there");
    assert_eq!(code(&mut world, "blog axc new"), 33);
    assert_eq!(code(&mut world, "blog2 axb new"), 32);
    assert_eq!(code(&mut world, "blog axb not*valid"), 1);
    assert_eq!(code(&mut world, "blog axb axb"), 1);
    assert_eq!(code(&mut world, "/buckets/blog/collections/axb /buckets/no/collections/x"), 32);
    assert_eq!((world.all(A_B), world.all(AXB)), (a_b.clone(), axb.clone()));

    let said = world.succeed("rename-collection blog a_b renamed --yes");
    assert!(said.contains("2 records and 3 tombstones is now /buckets/blog/collections/renamed"));
    assert_eq!(world.all("/buckets/blog/collections/renamed/records"), a_b);
    assert_eq!(world.ids("/buckets/blog/collections"), ["axb", "renamed", "a_b†"]);
    assert_eq!(world.send("GET", A_B, "alice", &json!({})).0, 404);
    let read = "/buckets/blog/collections/renamed";
    let (_, collection) = world.send("GET", read, "alice", &json!({}));
    assert_eq!(collection["permissions"]["read"], json!(["account:bob"]));
    assert_eq!(collection["permissions"]["write"], json!(["account:alice"]));

    let uris = "/buckets/blog/collections/axb /buckets/archive/collections/axb";
    world.succeed(&format!("rename-collection {uris}"));
    assert_eq!(world.all("/buckets/archive/collections/axb/records"), axb);
    assert_eq!(world.ids("/buckets/archive/collections"), ["axb"]);
    let one = "/buckets/archive/collections/axb/records/one";
    assert_eq!(world.send("GET", one, "bob", &json!({})).0, 200, "permissions of records move");
    world.put(AXB.trim_end_matches("/records"), "alice", &json!({}));
    assert_eq!(world.ids(AXB), [""; 0], "nothing is left where it was");
    world.succeed("check");
}

fn a_collection_is_removed(mut world: World) {
    fill(&mut world);
    let axb = world.all(AXB);
    let said = world.succeed("delete-collection blog a_b --dry-run");
    assert!(said.contains("a_b with 2 records and 3 tombstones would be removed."), "{said}");
    assert_eq!(world.ids(A_B).len(), 5);
    world.succeed("delete-collection blog a_b");
    assert_eq!(world.send("GET", A_B, "alice", &json!({})).0, 404);
    assert_eq!(world.all(AXB), axb);
    assert_eq!(world.ids("/buckets/blog/collections"), ["axb", "a_b†"]);
    world.put(A_B.trim_end_matches("/records"), "alice", &json!({}));
    assert_eq!(world.ids(A_B), [""; 0]);
    assert_eq!(world.command("delete-collection blog missing").0, 33);
    assert_eq!(world.command("delete-collection missing a_b").0, 32);
    world.succeed("check");
}

/// What alice, bob and a group have in common, beside [`fill`].
fn share(world: &mut World) {
    fill(world);
    world.put("/buckets/common", "bob", &json!({"permissions": {"write": ["account:alice"]}}));
    let members = json!({"data": {"members": ["account:alice", "account:alicex"]}});
    world.put("/buckets/common/groups/g_1", "bob", &members);
    let alone = json!({"permissions": {"write": ["account:alice"]}});
    world.put("/buckets/common/collections/hers", "alice", &alone);
}

fn a_user_is_removed_and_their_data_stays(mut world: World) {
    share(&mut world);
    let said = world.succeed("delete-user -u alice --dry-run");
    for part in [
        "The account 'alice' is removed.",
        "groups lose the member:\n  /buckets/common/groups/g_1",
        "which stay",
        "  /buckets/blog\n",
        "  and 1 more",
        "on these:\n  /buckets/common",
        "Nothing was changed.",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(world.send("GET", "/accounts/alice", "alice", &json!({})).0, 200);
    world.succeed("delete-user --username alice --yes");
    assert_eq!(world.send("GET", "/accounts/alice", "alice", &json!({})).0, 401);
    assert_eq!(world.send("GET", A_B, "bob", &json!({})).0, 200, "bob may read it still");
    let (_, group) = world.send("GET", "/buckets/common/groups/g_1", "bob", &json!({}));
    assert_eq!(group["data"]["members"], json!(["account:alicex"]));
    let account = json!({"data": {"password": "secret"}});
    world.put("/accounts/alice", "", &account);
    for path in [A_B, "/buckets/common", "/buckets/common/groups/g_1"] {
        assert_eq!(world.send("GET", path, "alice", &json!({})).0, 403, "{path}");
    }
    world.succeed("check");
}

fn a_user_is_removed_with_their_data(mut world: World) {
    share(&mut world);
    let said = world.succeed("delete-user -u alice --with-data");
    assert!(said.contains("The user 'alice' is removed: "), "{said}");
    let (_, buckets) = world.send("GET", "/buckets", "bob", &json!({}));
    assert_eq!(buckets["data"].as_array().unwrap().len(), 1, "{buckets}");
    let (_, common) = world.send("GET", "/buckets/common/collections", "bob", &json!({}));
    // Who creates something may write it too.
    assert_eq!(common["data"], json!([]));
    world.put("/accounts/alice", "", &json!({"data": {"password": "secret"}}));
    world.put("/buckets/blog", "alice", &json!({}));
    assert_eq!(world.ids("/buckets/blog/collections"), [""; 0]);
    assert_eq!(world.send("GET", "/buckets/common", "alice", &json!({})).0, 403);
    world.succeed("check");
    world.succeed("delete-user -u alice --with-data");
    assert_eq!(world.command("delete-user -u alice --with-data").0, 54, "nothing is left");
}

fn refusals_have_codes(mut world: World) {
    fill(&mut world);
    assert_eq!(world.command("delete-user -u carol").0, 54);
    assert_eq!(world.command("delete-user -u not*valid").0, 1);
    let ini = fs::read_to_string(world.folder.path().join("server.ini")).unwrap();
    let lines = [
        "delete-user -u alice",
        "purge-deleted record 0",
        "delete-collection blog a_b",
        "rename-collection blog a_b new",
        "counters rebuild",
        "check --repair",
    ];
    let with = |setting: &str| {
        let text = ini.replace("[app:main]", &format!("[app:main]\n{setting}"));
        fs::write(world.folder.path().join("other.ini"), text).unwrap();
        let told = lines.iter().map(|line| {
            let args: Vec<_> = line.split(' ').chain(["--ini", "other.ini"]).collect();
            world.run(&args)
        });
        told.collect::<Vec<_>>()
    };
    for (code, said) in with("kinto.readonly = true") {
        assert_eq!(code, 51, "{said}");
    }
    for line in lines.iter().filter(|line| !line.starts_with("check")) {
        let args: Vec<_> = line.split(' ').chain(["--dry-run", "--ini", "other.ini"]).collect();
        assert_eq!(world.run(&args).0, 0, "{line} --dry-run");
    }
    let without = SETTINGS.map(|(name, value)| format!("{name} = {value}\n"));
    let without: Vec<_> = without.iter().map(String::as_str).collect();
    let plain = without.iter().fold(ini.clone(), |ini, line| ini.replace(line, ""));
    fs::write(world.folder.path().join("plain.ini"), plain).unwrap();
    assert_eq!(world.run(&["delete-user", "-u", "alice", "--ini", "plain.ini"]).0, 52);
    let memory = "[app:main]\nkinto.includes = accounts\nmultiauth.policies = account\n\
                  multiauth.policy.account.use = kinto.plugins.accounts.AccountsPolicy\n";
    fs::write(world.folder.path().join("memory.ini"), memory).unwrap();
    for line in lines.iter().chain(&["check"]) {
        let args: Vec<_> = line.split(' ').chain(["--ini", "memory.ini"]).collect();
        let (code, said) = world.run(&args);
        assert!(code == 1 && said.contains("in the memory of the service"), "{line}: {said}");
    }
    assert_eq!(world.ids(A_B).len(), 5, "nothing was changed");
}

fn a_storage_in_order_has_no_flaws(mut world: World) {
    share(&mut world);
    let said = world.succeed("check");
    assert!(said.contains("all is well"), "{said}");
    assert_eq!(world.succeed("check -q"), "");
    let said = world.succeed("check --repair --yes");
    assert!(said.contains("0 permissions and memberships of nothing removed"), "{said}");
}

/// Breaks a storage and lets it be checked: each flaw is told with its place.
fn broken(mut world: World, sql: &str, flaws: &[&str]) -> World {
    share(&mut world);
    world.sql(sql);
    let (code, said) = world.command("check");
    assert_eq!(code, 1, "{said}");
    for flaw in flaws {
        assert!(said.contains(flaw), "{flaw} in {said}");
    }
    let (told, found) = said.rsplit_once("looked at: ").unwrap();
    let logged = told.lines().filter(|line| line.contains(" WARN ")).count();
    let lines = told.lines().count() - 1 - logged;
    assert_eq!(lines, flaws.len(), "{said}");
    assert!(found.starts_with(&format!("{lines} ")), "{said}");
    world
}

#[test]
fn what_is_broken_in_sqlite_is_found() {
    let sql = "
        UPDATE object SET data = '[1]' WHERE id = 'one' AND list = (
            SELECT id FROM list WHERE parent LIKE '%axb');
        UPDATE object SET data = '{\"a\":' WHERE id = 'two' AND list = (
            SELECT id FROM list WHERE parent LIKE '%axb');
        UPDATE object SET id = 'not/valid' WHERE id = 'hers';
        UPDATE object SET last_modified = (SELECT last_modified FROM object WHERE id = 'dead3'
            AND deleted = 1) WHERE id = 'one' AND list = (
            SELECT id FROM list WHERE parent LIKE '%a/_b' ESCAPE '/');
        UPDATE list SET live = 17 WHERE parent = '/buckets/blog';
        UPDATE list SET last_modified = 5 WHERE parent = '' AND resource = 'bucket';
        INSERT INTO list VALUES (900, '/buckets/nowhere', 'group', 7, 1);
        INSERT INTO object VALUES (900, 0, 7, 'lost', NULL, '{}');
        INSERT INTO object VALUES (901, 0, 7, 'lost', NULL, '{}');
        UPDATE object SET acl = 999 WHERE id = 'bob';
        INSERT INTO membership VALUES ('account:eve', '/buckets/common/groups/gone');
        INSERT INTO membership VALUES ('account:eve', '/buckets/common/groups/g_1');
        INSERT INTO access VALUES ('account:eve', 'write', 1);";
    let flaws = [
        "/buckets/blog/collections/axb/records/one: its data is not a JSON object",
        "/buckets/blog/collections/axb/records/two: its data is not a JSON object",
        "/buckets/common/collections/not/valid: no object of this kind can have this id",
        "another of its list has its timestamp",
        "/buckets/blog/collections: it is said to have 17 objects, but has 2",
        "/buckets: its timestamp is 5, but it holds one of ",
        "/buckets/nowhere/groups: 1 objects and 0 tombstones are in it, but /buckets/nowhere is",
        "table object, list 901: 1 objects are in this list, which is not there",
        "/accounts/bob: its access control list 999 is not there",
        "bob/accounts: it can't be read: ",
        "/buckets/common/groups/gone: account:eve belongs to this group, which is not there",
        "/buckets/common/groups/g_1: account:eve belongs to this group, which does not list it",
        "table access, account:eve, write: the access control list 1 does not hold it",
    ];
    broken(World::on_sqlite(), sql, &flaws);
}

#[test]
fn what_is_broken_in_postgresql_is_found() {
    let sql = "
        UPDATE objects SET data = '[1]' WHERE id = 'one' AND parent_id LIKE '%axb';
        UPDATE objects SET id = 'not/valid' WHERE id = 'hers';
        INSERT INTO objects VALUES ('lost', '/buckets/nowhere', 'group', now(), '{}', false);
        INSERT INTO user_principals VALUES ('account:eve', '/buckets/common/groups/gone'),
            ('account:eve', '/buckets/common/groups/g_1'), ('account:eve', 'odd');
        INSERT INTO access_control_entries VALUES ('/buckets/common/groups/gx1', 'read', 'x'),
            ('/buckets/blog/collections/a_b/records/dead3', 'write', 'account:eve');
        DROP TRIGGER cumulo_commit_order ON objects;
        DROP INDEX idx_objects_parent_id_resource_name_last_modified;";
    let flaws = [
        "/buckets/blog/collections/axb/records/one: its data is not a JSON object",
        "/buckets/common/collections/not/valid: no object of this kind can have this id",
        "/buckets/common/collections/hers: write is given to account:alice, but there is no such",
        "/buckets/nowhere/groups: 1 objects and 0 tombstones are in it, but /buckets/nowhere is",
        "/buckets/common/groups/gone: account:eve belongs to this group, which is not there",
        "/buckets/common/groups/g_1: account:eve belongs to this group, which does not list it",
        "odd: account:eve belongs to this group, which is not there",
        "/buckets/common/groups/gx1: read is given to x, but there is no such object",
        "/buckets/blog/collections/a_b/records/dead3: write is given to account:eve, but there",
        "trigger cumulo_commit_order: it is missing",
        "index idx_objects_parent_id_resource_name_last_modified: it is missing",
    ];
    broken(World::on_postgresql(), sql, &flaws);
}

#[test]
fn what_can_be_mended_is_mended() {
    let sql = "UPDATE list SET live = 17 WHERE parent = '/buckets/blog';
        INSERT INTO membership VALUES ('account:eve', '/buckets/common/groups/gone');";
    let mut world = broken(World::on_sqlite(), sql, &["said to have 17", "groups/gone"]);
    let said = world.succeed("check --repair");
    assert!(said.contains("1 count corrected, 1 permission or membership of nothing"), "{said}");
    assert!(said.contains("all is well"), "{said}");

    let sql = "INSERT INTO user_principals VALUES ('account:eve', '/buckets/common/groups/gone');
        INSERT INTO access_control_entries VALUES ('/buckets/common/groups/gx1', 'read', 'x');";
    let mut world = broken(World::on_postgresql(), sql, &["groups/gone", "groups/gx1"]);
    let said = world.succeed("check --repair");
    assert!(said.contains("2 permissions and memberships of nothing removed"), "{said}");
    assert!(said.contains("all is well"), "{said}");
    assert_eq!(world.send("GET", A_B, "bob", &json!({})).0, 200, "other permissions stay");
}

#[test]
fn a_damaged_file_is_found() {
    let mut world = World::on_sqlite();
    fill(&mut world);
    world.rest();
    world.sql(
        "CREATE TABLE more (a); CREATE INDEX of_more ON more (a); INSERT INTO more VALUES (1);
        PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'object_id';",
    );
    let before = fs::read(world.folder.path().join("test.sqlite")).unwrap();
    let (code, said) = world.command("check");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the file: "), "{said}");
    assert_eq!(fs::read(world.folder.path().join("test.sqlite")).unwrap(), before);
}

#[test]
fn counts_are_rebuilt_where_there_are_any() {
    let mut world = World::on_sqlite();
    fill(&mut world);
    world.sql("UPDATE list SET live = 17 WHERE parent = '/buckets/blog/collections/a_b'");
    for (line, done) in [(" --dry-run", "would be"), ("", "were")] {
        let said = world.succeed(&format!("counters rebuild{line}"));
        let flaw =
            "/buckets/blog/collections/a_b/records: it was said to have 17 objects, but has 2";
        assert!(said.contains(flaw), "{said}");
        assert!(said.contains("1 count of ") && said.contains(done), "{said}");
    }
    assert!(world.succeed("counters rebuild").contains("0 counts of "));
    let mut world = World::on_postgresql();
    fill(&mut world);
    let said = world.succeed("counters rebuild");
    assert!(said.contains("keeps no counts"), "{said}");
}

#[test]
fn writers_beside_a_rename_lose_nothing() {
    let mut world = World::on_postgresql();
    fill(&mut world);
    let login = format!("Basic {}", base64("alice:secret"));
    let headers = [("Content-Type", "application/json"), ("Authorization", login.as_str())];
    let connect = || world.server.as_ref().unwrap().connect().unwrap();
    let writer = &|name: usize| {
        let mut connection = connect();
        let mut written = Vec::new();
        loop {
            let id = format!("w{name}-{}", written.len());
            let path = format!("/v1{A_B}/{id}");
            let response = connection.request("PUT", &path, &headers, Some(b"{}")).unwrap();
            match response.status {
                201 => written.push(id),
                404 => return written,
                other => panic!("{other}"),
            }
        }
    };
    let written: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|name| scope.spawn(move || writer(name))).collect();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let line = ["rename-collection", "--ini", "server.ini", "blog", "a_b", "moved"];
        let (code, said) = world.run(&line);
        assert_eq!(code, 0, "{said}");
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(written.len() > 3, "{written:?}");
    let moved = world.ids("/buckets/blog/collections/moved/records");
    for id in written {
        assert!(moved.contains(&id), "{id} was acknowledged");
    }
    world.succeed("check");
}

#[test]
fn a_check_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing.sqlite");
    let ini = format!(
        "[app:main]\nkinto.storage_backend = sqlite\nkinto.storage_url = sqlite:///{}\n",
        file.display()
    );
    fs::write(folder.path().join("test.ini"), ini).unwrap();
    let (code, said) = told(&cumulo(folder.path(), &["check", "--ini", "test.ini"]));
    assert!(code == 1 && said.contains("missing.sqlite"), "{said}");
    assert!(!file.exists());
}

#[test]
fn a_running_service_keeps_its_file() {
    let mut world = World::on_sqlite();
    fill(&mut world);
    let (code, said) = world.run(&["purge-deleted", "record", "0", "--ini", "server.ini"]);
    assert!(code == 1 && said.contains("in use by another process"), "{said}");
    let (code, said) = world.run(&["check", "--ini", "server.ini"]);
    assert!(code == 1 && said.contains("in use by another process"), "{said}");
}

#[test]
fn whoever_sits_at_a_terminal_is_asked() {
    let mut world = World::on_sqlite();
    fill(&mut world);
    world.rest();
    // A terminal of its own, at which somebody types.
    let script = "import os, pty, sys\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:2] + sys.argv[3:])\n\
        os.write(terminal, sys.argv[2].encode() + b'\\n')\n\
        said = b''\n\
        try:\n\
        \x20   while (part := os.read(terminal, 4096)): said += part\n\
        except OSError: pass\n\
        sys.stdout.buffer.write(said)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let answer = |answer: &str, line: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", script, env!("CARGO_BIN_EXE_cumulo"), answer]);
        command.args(line.split(' ')).args(["--ini", "server.ini"]);
        told(&command.current_dir(world.folder.path()).output().unwrap())
    };
    for (typed, line) in [
        ("n", "delete-collection blog a_b"),
        ("", "rename-collection blog a_b new"),
        ("no", "purge-deleted record 0"),
        ("never", "delete-user -u alice"),
    ] {
        let (code, said) = answer(typed, line);
        assert_eq!(code, 53, "{line}: {said}");
        assert!(said.contains("[y/N]"), "{said}");
    }
    assert_eq!(answer("n", "purge-deleted record 2 --yes").0, 0);
    assert_eq!(answer("y", "delete-collection blog a_b").0, 0);
    assert_eq!(world.command("delete-collection blog a_b").0, 33);
}
