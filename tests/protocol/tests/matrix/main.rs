//! Who may do what: every request of `requests.txt`, sent by everybody, over every store. What is
//! expected follows from the two tables beside this file and a page of rules ([`model`]).
//!
//! To cover another endpoint, add its lines to `requests.txt`; another kind of object also to
//! `rights.txt`, and one such object to `world.rs`. Accounts and history have tables of their own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod default_bucket;
mod history;
mod model;
mod rehearsal;
mod world;

use std::collections::BTreeSet;

use http::Method;
use protocol_tests::{Client, Kind, Response, on_each_store};
use serde_json::{Value, json};

use model::{Line, Person, Verdict, is_list, kind_of};
use rehearsal::Content;
use world::{World, content};

use accounts::accounts_are_for_their_owners_and_administrators;
use default_bucket::the_default_bucket_is_a_bucket_like_others;
use history::history_is_for_who_could_read_what_it_tells;

on_each_store!(
    everybody_gets_what_is_theirs_and_no_more
    the_default_bucket_is_a_bucket_like_others
    accounts_are_for_their_owners_and_administrators
    history_is_for_who_could_read_what_it_tells
);

fn everybody_gets_what_is_theirs_and_no_more(kind: Kind) {
    let (world, lines) = (World::new(kind), Line::all());
    let mut problems = Vec::new();
    for person in &world.people {
        let checks = lines.iter().map(|line| Check { world: &world, line, person });
        let checks: Vec<_> = checks.collect();
        problems.extend(checks.iter().filter_map(Check::directly));
        // What changes something is alone in its batch: none of that stays.
        let in_json = checks.into_iter().filter(|check| !check.line.is_typed());
        let (alone, together): (Vec<_>, Vec<_>) = in_json.partition(Check::changes);
        for batch in together.chunks(25).chain(alone.chunks(1)) {
            problems.extend(in_a_batch(&world, person, batch));
        }
    }
    none(&problems);
    assert_eq!(content(&world.app), world.content, "something was changed in passing");
}

/// Fails with the first problems.
#[track_caller]
fn none(problems: &[String]) {
    let first: Vec<_> = problems.iter().take(20).map(String::as_str).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), first.join("\n"));
}

/// One request of one person.
struct Check<'a> {
    world: &'a World,
    line: &'a Line,
    person: &'a Person,
}

