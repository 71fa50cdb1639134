//! How many objects there are.

use protocol_tests::{App, Kind, on_each_store};
use serde_json::json;

const ON: [(&str, &str); 1] = [("includes", "counters history flush")];

on_each_store! { objects_and_tombstones_are_counted }

fn objects_and_tombstones_are_counted(kind: Kind) {
    let app = App::on(kind, &ON);
    let ann = app.user("ann");
    let count = || app.anonymous().get("/__counters__").is(200).json;
    assert_eq!(count(), json!({"objects": {}, "tombstones": {}}));
    ann.with_records("b", "c", &[("x", json!({})), ("y", json!({})), ("z", json!({}))]);
    ann.delete("/buckets/b/collections/c/records/x").expect(200);
    let expected = json!({
        "objects": {"bucket": 1, "collection": 1, "record": 2, "history": 6},
        "tombstones": {"record": 1},
    });
    assert_eq!(count(), expected);
    let batch = json!({"requests": [
        {"method": "PUT", "path": "/buckets/b2"},
        {"path": "/__counters__"},
        {"method": "DELETE", "path": "/buckets/b"},
        {"path": "/__counters__"},
    ]});
    let answers = ann.post("/batch", &batch).is(200).json;
    assert_eq!(answers["responses"][1]["body"]["objects"]["bucket"], 2);
    // What the batch itself adds to the history is written at its end.
    let after = json!({"objects": {"bucket": 1}, "tombstones": {"bucket": 1}});
    assert_eq!(answers["responses"][3]["body"], after);
    assert_eq!(count()["objects"], json!({"bucket": 1, "history": 1}));
}

#[test]
fn the_settings_say_who_may_count() {
    let app = App::with(&[ON[0], ("counters_read_principals", "system.Authenticated")]);
    app.anonymous().get("/__counters__").expect(401);
    app.user("ann").get("/__counters__").expect(200);
    let app = App::with(&[ON[0], ("counters_read_principals", "")]);
    app.user("ann").get("/__counters__").expect(403);
}

#[test]
fn only_reading_is_possible() {
    let app = App::with(&ON);
    app.user("ann").put("/__counters__", &json!({})).expect(405);
    let hello = app.anonymous().get("/").json;
    assert!(hello["capabilities"]["counters_endpoint"]["url"].is_string());
    App::with(&[]).anonymous().get("/__counters__").expect(404);
}
