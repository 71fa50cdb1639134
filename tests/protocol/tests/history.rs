//! History: what is noted of changes, who sees it, how it ends, and collections as they once were.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "history/replay.rs"]
mod replay;
#[path = "history/snapshot.rs"]
mod snapshot;

use cumulo_core::{
    object::{Acl, List},
    store::{Access, Outcome},
};
use protocol_tests::{App, Client, Kind, Response, on_each_store};
use serde_json::{Value, json};

const ON: [(&str, &str); 1] = [("includes", "history default_bucket")];
const RECORDS: &str = "/buckets/b/collections/c/records";
const HISTORY: &str = "/buckets/b/history";

on_each_store! {
    an_entry_tells_who_did_what
    entries_come_in_the_order_of_a_batch
    what_a_batch_takes_back_is_not_noted
    what_ends_with_its_bucket_is_not_noted
    a_bucket_takes_its_history_along
    who_could_read_the_object_reads_its_history
    inherited_permissions_do_for_entries
    ids_of_digits_are_texts
    a_partial_answer_is_no_partial_entry
    what_is_excluded_is_not_noted
    old_entries_end
    what_has_the_id_of_an_old_entry_stays
    trimmed_users_are_counted_alone
    entries_can_be_deleted_and_leave_tombstones
    entries_have_no_urls
    the_alias_of_the_default_bucket_works
    a_user_can_be_forgotten
}

fn app(kind: Kind) -> App {
    App::on(kind, &ON)
}

fn with(kind: Kind, settings: &[(&str, &str)]) -> App {
    App::on(kind, &[&ON, settings].concat())
}

/// `action uri` of each entry, the newest first.
fn told(history: &Response) -> Vec<String> {
    let entries = history.json["data"].as_array().unwrap().iter();
    entries.map(|it| format!("{} {}", text(it, "action"), text(it, "uri"))).collect()
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap()
}

fn batch(client: &Client<'_>, items: &Value) -> Value {
    client.post("/batch", &json!({"requests": items})).is(200).json
}

fn an_entry_tells_who_did_what(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({"n": 1}))]);
    ann.patch(&format!("{RECORDS}/r"), "json", &json!({"data": {"n": 2}})).expect(200);
    let deleted = ann.delete(&format!("{RECORDS}/r")).is(200).json;
    let history = ann.get(&format!("{HISTORY}?record_id=r")).is(200);
    let entries = history.json["data"].as_array().unwrap();
    assert_eq!(told(&history).len(), 3);
    let update = &entries[1];
    let user = app.id_of("ann");
    let uri = format!("{RECORDS}/r");
    let mut names: Vec<_> = update.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "action",
        "collection_id",
        "date",
        "id",
        "last_modified",
        "record_id",
        "resource_name",
        "target",
        "uri",
        "user_id",
    ];
    assert_eq!(names, expected);
    for (name, value) in [
        ("action", "update"),
        ("collection_id", "c"),
        ("record_id", "r"),
        ("resource_name", "record"),
        ("uri", uri.as_str()),
        ("user_id", user.as_str()),
    ] {
        assert_eq!(text(update, name), value);
    }
    assert!(text(update, "date").ends_with("+00:00"), "{update}");
    assert_eq!(update["target"]["data"]["n"], 2);
    assert_eq!(update["target"]["permissions"], json!({"write": [user]}));
    let end = json!({"data": deleted["data"], "permissions": {}});
    assert_eq!(entries[0]["target"], end);
    let of_bucket = ann.get(&format!("{HISTORY}?resource_name=bucket")).json;
    assert_eq!(of_bucket["data"][0]["bucket_id"], "b");
}

fn entries_come_in_the_order_of_a_batch(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    let record = format!("{RECORDS}/r");
    let put = |n: i32| json!({"method": "PUT", "path": record, "body": {"data": {"n": n}}});
    let delete = json!({"method": "DELETE", "path": record});
    batch(&ann, &json!([put(1), put(2), delete, put(3), put(4)]));
    let history = ann.get(&format!("{HISTORY}?record_id=r"));
    let actions: Vec<_> =
        history.json["data"].as_array().unwrap().iter().map(|it| text(it, "action")).collect();
    assert_eq!(actions, ["update", "create", "delete", "update", "create"]);
}

