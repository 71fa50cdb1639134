//! Uploads against a server that does not always work.

#![expect(clippy::unwrap_used, reason = "tests")]

mod stub;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cumulo_client::{
    Async, Blocking, Change, Client, Counts, Error, Object, Permissions, Resource, Retry,
    Timestamp, Tombstone, blocking,
};
use serde_json::{Value, json};
use stub::{Fault, RECORDS, Stub};

const ALWAYS: Retry = Retry {
    times: 20,
    first: Duration::from_millis(1),
    longest: Duration::from_secs(2),
    forced: None,
};

fn records(stub: &Stub) -> Resource<Async> {
    let client = Client::builder(&stub.url).retry(ALWAYS).build().unwrap();
    client.collection("b", "c").records()
}

fn blocking_records(stub: &Stub) -> Resource<Blocking> {
    let client = blocking::Client::builder(&stub.url).retry(ALWAYS).build_blocking().unwrap();
    client.collection("b", "c").records()
}

/// Every other one without an id.
fn item(number: usize) -> Value {
    if number.is_multiple_of(2) {
        json!({"number": number})
    } else {
        json!({"id": format!("n{number}"), "number": number})
    }
}

/// Each kind of fault now and then, and never the same twice in a row.
fn unreliable(batch: usize) -> Fault {
    match batch % 13 {
        2 => Fault::Status(503, 0),
        4 => Fault::CutAfter,
        5 => Fault::Status(429, 0),
        7 => Fault::Conflict,
        8 => Fault::CutBefore,
        10 => Fault::PartlyUnavailable,
        11 => Fault::Status(500, 0),
        _ => Fault::None,
    }
}

