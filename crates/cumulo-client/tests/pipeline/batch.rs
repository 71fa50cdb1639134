//! Batches: how they are cut, what comes back, and what fails.

use cumulo_client::{Batch, Changes, Error, Failures, OnBackoff, Retry, Timestamp};
use serde_json::{Value, json};

use crate::stub::{
    Received, Reply, Stub, batch, batch_with_headers, data, error, error_body, object, root, text,
};

/// A server that does all operations, with such a limit.
async fn willing(limit: Option<usize>) -> Stub {
    Stub::start(
        move |received| {
            if received.line == "GET /v1/" { root(limit, &[]) } else { done(received) }
        },
    )
    .await
}

fn done(received: &Received) -> Reply {
    let operations = received.operations();
    let id = |line: &String| line.rsplit('/').next().unwrap().to_owned();
    batch(&operations.iter().map(|line| (200, data(&id(line)))).collect::<Vec<_>>())
}

fn fill<X: cumulo_client::Direct>(batch: &Batch<X>, count: usize) {
    for number in 0..count {
        _ = batch.buckets().update(json!({"id": number.to_string()})).send();
    }
}

fn sizes(stub: &Stub) -> Vec<usize> {
    let batches = stub.received().into_iter().filter(|it| it.line == "POST /v1/batch");
    batches.map(|it| it.operations().len()).collect()
}

