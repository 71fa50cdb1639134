//! What the JavaScript client offers beside: existence, permissions, accounts, results by kind, and
//! why something is not there.

use cumulo_client::{Changes, Error, Permissions, Timestamp, changeset::Expected};
use serde_json::{Value, json};

use crate::stub::{
    Received, Reply, Stub, batch, data, error, error_body, object, reply, root, text,
};

#[tokio::test]
async fn existence_is_asked_without_reading() {
    let stub =
        Stub::script([object("a"), error(404, 110, "No"), error(403, 121, "No"), text(503, "")])
            .await;
    let client = stub.client_once();
    assert!(client.bucket("a").exists().await.unwrap());
    assert!(!client.collection("a", "b").record("c").exists().await.unwrap());
    assert!(matches!(client.bucket("a").exists().await, Err(Error::Forbidden(_))));
    assert!(matches!(client.bucket("a").exists().await, Err(Error::Server(_))));
    assert_eq!(stub.lines()[1], "HEAD /v1/buckets/a/collections/b/records/c");
}

#[tokio::test]
async fn timestamps_of_all_lists_can_be_asked() {
    let stub = Stub::start(|_| text(200, "").header("ETag", "\"5\"")).await;
    let bucket = stub.client().bucket("a");
    for objects in [bucket.groups(), bucket.collections(), bucket.collection("b").records()] {
        assert_eq!(objects.timestamp().await.unwrap(), Timestamp(5));
    }
    assert_eq!(
        stub.lines(),
        [
            "HEAD /v1/buckets/a/groups",
            "HEAD /v1/buckets/a/collections",
            "HEAD /v1/buckets/a/collections/b/records"
        ]
    );
}

#[tokio::test]
async fn paths_reach_what_has_no_call() {
    let root = || text(200, "").header("ETag", "\"5\"").header("Total-Objects", "3");
    let rows = reply(200, &json!({"data": [1.5, {"a": null}]}));
    let stub = Stub::script([object("a"), rows, root()]).await;
    let client = stub.client();
    assert_eq!(client.get("/plugin/a%20b").send().await.unwrap()["data"]["id"], "a");
    let page = client.list("/plugin").param("b", "c d").page().await.unwrap();
    assert_eq!(page.rows, [json!(1.5), json!({"a": null})]);
    let head = client.list("/plugin").head().await.unwrap();
    assert_eq!((head.total(), head.timestamp()), (Some(3), Some(Timestamp(5))));
    let expected = ["GET /v1/plugin/a%20b", "GET /v1/plugin?b=c%20d", "HEAD /v1/plugin"];
    assert_eq!(stub.lines(), expected);
    // Behind a server without a path, this would be a password and another host.
    for path in ["@example.com/", "buckets", "", "/a?b=c", "/a#b"] {
        let error = client.get(path).send().await.unwrap_err();
        assert!(matches!(error, Error::Argument(_)), "{path}: {error}");
        assert!(matches!(client.list(path).page().await, Err(Error::Argument(_))), "{path}");
    }
    assert_eq!(stub.lines().len(), 3);
}

#[tokio::test]
async fn permissions_are_set_added_and_removed_without_the_data() {
    let stub = Stub::start(|_| object("a")).await;
    let bucket = stub.client().bucket("a");
    let readers = Permissions::new().grant("read", "ann").grant("read", "bob");
    bucket.set_permissions(readers.clone()).if_match(Timestamp(5)).send().await.unwrap();
    let set = stub.last();
    assert_eq!(set.line, "PUT /v1/buckets/a");
    assert_eq!(set.json(), json!({"permissions": {"read": ["ann", "bob"], "write": []}}));
    assert_eq!(set.header("If-Match"), Some("\"5\""));
    bucket.set_permissions(Permissions::new()).send().await.unwrap();
    assert_eq!(stub.last().json(), json!({"permissions": {"write": []}}));

    bucket.patch(readers.clone()).send().await.unwrap();
    assert_eq!(stub.last().line, "PATCH /v1/buckets/a");
    assert_eq!(stub.last().json(), json!({"permissions": {"read": ["ann", "bob"]}}));

    let operations = |operation: &str| {
        let path = |name| format!("/permissions/read/{name}");
        json!([{"op": operation, "path": path("ann")}, {"op": operation, "path": path("bob")}])
    };
    bucket.patch(Changes::grant_all(&readers)).send().await.unwrap();
    assert_eq!(stub.last().json(), operations("add"));
    bucket.patch(Changes::revoke_all(&readers)).send().await.unwrap();
    assert_eq!(stub.last().json(), operations("remove"));
}