fn check_all_there_once(stub: &Stub, count: usize) {
    let world = stub.world();
    let mut numbers: Vec<_> =
        world.records.values().map(|(data, _)| data["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..count as u64));
    assert!(world.writes.values().all(|writes| *writes == 1));
}

#[tokio::test]
async fn every_item_is_written_once_whatever_happens_to_batches() {
    let stub = Stub::start(unreliable);
    let summary = records(&stub).upload((0..1000).map(item)).send().await.unwrap();
    assert_eq!(summary.counts, Counts { created: 1000, ..Counts::default() });
    check_all_there_once(&stub, 1000);
}

#[test]
fn every_item_is_written_once_by_a_client_that_waits() {
    let stub = Stub::start(unreliable);
    let summary = blocking_records(&stub).upload((0..1000).map(item)).send().unwrap();
    assert_eq!(summary.counts, Counts { created: 1000, ..Counts::default() });
    check_all_there_once(&stub, 1000);
}

#[tokio::test]
async fn objects_that_are_there_fail_or_are_skipped_or_replaced() {
    let stub = Stub::start(|_| Fault::None);
    let records = records(&stub);
    let old = |number: usize| json!({"id": format!("n{number}"), "old": number});
    records.upload((10..13).map(old)).send().await.unwrap();
    let new = |number: usize| json!({"id": format!("n{number}"), "number": number});

    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let summary = records
        .upload((0..100).map(new))
        .on_failure(move |failure| telling.lock().unwrap().push(failure.index))
        .send()
        .await
        .unwrap();
    assert_eq!(summary.counts, Counts { created: 97, failed: 3, ..Counts::default() });
    assert_eq!(*told.lock().unwrap(), [10, 11, 12]);
    let Error::Conflict(refusal) = &summary.failures[0].error else { panic!("{summary:?}") };
    assert_eq!(refusal.existing().unwrap().data["old"], 10);
    assert!(refusal.response.request.url.ends_with(&format!("{RECORDS}/n10")));

    let summary = records.upload((0..100).map(new)).if_not_exists().send().await.unwrap();
    assert_eq!(summary.counts, Counts { skipped: 100, ..Counts::default() });
    let summary = records.upload((0..110).map(new)).overwrite().send().await.unwrap();
    assert_eq!(summary.counts, Counts { created: 10, replaced: 100, ..Counts::default() });
    assert_eq!(stub.world().records["n10"].0["number"], 10);
}

#[tokio::test]
async fn items_that_cannot_be_sent_do_not_keep_others() {
    let stub = Stub::start(|_| Fault::None);
    let items = [
        json!({"id": "a"}),
        json!({"id": "a/b"}),
        json!([1]),
        json!({"id": 5}),
        json!({"id": "b"}),
    ];
    let summary = records(&stub).upload(items).send().await.unwrap();
    assert_eq!(summary.counts, Counts { created: 2, failed: 3, ..Counts::default() });
    let failures: Vec<_> = summary.failures.iter().map(|it| it.index).collect();
    assert_eq!(failures, [1, 2, 3]);
    assert!(summary.failures.iter().all(|it| matches!(it.error, Error::Argument(_))));
    assert!(stub.world().records.keys().eq(["a", "b"]));
}

#[tokio::test]
async fn changes_are_repeated_with_permissions_and_deletions() {
    let stub = Stub::start(|batch| if batch == 1 { Fault::CutAfter } else { Fault::None });
    let records = records(&stub);
    records.upload([json!({"id": "a"}), json!({"id": "b"})]).send().await.unwrap();

    let changed = |id: &str, permissions| {
        let (id, data) = (id.to_owned(), json!({"new": true}));
        Change::Changed(Object { id, last_modified: Timestamp(9), data, permissions })
    };
    let deleted =
        |id: &str| Change::Deleted(Tombstone { id: id.to_owned(), last_modified: Timestamp(9) });
    let own = Permissions::new().grant("read", "ann");
    let items = [changed("a", None), deleted("b"), changed("c", Some(own)), deleted("d")];
    let all = Permissions::new().grant("write", "bob");
    let upload = records.upload(items).overwrite().permissions(all);
    let summary = upload.send().await.unwrap();
    assert_eq!(summary.counts.done(), 4);
    assert_eq!(summary.counts.failed, 0);
    let world = stub.world();
    assert!(world.records.keys().eq(["a", "c"]));
    assert_eq!(world.records["a"].1, json!({"write": ["bob"]}));
    assert_eq!(world.records["c"].1, json!({"read": ["ann"]}));
}

#[tokio::test]
async fn a_server_that_is_gone_ends_the_upload() {
    let stub = Stub::start(|batch| if batch < 4 { Fault::None } else { Fault::Status(503, 60) });
    let error = records(&stub).upload((0..1000).map(item)).send().await.unwrap_err();
    let Error::Unfinished(unfinished) = error else { panic!("{error}") };
    assert!(matches!(unfinished.cause, Error::Throttled(_)), "{}", unfinished.cause);
    let there = stub.world().records.len() as u64;
    assert_eq!(unfinished.summary.counts, Counts { created: there, ..Counts::default() });
}

#[tokio::test]
async fn an_error_of_the_source_ends_the_upload() {
    let stub = Stub::start(|_| Fault::None);
    let source = (0..100).map(|number| match number {
        60 => Err(Error::Argument("unreadable".to_owned())),
        number => Ok(item(number)),
    });
    let source = futures_util::stream::iter(source);
    let error = records(&stub).upload_stream(source).send().await.unwrap_err();
    assert_eq!(error.to_string(), "ended after 50 items: unreadable");
}

#[tokio::test]
async fn batches_that_are_too_large_are_halved() {
    let stub = Stub::start(|_| Fault::None);
    stub.world().most = 7;
    let summary = records(&stub).upload((0..100).map(item)).send().await.unwrap();
    assert_eq!(summary.counts.created, 100);
    check_all_there_once(&stub, 100);
}

#[tokio::test]
async fn nothing_is_sent_while_the_server_wants_quiet() {
    let stub = Stub::start(|batch| if batch == 20 { Fault::Status(429, 1) } else { Fault::None });
    let summary = records(&stub).upload((0..2000).map(item)).max_in_flight(4).send().await.unwrap();
    assert_eq!(summary.counts.created, 2000);
    let world = stub.world();
    let refused = world.batches[20].0;
    let quick = |(time, _): &&(_, usize)| {
        let after = refused.elapsed().saturating_sub(std::time::Instant::elapsed(time));
        after > Duration::ZERO && after < Duration::from_secs(1)
    };
    // Only those that were on their way.
    assert!(world.batches.iter().filter(quick).count() <= 3);
}

#[tokio::test]
async fn no_more_is_taken_from_the_source_than_can_be_sent() {
    let stub = Stub::start(unreliable);
    let most = Arc::new(Mutex::new((0, 0)));
    let noting = Arc::clone(&most);
    let upload = records(&stub).upload((0..1000).map(item)).max_in_flight(3);
    let progress = upload.on_progress(move |progress| {
        assert_eq!(progress.total, Some(1000));
        let mut most = noting.lock().unwrap();
        most.0 = most.0.max(progress.taken - progress.counts.done());
        most.1 = progress.counts.done();
    });
    progress.send().await.unwrap();
    let (open, done) = *most.lock().unwrap();
    assert!(open <= 3 * 25, "{open}");
    assert_eq!(done, 1000);
}

#[test]
fn a_list_is_copied_while_it_is_read() {
    let (from, to) = (Stub::start(|_| Fault::None), Stub::start(unreliable));
    from.world().page = 100;
    blocking_records(&from).upload((0..1000).map(item)).send().unwrap();

    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let list = blocking_records(&from).list();
    let rows = list.on_progress(move |it| telling.lock().unwrap().push(it.to_string())).rows();
    let copied = blocking_records(&to).upload(rows.map(Result::unwrap)).send().unwrap();
    assert_eq!(copied.counts.created, 1000);
    check_all_there_once(&to, 1000);
    assert!(from.world().records.keys().eq(to.world().records.keys()));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 10);
    assert_eq!((told[0].as_str(), told[9].as_str()), ("100 of 1000", "1000 of 1000"));
}
