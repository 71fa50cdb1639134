//! What is made of answers.

use cumulo_client::{Errno, Error, Fresh, Timestamp, field};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stub::{Reply, Stub, error, list, object, reply, text};

async fn failure_of(replies: impl IntoIterator<Item = Reply>) -> Error {
    let stub = Stub::script(replies).await;
    stub.client_once().bucket("a").get().send().await.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_an_error_that_has_it() {
    let failure = failure_of([text(200, "<html>Welcome</html>")]).await;
    assert!(matches!(failure, Error::Answer { .. }), "{failure}");
    assert_eq!(failure.response().unwrap().body, "<html>Welcome</html>");
    assert!(failure.to_string().contains("/v1/buckets/a: the answer is not understood"));
}

#[tokio::test]
async fn an_error_that_is_not_json_is_told_by_its_status() {
    let failure = failure_of([text(502, "<h1>Bad gateway</h1>")]).await;
    assert!(matches!(failure, Error::Server(_)), "{failure}");
    assert!(failure.to_string().contains("502"), "{failure}");
    assert!(failure.to_string().contains("Bad gateway"), "{failure}");
    assert_eq!(failure.refusal().unwrap().errno(), None);
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_a_failure_of_the_transport() {
    let failure = failure_of([Reply::Truncated]).await;
    assert!(matches!(failure, Error::Transport { .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_refused_at_once() {
    let stub = Stub::start(|_| text(200, &"x".repeat(2000))).await;
    let client = stub.builder().max_response_bytes(1000).build().unwrap();
    let failure = client.bucket("a").get().send().await.unwrap_err();
    assert!(matches!(failure, Error::AnswerTooLarge { limit: 1000, .. }), "{failure}");
    assert_eq!(stub.received().len(), 1, "the next answer would be as large");
}

#[tokio::test]
async fn answers_may_be_compressed_where_that_is_wanted() {
    let body = json!({"data": {"id": "a", "last_modified": 7, "text": "x".repeat(5000)}});
    let stub = Stub::start(move |received| match received.header("Accept-Encoding") {
        Some("gzip") => Reply::Compressed(body.to_string()),
        _ => object("a"),
    })
    .await;
    let client = stub.client();
    assert_eq!(client.bucket("a").get().send().await.unwrap().data["title"], "Milk");
    let client = client.to_builder().compression(true).build().unwrap();
    let long = client.bucket("a").get().send().await.unwrap();
    assert_eq!(long.data["text"].as_str().unwrap().len(), 5000);
    let strict = client.to_builder().max_response_bytes(1000).build().unwrap();
    let failure = strict.bucket("a").get().send().await.unwrap_err();
    assert!(matches!(failure, Error::AnswerTooLarge { .. }), "{failure}");
}

#[tokio::test]
async fn a_body_of_another_type_is_an_error() {
    #[derive(Debug, Deserialize)]
    struct Todo {
        #[expect(dead_code, reason = "only read")]
        title: u32,
    }
    let stub = Stub::script([object("a")]).await;
    let failure = stub.client().bucket("a").of::<Todo>().get().send().await.unwrap_err();
    assert!(failure.to_string().contains("invalid type"), "{failure}");
}

#[tokio::test]
async fn answers_without_body_are_no_errors() {
    let stub = Stub::script([
        text(304, ""),
        text(304, ""),
        text(200, "").header("Total-Objects", "12").header("ETag", "\"9\""),
        text(200, "").header("ETag", "W/\"9\""),
        text(204, ""),
    ])
    .await;
    let buckets = stub.client().buckets();
    let get = buckets.get("a").if_none_match(Timestamp(7)).send().await.unwrap();
    assert_eq!(get, Fresh::NotModified);
    let all = buckets.list().if_none_match(Timestamp(9)).all().await.unwrap();
    assert_eq!(all, Fresh::NotModified);
    assert_eq!(buckets.list().filter(field("a").is(1)).count().await.unwrap(), 12);
    let timestamp = buckets.timestamp().await.unwrap();
    assert_eq!(timestamp, Timestamp(9), "proxies that compress make tags weak");
    stub.client().flush().await.unwrap();
    assert_eq!(stub.lines()[2..4], ["HEAD /v1/buckets?a=1", "HEAD /v1/buckets"]);
}

#[tokio::test]
async fn what_a_server_does_not_tell_is_not_made_up() {
    let stub = Stub::start(|_| text(200, "")).await;
    let buckets = stub.client().buckets();
    for failure in [
        buckets.list().count().await.map(|_| ()).unwrap_err(),
        buckets.timestamp().await.map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(failure, Error::Answer { .. }), "{failure}");
    }
}

#[tokio::test]
async fn errors_are_told_apart_by_status() {
    type Is = fn(&Error) -> bool;
    let cases: [(u16, Is); 13] = [
        (400, |it| matches!(it, Error::Invalid(_))),
        (401, |it| matches!(it, Error::Unauthorized(_))),
        (403, |it| matches!(it, Error::Forbidden(_))),
        (404, |it| matches!(it, Error::NotFound(_))),
        (405, |it| matches!(it, Error::Invalid(_))),
        (406, |it| matches!(it, Error::Invalid(_))),
        (409, |it| matches!(it, Error::Conflict(_))),
        (410, |it| matches!(it, Error::Gone(_))),
        (412, |it| matches!(it, Error::Conflict(_))),
        (413, |it| matches!(it, Error::TooLarge(_))),
        (429, |it| matches!(it, Error::Throttled(_))),
        (500, |it| matches!(it, Error::Server(_))),
        (503, |it| matches!(it, Error::Server(_))),
    ];
    for (status, is) in cases {
        let failure = failure_of([error(status, 999, "Because")]).await;
        assert!(is(&failure), "{status}: {failure:?}");
        assert!(failure.to_string().contains("Because"), "{failure}");
        assert_eq!(failure.status().unwrap(), status);
    }
    let busy = error(503, 201, "Later").header("Retry-After", "3");
    assert!(matches!(failure_of([busy]).await, Error::Throttled(_)));
}

#[tokio::test]
async fn every_known_number_of_an_error_is_read() {
    for errno in Errno::ALL {
        let failure = failure_of([error(errno.status().as_u16(), *errno as u16, "No")]).await;
        assert_eq!(failure.refusal().unwrap().errno(), Some(*errno));
    }
    let failure = failure_of([error(400, 106, "No")]).await;
    assert_eq!(failure.refusal().unwrap().number, Some(106), "others are there as numbers");
}

#[tokio::test]
async fn the_fields_that_are_wrong_are_named() {
    let details = json!([{"location": "body", "name": "data.title", "description": "Required"}]);
    let body =
        json!({"code": 400, "errno": 107, "message": "data.title in body", "details": details});
    let failure = failure_of([reply(400, &body)]).await;
    let fields = failure.refusal().unwrap().fields();
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].name.as_deref(), Some("data.title"));
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let page = |id: &str, next: &str| {
        list(&[id]).header("Next-Page", &format!("http://x/v1/buckets?_token={next}"))
    };
    let stub = Stub::script([page("a", "1"), page("b", "2"), list(&["c"])]).await;
    let all = stub.client().buckets().list().page_size(1).all().await.unwrap();
    let ids: Vec<_> = all.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(stub.lines()[0], "GET /v1/buckets?_limit=1");
    assert_eq!(stub.lines()[2], "GET /v1/buckets?_token=2");
}

#[tokio::test]
async fn conditions_are_about_the_first_page() {
    let page = list(&["a"]).header("Next-Page", "http://x/v1/buckets?_token=1");
    for header in ["If-None-Match", "If-Match"] {
        let stub = Stub::script([page.clone(), list(&["b"]), page.clone(), list(&["b"])]).await;
        let buckets = stub.client().buckets();
        if header == "If-Match" {
            buckets.list().if_match(Timestamp(5)).all().await.unwrap();
            buckets.delete_many().if_match(Timestamp(5)).send().await.unwrap();
        } else {
            buckets.list().if_none_match(Timestamp(5)).all().await.unwrap();
            buckets.list().if_none_match(Timestamp(5)).all().await.unwrap();
        }
        let sent: Vec<_> = stub.received().iter().map(|it| it.header(header).is_some()).collect();
        assert_eq!(sent, [true, false, true, false], "{header}");
    }
}

#[tokio::test]
async fn many_pages_need_no_stack() {
    let mut number = 0;
    let stub = Stub::start(move |_| {
        number += 1;
        let page = list(&["a"]);
        if number == 3000 { page } else { page.header("Next-Page", "http://x/v1?_token=1") }
    })
    .await;
    assert_eq!(stub.client().buckets().list().all().await.unwrap().len(), 3000);
}

#[tokio::test]
async fn unknown_parts_of_answers_are_kept_or_passed_over() {
    let stub = Stub::script([reply(200, &json!({"project_name": "x", "new": 1}))]).await;
    let info = stub.client().server_info().await.unwrap();
    assert_eq!(info.other.get("new"), Some(&Value::from(1)));
    assert!(info.user.is_none() && !info.has("history"));
}
