//! What is sent again, and what is not.

use std::time::{Duration, SystemTime};

use cumulo_client::{Client, Error, Retry, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::stub::{Reply, Stub, at_once, batch, data, error, object, reply, root, text};

/// How often a call is sent if this is the first answer, and the second one is a success.
async fn sent<F: Future>(first: Reply, call: impl FnOnce(Client) -> F) -> usize {
    let stub = Stub::script([first, object("a")]).await;
    call(stub.client()).await;
    stub.received().len()
}

async fn read(client: Client) {
    _ = client.bucket("a").get().send().await;
}

async fn put(client: Client) {
    _ = client.buckets().update(json!({"id": "a"})).overwrite().send().await;
}

async fn put_if_match(client: Client) {
    _ = client.buckets().update(json!({"id": "a"})).if_match(Timestamp(5)).send().await;
}

async fn create(client: Client) {
    _ = client.buckets().create(json!({"id": "a"})).send().await;
}

async fn post(client: Client) {
    _ = client.buckets().create(json!({})).assigned_id().send().await;
}

async fn delete(client: Client) {
    _ = client.bucket("a").delete().send().await;
}

fn throttled(status: u16) -> Reply {
    error(status, 201, "Later").header("Retry-After", "1")
}

#[tokio::test(start_paused = true)]
async fn whatever_surely_did_nothing_is_sent_again() {
    for status in [409, 429, 503] {
        assert_eq!(sent(throttled(status), read).await, 2, "{status}");
        assert_eq!(sent(throttled(status), put).await, 2, "{status}");
        assert_eq!(sent(throttled(status), put_if_match).await, 2, "{status}");
        assert_eq!(sent(throttled(status), create).await, 2, "{status}");
        assert_eq!(sent(throttled(status), post).await, 2, "{status}");
        assert_eq!(sent(throttled(status), delete).await, 2, "{status}");
    }
}

#[tokio::test]
async fn how_often_it_was_sent_is_told() {
    let failures = [text(500, "x"), Reply::Break, text(502, "x")];
    let stub = Stub::script(failures.iter().cloned().chain([object("a")])).await;
    let answer = stub.client().bucket("a").get().response().await.unwrap();
    assert_eq!(answer.request.attempts, 4);
    let stub = Stub::script([text(500, "x"), Reply::Break]).await;
    let client = stub.builder().retry(at_once(1)).build().unwrap();
    let error = client.bucket("a").get().send().await.unwrap_err();
    assert_eq!(error.request().unwrap().attempts, 2);

    let fails = || batch(&[(200, data("a")), (503, json!({}))]);
    let parts = [root(None, &[]), text(500, "x"), fails(), batch(&[(200, data("b"))])];
    let stub = Stub::script(parts).await;
    let batch = stub.client().batch();
    for id in ["a", "b"] {
        _ = batch.bucket(id).get().send();
    }
    let results = batch.send().await.unwrap();
    let attempts: Vec<_> = results.responses().map(|it| it.unwrap().request.attempts).collect();
    assert_eq!(attempts, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_done_something_is_sent_again_only_if_that_is_safe() {
    let unclear = [text(500, "x"), text(502, "x"), text(503, "x"), Reply::Break, Reply::Truncated];
    for first in unclear {
        assert_eq!(sent(first.clone(), read).await, 2, "{first:?}");
        assert_eq!(sent(first.clone(), put_if_match).await, 2, "{first:?}");
        assert_eq!(sent(first.clone(), create).await, 2, "{first:?}");
        assert_eq!(sent(first.clone(), put).await, 1, "{first:?}");
        assert_eq!(sent(first.clone(), post).await, 1, "{first:?}");
        assert_eq!(sent(first.clone(), delete).await, 1, "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_sent_once() {
    for status in [400, 401, 403, 404, 405, 410, 412, 413] {
        assert_eq!(sent(error(status, 999, "No"), put_if_match).await, 1, "{status}");
        assert_eq!(sent(error(status, 999, "No"), read).await, 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn repetitions_end() {
    let stub = Stub::start(|_| error(500, 999, "No")).await;
    let client = stub.builder().retry(Retry::times(5)).build().unwrap();
    let failure = client.bucket("a").get().send().await.unwrap_err();
    assert!(matches!(failure, Error::Server(_)), "{failure}");
    assert_eq!(stub.received().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_again_whatever_was_to_be_sent() {
    // Nobody listens at a port that was just given back.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let retry = Retry { forced: Some(Duration::from_secs(5)), ..Retry::times(2) };
    let client = Client::builder(&format!("http://{address}/v1")).retry(retry).build().unwrap();
    let begun = Instant::now();
    let update = client.buckets().update(json!({"id": "a"})).overwrite().send().await;
    assert!(matches!(update, Err(Error::Transport { .. })), "{update:?}");
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

async fn waited(after: &str) -> Duration {
    let busy = error(503, 201, "Later").header("Retry-After", after);
    let stub = Stub::script([busy, object("a")]).await;
    let retry = Retry { first: Duration::ZERO, ..Retry::times(1) };
    let client = stub.builder().retry(retry).build().unwrap();
    let begun = Instant::now();
    client.bucket("a").get().send().await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_server_is_waited_for_as_long_as_it_asks() {
    let waited = waited("30").await;
    assert!((30..31).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_may_be_a_date() {
    #[expect(clippy::disallowed_methods, reason = "the header has a date of today")]
    let date = SystemTime::now() + Duration::from_secs(40);
    let waited = waited(&httpdate::fmt_http_date(date)).await;
    assert!((30..=40).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_too_long_a_wait_is_an_error_that_tells_how_long() {
    for after in ["61", "18446744073709551615"] {
        let stub = Stub::script([error(429, 117, "No").header("Retry-After", after)]).await;
        let failure = stub.client().bucket("a").get().send().await.unwrap_err();
        assert!(matches!(failure, Error::Throttled(_)), "{failure}");
        let asked = failure.refusal().unwrap().retry_after().unwrap();
        assert_eq!(asked.as_secs().to_string(), after);
        assert_eq!(stub.received().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_may_be_allowed() {
    let stub = Stub::script([error(429, 117, "No").header("Retry-After", "99999999")]).await;
    let retry = Retry { longest: Duration::MAX, first: Duration::MAX, ..Retry::times(1) };
    let client = stub.builder().retry(retry).build().unwrap();
    let asked = tokio::time::timeout(Duration::from_mins(1), client.bucket("a").get().send());
    assert!(asked.await.is_err(), "it still waits");
}

#[tokio::test(start_paused = true)]
async fn a_forced_wait_counts_more_than_the_server() {
    let busy = error(503, 201, "Later").header("Retry-After", "3600");
    let stub = Stub::script([busy, object("a")]).await;
    let retry = Retry { forced: Some(Duration::from_secs(2)), ..Retry::times(1) };
    let client = stub.builder().retry(retry).build().unwrap();
    let begun = Instant::now();
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_carried_out_is_recognized_as_ours() {
    let refused = error(412, 114, "Modified");
    let stub = Stub::script([Reply::Break, refused, object("a")]).await;
    let milk = json!({"id": "a", "title": "Milk"});
    let created = stub.client().buckets().create(milk).header("X-Trace", "1").send().await.unwrap();
    assert_eq!(created.last_modified, Timestamp(7));
    let put = "PUT /v1/buckets/a";
    assert_eq!(stub.lines(), [put, put, "GET /v1/buckets/a"]);
    let look = stub.last();
    assert_eq!(look.header("If-None-Match"), None);
    assert_eq!(look.header("X-Trace"), Some("1"), "what the caller says of the request holds");
}

#[tokio::test(start_paused = true)]
async fn the_creation_of_somebody_else_is_a_conflict() {
    let refused = error(412, 114, "Modified");
    let stub = Stub::script([Reply::Break, refused, object("a")]).await;
    let bread = json!({"id": "a", "title": "Bread"});
    let failure = stub.client().buckets().create(bread).send().await.unwrap_err();
    assert!(matches!(failure, Error::Conflict(_)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_after_an_answer_that_did_nothing_is_one() {
    let busy = throttled(503);
    let stub = Stub::script([busy, error(412, 114, "Modified"), object("a")]).await;
    let milk = json!({"id": "a", "title": "Milk"});
    let failure = stub.client().buckets().create(milk).send().await.unwrap_err();
    assert!(matches!(failure, Error::Conflict(_)), "{failure}");
    assert_eq!(stub.received().len(), 2, "there is nothing to look for");
}

#[tokio::test(start_paused = true)]
async fn pages_after_the_first_are_sent_again_too() {
    let page = reply(200, &json!({"data": [{"id": "a", "last_modified": 1}]}))
        .header("Next-Page", "http://elsewhere/v1/buckets?_token=x");
    let stub = Stub::script([page, text(502, "x"), crate::stub::list(&["b"])]).await;
    let all = stub.client().buckets().list().all().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(stub.lines()[1..], ["GET /v1/buckets?_token=x", "GET /v1/buckets?_token=x"]);
}
