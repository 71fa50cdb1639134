//! Where Kinto loses or damages what it was given, and we don't: the defects that no other file of
//! tests is about. Each test says what is right, and in its first line what Kinto does instead.

use cumulo_core::settings::Settings;
use protocol_tests::{App, Client, Kind, on_each_store};
use serde_json::{Value, json};

on_each_store!(
    deletions_reach_all_that_is_below
    lists_of_parents_are_deleted_with_all_below
    a_batch_checks_against_the_schema_of_the_moment
    a_recreated_bucket_keeps_what_the_batch_puts_in
    a_failed_item_leaves_nothing_in_the_lists
    rights_on_a_deleted_object_do_not_come_back
    a_group_made_again_has_no_members_of_before
    deleting_a_record_keeps_the_rights_on_its_likes
    patches_of_permissions_keep_those_that_they_do_not_name
);

const RECORDS: &str = "/buckets/b/collections/c/records";

/// Few enough for a test to go beyond.
const FEW: [(&str, &str); 1] = [("storage_max_fetch_size", "3")];

fn nothing() -> Value {
    json!({})
}

/// `count` records in `b/c`.
fn with_many(app: &App, count: usize) -> Client<'_> {
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    for n in 0..count {
        alice.put(&format!("{RECORDS}/r{n}"), &nothing()).expect(201);
    }
    alice
}

fn deletions_reach_all_that_is_below(kind: Kind) {
    // Kinto deletes as many objects as it reads at once, and the others come back with the parent.
    let app = App::on(kind, &FEW);
    let alice = with_many(&app, 10);
    for group in 0..5 {
        alice.put(&format!("/buckets/b/groups/g{group}"), &nothing()).expect(201);
    }
    alice.delete("/buckets/b/collections/c").expect(200);
    alice.put("/buckets/b/collections/c", &nothing()).expect(201);
    assert_eq!(alice.get(RECORDS).is(200).ids(), [""; 0]);
    assert_eq!(alice.get(&format!("{RECORDS}?_since=0")).is(200).ids(), [""; 0]);
    for n in 0..10 {
        alice.put(&format!("{RECORDS}/r{n}"), &nothing()).expect(201);
    }
    alice.delete("/buckets/b").expect(200);
    alice.with_records("b", "c", &[]);
    for list in [RECORDS, "/buckets/b/groups"] {
        assert_eq!(alice.get(&format!("{list}?_since=0")).is(200).ids(), [""; 0], "{list}");
    }
}

fn lists_of_parents_are_deleted_with_all_below(kind: Kind) {
    // The same in Kinto if the parents are deleted by a list.
    let app = App::on(kind, &FEW);
    let alice = with_many(&app, 10);
    assert_eq!(alice.delete("/buckets/b/collections").is(200).ids(), ["c"]);
    alice.put("/buckets/b/collections/c", &nothing()).expect(201);
    assert_eq!(alice.get(&format!("{RECORDS}?_since=0")).is(200).ids(), [""; 0]);
}

fn batch(client: &Client<'_>, requests: &Value) -> Vec<u64> {
    let response = client.post("/batch", &json!({"requests": requests})).is(200);
    let responses = response.json["responses"].as_array().expect("a list");
    responses.iter().map(|it| it["status"].as_u64().expect("a number")).collect()
}

