//! Under which conditions something is written.

use cumulo_client::{Changes, Error, Object, Timestamp};
use serde_json::{Value, json};

use crate::stub::{Received, Stub, error, object};

fn conditions(received: &Received) -> (Option<&str>, Option<&str>) {
    (received.header("If-Match"), received.header("If-None-Match"))
}

#[tokio::test]
async fn creation_replaces_nothing_unless_told_to() {
    let stub = Stub::start(|_| object("a")).await;
    let buckets = stub.client().buckets();
    buckets.create(json!({"id": "a"})).send().await.unwrap();
    assert_eq!(stub.last().line, "PUT /v1/buckets/a");
    assert_eq!(conditions(&stub.last()), (None, Some("*")));
    buckets.create(json!({"id": "a"})).overwrite().send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (None, None));
}

#[tokio::test]
async fn an_update_is_conditional_when_the_timestamp_is_known() {
    let stub = Stub::start(|_| object("a")).await;
    let buckets = stub.client().buckets();
    buckets.update(json!({"id": "a"})).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (None, None));
    buckets.update(json!({"id": "a", "last_modified": 5})).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"5\""), None));
    buckets
        .update(json!({"id": "a", "last_modified": 5}))
        .if_match(Timestamp(6))
        .send()
        .await
        .unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"6\""), None), "what is said outright counts");
    buckets.update(json!({"id": "a", "last_modified": 5})).overwrite().send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (None, None));
}

#[tokio::test]
async fn what_was_read_can_be_saved_as_it_is() {
    let stub = Stub::start(|_| object("a")).await;
    let buckets = stub.client().buckets();
    let mut read: Object = buckets.get("a").send().await.unwrap();
    read.data["title"] = "Bread".into();
    buckets.save(&read).send().await.unwrap();
    let saved = stub.last();
    assert_eq!(saved.line, "PUT /v1/buckets/a");
    assert_eq!(conditions(&saved), (Some("\"7\""), None));
    assert_eq!(saved.json()["data"]["title"], "Bread");
    assert_eq!(saved.json()["permissions"], json!({"write": ["ann"]}));
    buckets.update(&read.data).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"7\""), None), "the data alone does it, too");
}

#[tokio::test]
async fn changes_and_deletions_take_a_timestamp() {
    let stub = Stub::start(|_| object("a")).await;
    let buckets = stub.client_once().buckets();
    buckets.patch("a", json!({"last_modified": 5})).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"5\""), None));
    let operations = json!([{"op": "add", "path": "/data/a", "value": 1}]);
    buckets.patch("a", Changes::json(operations)).if_match(Timestamp(6)).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"6\""), None));
    assert_eq!(stub.last().header("Content-Type"), Some("application/json-patch+json"));
    buckets.patch("a", Changes::merge(json!({"a": null}))).send().await.unwrap();
    assert_eq!(stub.last().header("Content-Type"), Some("application/merge-patch+json"));
    assert_eq!(stub.last().json(), json!({"data": {"a": null}}));
    buckets.delete("a").if_match(Timestamp(7)).send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (Some("\"7\""), None));
    buckets.delete("a").send().await.unwrap();
    assert_eq!(conditions(&stub.last()), (None, None));
    _ = buckets.delete_many().if_match(Timestamp(8)).send().await;
    assert_eq!(conditions(&stub.last()), (Some("\"8\""), None));
}

#[tokio::test]
async fn if_not_exists_gives_what_is_there() {
    let stub = Stub::script([error(412, 114, "Modified"), object("a")]).await;
    let bucket = json!({"id": "a", "title": "Mine"});
    let found = stub.client().buckets().create(bucket).if_not_exists().send().await.unwrap();
    assert_eq!(found.data["title"], "Milk");
    assert!(found.permissions.is_some());
    assert_eq!(stub.lines(), ["PUT /v1/buckets/a", "GET /v1/buckets/a"]);
}

#[tokio::test]
async fn if_not_exists_passes_other_errors_on() {
    let stub = Stub::script([error(403, 121, "No")]).await;
    let create = stub.client().buckets().create(json!({"id": "a"})).if_not_exists().send().await;
    assert!(matches!(create, Err(Error::Forbidden(_))), "{create:?}");
    assert_eq!(stub.received().len(), 1);
}

#[tokio::test]
async fn if_exists_passes_over_what_is_not_there() {
    let stub = Stub::script([
        error(404, 110, "No"),
        error(403, 121, "No"),
        error(404, 111, "No"),
        error(403, 121, "No"),
        object("a"),
    ])
    .await;
    let client = stub.client();
    assert_eq!(client.bucket("a").delete().if_exists().send().await.unwrap(), None);
    assert_eq!(client.bucket("a").delete().if_exists().send().await.unwrap(), None);
    let group = client.bucket("a").group("b");
    assert_eq!(group.delete().if_exists().send().await.unwrap(), None);
    let forbidden = group.delete().if_exists().send().await;
    assert!(matches!(forbidden, Err(Error::Forbidden(_))), "{forbidden:?}");
    let deleted = group.delete().if_exists().send().await.unwrap().unwrap();
    assert_eq!(deleted.last_modified, Timestamp(7));
}

#[tokio::test]
async fn ids_come_from_the_argument_the_data_or_nowhere() {
    let stub = Stub::start(|_| object("a")).await;
    let buckets = stub.client().buckets();
    buckets.create(json!({"id": "a"})).id("b").send().await.unwrap();
    assert_eq!(stub.last().line, "PUT /v1/buckets/b");
    buckets.create(json!({})).send().await.unwrap();
    assert_eq!(stub.last().line.len(), "PUT /v1/buckets/".len() + 36, "{}", stub.last().line);
    buckets.create(json!({})).assigned_id().send().await.unwrap();
    assert_eq!(stub.last().line, "POST /v1/buckets");
    let update = buckets.update(json!({"title": "Milk"})).send().await.unwrap_err();
    assert!(update.to_string().contains("an id is needed"), "{update}");
    let text = buckets.create("text").send().await.unwrap_err();
    assert!(text.to_string().contains("must be a JSON object"), "{text}");
    let nowhere = stub.client().records().list().all().await.unwrap_err();
    assert!(nowhere.to_string().contains("no collection is given"), "{nowhere}");
    assert_eq!(stub.received().len(), 3);
}

#[tokio::test]
async fn conflicts_have_the_object_that_is_there() {
    let mut body = crate::stub::error_body(412, 114, "Modified");
    body["details"] = json!({"existing": {"id": "a", "last_modified": 9, "title": "Theirs"}});
    let stub = Stub::script([crate::stub::reply(412, &body)]).await;
    let failure = stub.client().buckets().create(json!({"id": "a"})).send().await.unwrap_err();
    let Error::Conflict(refusal) = &failure else { panic!("{failure}") };
    let existing: Object<Value> = refusal.existing().unwrap();
    assert_eq!((existing.last_modified, &existing.data["title"]), (Timestamp(9), &"Theirs".into()));
}
