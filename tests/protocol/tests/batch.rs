//! Batches: order, savepoints, cascades inside.

use protocol_tests::{App, Client, Kind, on_each_store};
use serde_json::{Value, json};

on_each_store!(
    children_of_a_recreated_parent_stay
    records_are_not_written_under_a_collection_that_the_batch_deleted
    a_conflict_undoes_its_own_item_only
    not_modified_is_an_answer_like_others
    a_list_as_body_is_an_invalid_request
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
