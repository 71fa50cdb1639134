//! Pulls from the genuine Kinto, which goes on changing, and compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cumulo_e2e::http::Connection;
use cumulo_e2e::{Program, Server, Storage};
use serde_json::{Value, json};

use super::cumulo::Cumulo;
use crate::{packages, project};

const RECORDS: usize = 1500;
const ADMIN: &str = "admin:secret";
const SETTINGS: &[(&str, &str)] = &[
    ("kinto.includes", "kinto.plugins.accounts kinto.plugins.flush"),
    ("multiauth.policies", "account"),
    (
        "multiauth.policy.account.use",
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    ),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.account_write_principals", "account:admin"),
    ("kinto.account_read_principals", "account:admin"),
    ("kinto.bucket_create_principals", "system.Authenticated"),
    ("kinto.bucket_write_principals", "account:admin"),
    ("kinto.bucket_read_principals", "account:admin"),
    ("kinto.paginate_by", "100"),
];

/// Returns how many checks passed.
pub(super) fn run(program: &Cumulo, seed: u64) -> Result<usize> {
    println!("from Kinto");
    let programs = packages::python(&project::root().join("benches/kinto/requirements.txt"))?;
    let folder = tempfile::tempdir()?;
    let kinto = programs.join("kinto").display().to_string();
    let words = [&kinto, "start", "--ini", "{ini}", "--port", "{port}"].map(ToString::to_string);
    let server = Server::start(&Program::new(words), folder.path(), &Storage::Memory, SETTINGS)?;
    let mut client = Client(server.connect()?);
    client.fill()?;

    let place = folder.path().join("store");
    let storage = Storage::Sqlite(place.join("cumulo.sqlite"));
    let ini = program.settings(folder.path(), &storage)?;
    let url = server.url();
    let pull = ["import", "--from-kinto", &url, "--auth", ADMIN];
    let mut kills = 0;
    for n in 1..4_u32 {
        let pause = Duration::from_millis(50 + seed.rotate_left(7 * n) % 300);
        if program.run(&ini, &pull)?.kill_after(pause)? {
            kills += 1;
        } else {
            // It was over: begin again.
            fs::remove_dir_all(&place)?;
        }
        client.change(n)?;
    }
    program.run(&ini, &pull)?.finish()?;
    let output = folder.path().join("pulled.jsonl");
    program.export(&ini, &output)?.finish()?;
    let compared = client.compare(&output)?;
    println!("  {compared} objects are as Kinto shows them, after {kills} kills");
    can_log_in(&programs, &output)?;
    Ok(2)
}

struct Client(Connection);

