//! The client that waits.

use std::thread;

use cumulo_client::{Error, Retry, blocking::Client, field};
use serde_json::json;

use crate::stub::{Reply, Stub, batch, data, error, list, object, reply, root, text};

#[test]
fn verbs_wait_for_their_results() {
    let next = list(&["a"]).header("Next-Page", "http://x/v1/buckets?_token=1");
    let stub = Stub::script_on_thread([
        object("a"),
        text(500, ""),
        object("a"),
        next.clone(),
        list(&["b"]),
        next.clone(),
        list(&["b"]),
        next,
        list(&["b"]),
        root(None, &[]),
        batch(&[(200, data("a"))]),
        reply(200, &json!({"data": {"id": "a", "last_modified": 9, "deleted": true}})),
    ]);
    let client = stub.blocking();
    client.buckets().create(json!({"id": "a"})).send().unwrap();
    client.bucket("a").get().send().unwrap();
    let buckets = client.buckets();
    assert_eq!(buckets.list().filter(field("a").is(1)).all().unwrap().len(), 2);
    assert_eq!(buckets.list().rows().map(|it| it.unwrap().id).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(buckets.list().pages().count(), 2);
    let waiting = client.batch();
    let ticket = waiting.bucket("a").get().send();
    let results = waiting.send().unwrap();
    assert_eq!(results.get(&ticket).unwrap().id, "a");
    assert_eq!(client.bucket("a").delete().send().unwrap().last_modified.0, 9);
}

#[test]
fn one_client_serves_several_threads() {
    let stub =
        Stub::start_on_thread(|received| object(received.line.rsplit('/').next().expect("a path")));
    let client = stub.blocking();
    thread::scope(|scope| {
        for number in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..20 {
                    let id = format!("{number}-{round}");
                    assert_eq!(client.bucket(&id).get().send().unwrap().id, id);
                }
            });
        }
    });
    assert_eq!(stub.received().len(), 160);
    let connections = stub.received().iter().map(|it| it.connection).max();
    assert!(connections < Some(80), "connections are used again: {connections:?}");
}

#[test]
fn clones_and_clients_made_from_another_share_its_connections() {
    let stub = Stub::start_on_thread(|_| object("a"));
    let client = stub.blocking();
    let clones: Vec<_> =
        (0..20).map(|_| client.to_builder().header("X-A", "1").build_blocking().unwrap()).collect();
    for clone in &clones {
        clone.bucket("a").get().send().unwrap();
    }
    // A connection may still be on its way back when the next request begins.
    let connections = stub.received().iter().map(|it| it.connection).max();
    assert!(connections < Some(10), "{connections:?}");
    drop(client);
    clones[0].bucket("a").get().send().unwrap();
}

#[test]
fn what_is_under_way_survives_the_client() {
    let stub = Stub::script_on_thread([
        list(&["a"]).header("Next-Page", "http://x/v1/buckets?_token=1"),
        list(&["b"]),
    ]);
    let client = stub.blocking();
    let mut rows = client.buckets().list().rows();
    assert_eq!(rows.next().unwrap().unwrap().id, "a");
    drop(client);
    assert_eq!(rows.next().unwrap().unwrap().id, "b");
    assert!(rows.next().is_none());
}

#[test]
fn errors_are_the_same() {
    let stub = Stub::script_on_thread([error(404, 110, "No"), Reply::Break]);
    let client = stub.builder().retry(Retry::never()).build_blocking().unwrap();
    assert!(matches!(client.bucket("a").get().send(), Err(Error::NotFound(_))));
    assert!(matches!(client.bucket("a").get().send(), Err(Error::Transport { .. })));
    assert!(matches!(client.bucket("a b").get().send(), Err(Error::Argument(_))));
}

#[tokio::test]
async fn it_may_be_dropped_and_used_beside_async_code() {
    let stub = Stub::start_on_thread(|_| object("a"));
    let client: Client = stub.blocking();
    let other = client.clone();
    let read = tokio::task::spawn_blocking(move || other.bucket("a").get().send()).await.unwrap();
    assert_eq!(read.unwrap().id, "a");
    drop(client);
}
