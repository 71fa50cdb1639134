//! Collections as they once were.

use std::sync::Arc;

use cumulo_core::clock::ManualClock;
use protocol_tests::{App, Client, Kind, Parts, on_each_store};
use serde_json::{Value, json};

use super::{ON, RECORDS};

on_each_store! {
    a_deleted_collection_can_be_seen
    a_new_collection_has_nothing_of_the_old_one
    a_gap_in_the_history_brings_nothing_back
    pages_cover_every_record_once
    who_reads_records_by_settings_reads_snapshots
    bad_requests_are_refused
}

fn at(client: &Client<'_>, moment: i64) -> Vec<Value> {
    let path = format!("/buckets/b/snapshot/collections/c@{moment}");
    client.get(&path).is(200).json["data"].as_array().unwrap().clone()
}

fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

/// A service whose clock is moved by hand.
fn with_clock(kind: Kind) -> (App, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1000));
    (Parts::new(&ON).clock(Arc::clone(&clock) as _).on(kind), clock)
}

fn a_deleted_collection_can_be_seen(kind: Kind) {
    let (app, clock) = with_clock(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("x", json!({"n": 1})), ("y", json!({"n": 2}))]);
    clock.set(2000);
    let before = ann.get(RECORDS).json["data"].as_array().unwrap().clone();
    ann.delete("/buckets/b/collections/c").expect(200);
    assert_eq!(at(&ann, 1999), before);
    assert_eq!(at(&ann, 2000), [] as [Value; 0]);
    assert_eq!(at(&ann, 3000), [] as [Value; 0]);
}

fn a_new_collection_has_nothing_of_the_old_one(kind: Kind) {
    let (app, clock) = with_clock(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("x", json!({"n": 1})), ("y", json!({}))]);
    clock.set(2000);
    ann.delete("/buckets/b/collections/c").expect(200);
    clock.set(3000);
    ann.put("/buckets/b/collections/c", &json!({})).expect(201);
    ann.put(&format!("{RECORDS}/x"), &json!({"data": {"n": 2}})).expect(201);
    clock.set(4000);
    ann.put(&format!("{RECORDS}/x"), &json!({"data": {"n": 3}})).expect(200);
    assert_eq!(ids(&at(&ann, 1999)), ["y", "x"]);
    assert_eq!(ids(&at(&ann, 2500)), [] as [&str; 0]);
    assert_eq!(at(&ann, 3500)[0]["n"], 2);
    assert_eq!(at(&ann, 4000)[0]["n"], 3);
}

fn a_gap_in_the_history_brings_nothing_back(kind: Kind) {
    let (app, clock) = with_clock(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("gone", json!({})), ("kept", json!({"n": 1}))]);
    clock.set(2000);
    ann.put(&format!("{RECORDS}/kept"), &json!({"data": {"n": 2}})).expect(200);
    ann.delete(&format!("{RECORDS}/gone")).expect(200);
    ann.delete("/buckets/b/history?_since=1500").expect(200);
    clock.set(3000);
    ann.put(&format!("{RECORDS}/new"), &json!({})).expect(201);
    let then = at(&ann, 2500);
    assert_eq!(ids(&then), ["kept"]);
    assert_eq!(then[0]["n"], 2);
}

fn pages_cover_every_record_once(kind: Kind) {
    let (app, clock) = with_clock(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    for n in 0..20 {
        ann.put(&format!("{RECORDS}/r{n}"), &json!({"data": {"n": n}})).expect(201);
    }
    clock.set(2000);
    for n in (0..20).step_by(3) {
        ann.put(&format!("{RECORDS}/r{n}"), &json!({"data": {"n": -n}})).expect(200);
    }
    ann.delete(&format!("{RECORDS}/r1")).expect(200);
    let whole = at(&ann, 1999);
    assert_eq!(whole.len(), 20);
    for limit in [1, 3, 7, 20, 100] {
        let mut path = format!("/buckets/b/snapshot/collections/c@1999?_limit={limit}");
        let mut all = Vec::new();
        loop {
            let page = ann.get(&path).is(200);
            let records = page.json["data"].as_array().unwrap().clone();
            assert!(records.len() <= limit);
            all.extend(records);
            match page.header("next-page").split_once("/v1") {
                Some((_, next)) => next.clone_into(&mut path),
                None => break,
            }
        }
        assert_eq!(all, whole, "{limit}");
    }
}

fn who_reads_records_by_settings_reads_snapshots(kind: Kind) {
    let settings = [&ON[..], &[("record_read_principals", "system.Authenticated")]].concat();
    let app = App::on(kind, &settings);
    app.user("ann").with_records("b", "c", &[("r", json!({}))]);
    let path = "/buckets/b/snapshot/collections/c@9999999999999";
    assert_eq!(app.user("bob").get(path).is(200).ids(), ["r"]);
    app.anonymous().get(path).expect(401);
}

fn bad_requests_are_refused(kind: Kind) {
    let app = App::on(kind, &ON);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    let of = |what: &str| format!("/buckets/b/snapshot/collections/{what}");
    for moment in ["x", "-1", "1.5", "99999999999999999999", "%20"] {
        let answer = app.anonymous().get(&of(&format!("c@{moment}"))).is(400);
        assert_eq!(answer.json["details"][0]["name"], "timestamp", "{}", answer.json);
    }
    for query in ["_limit=0", "_limit=x", "_token=x", "_token=1", "_token=1."] {
        ann.get(&format!("{}?{query}", of("c@1"))).expect(400);
    }
    for path in ["c@", "@1", "c", "c@1/records", "c@1/"] {
        let status = ann.get(&of(path)).status;
        assert!([404, 307].contains(&status), "{path}: {status}");
    }
    ann.put(&of("c@1"), &json!({})).expect(405);
    ann.get(&of("*@1")).expect(404);
    app.user("bob").get(&of("c@1")).expect(403);
    assert_eq!(ann.get(&of("missing@1")).is(200).ids(), [] as [&str; 0]);
}