impl Client {
    fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string);
        let authorization = "Basic YWRtaW46c2VjcmV0";
        let mut headers = vec![("Authorization", authorization)];
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let path = format!("/v1{path}");
        let response = self.0.request(method, &path, &headers, body.as_deref().map(str::as_bytes));
        response?.succeeded().with_context(|| format!("{method} {path}"))?.json()
    }

    fn put(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.send("PUT", path, Some(body))
    }

    fn fill(&mut self) -> Result<()> {
        for (name, password) in [("admin", "secret"), ("ann", "s3kr1t")] {
            let account = json!({"data": {"password": password, "mail": "é@example.com"}});
            self.put(&format!("/accounts/{name}"), &account)?;
        }
        self.put("/buckets/blog", &json!({"permissions": {"read": ["system.Everyone"]}}))?;
        self.put("/buckets/empty", &json!({"data": {"why": null}}))?;
        self.put("/buckets/blog/groups/g", &json!({"data": {"members": ["account:ann"]}}))?;
        for collection in ["posts", "drafts", "none"] {
            let path = format!("/buckets/blog/collections/{collection}");
            self.put(&path, &json!({"permissions": {"record:create": ["account:ann"]}}))?;
        }
        for n in 0..RECORDS {
            self.record("posts", n, 0)?;
        }
        for n in 0..30 {
            self.record("drafts", n, 0)?;
        }
        for n in 0..20 {
            self.send("DELETE", &format!("/buckets/blog/collections/posts/records/r{n}"), None)?;
        }
        let past = json!({"data": {"last_modified": 5, "old": true}});
        self.put("/buckets/blog/collections/posts/records/past", &past)?;
        Ok(())
    }

    fn record(&mut self, collection: &str, n: usize, version: u32) -> Result<()> {
        let data = json!({"n": n, "version": version, "x": [1.50, "é \" \\", {"deep": null}]});
        let permissions =
            if n.is_multiple_of(2) { json!({"read": ["account:ann"]}) } else { json!({}) };
        let path = format!("/buckets/blog/collections/{collection}/records/r{n}");
        self.put(&path, &json!({"data": data, "permissions": permissions})).map(drop)
    }

    /// Changes, deletes and adds something everywhere.
    fn change(&mut self, version: u32) -> Result<()> {
        let n = version as usize;
        for n in [25 * n, 100 * n, RECORDS + n] {
            self.record("posts", n, version)?;
        }
        self.send("DELETE", &format!("/buckets/blog/collections/posts/records/r{}", 40 + n), None)?;
        self.put("/buckets/blog/groups/g", &json!({"data": {"members": ["account:admin"]}}))?;
        if version == 2 {
            self.send("DELETE", "/buckets/blog/collections/drafts", None)?;
            self.put("/buckets/late", &json!({}))?;
            self.put("/buckets/late/collections/c", &json!({}))?;
        }
        Ok(())
    }

    /// Compares everything that was pulled with what the server shows.
    fn compare(&mut self, export: &Path) -> Result<usize> {
        let mut found = BTreeMap::new();
        let mut memberships = Vec::new();
        let mut list = String::new();
        for line in fs::read_to_string(export)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            if let Some(it) = line.get("list") {
                let parent = it["parent"].as_str().unwrap_or_default();
                let resource = it["resource"].as_str().unwrap_or_default();
                list = if resource == "account" {
                    "/accounts".into()
                } else {
                    format!("{parent}/{resource}s")
                };
            } else if let Some(it) = line.get("object") {
                let id = it["id"].as_str().unwrap_or_default();
                found.insert((list.clone(), id.to_owned()), it.clone());
            } else if let Some(it) = line.get("membership") {
                memberships.push(it.clone());
            }
        }
        let group = "/buckets/blog/groups/g";
        ensure!(memberships == [json!({"member": "account:admin", "group": group})]);
        let mut compared = 0;
        let mut lists = vec!["/accounts".to_owned(), "/buckets".to_owned()];
        while let Some(list) = lists.pop() {
            // Paging is not what is tested here.
            let mut path = format!("{list}?_since=0&_limit=100&_sort=last_modified");
            loop {
                let page = self.send("GET", &path, None)?;
                let Some(objects) = page["data"].as_array().filter(|it| !it.is_empty()) else {
                    break;
                };
                for listed in objects {
                    self.same(&list, listed, &mut found, &mut lists)?;
                    compared += 1;
                }
                let end = &objects[objects.len() - 1]["last_modified"];
                path = format!("{list}?_since={end}&_limit=100&_sort=last_modified");
            }
        }
        ensure!(found.is_empty(), "these are not on the server: {:?}", found.keys());
        Ok(compared)
    }

    fn same(
        &mut self,
        list: &str,
        listed: &Value,
        found: &mut BTreeMap<(String, String), Value>,
        lists: &mut Vec<String>,
    ) -> Result<()> {
        let id = listed["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("{list}/{id}");
        let ours =
            found.remove(&(list.to_owned(), id)).with_context(|| format!("{path} is missing"))?;
        ensure!(ours["last_modified"] == listed["last_modified"], "{path}: {ours} is not {listed}");
        if listed["deleted"] == true {
            ensure!(ours["deleted"] == true, "{path} was deleted");
            return Ok(());
        }
        let mut answer = self.send("GET", &path, None)?;
        let mut data = answer["data"].take();
        if let Some(data) = data.as_object_mut() {
            data.remove("id");
            data.remove("last_modified");
        }
        ensure!(ours["data"] == data, "{path}: {} is not {data}", ours["data"]);
        for (permission, holders) in answer["permissions"].as_object().into_iter().flatten() {
            let mut holders: Vec<_> = holders.as_array().into_iter().flatten().collect();
            holders.sort_by_key(|holder| holder.as_str());
            let ours: Vec<_> =
                ours["permissions"][permission].as_array().into_iter().flatten().collect();
            ensure!(ours == holders, "{path}: {permission} is {ours:?}, not {holders:?}");
        }
        match list.rsplit('/').next() {
            Some("buckets") => {
                lists.extend(["groups", "collections"].map(|kind| format!("{path}/{kind}")));
            }
            Some("collections") => lists.push(format!("{path}/records")),
            _ => {}
        }
        Ok(())
    }
}

/// The password hash that was pulled is that of the password.
fn can_log_in(programs: &Path, export: &Path) -> Result<()> {
    let text = fs::read_to_string(export)?;
    let line = text.lines().find(|line| line.contains(r#""object":{"id":"ann""#));
    let line: Value = serde_json::from_str(line.context("the account is missing")?)?;
    let hash = line["object"]["data"]["password"].as_str().context("no password hash")?;
    let script =
        "import bcrypt, sys; sys.exit(not bcrypt.checkpw(b's3kr1t', sys.argv[1].encode()))";
    project::run(Command::new(programs.join("python")).args(["-c", script, hash]))
}