fn what_a_batch_takes_back_is_not_noted(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    let bad = json!({"method": "PUT", "path": format!("{RECORDS}/bad"), "body": {"data": 1}});
    let good = json!({"method": "PUT", "path": format!("{RECORDS}/good"), "body": {"data": {}}});
    batch(&ann, &json!([bad, good]));
    let history = ann.get(&format!("{HISTORY}?resource_name=record"));
    assert_eq!(told(&history), [format!("create {RECORDS}/good")]);
}

fn what_ends_with_its_bucket_is_not_noted(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    let put = |path: &str| json!({"method": "PUT", "path": path, "body": {"data": {}}});
    let delete = json!({"method": "DELETE", "path": "/buckets/b"});
    batch(&ann, &json!([put("/buckets/b"), put("/buckets/b/collections/c"), delete]));
    ann.get(HISTORY).expect(403);
    ann.put("/buckets/b", &json!({})).expect(201);
    assert_eq!(told(&ann.get(HISTORY)), ["create /buckets/b"]);
    let again = [put("/buckets/b/collections/old"), delete, put("/buckets/b")];
    batch(&ann, &json!(again));
    assert_eq!(told(&ann.get(HISTORY)), ["create /buckets/b"]);
}

fn a_bucket_takes_its_history_along(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({}))]);
    ann.with_records("b2", "c", &[("r", json!({}))]);
    ann.delete("/buckets/b").expect(200);
    ann.put("/buckets/b", &json!({})).expect(201);
    assert_eq!(told(&ann.get(HISTORY)), ["create /buckets/b"]);
    assert_eq!(told(&ann.get("/buckets/b2/history")).len(), 3);
}

fn who_could_read_the_object_reads_its_history(kind: Kind) {
    let app = app(kind);
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    ann.with_records("b", "c", &[("secret", json!({}))]);
    bob.get(HISTORY).expect(403);
    let readers = json!({"permissions": {"read": [app.id_of("bob")]}, "data": {}});
    let shared = format!("{RECORDS}/shared");
    ann.put(&shared, &readers).expect(201);
    ann.patch(&shared, "json", &json!({"permissions": {"read": []}})).expect(200);
    ann.patch(&shared, "json", &json!({"data": {"n": 1}})).expect(200);
    assert_eq!(told(&bob.get(HISTORY).is(200)), [format!("create {shared}")]);
    ann.put(&shared, &readers).expect(200);
    ann.delete(&shared).expect(200);
    let seen = told(&bob.get(HISTORY).is(200));
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0], format!("delete {shared}"), "who could read it learns of its end");
    bob.delete(HISTORY).expect(403);
    app.anonymous().get(HISTORY).expect(401);
}

fn inherited_permissions_do_for_entries(kind: Kind) {
    let app = with(
        kind,
        &[
            ("explicit_permissions", "false"),
            ("bucket_write_principals", "system.Authenticated"),
            ("bucket_create_principals", "system.Authenticated"),
        ],
    );
    let ann = app.user("ann");
    let everybody = json!({"permissions": {"write": ["system.Authenticated"]}});
    ann.put("/buckets/b", &everybody).expect(201);
    ann.put("/buckets/b/collections/c", &everybody).expect(201);
    for n in 0..3 {
        ann.put(&format!("{RECORDS}/{n}"), &json!({"data": {}})).expect(201);
    }
    ann.delete(RECORDS).expect(200);
    let history = app.user("bob").get(&format!("{HISTORY}?action=delete")).is(200);
    assert_eq!(told(&history).len(), 3, "one entry for each object");
}

fn ids_of_digits_are_texts(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.put("/buckets/1", &json!({})).expect(201);
    ann.put("/buckets/1/groups/2", &json!({"data": {"members": []}})).expect(201);
    ann.put("/buckets/1/collections/3", &json!({})).expect(201);
    for id in ["4", "5", "true"] {
        ann.put(&format!("/buckets/1/collections/3/records/{id}"), &json!({})).expect(201);
    }
    let count = |query: &str| told(&ann.get(&format!("/buckets/1/history?{query}")).is(200)).len();
    assert_eq!(count("bucket_id=1"), 1);
    assert_eq!(count("group_id=2"), 1);
    assert_eq!(count("collection_id=3"), 4);
    assert_eq!(count("record_id=4"), 1);
    assert_eq!(count("record_id=true"), 1);
    assert_eq!(count("in_record_id=4,5"), 2);
    assert_eq!(count("exclude_record_id=4,5&resource_name=record"), 1);
    assert_eq!(count("target.data.id=4"), 0, "other fields are compared as they are");
    ann.get("/buckets/1/history?title=x").expect(400);
    ann.get("/buckets/1/history?_sort=title").expect(400);
}

