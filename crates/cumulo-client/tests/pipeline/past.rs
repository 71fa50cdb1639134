//! Collections as they once were.

use std::collections::HashMap;

use cumulo_client::{Error, Plan, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stub::{Received, Reply, Stub, batch, error, list, reply, root};

fn rows(rows: &Value) -> Reply {
    reply(200, &json!({"data": rows}))
}

#[tokio::test]
async fn a_server_that_knows_is_asked() {
    let first = rows(&json!([{"id": "a", "last_modified": 4, "title": "Milk"}]))
        .header("Next-Page", "http://x/v1/?_token=1");
    let stub = Stub::script([first, list(&["b"])]).await;
    let collection = stub.client().collection("blog", "posts");
    let records = collection.list_at::<Value>(Timestamp(5)).await.unwrap();
    let ids: Vec<_> = records.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let path = "GET /v1/buckets/blog/snapshot/collections/posts@5";
    assert_eq!(stub.lines(), [format!("{path}?_limit=5000"), format!("{path}?_token=1")]);
}

fn entry(at: i64, record: &str, action: &str, title: &str) -> Value {
    let data = json!({"id": record, "last_modified": at, "title": title});
    json!({
        "id": at.to_string(), "last_modified": at * 10, "action": action, "date": "2026-11-21",
        "user_id": "ann", "resource_name": "record", "uri": "/buckets", "collection_id": "posts",
        "record_id": record, "target": {"data": data},
    })
}

fn creation() -> Value {
    entry(1, "posts", "create", "")
}

/// A server with a history of records and of their collection, and with tombstones.
fn kinto(
    collection: Value,
    records: Value,
    tombstones: Reply,
) -> impl FnMut(&Received) -> Reply + Send {
    move |received| {
        let line = received.line.as_str();
        let query: HashMap<_, _> = line
            .split_once('?')
            .map(|(_, query)| query.split('&').filter_map(|it| it.split_once('=')).collect())
            .unwrap_or_default();
        if line.contains("/snapshot/") {
            return error(404, 111, "No such URL");
        }
        if line.contains("/records?") {
            assert_eq!(query["deleted"], "true");
            return tombstones.clone();
        }
        assert!(line.starts_with("GET /v1/buckets/blog/history?"), "{line}");
        assert_eq!(query["collection_id"], "posts");
        if query["resource_name"] == "record" {
            assert_eq!(query["_sort"], "last_modified");
            return rows(&records);
        }
        let entries = collection.as_array().unwrap().iter();
        let entries = entries.filter(|it| it["action"] == query["action"]).collect::<Vec<_>>();
        rows(&json!(entries))
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Post {
    title: String,
}

/// What there was at 5, by the history of others.
async fn at_5(handler: impl FnMut(&Received) -> Reply + Send + 'static) -> Vec<String> {
    let stub = Stub::start(handler).await;
    let collection = stub.client().collection("blog", "posts");
    let records = collection.list_at::<Post>(Timestamp(5)).await.unwrap();
    records.into_iter().map(|it| format!("{} {}", it.id, it.data.title)).collect()
}

#[tokio::test]
async fn from_others_it_is_rebuilt() {
    let records = json!([
        entry(2, "a", "create", "old"),
        entry(2, "gone", "create", "x"),
        entry(3, "b", "create", "other"),
        entry(4, "gone", "delete", ""),
        entry(5, "a", "update", "then"),
        entry(6, "a", "update", "later"),
        entry(7, "new", "create", "x"),
        entry(8, "b", "delete", ""),
    ]);
    assert_eq!(at_5(kinto(json!([creation()]), records, list(&[]))).await, ["a then", "b other"]);
}

#[tokio::test]
async fn a_server_that_forgets_deleted_collections_is_not_believed() {
    let forgetful = |creation: Value| {
        let mut others = kinto(creation, json!([entry(2, "a", "create", "x")]), list(&[]));
        move |it: &Received| if it.line.contains("/snapshot/") { list(&[]) } else { others(it) }
    };
    assert_eq!(at_5(forgetful(json!([creation()]))).await, ["a x"]);
    assert!(at_5(forgetful(json!([]))).await.is_empty());
}

#[tokio::test]
async fn tombstones_tell_of_deletions_without_entries() {
    let records = json!([
        entry(2, "before", "create", "x"),
        entry(3, "after", "create", "x"),
        entry(3, "back", "create", "x"),
    ]);
    let deleted = |id: &str, at: i64| json!({"id": id, "last_modified": at, "deleted": true});
    let tombstones = rows(&json!([deleted("before", 4), deleted("after", 6), deleted("back", 2)]));
    let mut found = at_5(kinto(json!([creation()]), records, tombstones)).await;
    found.sort();
    assert_eq!(found, ["after x", "back x"]);
}

#[tokio::test]
async fn records_end_with_their_collection() {
    let collection =
        json!([creation(), entry(3, "posts", "delete", ""), entry(9, "posts", "delete", "")]);
    let records = json!([entry(2, "a", "create", "x"), entry(4, "b", "create", "y")]);
    let gone = error(404, 111, "No such collection");
    assert_eq!(at_5(kinto(collection, records, gone)).await, ["b y"]);
}

#[tokio::test]
async fn a_history_that_began_later_is_an_error() {
    let records = json!([entry(2, "a", "create", "x")]);
    let stub = Stub::start(kinto(json!([]), records, list(&[]))).await;
    let collection = stub.client().collection("blog", "posts");
    let failure = collection.list_at::<Value>(Timestamp(5)).await.unwrap_err();
    assert!(matches!(failure, Error::IncompleteHistory { .. }), "{failure}");
    assert!(failure.to_string().contains("posts"), "{failure}");
}

#[tokio::test]
async fn records_of_another_type_are_an_error() {
    let records = json!([entry(2, "a", "create", "x")]);
    let stub = Stub::start(kinto(json!([creation()]), records, list(&[]))).await;
    let collection = stub.client().collection("blog", "posts");
    let failure = collection.list_at::<Vec<u8>>(Timestamp(5)).await.unwrap_err();
    assert!(failure.to_string().contains("the record a is not of the type"), "{failure}");
}

#[tokio::test]
async fn what_is_invalid_or_planned_is_not_asked() {
    let stub = Stub::script([]).await;
    let client = stub.client();
    for collection in [client.collection("a b", "c"), client.collection("a", "b c")] {
        let failure = collection.list_at::<Value>(Timestamp(5)).await.unwrap_err();
        assert!(matches!(failure, Error::Argument(_)), "{failure}");
    }
    let plan = Plan::new();
    let dry = client.to_builder().dry(&plan).build().unwrap();
    assert_eq!(dry.collection("a", "b").list_at::<Value>(Timestamp(5)).await.unwrap(), []);
    assert!(!dry.bucket("a").history().is_complete("b").await.unwrap());
    assert_eq!(plan.requests().len(), 3);
    assert_eq!(stub.received().len(), 0);
}

#[tokio::test]
async fn whether_the_history_is_complete_can_be_asked_in_a_batch() {
    let stub = Stub::script([
        root(None, &[]),
        batch(&[(200, json!({"data": [creation()]})), (200, json!({"data": []}))]),
    ])
    .await;
    let waiting = stub.client().batch();
    let complete = waiting.bucket("a").history().is_complete("b");
    let not = waiting.bucket("a").history().is_complete("c");
    let results = waiting.send().await.unwrap();
    assert!(results.get(&complete).unwrap() && !results.get(&not).unwrap());
    let path = "GET /buckets/a/history?resource_name=collection&collection_id=b&action=create";
    assert_eq!(stub.last().operations()[0], format!("{path}&_limit=1"));
}
