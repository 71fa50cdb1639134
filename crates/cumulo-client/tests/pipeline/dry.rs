//! Dry mode, in which nothing is sent, for every call that there is.

use cumulo_client::{
    Behavior, Changes, Client, Fresh, Permissions, Plan, Timestamp, blocking, changeset::Expected,
    field,
};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stub::Stub;

async fn dry() -> (Stub, Plan, Client) {
    let stub = Stub::script([]).await;
    let plan = Plan::new();
    let client = stub.builder().dry(&plan).build().unwrap();
    (stub, plan, client)
}

/// The requests of a plan, without the server.
fn planned(stub: &Stub, plan: &Plan) -> Vec<String> {
    assert_eq!(stub.received().len(), 0, "nothing is sent");
    let requests = plan.requests();
    let line = |it: &cumulo_client::Planned| format!("{} {}", it.method, it.url);
    requests.iter().map(|it| line(it).replace(&stub.url(), "")).collect()
}

#[tokio::test]
async fn the_server_is_not_asked_about_itself() {
    let (stub, plan, client) = dry().await;
    client.server_info().await.unwrap();
    client.heartbeat().await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(client.user().await.unwrap(), None);
    assert_eq!(client.permissions().all().await.unwrap(), []);
    let changeset = client.monitor_changes::<Value>(Expected::Any, None).send().await.unwrap();
    assert_eq!(changeset.changes, Vec::<Value>::new());
    let since = Some(Timestamp(5));
    let expected = Expected::At(Timestamp(7));
    client.collection("a", "b").changeset::<Value>(expected, since).send().await.unwrap();
    assert_eq!(
        planned(&stub, &plan),
        [
            "GET /",
            "GET /__heartbeat__",
            "POST /__flush__",
            "GET /",
            "GET /permissions?_sort=id&_limit=5000",
            "GET /buckets/monitor/collections/changes/changeset?_expected=0",
            "GET /buckets/a/collections/b/changeset?_expected=7&_since=%225%22",
        ]
    );
}

#[tokio::test]
async fn objects_of_every_kind_are_read_and_written() {
    let (stub, plan, client) = dry().await;
    let bucket = client.bucket("a");
    for objects in [
        client.buckets(),
        client.accounts(),
        bucket.groups(),
        bucket.collections(),
        bucket.collection("b").records(),
    ] {
        let before = plan.requests().len();
        assert_eq!(objects.get("x").send().await.unwrap().id, "x");
        objects.get("x").fields(["a"]).response().await.unwrap();
        let fresh = objects.get("x").if_none_match(Timestamp(1)).send().await.unwrap();
        assert!(matches!(fresh, Fresh::Modified(_)));
        let created = objects.create(json!({"id": "x", "a": 1})).send().await.unwrap();
        assert_eq!((created.id.as_str(), &created.data["a"]), ("x", &json!(1)));
        let assigned = objects.create(json!({"a": 1})).assigned_id().send().await.unwrap();
        assert!(assigned.id.len() > 20, "as a server would: {}", assigned.id);
        objects.create(json!({"id": "x"})).if_not_exists().send().await.unwrap();
        let read = Permissions::new().grant("read", "ann");
        let update = objects.update(json!({"id": "x"})).permissions(read.clone());
        assert_eq!(update.send().await.unwrap().permissions, Some(read.clone()));
        objects.save(&created).send().await.unwrap();
        objects.patch("x", json!({"a": 2})).behavior(Behavior::Light).send().await.unwrap();
        objects.patch("x", Changes::merge(json!({"a": 2}))).send().await.unwrap();
        objects.patch("x", Changes::grant("read", "ann")).send().await.unwrap();
        objects.patch("x", read).send().await.unwrap();
        assert_eq!(objects.delete("x").send().await.unwrap().id, "x");
        assert!(objects.delete("x").if_exists().send().await.unwrap().is_some());
        let write = objects.one("x").set_permissions(Permissions::new()).send().await.unwrap();
        assert_eq!(write.id, "x");
        assert!(objects.one("x").exists().await.unwrap());
        assert_eq!(objects.timestamp().await.unwrap(), Timestamp(0));
        assert_eq!(plan.requests().len() - before, 17);
    }
    client.create_account("ann", "s3cret").send().await.unwrap();
    let lines = planned(&stub, &plan);
    assert_eq!(lines[3], "PUT /buckets/x");
    assert_eq!(lines[4], "POST /buckets");
    let read = &plan.requests()[11];
    assert_eq!(read.body, Some(json!({"permissions": {"read": ["ann"]}})));
}

