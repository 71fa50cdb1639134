//! The table `history.txt`: every request by everybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::Method;
use protocol_tests::{App, Kind, Parts, Response};
use serde_json::{Value, json};

use crate::{
    none, refusal_problem,
    rehearsal::{Content, Rehearsal},
    world::content,
};

/// Who is named in access control lists and groups.
const PEOPLE: [&str; 18] = [
    "writer",
    "reader",
    "member",
    "left",
    "creator",
    "c_writer",
    "c_reader",
    "c_creator",
    "r_writer",
    "r_reader",
    "former",
    "d_reader",
    "g_reader",
    "guest",
    "x_reader",
    "e_writer",
    "e_reader",
    "stranger",
];

/// Settings that name somebody, without `_principals`.
const SETTINGS: [&str; 7] = [
    "history_read",
    "history_write",
    "bucket_read",
    "bucket_write",
    "collection_read",
    "record_read",
    "record_write",
];

pub(crate) fn history_is_for_who_could_read_what_it_tells(kind: Kind) {
    let mut rehearsal = None;
    let app = Parts::new(&settings()).on_wrapped(kind, |store| {
        Arc::clone(rehearsal.insert(Arc::new(Rehearsal::of(store)))) as _
    });
    let rehearsal = rehearsal.expect("a store was opened");
    make(&app);
    let stage = Stage { before: content(&app), names: names(&app), rehearsal, app: &app };
    stage.rehearsal.begin();
    let everybody = PEOPLE.into_iter().chain(SETTINGS).chain(["anonymous"]);
    let everybody: Vec<_> = everybody.collect();
    let mut problems = Vec::new();
    for block in include_str!("history.txt").split("\n\n").skip(1) {
        let (request, answers) = block.split_once('\n').expect("a request and answers");
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let cells = cells(answers);
        for name in cells.keys().filter(|name| **name != "others") {
            assert!(everybody.contains(name), "nobody is {name}");
        }
        for person in &everybody {
            let cell = cells.get(person).or_else(|| cells.get("others"));
            let cell = cell.unwrap_or_else(|| panic!("{request} by {person}: no answer"));
            let problem = stage.problem(person, method, path, cell);
            problems.extend(problem.map(|it| format!("{request} by {person}: {it}")));
        }
    }
    none(&problems);
    assert_eq!(content(&app), stage.before, "something was changed in passing");
}

/// Who gets which answer.
fn cells(answers: &str) -> BTreeMap<&str, &str> {
    let rows =
        answers.lines().map(|line| line.trim().split_once(' ').expect("an answer and names"));
    rows.flat_map(|(cell, names)| names.split_whitespace().map(move |name| (name, cell))).collect()
}

fn settings() -> Vec<(&'static str, &'static str)> {
    let ids = App::default();
    let named = SETTINGS.map(|name| (format!("{name}_principals"), ids.id_of(name)));
    let named = named.into_iter().map(|(name, id)| (&*name.leak(), &*id.leak()));
    [("includes", "history")].into_iter().chain(named).collect()
}

/// Makes what the head of the table tells.
fn make(app: &App) {
    let maker = app.user("maker");
    let id = |name: &str| app.id_of(name);
    let put = |uri: &str, permissions: Value| {
        let status = maker.put(uri, &json!({"permissions": permissions})).status;
        assert!([200, 201].contains(&status), "{uri}: {status}");
    };
    let members = |uri: &str, members: Value| {
        let status = maker.put(uri, &json!({"data": {"members": members}})).status;
        assert!([200, 201].contains(&status), "{uri}: {status}");
    };
    put(
        "/buckets/a_b",
        json!({
            "write": [id("writer")],
            "read": [id("reader"), "/buckets/axb/groups/g"],
            "collection:create": [id("creator")],
        }),
    );
    put("/buckets/a_b/groups/g", json!({"read": [id("g_reader")]}));
    let collection = "/buckets/a_b/collections/c";
    put(
        collection,
        json!({
            "write": [id("c_writer")],
            "read": [id("c_reader")],
            "record:create": [id("c_creator")],
        }),
    );
    let record = |name: &str| format!("{collection}/records/{name}");
    put(&record("r"), json!({"write": [id("r_writer")], "read": [id("r_reader")]}));
    put(&record("o"), json!({"read": ["system.Everyone"]}));
    put(&record("w"), json!({"read": [id("former")]}));
    put(&record("w"), json!({"read": []}));
    put(&record("d"), json!({"read": [id("d_reader")]}));
    maker.delete(&record("d")).expect(200);

    put("/buckets/axb", json!({"read": [id("guest")]}));
    put("/buckets/axb/collections/c", json!({}));
    members("/buckets/axb/groups/g", json!([id("member"), id("left")]));
    put("/buckets/axb", json!({"read": [id("x_reader")]}));
    members("/buckets/axb/groups/g", json!([id("member")]));
    put("/buckets/axb/collections/c/records/r", json!({}));
    put("/buckets/axb/collections/e", json!({"write": [id("e_writer")], "read": [id("e_reader")]}));
    put("/buckets/axb/collections/e/records/x", json!({}));
    maker.delete("/buckets/axb/collections/e").expect(200);

    put("/buckets/gone", json!({"write": [id("writer"), id("g_reader")]}));
    put("/buckets/gone/groups/g", json!({}));
    maker.delete("/buckets/gone").expect(200);
}

