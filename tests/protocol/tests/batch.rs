//! Batches: order, savepoints, cascades inside.

use protocol_tests::{App, Client, Kind, on_each_store};
use serde_json::{Value, json};

on_each_store!(
    children_of_a_recreated_parent_stay
    records_are_not_written_under_a_collection_that_the_batch_deleted
    a_conflict_undoes_its_own_item_only
    not_modified_is_an_answer_like_others
    a_list_as_body_is_an_invalid_request
    items_see_what_those_before_them_did_to_permissions
    items_see_what_those_before_them_did_to_schemas
    items_may_be_sent_by_others
    an_item_that_fails_in_the_middle_leaves_nothing
    records_are_kept_without_what_the_server_adds
);

fn batch(client: &Client<'_>, requests: &Value) -> Vec<Value> {
    let response = client.post("/batch", &json!({"requests": requests})).is(200);
    response.json["responses"].as_array().expect("a list").clone()
}

fn statuses(responses: &[Value]) -> Vec<i64> {
    responses.iter().map(|response| response["status"].as_i64().expect("a number")).collect()
}

fn children_of_a_recreated_parent_stay(kind: Kind) {
    // Kinto deletes what is below a deleted parent at the end of the batch, new children too.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("old", json!({}))]);
    let responses = batch(
        &alice,
        &json!([
            {"method": "DELETE", "path": "/buckets/b/collections/c"},
            {"method": "PUT", "path": "/buckets/b/collections/c"},
            {"method": "PUT", "path": "/buckets/b/collections/c/records/new"},
        ]),
    );
    assert_eq!(statuses(&responses), [200, 201, 201]);
    assert_eq!(alice.get("/buckets/b/collections/c/records").ids(), ["new"]);
}

fn records_are_not_written_under_a_collection_that_the_batch_deleted(kind: Kind) {
    // Kinto remembers for the whole batch that the collection was there.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    let responses = batch(
        &alice,
        &json!([
            {"method": "DELETE", "path": "/buckets/b/collections/c"},
            {"method": "PUT", "path": "/buckets/b/collections/c/records/r"},
        ]),
    );
    assert_eq!(statuses(&responses), [200, 404]);
}

fn a_conflict_undoes_its_own_item_only(kind: Kind) {
    // In Kinto a 409 undoes the items before it, which were answered with 201.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    let record = |id: &str, at: Option<i64>| {
        let data = at.map_or(json!({}), |at| json!({"last_modified": at}));
        let path = format!("/buckets/b/collections/c/records/{id}");
        json!({"method": "PUT", "path": path, "body": {"data": data}})
    };
    let responses = batch(
        &alice,
        &json!([record("a", Some(1000)), record("b", Some(1000)), record("c", None)]),
    );
    assert_eq!(statuses(&responses), [201, 409, 201]);
    assert_eq!(responses[1]["headers"]["Retry-After"], "3");
    let mut ids: Vec<_> = ["c", "a"].to_vec();
    ids.sort_unstable();
    let listed = alice.get("/buckets/b/collections/c/records?_sort=id");
    assert_eq!(listed.ids(), ids);
}

fn not_modified_is_an_answer_like_others(kind: Kind) {
    // In Kinto a 304 fails the whole batch with 500.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("r", json!({}))]);
    let path = "/buckets/b/collections/c/records/r";
    let etag = alice.get(path).header("etag").to_owned();
    let responses =
        batch(&alice, &json!([{"path": path, "headers": {"If-None-Match": etag}}, {"path": path}]));
    assert_eq!(statuses(&responses), [304, 200]);
    assert_eq!(responses[0]["body"], "");
    assert_eq!(responses[0]["headers"]["ETag"], json!(etag));
}

fn a_list_as_body_is_an_invalid_request(kind: Kind) {
    // Kinto answers 500 to a list, and to letters outside of ASCII in a path.
    let app = App::on(kind, &[]);
    app.anonymous().post("/batch", &json!([])).expect(400);
    app.anonymous().post("/batch", &json!({"requests": [{"path": "/é"}]})).expect(200);
    app.anonymous().post("/batch", &json!({"requests": [{"path": "/v1/batch"}]})).expect(400);
    let batches = json!({"requests": [{"path": "/buckets/batches"}]});
    app.anonymous().post("/batch", &batches).expect(200);
}

