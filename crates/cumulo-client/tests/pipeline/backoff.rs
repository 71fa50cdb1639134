//! What the server tells all clients in passing.

use std::time::Duration;

use cumulo_client::{Error, OnBackoff, Retry};
use tokio::time::Instant;

use crate::{
    secrets::Log,
    stub::{Reply, Stub, error, object, text},
};

#[tokio::test(start_paused = true)]
async fn the_next_request_waits() {
    let stub = Stub::script([object("a").header("Backoff", "20"), object("a"), object("a")]).await;
    let client = stub.client();
    client.bucket("a").get().send().await.unwrap();
    let begun = Instant::now();
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_it_ends_it() {
    let stub = Stub::start(|received| match received.line.as_str() {
        "GET /v1/buckets/late" => Reply::Late(Duration::from_secs(2), Box::new(object("late"))),
        "GET /v1/buckets/first" => object("first").header("Backoff", "20"),
        _ => object("a"),
    })
    .await;
    let client = stub.builder().on_backoff(OnBackoff::Fail).build().unwrap();
    let late = tokio::spawn(client.bucket("late").get().send());
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.bucket("first").get().send().await.unwrap();
    assert!(client.bucket("a").get().send().await.is_err());
    late.await.unwrap().unwrap();
    client.bucket("a").get().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn or_it_fails_and_tells_for_how_long() {
    let stub = Stub::script([text(500, "x").header("Backoff", "20")]).await;
    let builder = stub.builder().on_backoff(OnBackoff::Fail).retry(Retry::never());
    let client = builder.build().unwrap();
    client.bucket("a").get().send().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(5)).await;
    let failure = client.bucket("a").get().send().await.unwrap_err();
    let Error::Backoff { remaining } = failure else { panic!("{failure}") };
    assert_eq!(remaining, Duration::from_secs(15));
    assert_eq!(stub.received().len(), 1, "the network is left alone");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_allowed() {
    for seconds in ["61", "18446744073709551615"] {
        let stub = Stub::script([object("a").header("Backoff", seconds)]).await;
        let client = stub.client();
        client.bucket("a").get().send().await.unwrap();
        let failure = client.bucket("a").get().send().await.unwrap_err();
        assert!(matches!(failure, Error::Backoff { .. }), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_number_counts_as_none() {
    let stub = Stub::script([object("a").header("Backoff", "soon"), object("a")]).await;
    let client = stub.builder().on_backoff(OnBackoff::Fail).build().unwrap();
    client.bucket("a").get().send().await.unwrap();
    client.bucket("a").get().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_server_share_it() {
    let stub = Stub::script([object("a").header("Backoff", "20")]).await;
    let client = stub.builder().on_backoff(OnBackoff::Fail).build().unwrap();
    let others = [
        client.clone(),
        client.to_builder().bucket("other").build().unwrap(),
        client.to_builder().user_agent("other").build().unwrap(),
        client.to_builder().read_timeout(Duration::from_secs(5)).build().unwrap(),
    ];
    client.bucket("a").get().send().await.unwrap();
    for other in others {
        let failure = other.bucket("a").get().send().await.unwrap_err();
        assert!(matches!(failure, Error::Backoff { .. }), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_has_its_own() {
    let stub = Stub::script([object("a").header("Backoff", "20")]).await;
    let other = Stub::script([object("a")]).await;
    let client = stub.builder().on_backoff(OnBackoff::Fail).build().unwrap();
    client.bucket("a").get().send().await.unwrap();
    let client = client.to_builder().server(&other.url()).build().unwrap();
    client.bucket("a").get().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_already_fails_with_what_the_server_said() {
    let stub = Stub::script([error(500, 999, "Broken").header("Backoff", "600")]).await;
    let failure = stub.client().bucket("a").get().send().await.unwrap_err();
    assert!(matches!(failure, Error::Server(_)), "not that it was never sent: {failure}");
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_logged_once() {
    let log = Log::capture();
    let alert = r#"{"code": "soft-eol", "message": "Bye"}"#;
    let stub = Stub::start(move |_| object("a").header("Alert", alert)).await;
    let client = stub.client();
    for _ in 0..3 {
        client.bucket("a").get().send().await.unwrap();
        client.to_builder().bucket("b").build().unwrap().bucket("a").get().send().await.unwrap();
    }
    let lines: Vec<_> = log.text().lines().map(str::to_owned).collect();
    let alerts: Vec<_> = lines.iter().filter(|line| line.contains("soft-eol")).collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].contains("WARN"), "{alerts:?}");
}
