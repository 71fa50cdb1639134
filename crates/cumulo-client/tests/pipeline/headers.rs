//! Headers, and where they go.

use cumulo_client::{Basic, Bearer, Client, Timestamp};
use serde_json::json;

use crate::stub::{Reply, Stub, batch, data, object, root, text};

#[tokio::test]
async fn those_of_a_call_count_more_than_those_of_the_client() {
    let stub = Stub::start(|_| object("a")).await;
    let client = stub.builder().header("X-A", "client").header("X-B", "client").build().unwrap();
    client.bucket("a").get().header("X-A", "call").send().await.unwrap();
    let received = stub.last();
    assert_eq!(received.header("X-A"), Some("call"));
    assert_eq!(received.header("X-B"), Some("client"));
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().header("X-A"), Some("client"));
}

#[tokio::test]
async fn headers_of_every_verb_are_sent() {
    let stub = Stub::start(|_| object("a")).await;
    let client = stub.client_once();
    let buckets = client.buckets();
    _ = buckets.get("a").header("X-A", "1").send().await;
    _ = buckets.list().header("X-A", "1").page().await;
    _ = buckets.list().header("X-A", "1").count().await;
    _ = buckets.create(json!({"id": "a"})).header("X-A", "1").send().await;
    _ = buckets.patch("a", json!({})).header("X-A", "1").send().await;
    _ = buckets.delete("a").header("X-A", "1").send().await;
    _ = buckets.delete_many().header("X-A", "1").page().await;
    let received = stub.received();
    assert_eq!(received.len(), 7);
    for received in received {
        assert_eq!(received.header("X-A"), Some("1"), "{}", received.line);
    }
}

#[tokio::test]
async fn the_client_names_itself() {
    let stub = Stub::start(|_| object("a")).await;
    let name = |client: Client| {
        let stub = &stub;
        async move {
            client.bucket("a").get().send().await.unwrap();
            stub.last().header("User-Agent").unwrap().to_owned()
        }
    };
    assert!(name(stub.client()).await.starts_with("cumulo-client/"));
    assert_eq!(name(stub.builder().user_agent("mine/1").build().unwrap()).await, "mine/1");
    let by_header = stub.builder().header("User-Agent", "theirs/2").build().unwrap();
    assert_eq!(name(by_header).await, "theirs/2");
}

#[tokio::test]
async fn credentials_of_a_call_count_more_than_those_of_the_client() {
    let stub = Stub::start(|_| object("a")).await;
    let client = stub.builder().auth(Bearer::new("client")).build().unwrap();
    client.bucket("a").get().header("Authorization", "Bearer call").send().await.unwrap();
    assert_eq!(stub.last().header("Authorization"), Some("Bearer call"));
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().header("Authorization"), Some("Bearer client"));
    let nobody = client.to_builder().shared_auth(None).build().unwrap();
    nobody.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().header("Authorization"), None);
}

#[tokio::test]
async fn credentials_in_the_url_are_taken_out_of_it() {
    let stub = Stub::start(|_| object("a")).await;
    let url = stub.url().replace("://", "://ann:s%20cret@");
    let client = Client::new(&url).unwrap();
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().header("Authorization"), Some("Basic YW5uOnMgY3JldA=="));
    assert_eq!(stub.last().line, "GET /v1/buckets/a");
}

#[tokio::test]
async fn bodies_have_the_type_of_json_and_reads_have_none() {
    let stub = Stub::start(|_| object("a")).await;
    let client = stub.client();
    client.buckets().create(json!({"id": "a"})).send().await.unwrap();
    assert_eq!(stub.last().header("Content-Type"), Some("application/json"));
    assert_eq!(stub.last().json(), json!({"data": {"id": "a"}}));
    client.bucket("a").create().send().await.unwrap();
    assert_eq!(stub.last().json(), json!({}));
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().header("Content-Type"), None);
    assert_eq!(stub.last().body, "");
}