fn a_partial_answer_is_no_partial_entry(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({"n": 1, "kept": true}))]);
    let record = format!("{RECORDS}/r");
    for (n, behavior) in [(2, "light"), (3, "diff")] {
        let asking = ann.header("response-behavior", behavior);
        asking.patch(&record, "merge-patch+json", &json!({"data": {"n": n}})).expect(200);
        let entry = &ann.get(&format!("{HISTORY}?_limit=1")).json["data"][0];
        assert_eq!(entry["target"]["data"]["n"], n);
        assert_eq!(entry["target"]["data"]["kept"], true);
    }
    let group = "/buckets/b/groups/g";
    ann.put(group, &json!({"data": {"members": ["x"]}})).expect(201);
    let light = ann.header("response-behavior", "light");
    light.patch(group, "json", &json!({"data": {"members": ["y"]}})).expect(200);
    assert_eq!(told(&ann.get(HISTORY))[0], format!("update {group}"));
}

fn what_is_excluded_is_not_noted(kind: Kind) {
    let bot = App::with(&[]).id_of("bot");
    let excluded = "/buckets/b/collections/c /buckets/b/groups/g";
    let settings = [("history.exclude_resources", excluded), ("history.exclude_user_ids", &bot)];
    let app = with(kind, &settings);
    let ann = app.user("ann");
    let everybody = json!({"permissions": {"write": ["system.Authenticated"]}});
    ann.put("/buckets/b", &everybody).expect(201);
    ann.put("/buckets/b/collections/c", &everybody).expect(201);
    ann.put(&format!("{RECORDS}/r"), &json!({})).expect(201);
    ann.put("/buckets/b/groups/g", &json!({"data": {"members": []}})).expect(201);
    app.user("bot").put("/buckets/b/collections/of-bot", &json!({})).expect(201);
    ann.put("/buckets/b/collections/of-ann", &json!({})).expect(201);
    let expected = ["create /buckets/b/collections/of-ann", "create /buckets/b"];
    assert_eq!(told(&ann.get(HISTORY)), expected);
}

fn old_entries_end(kind: Kind) {
    let trims = [("history.auto_trim_max_count", "3"), ("history.auto_trim_threshold", "2")];
    let app = with(kind, &trims);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    ann.with_records("b2", "c", &[("0", json!({}))]);
    let mut counts = Vec::new();
    for n in 0..8 {
        assert!(ann.put(&format!("{RECORDS}/r"), &json!({"data": {"n": n}})).status < 300);
        counts.push(ann.get(&format!("{HISTORY}?resource_name=record")).ids().len());
    }
    assert_eq!(counts, [1, 2, 3, 4, 5, 3, 4, 5]);
    let kept = ann.get(&format!("{HISTORY}?resource_name=record&_sort=last_modified")).json;
    assert_eq!(kept["data"][0]["target"]["data"]["n"], 3, "the newest stay");
    assert_eq!(told(&ann.get(&format!("{HISTORY}?resource_name=bucket"))).len(), 1);
    assert_eq!(told(&ann.get("/buckets/b2/history")).len(), 3);
    let put = |n: i32| json!({"method": "PUT", "path": format!("{RECORDS}/{n}")});
    batch(&ann, &(0..9).map(put).collect());
    assert_eq!(ann.get(&format!("{HISTORY}?resource_name=record")).ids().len(), 3, "in a batch");
    let with_tombstones = ann.get(&format!("{HISTORY}?_since=0"));
    assert_eq!(with_tombstones.ids().len(), 5, "nothing stays of them");
}