fn failures(error: Error) -> Failures {
    match error {
        Error::Batch(failures) => *failures,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn requests_keep_to_the_limit_of_the_server_which_is_asked_once() {
    let stub = willing(Some(2)).await;
    let client = stub.client();
    for _ in 0..2 {
        let waiting = client.batch();
        fill(&waiting, 5);
        assert_eq!(waiting.send().await.unwrap().len(), 5);
    }
    assert_eq!(sizes(&stub), [2, 2, 1, 2, 2, 1]);
    assert_eq!(stub.lines().iter().filter(|line| *line == "GET /v1/").count(), 1);
}

#[tokio::test]
async fn no_limit_is_none() {
    for limit in [None, Some(0)] {
        let stub = willing(limit).await;
        let waiting = stub.client().batch();
        fill(&waiting, 300);
        waiting.send().await.unwrap();
        assert_eq!(sizes(&stub), [300]);
    }
}

#[tokio::test]
async fn requests_keep_to_a_size() {
    let stub = willing(None).await;
    let waiting = stub.client().batch();
    let text = "x".repeat(1 << 20);
    for id in 0..6 {
        _ = waiting.buckets().update(json!({"id": id.to_string(), "text": text})).send();
    }
    waiting.send().await.unwrap();
    assert_eq!(sizes(&stub), [3, 3]);
}

#[tokio::test]
async fn results_are_found_by_tickets_in_the_order_of_operations() {
    let stub = willing(Some(2)).await;
    let waiting = stub.client().batch();
    let tickets: Vec<_> = ["a", "b", "c"].map(|id| waiting.bucket(id).get().send()).into();
    let results = waiting.send().await.unwrap();
    let ids: Vec<_> = tickets.iter().map(|it| results.get(it).unwrap().id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(tickets[2].index(), 2);
}

#[tokio::test]
async fn a_ticket_of_another_batch_finds_nothing() {
    let stub = willing(None).await;
    let client = stub.client();
    let (one, other) = (client.batch(), client.batch());
    let _ = one.bucket("a").get().send();
    let ticket = other.bucket("b").get().send();
    let results = one.send().await.unwrap();
    let failure = results.get(&ticket).unwrap_err();
    assert!(failure.to_string().contains("another batch"), "{failure}");
}

#[tokio::test]
async fn what_comes_after_sending_is_not_taken_for_what_was_sent() {
    let stub = willing(None).await;
    let waiting = stub.client().batch();
    let buckets = waiting.buckets();
    let _ = buckets.get("a").send();
    let results = waiting.send().await.unwrap();
    let late = buckets.get("b").send();
    let failure = results.get(&late).unwrap_err();
    assert!(failure.to_string().contains("another batch"), "{failure}");
}

#[tokio::test]
async fn nothing_is_sent_for_nothing() {
    let stub = Stub::script([]).await;
    let waiting = stub.client().batch();
    assert!(waiting.is_empty());
    assert!(waiting.send().await.unwrap().is_empty());
    drop(stub.client().batch());
    assert_eq!(stub.received().len(), 0);
}

#[tokio::test]
async fn nothing_is_sent_if_an_operation_is_impossible() {
    let stub = Stub::script([]).await;
    let waiting = stub.client().batch();
    fill(&waiting, 1);
    _ = waiting.bucket("not valid").get().send();
    assert!(matches!(waiting.send().await, Err(Error::Argument(_))));
    let waiting = stub.client().batch();
    _ = waiting.bucket("a").patch(Changes::merge(json!({}))).send();
    let failure = waiting.send().await.unwrap_err();
    assert!(failure.to_string().contains("merge patches can't be part"), "{failure}");
    assert_eq!(stub.received().len(), 0);
}

#[tokio::test]
async fn a_batch_has_the_defaults_of_its_client() {
    let stub = willing(None).await;
    let client = stub.builder().bucket("blog").collection("posts").build().unwrap();
    let waiting = client.batch();
    _ = waiting.records().get("a").send();
    waiting.send().await.unwrap();
    assert_eq!(stub.last().operations(), ["GET /buckets/blog/collections/posts/records/a"]);
}

#[tokio::test]
async fn the_operation_that_failed_is_named_with_its_error() {
    let parts = [(200, data("0")), (403, error_body(403, 121, "Not yours")), (200, data("2"))];
    let stub = Stub::script([root(Some(3), &[]), batch(&parts), batch(&parts[..1])]).await;
    let waiting = stub.client().batch();
    fill(&waiting, 4);
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(failed.cause.is_none());
    let text = failed.to_string();
    assert!(text.starts_with("1 of 4 operations failed; number 1: PUT "), "{text}");
    assert!(text.contains("/v1/buckets/1: 403 Forbidden, Not yours"), "{text}");
    let failures: Vec<_> = failed.results.failures().collect();
    assert_eq!((failures.len(), failures[0].index), (1, 1));
    let refusal = failures[0].error.refusal().unwrap();
    assert_eq!(refusal.number, Some(121));
    assert_eq!(refusal.response.json::<Value>().unwrap()["message"], "Not yours");
    assert_eq!(sizes(&stub), [3, 1], "what the server refuses does not end the batch");
}

#[tokio::test]
async fn refusals_may_be_passed_over_but_failures_of_the_server_not() {
    let refused = (404, error_body(404, 110, "No"));
    let broken = (500, error_body(500, 999, "Broken"));
    let stub = Stub::script([
        root(None, &[]),
        batch(std::slice::from_ref(&refused)),
        batch(&[refused, broken]),
    ])
    .await;
    let client = stub.client_once();
    let waiting = client.batch().ignore_refusals();
    let ticket = waiting.bucket("a").get().send();
    let results = waiting.send().await.unwrap();
    assert!(matches!(results.get(&ticket), Err(Error::NotFound(_))));
    let waiting = client.batch().ignore_refusals();
    fill(&waiting, 2);
    let failed = failures(waiting.send().await.unwrap_err());
    assert_eq!(failed.results.failures().count(), 2);
}

#[tokio::test]
async fn a_failure_of_the_server_ends_the_batch_and_loses_nothing() {
    let good = batch(&[(200, data("0")), (404, error_body(404, 110, "No"))]);
    let bad = batch(&[(200, data("2")), (500, error_body(500, 999, "Broken"))]);
    let stub = Stub::script([root(Some(2), &[]), good, bad]).await;
    let waiting = stub.client_once().batch();
    let tickets: Vec<_> = (0..6).map(|id| waiting.bucket(id.to_string()).get().send()).collect();
    let failed = failures(waiting.send().await.unwrap_err());
    let results = failed.results;
    assert_eq!(results.get(&tickets[0]).unwrap().id, "0");
    assert!(matches!(results.get(&tickets[1]), Err(Error::NotFound(_))));
    assert_eq!(results.get(&tickets[2]).unwrap().id, "2");
    assert!(matches!(results.get(&tickets[3]), Err(Error::Server(_))));
    assert!(matches!(results.get(&tickets[4]), Err(Error::NotSent)));
    assert_eq!(sizes(&stub), [2, 2], "the third request is not sent");
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_the_batch_and_loses_nothing() {
    let good = batch(&[(200, data("0")), (200, data("1"))]);
    let stub = Stub::script([root(Some(2), &[]), good, Reply::Break]).await;
    let waiting = stub.client().batch();
    fill(&waiting, 4);
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(matches!(failed.cause, Some(Error::Transport { .. })), "{failed}");
    let sent: Vec<_> = failed.results.responses().map(|it| it.is_some()).collect();
    assert_eq!(sent, [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_known_even_if_the_repetition_of_the_rest_fails() {
    let busy = (503, json!({"Retry-After": "1"}), error_body(503, 201, "Later"));
    let first = batch_with_headers([(200, json!({}), data("0")), busy]);
    let stub = Stub::script([root(None, &[]), first, Reply::Break]).await;
    let waiting = stub.client().batch();
    fill(&waiting, 2);
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(matches!(failed.cause, Some(Error::Transport { .. })), "{failed}");
    let statuses: Vec<_> =
        failed.results.responses().map(|it| it.map(|it| it.status.as_u16())).collect();
    assert_eq!(statuses, [Some(200), Some(503)]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_not_done_after_a_later_one_on_the_same_object() {
    let busy = || (429, error_body(429, 117, "Later"));
    let parts = [busy(), (200, data("a")), busy(), (200, data("c")), busy()];
    let stub = Stub::script([root(None, &[]), batch(&parts), batch(&[(200, data("d"))])]).await;
    let waiting = stub.client().batch();
    let buckets = waiting.buckets();
    _ = buckets.update(json!({"id": "a", "title": "old"})).send();
    _ = buckets.update(json!({"id": "a", "title": "new"})).send();
    _ = waiting.collection("c", "x").update(json!({})).send();
    _ = waiting.bucket("c").delete().send();
    _ = buckets.update(json!({"id": "d"})).send();
    let failed = failures(waiting.send().await.unwrap_err());
    assert_eq!(stub.last().operations(), ["PUT /buckets/d"], "the others would undo later ones");
    let indexes: Vec<_> = failed.results.failures().map(|it| it.index).collect();
    assert_eq!(indexes, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn operations_on_the_same_object_are_repeated_together() {
    let busy = || (409, error_body(409, 122, "Again"));
    let again = batch(&[(200, data("a")), (200, data("a"))]);
    let stub = Stub::script([root(None, &[]), batch(&[busy(), busy()]), again]).await;
    let waiting = stub.client().batch();
    _ = waiting.bucket("a").update(json!({"title": "old"})).send();
    _ = waiting.bucket("a").patch(json!({"title": "new"})).send();
    waiting.send().await.unwrap();
    assert_eq!(stub.last().operations(), ["PUT /buckets/a", "PATCH /buckets/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_batch_is_sent_again_only_if_all_of_it_can_be() {
    let stub = Stub::script([root(None, &[]), Reply::Break, batch(&[(200, data("a"))])]).await;
    let waiting = stub.client().batch();
    _ = waiting.buckets().update(json!({"id": "a"})).if_match(Timestamp(5)).send();
    waiting.send().await.unwrap();
    assert_eq!(sizes(&stub), [1, 1]);

    let stub = Stub::script([root(None, &[]), Reply::Break]).await;
    let waiting = stub.client().batch();
    _ = waiting.buckets().update(json!({"id": "a"})).if_match(Timestamp(5)).send();
    _ = waiting.buckets().update(json!({"id": "b"})).send();
    assert!(matches!(waiting.send().await, Err(Error::Transport { .. })));
    assert_eq!(sizes(&stub), [2]);
}

#[tokio::test(start_paused = true)]
async fn creations_of_a_repeated_batch_are_recognized_as_ours_and_others_are_not() {
    let refused = || (412, error_body(412, 114, "Modified"));
    let stub = Stub::script([
        root(None, &[]),
        Reply::Break,
        batch(&[refused(), refused()]),
        object("a"),
        object("b"),
    ])
    .await;
    let waiting = stub.client().batch();
    let ours = waiting.buckets().create(json!({"id": "a", "title": "Milk"})).send();
    let theirs = waiting.buckets().create(json!({"id": "b", "title": "Bread"})).send();
    let results = failures(waiting.send().await.unwrap_err()).results;
    assert_eq!(results.get(&ours).unwrap().last_modified, Timestamp(7));
    assert!(matches!(results.get(&theirs), Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_creation_that_was_sent_once_is_not_taken_for_ours() {
    let refused = (412, error_body(412, 114, "Modified"));
    let stub = Stub::script([root(None, &[]), batch(&[refused]), object("a")]).await;
    let waiting = stub.client().batch();
    _ = waiting.buckets().create(json!({"id": "a", "title": "Milk"})).send();
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(matches!(failed.results.failures().next().unwrap().error, Error::Conflict(_)));
    assert_eq!(stub.received().len(), 2, "there is nothing to look for");
}

#[tokio::test(start_paused = true)]
async fn a_look_at_what_is_there_that_fails_loses_nothing() {
    let refused = (412, error_body(412, 114, "Modified"));
    let parts = batch(&[(200, data("a")), refused]);
    let stub = Stub::start({
        let mut replies = vec![Reply::Break; 9];
        replies.extend([parts, root(None, &[])]);
        move |_| replies.pop().unwrap()
    })
    .await;
    let waiting = stub.client().batch();
    let first = waiting.bucket("a").get().send();
    let second = waiting.bucket("b").create().if_not_exists().send();
    let results = failures(waiting.send().await.unwrap_err()).results;
    assert!(results.get(&first).is_ok());
    assert!(matches!(results.get(&second), Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_cut_in_half() {
    let stub = Stub::start(|received| match received.line.as_str() {
        "GET /v1/" => root(None, &[]),
        _ if received.operations().len() > 2 => text(413, "<html>nginx</html>"),
        _ => done(received),
    })
    .await;
    let waiting = stub.client().batch();
    let tickets: Vec<_> = (0..7).map(|id| waiting.bucket(id.to_string()).get().send()).collect();
    let results = waiting.send().await.unwrap();
    for (number, ticket) in tickets.iter().enumerate() {
        assert_eq!(results.get(ticket).unwrap().id, number.to_string());
    }
    let sizes = sizes(&stub);
    assert_eq!(sizes.iter().filter(|size| **size <= 2).sum::<usize>(), 7, "{sizes:?}");
}

#[tokio::test]
async fn one_operation_that_is_too_large_fails() {
    let stub = Stub::start(|received| match received.line.as_str() {
        "GET /v1/" => root(None, &[]),
        _ if received.body.contains("large") => error(413, 113, "Too large"),
        _ => done(received),
    })
    .await;
    let waiting = stub.client().batch();
    for id in ["a", "b", "large", "d"] {
        _ = waiting.buckets().update(json!({"id": id})).send();
    }
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(matches!(failed.cause, Some(Error::TooLarge(_))), "{failed}");
    let sent: Vec<_> = failed.results.responses().map(|it| it.is_some()).collect();
    assert_eq!(sent, [true, true, false, false]);
}

#[tokio::test]
async fn answers_that_do_not_fit_are_an_error() {
    for answer in [batch(&[]), batch(&[(200, data("a")), (200, data("b"))]), text(200, "<html>")] {
        let stub = Stub::script([root(None, &[]), answer]).await;
        let waiting = stub.client().batch();
        fill(&waiting, 1);
        let failure = waiting.send().await.unwrap_err();
        assert!(matches!(failure, Error::Answer { .. }), "{failure}");
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_is_that_error() {
    let stub = Stub::script([root(None, &[]), error(403, 121, "No batches")]).await;
    let waiting = stub.client().batch();
    fill(&waiting, 1);
    let failure = waiting.send().await.unwrap_err();
    assert!(matches!(failure, Error::Forbidden(_)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn operations_that_stay_busy_fail_with_what_the_server_said() {
    let busy = || batch(&[(409, error_body(409, 122, "Again"))]);
    let stub =
        Stub::start(move |it| if it.line == "GET /v1/" { root(None, &[]) } else { busy() }).await;
    let builder = stub.builder().retry(Retry::times(4)).on_backoff(OnBackoff::Fail);
    let waiting = builder.build().unwrap().batch();
    fill(&waiting, 1);
    let failed = failures(waiting.send().await.unwrap_err());
    assert!(matches!(failed.results.failures().next().unwrap().error, Error::Conflict(_)));
    assert_eq!(sizes(&stub), [1; 5]);
}
