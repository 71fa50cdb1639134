//! Answers are bounded, whatever is stored.

use protocol_tests::App;
use serde_json::json;

#[test]
fn a_page_of_large_records_ends_early_and_the_rest_follows() {
    let app = App::with(&[("max_response_bytes", "65536")]);
    let large = json!({"text": "x".repeat(40_000)});
    let records: Vec<_> = ["a", "b", "c", "d", "e"].map(|id| (id, large.clone())).to_vec();
    let alice = app.user("alice");
    alice.with_records("b", "c", &records);
    let mut path = Some("/buckets/b/collections/c/records?_sort=id".to_owned());
    let mut pages = Vec::new();
    while let Some(page) = path {
        let response = alice.get(&page).is(200);
        pages.push(response.ids().join(""));
        path = response.header("next-page").split_once("/v1").map(|(_, path)| path.to_owned());
    }
    assert_eq!(pages, ["ab", "cd", "e"]);
}

#[test]
fn a_batch_of_large_answers_refuses_the_rest() {
    let app = App::with(&[("max_response_bytes", "65536")]);
    let large = json!({"text": "x".repeat(40_000)});
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("r", large)]);
    let read = json!({"path": "/buckets/b/collections/c/records/r"});
    let write = json!({"method": "PUT", "path": "/buckets/b/collections/c/records/new"});
    let batch = alice.post("/batch", &json!({"requests": [read, read, write]})).is(200);
    let statuses: Vec<_> =
        batch.json["responses"].as_array().expect("a list").iter().map(|r| &r["status"]).collect();
    assert_eq!(statuses, [200, 200, 413]);
    alice.get("/buckets/b/collections/c/records/new").expect(404);
}