#[tokio::test]
async fn lists_are_empty() {
    let (stub, plan, client) = dry().await;
    let records = client.collection("a", "b").records();
    let list = || records.list().filter(field("c").is(1));
    assert_eq!(list().all().await.unwrap(), []);
    assert_eq!(list().page().await.unwrap().rows, []);
    assert_eq!(list().pages().count().await, 1);
    assert_eq!(list().rows().count().await, 0);
    assert_eq!(list().count().await.unwrap(), 0);
    list().response().await.unwrap();
    assert_eq!(list().since(Timestamp(5)).all().await.unwrap(), []);
    let fresh = list().if_none_match(Timestamp(5)).all().await.unwrap();
    assert_eq!(fresh, Fresh::Modified(vec![]));
    assert_eq!(records.delete_many().page().await.unwrap().rows, []);
    assert_eq!(records.delete_many().filter(field("c").is(1)).send().await.unwrap(), []);
    let history = client.bucket("a").history();
    assert_eq!(history.list().all().await.unwrap(), []);
    assert_eq!(history.purge().send().await.unwrap(), []);
    assert_eq!(planned(&stub, &plan).len(), 12);
}

#[tokio::test]
async fn reviews_are_planned() {
    let (stub, plan, client) = dry().await;
    let collection = client.collection("a", "b");
    for step in [
        collection.request_review("x"),
        collection.approve_changes(),
        collection.decline_changes("x"),
        collection.rollback_changes("x"),
        collection.refresh_signature(),
    ] {
        step.send().await.unwrap();
    }
    assert_eq!(planned(&stub, &plan), ["PATCH /buckets/a/collections/b"; 5]);
}

#[tokio::test]
async fn a_batch_is_planned_with_its_operations_and_gives_results() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Todo {
        title: String,
    }
    let (stub, plan, client) = dry().await;
    let waiting = client.batch();
    let todos = waiting.collection("a", "b").records().of::<Todo>();
    let created = todos.create(Todo { title: "Milk".into() }).id("x").send();
    let page = todos.list().page();
    let deleted = waiting.bucket("a").delete().send();
    let results = waiting.send().await.unwrap();
    assert_eq!(results.get(&created).unwrap().data.title, "Milk");
    assert_eq!(results.get(&page).unwrap().rows.len(), 0);
    assert_eq!(results.get(&deleted).unwrap().id, "a");
    assert_eq!(planned(&stub, &plan), ["POST /batch"]);
    let body = plan.requests()[0].body.clone().unwrap();
    assert_eq!(body["requests"][0]["path"], "/buckets/a/collections/b/records/x");
    assert_eq!(body["requests"][0]["body"]["data"]["title"], "Milk");
}

#[test]
fn clients_that_wait_have_it_too() {
    let stub = Stub::script_on_thread([]);
    let plan = Plan::new();
    let client: blocking::Client = stub.builder().dry(&plan).build_blocking().unwrap();
    client.bucket("a").create().send().unwrap();
    client.bucket("a").get().send().unwrap();
    assert_eq!(planned(&stub, &plan), ["PUT /buckets/a", "GET /buckets/a"]);
    let words: Vec<_> = plan.requests().iter().map(ToString::to_string).collect();
    let url = stub.url();
    assert_eq!(words, [format!("PUT {url}/buckets/a {{}}"), format!("GET {url}/buckets/a")]);
}

#[tokio::test]
async fn what_is_invalid_is_not_planned() {
    let (_stub, plan, client) = dry().await;
    assert!(client.bucket("not valid").get().send().await.is_err());
    assert!(plan.requests().is_empty());
}