fn a_batch_checks_against_the_schema_of_the_moment(kind: Kind) {
    // Kinto reads the schema once for the whole batch.
    let app = App::on(kind, &[]);
    let alice = with_many(&app, 0);
    let record =
        json!({"method": "PUT", "path": format!("{RECORDS}/r"), "body": {"data": {"a": 1}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let collection = json!({
        "method": "PATCH", "path": "/buckets/b/collections/c", "body": {"data": {"schema": schema}},
    });
    assert_eq!(batch(&alice, &json!([record, collection, record])), [201, 200, 400]);
}

fn a_recreated_bucket_keeps_what_the_batch_puts_in(kind: Kind) {
    // Kinto deletes what is below a deleted parent at the end of the batch, new children too.
    let app = App::on(kind, &[]);
    let alice = with_many(&app, 2);
    let put = |path: &str| json!({"method": "PUT", "path": path});
    let requests = json!([
        {"method": "DELETE", "path": "/buckets/b"},
        put("/buckets/b"),
        put("/buckets/b/groups/g"),
        put("/buckets/b/collections/c"),
        put(&format!("{RECORDS}/new")),
    ]);
    assert_eq!(batch(&alice, &requests), [200, 201, 201, 201, 201]);
    assert_eq!(alice.get(RECORDS).is(200).ids(), ["new"]);
    assert_eq!(alice.get("/buckets/b/groups").is(200).ids(), ["g"]);
}

fn a_failed_item_leaves_nothing_in_the_lists(kind: Kind) {
    // In Kinto a 409 undoes what was answered with 201 before it.
    let app = App::on(kind, &[]);
    let alice = with_many(&app, 1);
    let put = |id: &str, at: i64| {
        let path = format!("{RECORDS}/{id}");
        json!({"method": "PUT", "path": path, "body": {"data": {"last_modified": at}}})
    };
    let delete = json!({"method": "DELETE", "path": format!("{RECORDS}/r0")});
    let requests = json!([put("a", 1000), delete, put("b", 1000), put("c", 2000)]);
    assert_eq!(batch(&alice, &requests), [201, 200, 409, 201]);
    assert_eq!(alice.get(&format!("{RECORDS}?_sort=id")).is(200).ids(), ["a", "c"]);
    alice.get(&format!("{RECORDS}/b")).expect(404);
}

fn rights_on_a_deleted_object_do_not_come_back(kind: Kind) {
    // In Kinto rights survive where a deletion did not reach, and count for what is made anew.
    let app = App::on(kind, &FEW);
    let alice = with_many(&app, 0);
    let bob = app.user("bob");
    let shared = json!({"permissions": {"write": [app.id_of("bob")]}});
    for n in 0..6 {
        alice.put(&format!("{RECORDS}/r{n}"), &shared).expect(201);
    }
    for deleted in [RECORDS, "/buckets/b/collections/c", "/buckets/b"] {
        let mut page = Some(deleted.to_owned());
        while let Some(path) = page {
            let response = alice.delete(&path).is(200);
            page = response.header("next-page").split_once("/v1").map(|(_, path)| path.to_owned());
        }
        alice.put("/buckets/b", &nothing());
        alice.put("/buckets/b/collections/c", &nothing());
        for n in 0..6 {
            let path = format!("{RECORDS}/r{n}");
            alice.put(&path, &nothing()).expect(201);
            bob.get(&path).expect(403);
            alice.put(&path, &shared).expect(200);
        }
    }
}

fn a_group_made_again_has_no_members_of_before(kind: Kind) {
    // In Kinto the members of a group that went with its bucket are in it again.
    let app = App::on(kind, &[]);
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    let group = json!({"data": {"members": [app.id_of("bob")]}});
    let bucket = json!({"permissions": {"read": ["/buckets/b/groups/g"]}});
    for delete in ["/buckets/b/groups/g", "/buckets/b/groups", "/buckets/b"] {
        alice.put("/buckets/b", &bucket);
        alice.put("/buckets/b/groups/g", &group).expect(201);
        bob.get("/buckets/b").expect(200);
        alice.delete(delete).expect(200);
        alice.put("/buckets/b", &bucket);
        alice.put("/buckets/b/groups/g", &nothing()).expect(201);
        bob.get("/buckets/b").expect(403);
        alice.delete("/buckets/b").expect(200);
    }
}

fn deleting_a_record_keeps_the_rights_on_its_likes(kind: Kind) {
    // In Kinto on PostgreSQL `_` is any letter, and `r_1` takes the rights on `rx1` with it.
    let app = App::on(kind, &[]);
    let alice = with_many(&app, 0);
    let shared = json!({"permissions": {"read": [app.id_of("bob")]}});
    for id in ["r_1", "rx1", "r_12"] {
        alice.put(&format!("{RECORDS}/{id}"), &shared).expect(201);
    }
    alice.delete(&format!("{RECORDS}/r_1")).expect(200);
    assert_eq!(app.user("bob").get(&format!("{RECORDS}?_sort=id")).is(200).ids(), ["r_12", "rx1"]);
}

fn patches_of_permissions_keep_those_that_they_do_not_name(kind: Kind) {
    // Kinto shows an inherited writer no permissions, and takes what they see for all there is.
    let app = App::on(kind, &[]);
    let alice = with_many(&app, 1);
    let record = format!("{RECORDS}/r0");
    let share = json!({"permissions": {"read": ["carol"], "write": ["dave"]}});
    alice.patch(&record, "json", &share).expect(200);
    let bucket = json!({"permissions": {"write": [app.id_of("bob")]}});
    alice.patch("/buckets/b", "json", &bucket).expect(200);
    let bob = app.user("bob");
    let add = json!([{"op": "add", "path": "/permissions/read/erin"}]);
    bob.patch(&record, "json-patch+json", &add).expect(200);
    let merge = json!({"permissions": {"write": ["frank"]}});
    bob.patch(&record, "merge-patch+json", &merge).expect(200);
    let permissions = &bob.get(&record).is(200).json["permissions"];
    assert_eq!(permissions["read"], json!(["carol", "erin"]));
    let writers = permissions["write"].as_array().expect("a list");
    assert!(writers.contains(&json!("frank")) && !writers.contains(&json!("dave")), "{writers:?}");
}

#[test]
fn what_anonymous_users_create_belongs_to_everyone() {
    // As in Kinto, since clients may count on it.
    let app = App::with(&[("bucket_create_principals", "system.Everyone")]);
    let created = app.anonymous().put("/buckets/b", &nothing()).is(201);
    assert_eq!(created.json["permissions"]["write"], json!(["system.Everyone"]));
    app.user("bob").delete("/buckets/b").expect(200);
}

#[test]
fn a_store_that_anybody_can_empty_is_warned_of() {
    // Kinto says nothing.
    let pairs = [("includes".to_owned(), "flush".to_owned())];
    let warnings = Settings::load(&pairs, &[]).expect("valid settings").warnings;
    assert!(warnings.iter().any(|warning| warning.contains("__flush__")), "{warnings:?}");
}

#[test]
fn bad_input_is_never_the_fault_of_the_server() {
    // Kinto answers 500 or 503 to each of these.
    let app = App::default();
    let alice = with_many(&app, 1);
    let record = format!("{RECORDS}/r0");
    let put = |data: Value| alice.put(&record, &json!({"data": data})).status;
    assert_eq!(alice.header("if-match", "*abc").put(&record, &nothing()).status, 400);
    assert_eq!(alice.post("/batch", &json!([1])).status, 400);
    assert_eq!(alice.delete(&format!("{record}?last_modified=abc")).status, 400);
    assert_eq!(alice.get(&format!("{RECORDS}?like_last_modified=10")).status, 400);
    assert_eq!(put(json!({"a": "\0"})), 400);
    assert_eq!(put(json!({"last_modified": 10_i64.pow(18)})), 400);
    assert_eq!(put(json!({"last_modified": true})), 200);
    let over = json!({"data": {"a": {"b": 1}}});
    put(json!({"a": 1}));
    assert_eq!(alice.patch(&record, "merge-patch+json", &over).status, 200);
    for path in ["/data", "/permissions"] {
        let remove = json!([{"op": "remove", "path": path}]);
        assert_eq!(alice.patch(&record, "json-patch+json", &remove).status, 400, "{path}");
    }
}