fn what_has_the_id_of_an_old_entry_stays(kind: Kind) {
    // Kinto removes what has the ids of old entries, wherever it is.
    let trims = [("history.auto_trim_max_count", "1"), ("history.auto_trim_threshold", "0")];
    let app = with(kind, &trims);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({}))]);
    ann.with_records("b2", "c", &[]);
    let old = ann.get(&format!("{HISTORY}?resource_name=record")).ids().concat();
    let (id, bob) = (old.clone(), app.id_of("bob"));
    let put_twins = app.store().transact(Access::Write, move |tx| {
        let mut acl = Acl::default();
        acl.add("read", &bob);
        let (entries, records) = ("/buckets/b2", "/buckets/b2/collections/c");
        let data = r#"{"resource_name":"record","action":"create","uri":"/twin"}"#;
        tx.put(&List::new(entries, "history"), &id, None, data, None)?;
        tx.put(&List::new(records, "record"), &id, None, r#"{"n":1}"#, Some(&acl))?;
        Ok((Outcome::Commit, ()))
    });
    app.wait(put_twins).unwrap();
    ann.put(&format!("{RECORDS}/r"), &json!({})).expect(200);
    let kept = ann.get(&format!("{HISTORY}?resource_name=record")).is(200);
    assert_eq!(told(&kept), [format!("update {RECORDS}/r")], "the old entry has ended");
    assert!(ann.get("/buckets/b2/history").is(200).ids().contains(&old.as_str()));
    let stayed =
        app.user("bob").get(&format!("/buckets/b2/collections/c/records/{old}")).is(200).json;
    assert_eq!(stayed["data"]["n"], 1);
}

fn trimmed_users_are_counted_alone(kind: Kind) {
    let bob = App::with(&[]).id_of("bob");
    let app = with(
        kind,
        &[
            ("history.auto_trim_max_count", "2"),
            ("history.auto_trim_threshold", "0"),
            ("history.auto_trim_user_ids", &bob),
        ],
    );
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let everybody = json!({"permissions": {"write": ["system.Authenticated"]}});
    ann.put("/buckets/b", &everybody).expect(201);
    for n in 0..4 {
        ann.put(&format!("/buckets/b/collections/a{n}"), &json!({})).expect(201);
        bob.put(&format!("/buckets/b/collections/b{n}"), &json!({})).expect(201);
    }
    let by = |user: &str| told(&ann.get(&format!("{HISTORY}?user_id={}", app.id_of(user)))).len();
    assert_eq!((by("ann"), by("bob")), (5, 2));
}

fn entries_can_be_deleted_and_leave_tombstones(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({}))]);
    let before = ann.get(HISTORY).header("etag").trim_matches('"').to_owned();
    ann.delete(&format!("{HISTORY}?resource_name=record")).expect(200);
    assert_eq!(told(&ann.get(HISTORY)).len(), 2);
    let since = ann.get(&format!("{HISTORY}?_since={before}"));
    assert_eq!(since.json["data"][0]["deleted"], true);
    assert_eq!(ann.get(HISTORY).ids().len(), 2, "its own deletion is not noted");
}

fn entries_have_no_urls(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.put("/buckets/b", &json!({})).expect(201);
    let entry = format!("{HISTORY}/{}", ann.get(HISTORY).ids()[0]);
    ann.get(&entry).expect(404);
    ann.put(&entry, &json!({})).expect(404);
    ann.delete(&entry).expect(404);
    ann.put(HISTORY, &json!({})).expect(405);
    ann.post(HISTORY, &json!({})).expect(405);
    assert_eq!(ann.get("/permissions").json["data"].as_array().unwrap().len(), 2);
}

fn the_alias_of_the_default_bucket_works(kind: Kind) {
    let app = app(kind);
    let ann = app.user("ann");
    ann.post("/buckets/default/collections/notes/records", &json!({"data": {"id": "n"}}))
        .expect(201);
    let history = ann.get("/buckets/default/history").is(200);
    let kinds: Vec<_> = history.json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| text(it, "resource_name"))
        .collect();
    assert_eq!(kinds, ["record", "collection", "bucket"]);
    let at = history.header("etag").trim_matches('"').to_owned();
    let snapshot = ann.get(&format!("/buckets/default/snapshot/collections/notes@{at}")).is(200);
    assert_eq!(snapshot.ids(), ["n"]);
}

fn a_user_can_be_forgotten(kind: Kind) {
    let app = with(kind, &[("user-data_delete_principals", "system.Authenticated")]);
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let readers = json!({"permissions": {"write": [app.id_of("bob")]}});
    ann.put("/buckets/b", &readers).expect(201);
    bob.put("/buckets/b/collections/c", &json!({})).expect(201);
    ann.delete(&format!("/__user_data__/{}", app.id_of("bob"))).expect(200);
    let expected =
        ["delete /buckets/b/collections/c", "create /buckets/b/collections/c", "create /buckets/b"];
    assert_eq!(told(&ann.get(HISTORY)), expected);
    bob.get(HISTORY).expect(403);
}