#[tokio::test]
async fn accounts_are_made_and_users_asked() {
    let user = json!({"id": "account:ann", "principals": ["account:ann"]});
    let stub = Stub::script([object("ann"), reply(200, &json!({"user": user})), root(None, &[])]);
    let stub = stub.await;
    let client = stub.client();
    client.create_account("ann", "s3cret").send().await.unwrap();
    let created = stub.last();
    assert_eq!(created.line, "PUT /v1/accounts/ann");
    assert_eq!(created.header("If-None-Match"), Some("*"));
    assert_eq!(created.json(), json!({"data": {"password": "s3cret"}}));
    assert_eq!(client.user().await.unwrap().unwrap().id, "account:ann");
    assert_eq!(client.user().await.unwrap(), None);
}

#[tokio::test]
async fn objects_and_lists_know_their_urls() {
    let stub = Stub::script([]).await;
    let client = stub.client();
    let record = client.collection("a", "b").record("c");
    assert_eq!(record.url(), format!("{}/buckets/a/collections/b/records/c", stub.url()));
    assert_eq!(client.buckets().url(), format!("{}/buckets", stub.url()));
}

/// A server that has such capabilities, and none of what is asked for.
fn without(capabilities: &'static [&str]) -> impl FnMut(&Received) -> Reply {
    move |received| match received.line.as_str() {
        "GET /v1/" => root(None, capabilities),
        _ => error(404, 111, "No such URL"),
    }
}

#[tokio::test]
async fn what_the_server_can_not_do_is_said() {
    let stub = Stub::start(without(&[])).await;
    let client = stub.client();
    let bucket = client.bucket("a");
    let collection = bucket.collection("b");
    let missing = [
        (bucket.history().list().all().await.unwrap_err(), "history"),
        (bucket.history().purge().send().await.unwrap_err(), "history"),
        (bucket.history().is_complete("b").await.unwrap_err(), "history"),
        (collection.list_at::<Value>(Timestamp(5)).await.unwrap_err(), "history"),
        (client.permissions().all().await.unwrap_err(), "permissions_endpoint"),
        (client.accounts().list().all().await.unwrap_err(), "accounts"),
        (client.create_account("ann", "x").send().await.unwrap_err(), "accounts"),
        (client.flush().await.unwrap_err(), "flush_endpoint"),
        (collection.changeset::<Value>(Expected::Any, None).send().await.unwrap_err(), "changes"),
    ];
    for (failure, expected) in missing {
        let Error::Unsupported { capability, refusal } = &failure else { panic!("{failure}") };
        assert_eq!(*capability, expected);
        assert_eq!(refusal.number, Some(111));
        let end = format!("the server has not the capability '{expected}'");
        assert!(failure.to_string().ends_with(&end), "{failure}");
    }
}

#[tokio::test]
async fn what_the_server_can_do_is_not_found() {
    let stub = Stub::start(without(&["history", "accounts"])).await;
    let client = stub.client();
    let history = client.bucket("a").history().list().all().await.unwrap_err();
    assert!(matches!(history, Error::NotFound(_)), "{history}");
    let account = client.accounts().get("ann").send().await.unwrap_err();
    assert!(matches!(account, Error::NotFound(_)), "{account}");
    let asked = stub.received().len();
    let bucket = client.bucket("a").get().send().await.unwrap_err();
    assert!(matches!(bucket, Error::NotFound(_)), "{bucket}");
    assert_eq!(stub.received().len(), asked + 1, "what every server has takes no second request");
}

#[tokio::test]
async fn results_of_a_batch_are_told_by_kind() {
    let mut conflict = error_body(412, 114, "Modified");
    conflict["details"] = json!({"existing": {"id": "b", "last_modified": 9}});
    let parts = [
        (201, data("a")),
        (412, conflict),
        (404, error_body(404, 110, "No")),
        (403, error_body(403, 121, "No")),
        (404, error_body(404, 110, "No")),
        (304, json!({})),
    ];
    let stub = Stub::script([root(Some(6), &[]), batch(&parts)]).await;
    let waiting = stub.client().batch().ignore_refusals();
    for id in ["a", "b", "c", "d"] {
        _ = waiting.bucket(id).create().send();
    }
    _ = waiting.bucket("e").delete().if_exists().send();
    _ = waiting.bucket("f").get().if_none_match(Timestamp(5)).send();
    let results = waiting.send().await.unwrap();
    let aggregate = results.aggregate();
    let published: Vec<_> = aggregate.published.iter().map(|(index, _)| *index).collect();
    assert_eq!(published, [0, 4, 5], "what was not there need not be deleted");
    assert_eq!(aggregate.published[0].1.status, 201);
    assert_eq!(aggregate.conflicts.len(), 1);
    assert_eq!(aggregate.conflicts[0].error.existing().unwrap().last_modified, Timestamp(9));
    assert_eq!((aggregate.skipped.len(), aggregate.skipped[0].index), (1, 2));
    assert_eq!((aggregate.errors.len(), aggregate.errors[0].index), (1, 3));
}
