//! Nobody reaches what is not theirs: ids match exactly, answers show no more than they must.

use protocol_tests::{App, Kind, on_each_store};
use serde_json::json;

on_each_store!(
    an_underscore_in_an_id_is_not_a_wildcard
    a_star_is_not_a_bucket
    groups_lose_their_members_with_the_bucket
    a_safe_creation_does_not_show_what_is_there
    shared_objects_are_all_that_a_guest_sees
);

fn an_underscore_in_an_id_is_not_a_wildcard(kind: Kind) {
    // Kinto on PostgreSQL puts ids into LIKE patterns, where `_` is any letter: rights on `axb` reach into
    // `a_b`, and deleting one deletes from the other.
    let app = App::on(kind, &[]);
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    alice.with_records("a_b", "c_c", &[("r_1", json!({}))]);
    bob.with_records("axb", "c_c", &[("r_1", json!({"mine": true})), ("rx1", json!({}))]);
    bob.with_records("a_bc", "c_c", &[("r_1", json!({}))]);

    assert!(bob.get("/buckets/a_b/collections/c_c/records").is(403).json["data"].is_null());
    bob.delete("/buckets/a_b/collections/c_c/records").expect(403);
    bob.delete("/buckets/axb/collections/c_c/records/r_1").expect(200);
    bob.get("/buckets/axb/collections/c_c/records/rx1").expect(200);
    alice.delete("/buckets/a_b").expect(200);
    bob.get("/buckets/axb").expect(200);
    assert_eq!(bob.get("/buckets/axb/collections/c_c/records").is(200).ids(), ["rx1"]);
    assert_eq!(bob.get("/buckets/a_bc/collections/c_c/records").is(200).ids(), ["r_1"]);
}

fn a_star_is_not_a_bucket(kind: Kind) {
    // Kinto before 26.3.3 took `*` for all buckets.
    let app = App::on(kind, &[]);
    app.user("alice").with_records("b", "c", &[]);
    app.user("bob").get("/buckets/*/collections").expect(404);
    app.user("bob").delete("/buckets/*/collections").expect(404);
    app.user("bob").get("/buckets/%25/collections").expect(404);
}

fn groups_lose_their_members_with_the_bucket(kind: Kind) {
    // In Kinto members keep the principal of a group that went with its bucket.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    let mallory = app.id_of("mallory");
    alice.put("/buckets/team", &json!({})).expect(201);
    let group = json!({"data": {"members": [mallory]}});
    alice.put("/buckets/team/groups/staff", &group).expect(201);
    let principals = || app.user("mallory").get("/").json["user"]["principals"].clone();
    assert!(
        principals().as_array().expect("a list").contains(&json!("/buckets/team/groups/staff"))
    );
    alice.delete("/buckets/team").expect(200);
    assert!(
        !principals().as_array().expect("a list").contains(&json!("/buckets/team/groups/staff"))
    );
    alice.put("/buckets/team", &json!({"permissions": {"read": ["/buckets/team/groups/staff"]}}));
    app.user("mallory").get("/buckets/team").expect(403);
}

fn a_safe_creation_does_not_show_what_is_there(kind: Kind) {
    // Kinto shows the existing object to whoever may create in the list.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("secret", json!({"pin": 1234}))]);
    let bob = app.id_of("bob");
    let writers = json!({"permissions": {"record:create": [bob]}});
    alice.patch("/buckets/b/collections/c", "json", &writers).expect(200);
    let path = "/buckets/b/collections/c/records/secret";
    let creation = |name: &str| {
        app.user(name).header("if-none-match", "*").put(path, &json!({"data": {}})).is(412)
    };
    assert!(creation("bob").json["details"].is_null());
    assert_eq!(creation("alice").json["details"]["existing"]["pin"], 1234);
}

fn shared_objects_are_all_that_a_guest_sees(kind: Kind) {
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("private", json!({})), ("shared", json!({}))]);
    let records = "/buckets/b/collections/c/records";
    let share = json!({"permissions": {"read": [app.id_of("bob")]}});
    alice.patch(&format!("{records}/shared"), "json", &share).expect(200);
    let bob = app.user("bob");
    assert_eq!(bob.get(records).is(200).ids(), ["shared"]);
    assert_eq!(bob.send(&http::Method::HEAD, records, vec![]).header("total-objects"), "1");
    bob.get(&format!("{records}/private")).expect(403);
    bob.delete(records).expect(403);
    app.user("carol").get(records).expect(403);
}