#[tokio::test]
async fn headers_of_operations_go_with_them_into_a_batch() {
    let stub = Stub::script([root(None, &[]), batch(&[(200, data("a"))])]).await;
    let client = stub.builder().header("X-B", "client").build().unwrap();
    let waiting = client.batch();
    let patch = waiting.bucket("a").patch(json!({})).if_match(Timestamp(5)).header("X-A", "1");
    _ = patch.send();
    waiting.send().await.unwrap();
    let received = stub.last();
    let headers = received.json()["requests"][0]["headers"].clone();
    assert_eq!(headers, json!({"if-match": "\"5\"", "x-a": "1"}));
    assert_eq!(received.header("X-B"), Some("client"), "servers hand it on to the operations");
}

#[tokio::test]
async fn what_can_not_stand_in_a_header_is_refused_before_sending() {
    let stub = Stub::script([]).await;
    let client = stub.client();
    for (name, value) in [("a b", "1"), ("X-A", "1\n2")] {
        let failure = client.bucket("a").get().header(name, value).send().await.unwrap_err();
        assert!(failure.to_string().contains(name), "{failure}");
        assert!(client.to_builder().header(name, value).build().is_err());
    }
    assert_eq!(stub.received().len(), 0);
}

#[tokio::test]
async fn a_proxy_gets_all_requests() {
    let stub = Stub::start(|_| object("a")).await;
    let proxy = stub.url().replace("http://", "http://ann:s3cret@");
    let client = Client::builder("http://kinto.invalid/v1").proxy(&proxy).build().unwrap();
    client.bucket("a").get().send().await.unwrap();
    assert_eq!(stub.last().line, "GET http://kinto.invalid/v1/buckets/a");
    assert_eq!(stub.last().header("Proxy-Authorization"), Some("Basic YW5uOnMzY3JldA=="));
}

fn redirect(status: u16, to: &str) -> Reply {
    text(status, "").header("Location", to)
}

#[tokio::test]
async fn redirects_within_the_server_are_followed() {
    for status in [307, 308] {
        let stub = Stub::script([redirect(status, "/v1/moved"), object("a")]).await;
        let client = stub.builder().auth(Basic::new("ann", "secret")).build().unwrap();
        client.buckets().update(json!({"id": "a"})).send().await.unwrap();
        assert_eq!(stub.lines(), ["PUT /v1/buckets/a", "PUT /v1/moved"]);
        assert_eq!(stub.last().json(), json!({"data": {"id": "a"}}));
        assert!(stub.last().header("Authorization").is_some());
    }
}

#[tokio::test]
async fn a_write_is_never_turned_into_a_read() {
    for status in [301, 302, 303] {
        let stub = Stub::script([redirect(status, "/v1/login"), object("a")]).await;
        let create = stub.client().buckets().create(json!({})).assigned_id();
        let failure = create.send().await.unwrap_err();
        assert_eq!(failure.status().unwrap(), status);
        assert!(failure.to_string().contains("/v1/login"), "{failure}");
        assert_eq!(stub.lines(), ["POST /v1/buckets"]);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_another_server() {
    let other = Stub::start(|_| object("a")).await;
    let elsewhere = format!("{}/buckets/a", other.url());
    let stub = Stub::start(move |_| redirect(307, &elsewhere)).await;
    let client = stub.builder().auth(Basic::new("ann", "secret")).build().unwrap();
    let failure = client.bucket("a").get().send().await.unwrap_err();
    assert_eq!(failure.status().unwrap(), 307);
    assert!(failure.to_string().contains(&other.url()), "it says where to: {failure}");
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let stub = Stub::start(|_| redirect(307, "/v1/buckets/a")).await;
    let failure = stub.client().bucket("a").get().send().await.unwrap_err();
    assert_eq!(failure.status().unwrap(), 307);
    assert!(stub.received().len() < 10);
}

#[tokio::test]
async fn the_next_page_is_never_asked_of_another_server() {
    let other = Stub::start(|_| object("a")).await;
    let next = format!("{}/buckets?_token=x", other.url());
    let stub = Stub::script([
        crate::stub::list(&["a"]).header("Next-Page", &next),
        crate::stub::list(&[]),
    ])
    .await;
    let client = stub.builder().auth(Basic::new("ann", "secret")).build().unwrap();
    client.buckets().list().all().await.unwrap();
    assert_eq!(stub.lines()[1], "GET /v1/buckets?_token=x");
    assert_eq!(other.received().len(), 0);
}
