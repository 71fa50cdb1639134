//! Event listeners: who is told what, and what happens when that fails.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use cumulo_core::{
    clock::{Clock, SystemClock},
    outbox::Backlog,
    store::{Access, Outcome},
};
use cumulo_servers::{Answer, Received, Receiver, Redis};
use protocol_tests::App;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const RECORDS: &str = "/buckets/b/collections/c/records";

/// An app with one webhook, with these parameters more.
fn app(receiver: &Receiver, more: &[(&str, &str)]) -> App {
    let url = format!("{}/hook", receiver.url());
    let more: Vec<_> =
        more.iter().map(|(name, value)| (format!("event_listeners.hook.{name}"), *value)).collect();
    let mut settings = vec![
        ("event_listeners", "hook"),
        ("event_listeners.hook.use", "cumulo.listeners.webhook"),
        ("event_listeners.hook.url", &url),
        ("event_listeners.hook.secret", SECRET),
        ("event_listeners.hook.retry_seconds", "1"),
    ];
    settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    settings.extend(more.iter().map(|(name, value)| (name.as_str(), *value)));
    App::with(&settings)
}

fn good() -> Receiver {
    Receiver::start(|_| Answer::Status(204, "")).unwrap()
}

/// Waits until something holds.
#[track_caller]
fn until(app: &App, what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never {what}");
        app.wait(async { tokio::time::sleep(Duration::from_millis(5)).await });
    }
}

#[track_caller]
fn posted(app: &App, receiver: &Receiver, count: usize) -> Vec<Received> {
    until(app, "enough has come", || receiver.received().len() >= count);
    receiver.received()
}

fn backlog(app: &App) -> Backlog {
    let count =
        |tx: &mut dyn cumulo_core::store::Transaction| Ok((Outcome::Commit, tx.backlog("hook")?));
    app.wait(app.store().transact(Access::Read, count)).unwrap()
}

fn settled(app: &App, dead: u64) {
    let expected = Backlog { waiting: 0, dead };
    until(app, "all is settled", || backlog(app) == expected);
}

#[test]
fn a_webhook_is_told_with_the_payload_of_kinto_and_signed() {
    let receiver = good();
    let secrets = format!("{SECRET} {NEXT_SECRET}");
    let app = app(&receiver, &[("secret", &secrets)]);
    let ann = app.user("ann");
    let answer = ann.put("/buckets/b", &json!({})).is(201);
    let posts = posted(&app, &receiver, 1);
    let hook = &posts[0];
    let expected = json!({
        "timestamp": answer.json["data"]["last_modified"],
        "action": "create",
        "uri": "/buckets/b",
        "user_id": app.id_of("ann"),
        "resource_name": "bucket",
        "bucket_id": "b",
    });
    assert_eq!(serde_json::from_str::<Value>(&hook.body).unwrap(), expected);
    assert_eq!(hook.path, "/hook");
    assert_eq!(hook.header("content-type"), Some("application/json"));
    hook.check_signature(SECRET).unwrap();
    hook.check_signature(NEXT_SECRET).unwrap();
    settled(&app, 0);
}

#[test]
fn a_listener_is_told_of_its_actions_and_resources() {
    let receiver = good();
    let app = app(
        &receiver,
        &[("actions", "create read"), ("resources", "record"), ("include_objects", "true")],
    );
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({"n": 1}))]);
    ann.put(&format!("{RECORDS}/r"), &json!({"data": {"n": 2}})).expect(200);
    ann.get(&format!("{RECORDS}/r")).expect(200);
    ann.get("/buckets/b").expect(200);
    ann.delete(&format!("{RECORDS}/r")).expect(200);
    settled(&app, 0);
    let bodies: Vec<Value> =
        receiver.received().iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect();
    let mut told: Vec<_> = bodies
        .iter()
        .map(|body| (body["action"].as_str().unwrap(), &body["impacted_objects"][0]["new"]["n"]))
        .collect();
    told.sort_by_key(|(action, _)| *action);
    assert_eq!(told, [("create", &json!(1)), ("read", &json!(2))]);
}

#[test]
fn what_is_rolled_back_is_not_told() {
    let receiver = good();
    let app = app(&receiver, &[("resources", "record")]);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({}))]);
    let put = |id: &str, headers: Value| {
        json!({"method": "PUT", "path": format!("{RECORDS}/{id}"), "body": {"data": {}},
            "headers": headers})
    };
    let batch = json!({"requests": [
        put("r", json!({"If-None-Match": "*"})),
        put("s", json!({})),
        put("t", json!({"If-Match": "\"1\""})),
    ]});
    ann.post("/batch", &batch).expect(200);
    ann.header("if-none-match", "*").put(&format!("{RECORDS}/r"), &json!({})).expect(412);
    settled(&app, 0);
    let posts = receiver.received();
    let mut ids: Vec<_> = posts
        .iter()
        .map(|it| serde_json::from_str::<Value>(&it.body).unwrap()["record_id"].to_string())
        .collect();
    // They were posted at the same time.
    ids.sort_unstable();
    assert_eq!(ids, ["\"r\"", "\"s\""]);
}

