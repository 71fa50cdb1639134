//! How long the client waits.

use std::time::Duration;

use cumulo_client::{Client, Error, Retry};
use serde_json::json;
use tokio::time::Instant;

use crate::stub::{Reply, Stub, object};

fn is_timeout<T: std::fmt::Debug>(result: &cumulo_client::Result<T>) -> bool {
    matches!(result, Err(Error::Timeout { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_by_default() {
    let stub = Stub::start(|_| Reply::Silence).await;
    let client = Client::builder(&stub.url()).retry(Retry::never()).build().unwrap();
    let begun = Instant::now();
    let result = client.bucket("a").get().send().await;
    assert!(is_timeout(&result), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_than_allowed() {
    let stub = Stub::start(|_| Reply::Silence).await;
    let timeout = Duration::from_secs(3);
    let client = stub.builder().timeout(timeout).retry(Retry::never()).build().unwrap();
    let begun = Instant::now();
    let result = client.bucket("a").get().send().await;
    assert!(is_timeout(&result), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), 3);
    let request = result.unwrap_err().request().unwrap().clone();
    assert_eq!(request.url, format!("{}/buckets/a", stub.url()));
}

#[tokio::test(start_paused = true)]
async fn each_repetition_has_the_time_anew() {
    let mut number = 0;
    let silent_at_first = move |_: &crate::stub::Received| {
        number += 1;
        if number < 3 { Reply::Silence } else { object("a") }
    };
    let stub = Stub::start(silent_at_first).await;
    let client = stub.builder().timeout(Duration::from_secs(3)).build().unwrap();
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.received().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_condition_is_not_sent_again_after_a_timeout() {
    let stub = Stub::start(|_| Reply::Silence).await;
    let client = stub.builder().timeout(Duration::from_secs(3)).build().unwrap();
    let result = client.buckets().update(json!({"id": "a"})).overwrite().send().await;
    assert!(is_timeout(&result), "{result:?}");
    assert_eq!(stub.received().len(), 1);
}

/// Addresses for documentation (RFC 5737) answer nobody; where a network refuses them at once,
/// there is nothing to measure.
#[tokio::test]
async fn a_connection_takes_no_longer_than_allowed() {
    let builder = Client::builder("http://192.0.2.1:9/v1").retry(Retry::never());
    let client = builder.connect_timeout(Duration::from_millis(50)).build().unwrap();
    let result = client.bucket("a").get().send().await;
    assert!(matches!(result, Err(Error::Timeout { .. } | Error::Transport { .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn who_drops_a_call_ends_it() {
    let stub = Stub::start(|_| Reply::Silence).await;
    let client = stub.client();
    let call = client.bucket("a").get().send();
    assert!(tokio::time::timeout(Duration::from_secs(5), call).await.is_err());
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(stub.received().len(), 1, "it is not repeated behind the caller's back");
}