impl Check<'_> {
    fn directly(&self) -> Option<String> {
        let client = self.world.client(self.person);
        let response = send(&client, self.line);
        let changed = changed(self.world);
        let result = self.problem(response.status, &response.json, &changed, Some(&response));
        result.map(|problem| self.told(&problem, &response.json))
    }

    /// The request, as a batch has it.
    fn item(&self) -> Value {
        let mut item = json!({"method": self.line.method, "path": self.line.path});
        if let Ok(body) = serde_json::from_str::<Value>(&self.line.body) {
            item["body"] = body;
        }
        if let Some((name, value)) = &self.line.header {
            item["headers"] = json!({name: value});
        }
        item
    }

    /// Whether the request is to change something.
    fn changes(&self) -> bool {
        let refused = self.world.model.verdict(self.person, self.line) == Verdict::Refused;
        let is_read = ["GET", "HEAD"].contains(&self.line.method.as_str());
        !refused && !is_read && self.line.status < 300
    }

    fn told(&self, problem: &str, answer: &Value) -> String {
        let Line { method, path, body, header, .. } = self.line;
        format!("{method} {path} {header:?} {body} by {}: {problem}: {answer}", self.person.name)
    }

    /// What is wrong with an answer, or with what the request has done. Only an answer that is not
    /// in a batch has headers to look at.
    fn problem(
        &self,
        status: u16,
        body: &Value,
        changed: &BTreeSet<String>,
        response: Option<&Response>,
    ) -> Option<String> {
        let verdict = self.world.model.verdict(self.person, self.line);
        let expected = match verdict {
            Verdict::Refused if self.person.id.is_some() => 403,
            Verdict::Refused => 401,
            _ => self.line.status,
        };
        if status != expected {
            return Some(format!("{status} in place of {expected}"));
        }
        if let Some(uri) = self.leak(&format!("{body}{response:?}")) {
            return Some(format!("shows {uri}"));
        }
        if verdict == Verdict::Refused {
            return refusal_problem(body, response).or_else(|| {
                (!changed.is_empty()).then(|| format!("refused, but changed {changed:?}"))
            });
        }
        self.content_problem(&verdict, body, response)
            .or_else(|| self.change_problem(&verdict, changed))
    }

    /// An object of which the answer shows data or permissions that it must not.
    fn leak(&self, text: &str) -> Option<String> {
        let marked = |mark: &'static str| {
            let ends = ['"', '\\', '\''];
            text.split(mark).skip(1).map(move |rest| rest.split(ends).next().unwrap_or_default())
        };
        let (model, person) = (&self.world.model, self.person);
        let hidden = marked("mark-of-").find(|uri| !model.may(person, "see", kind_of(uri), uri));
        // Who writes an object becomes one of its writers, who see its permissions.
        let has_written = |uri: &str| self.line.takes == "write" && self.line.uri() == uri;
        let writes = |uri: &str| person.holds.contains(&(uri.to_owned(), "write".to_owned()));
        let mut acls = marked("acl-of-").filter(|uri| !has_written(uri) && !writes(uri));
        hidden.or_else(|| acls.next()).map(str::to_owned)
    }

    /// What is wrong with an answer that shows something.
    fn content_problem(
        &self,
        verdict: &Verdict,
        body: &Value,
        response: Option<&Response>,
    ) -> Option<String> {
        let line = self.line;
        if line.uri() == "/permissions" && line.method == "GET" && self.person.setting.is_empty() {
            return self.permissions_problem(body);
        }
        let Verdict::Only(uris) = verdict else { return None };
        if line.status != 200 {
            return None;
        }
        if line.method == "HEAD" {
            let total = response?.header("total-objects").to_owned();
            return (total != uris.len().to_string()).then(|| format!("counts {total}"));
        }
        let found = body["data"].as_array()?.iter();
        let found = found.filter(|object| object["deleted"].is_null() || line.takes == "clear");
        let ids: BTreeSet<_> = found.filter_map(|object| object["id"].as_str()).collect();
        let expected = self.listed(uris);
        let expected: BTreeSet<_> =
            expected.iter().filter_map(|uri| uri.rsplit('/').next()).collect();
        (ids != expected).then(|| format!("lists {ids:?} in place of {expected:?}"))
    }

    /// What of a list the query leaves.
    fn listed(&self, uris: &BTreeSet<String>) -> BTreeSet<String> {
        let wanted = self.line.path.split_once("?id=").map(|(_, id)| id);
        let is_wanted = |uri: &&String| wanted.is_none_or(|id| uri.rsplit('/').next() == Some(id));
        uris.iter().filter(is_wanted).cloned().collect()
    }

    /// `/permissions` names the objects on which somebody holds something, and no other.
    fn permissions_problem(&self, body: &Value) -> Option<String> {
        let entries = body["data"].as_array()?.iter();
        let uris: BTreeSet<_> = entries.filter_map(|entry| entry["uri"].as_str()).collect();
        let held: BTreeSet<_> = self.person.holds.iter().map(|(uri, _)| uri.as_str()).collect();
        (uris != held).then(|| format!("tells of {uris:?}"))
    }

    /// What is wrong with what was changed by a request that was allowed.
    fn change_problem(&self, verdict: &Verdict, changed: &BTreeSet<String>) -> Option<String> {
        let line = self.line;
        let object = line.object();
        let is_below = |key: &str, uri: &str| {
            key.strip_prefix(uri).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(' '))
        };
        let with_all_below = |uri: &str| {
            let keys = self.world.content.keys();
            keys.filter(|key| *key == uri || is_below(key, uri)).cloned().collect::<Vec<_>>()
        };
        let expected: BTreeSet<String> = match (line.method.as_str(), verdict) {
            _ if line.uri().starts_with("/__user_data__") => return None,
            ("DELETE", Verdict::Only(uris)) if line.status == 200 => {
                self.listed(uris).iter().flat_map(|uri| with_all_below(uri)).collect()
            }
            ("DELETE", _) if line.status == 200 => with_all_below(&object).into_iter().collect(),
            ("POST", _) if line.status == 201 && is_list(&object) => {
                let is_one = changed.len() == 1 && changed.iter().all(|key| is_below(key, &object));
                return (!is_one).then(|| format!("has changed {changed:?}"));
            }
            ("POST" | "PUT", _) if line.status == 201 => [object].into(),
            ("PUT" | "PATCH", _) if line.status == 200 => {
                // Members of a group come and go with it.
                let ours = |key: &String| *key == object || key.starts_with(&format!("{object} "));
                let is_right = changed.contains(&object) && changed.iter().all(ours);
                return (!is_right).then(|| format!("has changed {changed:?}"));
            }
            _ => BTreeSet::new(),
        };
        (*changed != expected).then(|| format!("has changed {changed:?} in place of {expected:?}"))
    }
}

/// What is wrong with the answers to requests in one batch.
fn in_a_batch(world: &World, person: &Person, checks: &[Check<'_>]) -> Vec<String> {
    let items: Vec<_> = checks.iter().map(Check::item).collect();
    let response = world.client(person).post("/batch", &json!({"requests": items}));
    let changed = changed(world);
    let answer = |(n, check): (usize, &Check<'_>)| {
        let answer = &response.json["responses"][n];
        let status = u16::try_from(answer["status"].as_u64().unwrap_or(0)).unwrap();
        let problem = check.problem(status, &answer["body"], &changed, None)?;
        Some(check.told(&format!("in a batch: {problem}"), answer))
    };
    checks.iter().enumerate().filter_map(answer).collect()
}

/// The URIs of what would have been stored differently.
fn changed(world: &World) -> BTreeSet<String> {
    let Some(after) = world.rehearsal.take() else { return BTreeSet::new() };
    differences(&world.content, &after)
}

/// The names of what differs.
fn differences(before: &Content, after: &Content) -> BTreeSet<String> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// What a refusal tells that it must not. All refusals are alike.
fn refusal_problem(body: &Value, response: Option<&Response>) -> Option<String> {
    let alike = match body["code"].as_u64() {
        Some(401) => json!({
            "code": 401, "errno": 104, "error": "Unauthorized",
            "message": "Please authenticate yourself to use this endpoint.",
        }),
        _ => json!({
            "code": 403, "errno": 121, "error": "Forbidden",
            "message": "This user cannot access this resource.",
        }),
    };
    let telling = ["etag", "last-modified", "total-objects", "total-records", "next-page"];
    let told = telling.iter().find(|name| response.is_some_and(|it| !it.header(name).is_empty()));
    if let Some(name) = told {
        return Some(format!("the refusal has {name}"));
    }
    (*body != alike && !body.as_str().is_some_and(str::is_empty))
        .then(|| "a refusal unlike others".to_owned())
}

fn send(client: &Client<'_>, line: &Line) -> Response {
    let client = match &line.header {
        Some((name, value)) => client.header(name, value),
        None => client.clone(),
    };
    let method = Method::from_bytes(line.method.as_bytes()).unwrap();
    client.send(&method, &line.path, line.body.clone().into_bytes())
}