/// The letters of all entries, by their ids.
fn names(app: &App) -> BTreeMap<String, char> {
    let entries = ["/buckets/a_b/history", "/buckets/axb/history"].map(|path| {
        let list = app.user("history_read").get(path).is(200).json;
        list["data"].as_array().expect("a list").clone()
    });
    let named = entries.iter().flatten().map(|entry| {
        let last = entry["uri"].as_str().and_then(|uri| uri.chars().last()).expect("a URI");
        let name = if entry["action"] == "create" { last.to_ascii_uppercase() } else { last };
        (entry["id"].as_str().expect("an id").to_owned(), name)
    });
    named.collect()
}

struct Stage<'a> {
    app: &'a App,
    rehearsal: Arc<Rehearsal>,
    before: Content,
    /// The letters of entries.
    names: BTreeMap<String, char>,
}

impl Stage<'_> {
    /// What is wrong with the answer to a request, alone and in a batch.
    fn problem(&self, person: &str, method: &str, path: &str, cell: &str) -> Option<String> {
        let client = match person {
            "anonymous" => self.app.anonymous(),
            name => self.app.user(name),
        };
        let expected = match cell {
            "refused" if person == "anonymous" => "401",
            "refused" => "403",
            cell => cell,
        };
        let (status, told) = expected.split_once(':').unwrap_or((expected, ""));
        let bucket = path.split('/').nth(2).expect("a bucket");
        let told: Option<BTreeSet<_>> = match told {
            "" => None,
            "-" => Some(BTreeSet::new()),
            "*" => Some(self.all_of(bucket)),
            names => Some(names.chars().collect()),
        };
        let name: Method = method.parse().expect("a method");
        let response = client.send(&name, path, Vec::new());
        let answer = self.answer_problem(method, status, told.as_ref(), &response);
        answer.or_else(|| {
            let items = json!({"requests": [{"method": method, "path": path}]});
            let batch = client.post("/batch", &items);
            let item = &batch.json["responses"][0];
            let (item_status, body) = (item["status"].to_string(), &item["body"]);
            let problem = if item_status == status {
                self.body_problem(method, told.as_ref(), body)
            } else {
                Some(format!("{item_status} {body}"))
            };
            problem
                .or_else(|| self.change_problem(method, told.as_ref()))
                .map(|it| format!("in a batch: {it}"))
        })
    }

    fn answer_problem(
        &self,
        method: &str,
        status: &str,
        told: Option<&BTreeSet<char>>,
        response: &Response,
    ) -> Option<String> {
        if response.status.to_string() != status {
            return Some(format!("{} {}", response.status, response.json));
        }
        if matches!(status, "401" | "403") && method != "HEAD" {
            return refusal_problem(&response.json, Some(response));
        }
        let (total, seen) = (response.header("total-objects"), told.map_or(0, BTreeSet::len));
        if method == "HEAD" && told.is_some() && total != seen.to_string() {
            return Some(format!("counts {total}"));
        }
        self.body_problem(method, told, &response.json)
            .or_else(|| self.change_problem(method, told))
    }

    /// What is wrong with what an answer shows.
    fn body_problem(
        &self,
        method: &str,
        told: Option<&BTreeSet<char>>,
        body: &Value,
    ) -> Option<String> {
        let shown: BTreeSet<_> = match body["data"].as_array() {
            Some(list) => list.iter().map(|it| self.name(it)).collect(),
            None => BTreeSet::new(),
        };
        let nothing = BTreeSet::new();
        let told = told.filter(|_| method != "HEAD").unwrap_or(&nothing);
        (shown != *told).then(|| format!("shows {shown:?}"))
    }

    /// The letter of an entry, or the id of a record.
    fn name(&self, object: &Value) -> char {
        let id = object["id"].as_str().expect("an id");
        self.names.get(id).copied().or_else(|| id.chars().next()).expect("an id is not empty")
    }

    /// What is wrong with the entries that a request has deleted.
    fn change_problem(&self, method: &str, told: Option<&BTreeSet<char>>) -> Option<String> {
        let after = self.rehearsal.take();
        let after = after.as_ref().unwrap_or(&self.before);
        let changed = crate::differences(&self.before, after);
        let gone: BTreeSet<_> = changed
            .iter()
            .map(|uri| uri.rsplit('/').next().and_then(|id| self.names.get(id)).copied())
            .collect();
        let expected: BTreeSet<_> =
            told.filter(|_| method == "DELETE").into_iter().flatten().copied().map(Some).collect();
        (gone != expected).then(|| format!("changes {changed:?}"))
    }

    /// The letters of all entries of a bucket.
    fn all_of(&self, bucket: &str) -> BTreeSet<char> {
        let list = format!("/buckets/{bucket}/history/");
        let ids = self.before.keys().filter_map(|uri| uri.strip_prefix(&list));
        ids.filter_map(|id| self.names.get(id)).copied().collect()
    }
}
