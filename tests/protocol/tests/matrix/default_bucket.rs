//! `/buckets/default` is another way to a bucket, and to no other one.

use std::sync::Arc;

use protocol_tests::{Kind, Parts};
use serde_json::{Value, json};

use crate::{
    differences,
    model::Line,
    none,
    rehearsal::Rehearsal,
    send,
    world::{content, mark},
};

/// What is in the bucket of alice, as in that of the world.
const OBJECTS: [&str; 6] = [
    "/groups/g_g",
    "/collections/c_c",
    "/collections/open",
    "/collections/c_c/records/r_r",
    "/collections/c_c/records/rxr",
    "/collections/open/records/everyone",
];

pub(crate) fn the_default_bucket_is_a_bucket_like_others(kind: Kind) {
    let mut rehearsal = None;
    let app = Parts::new(&[]).on_wrapped(kind, |store| {
        Arc::clone(rehearsal.insert(Arc::new(Rehearsal::of(store)))) as _
    });
    let rehearsal = rehearsal.expect("a store was opened");
    let alice = app.user("alice");
    for path in OBJECTS {
        let uri = format!("/buckets/default{path}");
        alice.put(&uri, &json!({"data": {"mark": mark(&uri)}})).expect(201);
    }
    let bucket = |name: &str| {
        let hello = app.user(name).get("/").json;
        format!("/buckets/{}", hello["user"]["bucket"].as_str().expect("its id"))
    };
    let (hers, bobs) = (bucket("alice"), bucket("bob"));
    rehearsal.begin();
    let before = content(&app);
    let (bob, anonymous) = (app.user("bob"), app.anonymous());
    let touched = || rehearsal.take().map(|after| differences(&before, &after)).unwrap_or_default();
    let mut problems = Vec::new();
    for line in lines() {
        let at = |bucket: &str| Line {
            path: line.path.replacen("/buckets/a_b", bucket, 1),
            ..line.clone()
        };
        let told = format!("{} {} {}", line.method, line.path, line.body);
        let really = send(&alice, &at(&hers));
        let really = (really.status, plain(&really.json), touched().len());
        let by_name = send(&alice, &at("/buckets/default"));
        let changed = touched().len();
        let by_name = (by_name.status, plain(&by_name.json), changed);
        if really != by_name {
            problems.push(format!("{told}: {by_name:?} in place of {really:?}"));
        }
        let other = send(&bob, &at("/buckets/default"));
        let uris = touched();
        if format!("{other:?}").contains("mark-of-") {
            problems.push(format!("{told}: shows bob what is not his"));
        }
        if let Some(uri) = uris.iter().find(|uri| !uri.starts_with(&bobs)) {
            problems.push(format!("{told}: lets bob change {uri}"));
        }
        let nobody = send(&anonymous, &at("/buckets/default"));
        if nobody.status != 401 || rehearsal.take().is_some() {
            problems.push(format!("{told}: {} for anonymous users", nobody.status));
        }
    }
    none(&problems);
}

/// The requests about one bucket. To missing collections the other way leads elsewhere: it creates
/// them.
fn lines() -> Vec<Line> {
    let is_other = |path: &str| path.contains("collections/never") || path.contains("/gone/");
    let in_bucket =
        |line: &Line| line.uri() == "/buckets/a_b" || line.path.starts_with("/buckets/a_b/");
    let mut lines = Line::all();
    lines.retain(|line| in_bucket(line) && !is_other(&line.path) && line.status != 405);
    let is_collection =
        |line: &Line| line.uri().matches('/').count() == 4 && line.uri().contains("/collections/");
    lines.retain(|line| !is_collection(line) || line.uri().ends_with("c_c"));
    assert!(lines.len() > 40, "the table has moved");
    lines
}

/// The body without what is new each time.
fn plain(body: &Value) -> Value {
    match body {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| *name != "last_modified" && *name != "id");
            kept.map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}
