//! What is written, one request after the other, and where questions are asked.
//!
//! In paths, headers and bodies, `{alice}` and `{bob}` stand for user ids, `{etag PATH}` for the
//! `ETag` that the server which does not write has for a path, and `{middle}` for the timestamp
//! that the records had at the mark of this name.

use serde_json::{Value, json};

use super::peer::Request;

pub(super) const ALICE: &str = "alice:h3sl0";
pub(super) const BOB: &str = "bob:h4sl0";
pub(super) const NOBODY: &str = "";
pub(super) const DORA: &str = "dora:first";
pub(super) const DORA_LATER: &str = "dora:second";

pub(super) const COLLECTION: &str = "/buckets/together/collections/things";
pub(super) const RECORDS: &str = "/buckets/together/collections/things/records";

/// Lists that are read page by page.
const PAGES: &[&str] = &[
    "/buckets/together/collections/things/records?_limit=3",
    "/buckets/together/collections/things/records?_limit=4&_since=0",
    "/buckets/together/collections/things/records?_limit=2&_sort=n,-title",
    "/buckets/together/collections/things/records?_limit=3&_sort=-last_modified&_fields=n",
    "/buckets/together/collections/things/records?_limit=2&_sort=title&has_title=true",
    "/buckets?_limit=1",
    "/buckets/together/groups?_limit=1&_sort=id",
];

