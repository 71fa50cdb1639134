//! The personal bucket.

use protocol_tests::App;
use serde_json::json;

#[test]
fn ids_that_contain_its_name_are_kept() {
    // Kinto replaces the word `default` anywhere in a posted id.
    let app = App::default();
    let alice = app.user("alice");
    let records = "/buckets/default/collections/c/records";
    let created = alice.post(records, &json!({"data": {"id": "my-default-id"}})).is(201);
    assert_eq!(created.json["data"]["id"], "my-default-id");
    let renamed = alice.put("/buckets/default", &json!({"data": {"id": "default", "a": 1}}));
    assert_eq!(renamed.is(200).json["data"]["a"], 1);
}

#[test]
fn an_empty_body_keeps_what_is_there() {
    // Kinto makes an empty body `{"data": {}}`, which empties the object.
    let app = App::default();
    let alice = app.user("alice");
    let record = "/buckets/default/collections/c/records/r";
    alice.put(record, &json!({"data": {"a": 1}})).expect(201);
    let again = alice.send(&http::Method::PUT, record, Vec::new()).is(200);
    assert_eq!(again.json["data"]["a"], 1);
}

#[test]
fn it_is_created_by_the_first_look() {
    let app = App::default();
    let alice = app.user("alice");
    assert_eq!(
        alice.get("/buckets/default/collections/c/records").is(200).ids(),
        Vec::<&str>::new()
    );
    alice.get("/buckets/default/collections/c").expect(200);
    alice.get("/buckets/default/collections/c/records/nothing").expect(404);
    app.anonymous().get("/buckets/default").expect(401);
}