fn items_see_what_those_before_them_did_to_permissions(kind: Kind) {
    let app = App::on(kind, &[]);
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    let writers = json!({"permissions": {"write": [app.id_of("bob")]}});
    alice.with_records("b", "c", &[]).patch("/buckets/b", "json", &writers).expect(200);
    let record = |id: &str| {
        let path = format!("/buckets/b/collections/c/records/{id}");
        json!({"method": "PUT", "path": path})
    };
    let revoke = json!({"method": "PUT", "path": "/buckets/b",
        "headers": {"Authorization": protocol_tests::basic("alice", "password")},
        "body": {"permissions": {"read": ["system.Everyone"]}}});
    let responses = batch(&bob, &json!([record("before"), revoke, record("after")]));
    assert_eq!(statuses(&responses), [201, 200, 403]);
    assert_eq!(alice.get("/buckets/b/collections/c/records").ids(), ["before"]);
    let grant = json!({"method": "PATCH", "path": "/buckets/b",
        "headers": {"Authorization": protocol_tests::basic("alice", "password")},
        "body": writers});
    let responses = batch(&bob, &json!([record("early"), grant, record("late")]));
    assert_eq!(statuses(&responses), [403, 200, 201]);
}

fn items_see_what_those_before_them_did_to_schemas(kind: Kind) {
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    let record = |id: &str, body: Value| {
        let path = format!("/buckets/b/collections/c/records/{id}");
        json!({"method": "PUT", "path": path, "body": {"data": body}})
    };
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let path = "/buckets/b/collections/c";
    let responses = batch(
        &alice,
        &json!([
            record("a", json!({"n": "x"})),
            {"method": "PATCH", "path": path, "body": {"data": {"schema": schema}}},
            record("b", json!({"n": "x"})),
            record("c", json!({"n": 1})),
            {"method": "PUT", "path": path, "body": {"data": {}}},
            record("d", json!({"n": "x"})),
        ]),
    );
    assert_eq!(statuses(&responses), [201, 200, 400, 201, 200, 201]);
    assert_eq!(
        responses[3]["body"]["data"]["schema"],
        responses[1]["body"]["data"]["last_modified"]
    );
    assert_eq!(alice.get("/buckets/b/collections/c/records").ids(), ["d", "c", "a"]);
}

fn items_may_be_sent_by_others(kind: Kind) {
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    let as_bob = json!({"Authorization": protocol_tests::basic("bob", "password")});
    let nobody = json!({"Authorization": ""});
    let responses = batch(
        &alice,
        &json!([{"path": "/"}, {"path": "/", "headers": as_bob}, {"path": "/", "headers": nobody}]),
    );
    let user = |n: usize| &responses[n]["body"]["user"]["id"];
    assert_eq!([user(0), user(1)], [&json!(app.id_of("alice")), &json!(app.id_of("bob"))]);
    assert_eq!(*user(2), Value::Null);
}

fn an_item_that_fails_in_the_middle_leaves_nothing(kind: Kind) {
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("there", json!({"n": 1}))]);
    let create = |id: &str, body: Value| {
        let path = format!("/buckets/b/collections/c/records/{id}");
        let headers = json!({"If-None-Match": "*"});
        json!({"method": "PUT", "path": path, "headers": headers, "body": body})
    };
    let responses = batch(
        &alice,
        &json!([
            create("a", json!({"data": {"n": 2}})),
            create("there", json!({"data": {"n": 2}})),
            create("b", json!({"permissions": {"fly": []}})),
            create("a", json!({})),
            {"method": "DELETE", "path": "/buckets/b/collections/c/records/gone"},
            create("d", json!({"permissions": {"read": ["system.Everyone"]}})),
        ]),
    );
    assert_eq!(statuses(&responses), [201, 412, 400, 412, 404, 201]);
    let listed = alice.get("/buckets/b/collections/c/records");
    assert_eq!(listed.ids(), ["d", "a", "there"]);
    assert_eq!(listed.json["data"][2]["n"], 1);
    assert_eq!(app.anonymous().get("/buckets/b/collections/c/records").ids(), ["d"]);
}

fn records_are_kept_without_what_the_server_adds(kind: Kind) {
    for validation in ["true", "false"] {
        let app = App::on(kind, &[("experimental_collection_schema_validation", validation)]);
        let alice = app.user("alice");
        alice.with_records("b", "c", &[]);
        let data = json!({"z": 1, "id": "r", "last_modified": 5, "a": {"id": 2}});
        let path = "/buckets/b/collections/c/records/r";
        let put = json!({"method": "PUT", "path": path, "body": {"data": data}});
        let responses = batch(&alice, &json!([put, {"path": path}]));
        assert_eq!(statuses(&responses), [201, 200]);
        for response in &responses {
            let text = response["body"]["data"].to_string();
            assert_eq!(text, r#"{"id":"r","last_modified":5,"z":1,"a":{"id":2}}"#);
        }
    }
}