/// What happens after another.
pub(super) enum Step {
    /// Sent to one server.
    Write(Request),
    /// The timestamp of the records gets a name.
    Mark(&'static str),
    /// All questions are asked.
    Ask,
    /// As `Ask`, about accounts: passwords take long.
    LogIn,
    /// All pages of a list are read; the servers follow each other's links.
    Pages(&'static str),
    /// All pages of a list are deleted; the servers follow each other's links.
    DeletePages(&'static str),
}

use Step::{Ask, DeletePages, LogIn, Mark, Pages, Write};

fn put(path: &str, body: &Value) -> Step {
    Write(Request::new("PUT", path).by(ALICE).json(body))
}

fn post(path: &str, body: &Value) -> Step {
    Write(Request::new("POST", path).by(ALICE).json(body))
}

fn patch(path: &str, kind: &str, body: &Value) -> Step {
    let request = Request::new("PATCH", path).by(ALICE);
    Write(request.text(&format!("application/{kind}"), &body.to_string()))
}

fn delete(path: &str) -> Step {
    Write(Request::new("DELETE", path).by(ALICE))
}

fn change(step: Step, change: impl FnOnce(Request) -> Request) -> Step {
    match step {
        Write(request) => Write(change(request)),
        other => other,
    }
}

fn by(user: &str, step: Step) -> Step {
    change(step, |request| request.by(user))
}

fn with(name: &'static str, value: &str, step: Step) -> Step {
    change(step, |request| request.with(name, value))
}

pub(super) fn record(id: &str) -> String {
    format!("{RECORDS}/{id}")
}

/// The whole story.
pub(super) fn story() -> Vec<Step> {
    let mut story = Vec::new();
    story.extend(buckets_and_groups());
    story.extend(schemas());
    story.extend(records());
    story.extend(preconditions());
    story.extend(patches());
    story.extend(permissions());
    story.extend(batches());
    story.extend(deletions());
    story.extend(default_bucket());
    story.extend(accounts());
    story
}

fn buckets_and_groups() -> Vec<Step> {
    let team = "/buckets/together/groups/team";
    vec![
        put("/buckets/together", &json!({"data": {"color": "blue", "size": 3}})),
        put("/buckets/together", &json!({"permissions": {"read": ["system.Authenticated"]}})),
        put("/buckets/private", &json!({})),
        post("/buckets", &json!({"data": {"id": "posted", "a": [1, {"b": null}]}})),
        put(team, &json!({"data": {"members": ["{bob}", "account:dora"]}})),
        put("/buckets/together/groups/empty", &json!({"data": {"members": []}})),
        put("/buckets/together/groups/odd", &json!({"data": {"members": "alice"}})),
        put("/buckets/together/groups/no-members", &json!({"data": {}})),
        patch(team, "json", &json!({"data": {"title": "The team"}})),
        with(
            "Response-Behavior",
            "light",
            patch("/buckets/together", "json", &json!({"data": {"color": "red"}})),
        ),
        delete("/buckets/posted"),
        put("/buckets/posted", &json!({"data": {"again": true}})),
        by(BOB, put("/buckets/together", &json!({"data": {"color": "stolen"}}))),
        by(NOBODY, put("/buckets/together/groups/mine", &json!({"data": {"members": []}}))),
    ]
}

fn schemas() -> Vec<Step> {
    let schema = json!({
        "type": "object",
        "properties": {"title": {"type": "string"}, "rank": {"type": "number", "minimum": 0}},
        "required": ["title"],
    });
    let strict = "/buckets/together/collections/strict";
    vec![
        put(COLLECTION, &json!({"data": {"sort": "-last_modified"}})),
        put(strict, &json!({"data": {"schema": schema}})),
        put(&format!("{strict}/records/good"), &json!({"data": {"title": "x", "rank": 1.5}})),
        put(&format!("{strict}/records/bad"), &json!({"data": {"title": 5}})),
        put(&format!("{strict}/records/low"), &json!({"data": {"title": "x", "rank": -1}})),
        patch(&format!("{strict}/records/good"), "json", &json!({"data": {"rank": "high"}})),
        put("/buckets/together/collections/wrong", &json!({"data": {"schema": {"type": "any"}}})),
    ]
}

/// Records of all kinds of JSON.
fn records() -> Vec<Step> {
    let items = [
        ("text", json!({"title": "Ärger mit Ümläuten ✓ 🎈 \u{1}\u{7f}\u{2028}", "n": 3})),
        ("quotes", json!({"title": "back\\slash \"quote\" /slash\n\t", "n": -1})),
        ("numbers", json!({"n": 10, "float": 0.1, "tiny": 1e-7, "huge": 1.5e300, "zero": -0.0})),
        ("nested", json!({"a": {"b": {"c": [1, [2, {"d": null}], "x"]}}, "n": 7, "title": "deep"})),
        ("tags", json!({"tags": ["red", "green", 3, null, {"k": 1}], "n": 3, "title": "Tags"})),
        ("tags2", json!({"tags": ["red"], "n": "3", "title": "tags"})),
        ("nulls", json!({"title": null, "flag": false, "n": null})),
        ("true", json!({"flag": true, "title": "100%_sure*", "n": 3.5})),
        ("empty", json!({"": "no name", "title": "", "tags": [], "a": {}})),
        ("keys", json!({"a.b": 1, "ключ": "значение", "last": 1, "n": 2})),
    ];
    let mut steps: Vec<Step> =
        items.map(|(id, data)| put(&record(id), &json!({"data": data}))).into();
    let big = r#"{"data": {"n": 1234567890123456789012345678901234567890, "title": "big",
        "exp": 1E2, "long": 0.1000000000000000055511151231257827, "a": {"b": 9007199254740993}}}"#;
    steps.push(change(put(&record("big"), &json!({})), |request| Request {
        body: Some(big.to_owned()),
        ..request
    }));
    steps.extend([
        post(RECORDS, &json!({"data": {"id": "posted", "n": 1}})),
        post(RECORDS, &json!({"data": {"id": "posted", "n": 2}})),
        put(&record("old"), &json!({"data": {"last_modified": 1_234_567_890_123_u64, "n": 5}})),
        put(&record("sméagol"), &json!({"data": {}})),
        put(&record("list"), &json!({"data": [1, 2]})),
        put(&record("other"), &json!({"data": {"id": "another"}})),
        change(put(&record("broken"), &json!({})), |request| Request {
            body: Some("{\"data\": ".to_owned()),
            ..request
        }),
        delete(&record("posted")),
        Mark("middle"),
        put(&record("late"), &json!({"data": {"n": 4, "title": "Late"}})),
        delete(&record("tags2")),
        Ask,
    ]);
    steps.extend(PAGES.iter().map(|path| Pages(path)));
    steps
}

fn preconditions() -> Vec<Step> {
    let text = record("text");
    let current = format!("{{etag {text}}}");
    let list = format!("{{etag {RECORDS}}}");
    let data = json!({"data": {"title": "conditional", "n": 3}});
    vec![
        with("If-Match", &current, put(&text, &data)),
        with("If-Match", "\"1234567890123\"", put(&text, &data)),
        with("If-None-Match", "*", put(&text, &data)),
        with("If-None-Match", "*", put(&record("fresh"), &data)),
        with("If-None-Match", "*", post(RECORDS, &json!({"data": {"id": "text"}}))),
        with("If-Match", &list, post(RECORDS, &json!({"data": {"id": "in-time"}}))),
        with("If-Match", "\"1\"", post(RECORDS, &json!({"data": {"id": "too-late"}}))),
        with("If-Match", "\"1\"", patch(&text, "json", &json!({"data": {"n": 4}}))),
        with("If-Match", "\"1\"", delete(&text)),
        with("If-Match", "abc", delete(&text)),
        with("If-Match", &current, delete(&record("fresh"))),
        with("If-Match", &list, delete(&format!("{RECORDS}?n=4"))),
        with("If-Match", "\"1\"", delete(&format!("{RECORDS}?n=3"))),
    ]
}

fn patches() -> Vec<Step> {
    let (path, tags) = (record("nested"), record("tags"));
    vec![
        patch(&path, "json", &json!({"data": {"n": 8, "new": {"x": 1}}})),
        patch(&path, "merge-patch+json", &json!({"data": {"a": {"b": null, "e": 1}, "new": null}})),
        patch(
            &path,
            "json-patch+json",
            &json!([
                {"op": "test", "path": "/data/n", "value": 8},
                {"op": "add", "path": "/data/list", "value": [1, 2]},
                {"op": "move", "from": "/data/a", "path": "/data/moved"},
                {"op": "add", "path": "/permissions/read/system.Everyone", "value": true},
            ]),
        ),
        patch(&path, "json-patch+json", &json!([{"op": "test", "path": "/data/n", "value": 9}])),
        patch(&path, "json-patch+json", &json!([{"op": "remove", "path": "/data/nothing"}])),
        with("Response-Behavior", "diff", patch(&tags, "json", &json!({"data": {"n": 33}}))),
        with("Response-Behavior", "light", patch(&tags, "json", &json!({"data": {"n": 34}}))),
        patch(&tags, "json", &json!({"data": {"n": 34}})),
        patch(&tags, "json", &json!({"permissions": {"write": ["{bob}"]}})),
        patch(&tags, "json", &json!({})),
        patch(&record("nobody"), "json", &json!({"data": {"n": 1}})),
        patch(&tags, "xml", &json!({"data": {"n": 1}})),
    ]
}

fn permissions() -> Vec<Step> {
    let team = "/buckets/together/groups/team";
    vec![
        put(
            "/buckets/private/collections/shared",
            &json!({"permissions": {
            "read": ["/buckets/together/groups/team"], "record:create": ["system.Authenticated"]}}),
        ),
        by(
            BOB,
            post("/buckets/private/collections/shared/records", &json!({"data": {"id": "bobs"}})),
        ),
        put("/buckets/private/collections/hidden", &json!({})),
        put(
            "/buckets/private/collections/hidden/records/seen",
            &json!({"data": {"n": 1}, "permissions": {"read": ["{bob}"]}}),
        ),
        put("/buckets/private/collections/hidden/records/unseen", &json!({"data": {"n": 2}})),
        put(
            "/buckets/private/collections/hidden/records/written",
            &json!({"permissions": {"write": ["/buckets/together/groups/team", "{bob}"]}}),
        ),
        by(
            BOB,
            patch(
                "/buckets/private/collections/hidden/records/written",
                "json",
                &json!({"data": {"n": 3}}),
            ),
        ),
        by(BOB, put("/buckets/private/collections/hidden/records/seen", &json!({"data": {}}))),
        put(
            "/buckets/together",
            &json!({"data": {}, "permissions": {
            "group:create": ["{bob}"], "collection:create": ["{bob}"], "write": ["account:dora"],
            "read": ["system.Everyone"]}}),
        ),
        by(BOB, put("/buckets/together/groups/bobs", &json!({"data": {"members": ["{alice}"]}}))),
        by(BOB, put("/buckets/together/collections/bobs", &json!({"permissions": {"write": []}}))),
        Ask,
        put(team, &json!({"data": {"members": ["{alice}"]}})),
        delete("/buckets/private/collections/hidden/records/written"),
        patch(team, "json", &json!({"data": {"members": ["{bob}", "system.Authenticated"]}})),
        patch(team, "json", &json!({"data": {"members": ["{bob}", "group:x"]}})),
        delete(team),
        put("/buckets/together", &json!({"permissions": {"fly": ["{bob}"]}})),
    ]
}

fn batches() -> Vec<Step> {
    let request = |method: &str, path: &str, body: Value| json!({"method": method, "path": path, "body": body});
    vec![
        post(
            "/batch",
            &json!({
                "defaults": {"method": "PUT", "headers": {"Response-Behavior": "light"}},
                "requests": [
                    {"path": record("item-1"), "body": {"data": {"n": 1}}},
                    {"path": record("item-2"), "body": {"data": {"n": 2}}},
                    {"path": record("text"), "headers": {"If-Match": "\"1\""}, "body": {"data": {}}},
                    {"method": "DELETE", "path": record("item-1")},
                    {"method": "GET", "path": "/buckets/nowhere"},
                ],
            }),
        ),
        post(
            "/batch",
            &json!({"requests": [
                request("PUT", "/v1/buckets/in-batch", json!({"data": {"x": 1}})),
                request("PUT", "/buckets/in-batch/groups/g", json!({"data": {"members": ["{bob}"]}})),
                request("PUT", "/buckets/in-batch/collections/c", json!({"permissions": {
                    "read": ["/buckets/in-batch/groups/g"]}})),
                request("POST", "/buckets/in-batch/collections/c/records", json!({"data": {"id": "r"}})),
                request("PATCH", "/buckets/in-batch/collections/c/records/r", json!({"data": {"y": 2}})),
                {"method": "GET", "path": "/buckets/in-batch/collections/c/records?_since=0"},
                {"method": "HEAD", "path": "/buckets/in-batch/collections/c/records"},
            ]}),
        ),
        post("/batch", &json!({"requests": [{"path": "/buckets", "method": "FLY"}]})),
        post("/batch", &json!({"requests": []})),
        post("/batch", &json!({"requests": [{"path": "/buckets/together/groups/batches"}]})),
        by(
            BOB,
            post(
                "/batch",
                &json!({"requests": [
                    request("PUT", &record("not-mine"), json!({"data": {}})),
                    {"path": "/buckets/in-batch/collections/c/records"},
                ]}),
            ),
        ),
    ]
}

fn deletions() -> Vec<Step> {
    let numbered = (0..7).map(|n| {
        let path = format!("/buckets/private/collections/pages/records/r{n}");
        put(&path, &json!({"data": {"n": n % 3}}))
    });
    let mut steps = vec![put("/buckets/private/collections/pages", &json!({}))];
    steps.extend(numbered);
    steps.extend([
        Pages("/buckets/private/collections/pages/records?_limit=2&_sort=n"),
        DeletePages("/buckets/private/collections/pages/records?_limit=3"),
        delete(&format!("{RECORDS}?min_n=5&has_title=true")),
        delete("/buckets/in-batch/collections/c"),
        put("/buckets/in-batch/collections/c", &json!({})),
        delete("/buckets/in-batch"),
        put("/buckets/in-batch", &json!({})),
        delete("/buckets/private/collections"),
        delete("/buckets/nowhere"),
        delete(&record("item-1")),
        delete(RECORDS),
        put(&record("text"), &json!({"data": {"title": "reborn"}})),
        Ask,
    ]);
    steps
}

fn default_bucket() -> Vec<Step> {
    vec![
        put("/buckets/default/collections/notes/records/one", &json!({"data": {"n": 1}})),
        post("/buckets/default/collections/todo/records", &json!({"data": {"id": "two"}})),
        by(BOB, put("/buckets/default", &json!({"data": {"mine": true}}))),
    ]
}

fn accounts() -> Vec<Step> {
    let dora = "/accounts/dora";
    let note = json!({"data": {"n": 1}});
    vec![
        by(NOBODY, put(dora, &json!({"data": {"password": "first", "mail": "d@example.org"}}))),
        LogIn,
        by(DORA, put("/buckets/default/collections/notes/records/one", &note)),
        by(DORA, patch(dora, "json", &json!({"data": {"mail": "e@example.org"}}))),
        by(DORA, patch(dora, "json", &json!({"data": {"password": "second"}}))),
        LogIn,
        by(BOB, patch(dora, "json", &json!({"data": {"password": "stolen"}}))),
        by(NOBODY, put(dora, &json!({"data": {"password": "stolen"}}))),
        by(DORA_LATER, delete(dora)),
        LogIn,
        by(NOBODY, post("/accounts", &json!({"data": {"id": "dora", "password": "first"}}))),
        LogIn,
    ]
}