#[test]
fn a_message_is_sent_again_with_the_same_id_until_it_is_accepted() {
    let count = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Status(500, ""),
        1 => Answer::Cut,
        _ => Answer::Status(200, ""),
    });
    let receiver = receiver.unwrap();
    let app = app(&receiver, &[("max_retry_seconds", "1")]);
    app.user("ann").put("/buckets/b", &json!({})).expect(201);
    let posts = posted(&app, &receiver, 3);
    settled(&app, 0);
    let ids: Vec<_> = posts.iter().map(|hook| hook.header("webhook-id").unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    posts.iter().for_each(|hook| hook.check_signature(SECRET).unwrap());
}

#[test]
fn a_failing_message_does_not_hold_up_others() {
    let receiver = Receiver::start(|hook| {
        let is_poison = hook.body.contains("poison");
        Answer::Status(if is_poison { 500 } else { 200 }, "")
    });
    let receiver = receiver.unwrap();
    let app = app(&receiver, &[("concurrency", "1"), ("retry_seconds", "3600")]);
    let ann = app.user("ann");
    ann.put("/buckets/poison", &json!({})).expect(201);
    ann.put("/buckets/b", &json!({})).expect(201);
    let posts = posted(&app, &receiver, 2);
    assert_eq!(posts.iter().map(|it| it.accepted).collect::<Vec<_>>(), [false, true]);
    until(&app, "one waits", || backlog(&app) == Backlog { waiting: 1, dead: 0 });
}

#[test]
fn redirects_are_not_followed() {
    let receiver = Receiver::start(|_| Answer::Status(302, "location: /elsewhere\r\n")).unwrap();
    let app = app(&receiver, &[("retry_seconds", "3600")]);
    app.user("ann").put("/buckets/b", &json!({})).expect(201);
    posted(&app, &receiver, 1);
    until(&app, "it waits", || app.wait(next_due(&app)) > now() + 60_000);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_receiver_can_ask_for_time() {
    let receiver = Receiver::start(|_| Answer::Status(429, "retry-after: 600\r\n")).unwrap();
    let app = app(&receiver, &[]);
    app.user("ann").put("/buckets/b", &json!({})).expect(201);
    posted(&app, &receiver, 1);
    until(&app, "it waits", || app.wait(next_due(&app)) > now() + 500_000);
}

fn now() -> i64 {
    SystemClock::default().now().0
}

async fn next_due(app: &App) -> i64 {
    let due =
        |tx: &mut dyn cumulo_core::store::Transaction| Ok((Outcome::Commit, tx.next_due("hook")?));
    app.store().transact(Access::Read, due).await.unwrap().map_or(0, |due| due.0)
}

#[test]
fn a_receiver_that_is_gone_gets_no_more_of_a_message_and_it_is_kept() {
    let receiver = Receiver::start(|_| Answer::Status(410, "")).unwrap();
    let app = app(&receiver, &[]);
    app.user("ann").put("/buckets/b", &json!({})).expect(201);
    settled(&app, 1);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_message_that_is_too_old_is_given_up_and_kept() {
    let receiver = Receiver::start(|_| Answer::Status(500, "")).unwrap();
    let app = app(&receiver, &[("max_age_seconds", "1"), ("max_retry_seconds", "1")]);
    app.user("ann").put("/buckets/b", &json!({})).expect(201);
    settled(&app, 1);
    assert!(receiver.received().len() > 1);
}

#[test]
fn a_slow_webhook_holds_up_neither_others_nor_requests() {
    let slow = Receiver::start(|_| Answer::Late(Duration::from_secs(5))).unwrap();
    let (fast, redis) = (good(), Redis::start().unwrap());
    let (slow_url, fast_url) = (slow.url(), fast.url());
    let app = App::with(&[
        ("event_listeners", "slow fast queue"),
        ("event_listeners.slow.use", "cumulo.listeners.webhook"),
        ("event_listeners.slow.url", &slow_url),
        ("event_listeners.slow.secret", SECRET),
        ("event_listeners.fast.use", "cumulo.listeners.webhook"),
        ("event_listeners.fast.url", &fast_url),
        ("event_listeners.fast.secret", SECRET),
        ("event_listeners.queue.use", "kinto_redis.listeners"),
        ("event_listeners.queue.url", &redis.url()),
    ]);
    let start = Instant::now();
    let ann = app.user("ann");
    for n in 0..20 {
        ann.put(&format!("/buckets/b{n}"), &json!({})).expect(201);
    }
    let queued = || redis.list("kinto.core.events").unwrap();
    until(&app, "all is told", || fast.received().len() == 20 && queued().len() == 20);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    // The head of the list is the last event, as workers with BRPOP expect it.
    let (first, last) = (queued().pop().unwrap(), queued().remove(0));
    assert!(first.contains("\"bucket_id\":\"b0\"") && last.contains("\"bucket_id\":\"b19\""));
}
