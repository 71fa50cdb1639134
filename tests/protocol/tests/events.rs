//! What plugins are told of, when, and what they can do about it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use cumulo_core::{
    api::Api,
    error::{ApiError, Errno, Result},
    event::{Action, Event, Impact},
    object::Timestamp,
    plugin::Plugin,
    resource::Target,
    store::Transaction,
};
use protocol_tests::{App, Parts};
use serde_json::{Map, Value, json};

/// What the plugin under test was told, as JSON.
#[derive(Clone, Default)]
struct Heard {
    inside: Arc<Mutex<Vec<Value>>>,
    after: Arc<Mutex<Vec<Value>>>,
}

impl Heard {
    /// What it was told in transactions since the last time.
    fn inside(&self) -> Vec<Value> {
        std::mem::take(&mut self.inside.lock().unwrap())
    }

    /// What it was told after commits since the last time.
    fn after(&self) -> Vec<Value> {
        std::mem::take(&mut self.after.lock().unwrap())
    }

    /// Both, which must be the same.
    #[track_caller]
    fn both(&self) -> Vec<Value> {
        let (inside, after) = (self.inside(), self.after());
        assert_eq!(inside, after);
        inside
    }
}

/// A plugin that writes down what it is told, and acts on words in the objects: `veto` is refused,
/// `echo` makes it write a record of its own.
struct Recorder {
    heard: Heard,
    reads: bool,
}

impl Plugin for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn subscribes(&self, action: Action) -> bool {
        self.reads || action != Action::Read
    }

    fn on_event(
        &self,
        _: &Api,
        event: &Event,
        tx: &mut dyn Transaction,
        raised: &mut Vec<Event>,
    ) -> Result<()> {
        self.heard.inside.lock().unwrap().push(shown(event));
        for impact in &event.impacted {
            if impact.new.data.contains("veto") {
                return Err(ApiError::new(Errno::Forbidden).with_message("Not that."));
            }
            if impact.new.data.contains("echo") {
                raised.push(echo(event, tx)?);
            }
        }
        Ok(())
    }

    fn after_commit(&self, event: &Event) {
        self.heard.after.lock().unwrap().push(shown(event));
    }
}

/// Puts a record beside those of the event.
fn echo(event: &Event, tx: &mut dyn Transaction) -> Result<Event> {
    let uri = "/buckets/b/collections/echoes/records/heard";
    let target = Target::parse(uri).unwrap();
    let old = tx.get(&target.list, "heard")?.map(|entry| entry.object);
    tx.put(&target.list, "heard", None, r#"{"by":"recorder"}"#, None)?;
    let new = tx.get(&target.list, "heard")?.unwrap();
    let action = if old.is_some() { Action::Update } else { Action::Create };
    let user = Some("plugin:recorder".to_owned());
    let (timestamp, impacted) = (Timestamp::default(), Vec::new());
    let told = Event { action, target, uri: uri.into(), user, timestamp, impacted };
    assert_eq!(event.target.list.resource, "record");
    Ok(told.with(Impact { new: new.object, old, acl: new.acl }))
}

fn shown(event: &Event) -> Value {
    let data = |object: &cumulo_core::object::Object| {
        let mut data: Map<String, Value> = serde_json::from_str(&object.data).unwrap();
        data.insert("id".into(), object.id.clone().into());
        Value::Object(data)
    };
    let impacts = event.impacted.iter().map(|impact| match &impact.old {
        Some(old) => json!({"new": data(&impact.new), "old": data(old)}),
        None => json!({"new": data(&impact.new)}),
    });
    json!({
        "action": event.action.as_str(),
        "uri": event.uri,
        "list": [event.target.list.parent, event.target.list.resource],
        "impacted": impacts.collect::<Vec<_>>(),
    })
}

fn app(reads: bool) -> (App, Heard) {
    let heard = Heard::default();
    let recorder = Recorder { heard: heard.clone(), reads };
    (Parts::new(&[]).plugin(recorder).in_memory(), heard)
}

/// An app with a bucket `b` and collections `c` and `echoes`, of which nothing is left to be heard.
fn filled(reads: bool) -> (App, Heard) {
    let (app, heard) = app(reads);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    ann.put("/buckets/b/collections/echoes", &json!({})).expect(201);
    heard.both();
    (app, heard)
}

const RECORDS: &str = "/buckets/b/collections/c/records";

fn data(value: impl Into<Value>) -> Value {
    json!({"data": value.into()})
}

fn actions(events: &[Value]) -> Vec<(&str, &str, usize)> {
    let count = |event: &Value| event["impacted"].as_array().unwrap().len();
    events
        .iter()
        .map(|event| {
            (event["action"].as_str().unwrap(), event["uri"].as_str().unwrap(), count(event))
        })
        .collect()
}

#[test]
fn each_write_tells_what_was_and_what_is() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    let record = format!("{RECORDS}/r");
    ann.put(&record, &data(json!({"n": {"x": 1}}))).expect(201);
    ann.put(&record, &data(json!({"n": {"x": 2}}))).expect(200);
    ann.delete(&record).expect(200);
    let list = json!(["/buckets/b/collections/c", "record"]);
    let new = json!({"id": "r", "n": {"x": 2}});
    let old = json!({"id": "r", "n": {"x": 1}});
    let gone = json!({"id": "r", "deleted": true});
    let event = |action: &str, impact: Value| json!({"action": action, "uri": record, "list": list, "impacted": [impact]});
    assert_eq!(
        heard.both(),
        [
            event("create", json!({"new": old})),
            event("update", json!({"new": new, "old": old})),
            event("delete", json!({"new": gone, "old": new})),
        ]
    );
}

#[test]
fn a_post_names_the_list() {
    let (app, heard) = filled(true);
    let ann = app.user("ann");
    ann.post(RECORDS, &data(json!({"id": "r"}))).expect(201);
    ann.post(RECORDS, &data(json!({"id": "r", "n": 1}))).expect(200);
    let heard = heard.both();
    assert_eq!(actions(&heard), [("create", RECORDS, 1), ("read", RECORDS, 1)]);
}

#[test]
fn patches_tell_whole_objects_whatever_is_answered() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    let record = format!("{RECORDS}/r");
    ann.put(&record, &data(json!({"a": {"x": 1, "y": 1}, "b": 1}))).expect(201);
    heard.both();
    for behavior in ["light", "diff", "full"] {
        let patching = ann.header("response-behavior", behavior);
        patching.patch(&record, "merge-patch+json", &data(json!({"a": {"x": 2}}))).expect(200);
        let told = heard.both();
        let impact = &told[0]["impacted"][0];
        assert_eq!(impact["new"], json!({"a": {"x": 2, "y": 1}, "b": 1, "id": "r"}), "{behavior}");
        assert_eq!(impact["old"], json!({"a": {"x": 1, "y": 1}, "b": 1, "id": "r"}), "{behavior}");
        ann.put(&record, &data(json!({"a": {"x": 1, "y": 1}, "b": 1}))).expect(200);
        heard.both();
    }
}

#[test]
fn a_change_of_permissions_is_an_update() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    ann.patch("/buckets/b", "json", &json!({"permissions": {"read": ["system.Everyone"]}}))
        .expect(200);
    let told = heard.both();
    assert_eq!(actions(&told), [("update", "/buckets/b", 1)]);
    assert_eq!(told[0]["impacted"][0]["new"], told[0]["impacted"][0]["old"]);
}

#[test]
fn a_deleted_list_is_one_event_and_one_without_objects_was_only_read() {
    let (app, heard) = filled(true);
    let ann = app.user("ann");
    for id in ["r", "s"] {
        ann.put(&format!("{RECORDS}/{id}"), &data(json!({"n": id}))).expect(201);
    }
    heard.both();
    ann.delete(RECORDS).expect(200);
    let told = heard.both();
    assert_eq!(actions(&told), [("delete", RECORDS, 2)]);
    for impact in told[0]["impacted"].as_array().unwrap() {
        assert_eq!(impact["new"]["id"], impact["old"]["id"]);
        assert_eq!(impact["old"]["n"], impact["old"]["id"]);
    }
    ann.delete(RECORDS).expect(200);
    assert_eq!(actions(&heard.both()), [("read", RECORDS, 0)]);
}

#[test]
fn reads_are_told_to_who_wants_them() {
    let (app, heard) = filled(true);
    let ann = app.user("ann");
    ann.put(&format!("{RECORDS}/r"), &data(json!({}))).expect(201);
    heard.both();
    let record = format!("{RECORDS}/r");
    ann.get(&record).expect(200);
    ann.get(RECORDS).expect(200);
    ann.send(&http::Method::HEAD, RECORDS, Vec::new()).expect(200);
    ann.get(&format!("{RECORDS}/missing")).expect(404);
    app.user("eve").get(&record).expect(403);
    let told = heard.both();
    let expected = [("read", &*record, 1), ("read", RECORDS, 1), ("read", RECORDS, 0)];
    assert_eq!(actions(&told), expected);

    let (app, heard) = filled(false);
    app.user("ann").get(RECORDS).expect(200);
    assert_eq!(heard.both(), [Value::Null; 0]);
}

#[test]
fn what_below_a_deleted_object_goes_with_it_is_not_told() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    ann.put(&format!("{RECORDS}/r"), &data(json!({}))).expect(201);
    heard.both();
    ann.delete("/buckets/b").expect(200);
    assert_eq!(actions(&heard.both()), [("delete", "/buckets/b", 1)]);
}

#[test]
fn a_batch_tells_once_for_each_list_and_action() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    let item = |method: &str, id: &str, body: Value| json!({"method": method, "path": format!("{RECORDS}/{id}"), "body": {"data": body}});
    let requests = json!({"requests": [
        item("PUT", "1", json!({})),
        {"method": "PUT", "path": "/buckets/b/groups/g", "body": {"data": {"members": []}}},
        item("PUT", "2", json!({})),
        item("PUT", "1", json!({"n": 1})),
    ]});
    ann.post("/batch", &requests).expect(200);
    let told = heard.both();
    let (first, group) = (format!("{RECORDS}/1"), "/buckets/b/groups/g");
    let expected = [("create", &*first, 2), ("create", group, 1), ("update", &*first, 1)];
    assert_eq!(actions(&told), expected);
}

#[test]
fn items_of_a_batch_that_fail_are_not_told() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    for id in ["old", "newer"] {
        ann.put(&format!("{RECORDS}/{id}"), &data(json!({}))).expect(201);
    }
    heard.both();
    let put = |id: &str, body: Value| json!({"method": "PUT", "path": format!("{RECORDS}/{id}"), "body": body});
    let mut careful = put("old", data(json!({"n": 1})));
    careful["headers"] = json!({"If-None-Match": "*"});
    let at = ann.get(&format!("{RECORDS}/old")).json["data"]["last_modified"].clone();
    let requests = json!({"requests": [
        put("1", data(json!({}))),
        put("2", json!({"data": 1})),
        careful,
        put("3", data(json!({"last_modified": at}))),
        put("4", data(json!({}))),
    ]});
    let answer = ann.post("/batch", &requests).is(200);
    let responses = answer.json["responses"].as_array().unwrap();
    let statuses: Vec<_> = responses.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    let told = heard.both();
    let ids: Vec<_> = told.iter().flat_map(|event| event["impacted"].as_array().unwrap()).collect();
    let ids: Vec<_> = ids.iter().map(|impact| impact["new"]["id"].as_str().unwrap()).collect();
    assert_eq!(statuses, [201, 400, 412, 409, 201]);
    assert_eq!(ids, ["1", "4"]);
}

#[test]
fn a_veto_becomes_the_answer_and_leaves_nothing() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    let record = format!("{RECORDS}/r");
    let answer = ann.put(&record, &data(json!({"word": "veto"}))).is(403);
    assert_eq!(answer.json["message"], "Not that.");
    ann.get(&record).expect(404);
    assert_eq!((heard.inside().len(), heard.after().len()), (1, 0));

    let item = |id: &str, word: &str| json!({"method": "PUT", "path": format!("{RECORDS}/{id}"), "body": data(json!({"word": word}))});
    let batch = json!({"requests": [item("1", "fine"), item("2", "veto")]});
    ann.post("/batch", &batch).expect(403);
    assert!(ann.get(RECORDS).is(200).ids().is_empty());
    assert_eq!((heard.inside().len(), heard.after().len()), (1, 0));
}

#[test]
fn what_plugins_do_about_events_is_told_in_a_later_round() {
    let (app, heard) = filled(false);
    let ann = app.user("ann");
    let item = |id: &str| json!({"method": "PUT", "path": format!("{RECORDS}/{id}"), "body": data(json!({"word": "echo"}))});
    ann.post("/batch", &json!({"requests": [item("1"), item("2")]})).expect(200);
    let told = heard.both();
    let (first, echoed) = (format!("{RECORDS}/1"), "/buckets/b/collections/echoes/records/heard");
    let expected = [("create", &*first, 2), ("create", echoed, 1), ("update", echoed, 1)];
    assert_eq!(actions(&told), expected);
    assert_eq!(told[1]["impacted"][0]["new"]["by"], "recorder");
}

#[test]
fn implicit_creations_are_told_with_their_own_names() {
    let (app, heard) = app(false);
    let ann = app.user("ann");
    let id = ann.get("/").json["user"]["bucket"].as_str().unwrap().to_owned();
    ann.post("/buckets/default/collections/notes/records", &data(json!({"n": 1}))).expect(201);
    let told = heard.both();
    let (bucket, notes) = (format!("/buckets/{id}"), format!("/buckets/{id}/collections/notes"));
    let records = format!("{notes}/records");
    let expected = [("create", &*bucket, 1), ("create", &*notes, 1), ("create", &*records, 1)];
    assert_eq!(actions(&told), expected);

    // What was created stays, so it is told, whatever becomes of the request.
    ann.get("/buckets/default/collections/other/records/missing").expect(404);
    let other = format!("/buckets/{id}/collections/other");
    assert_eq!(actions(&heard.both()), [("create", &*other, 1)]);
    ann.get("/buckets/default/collections/other/records").expect(200);
    assert_eq!(heard.both(), [Value::Null; 0]);
}

/// A plugin that keeps the last event.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<Event>>>);

impl Plugin for Last {
    fn name(&self) -> &'static str {
        "last"
    }

    fn subscribes(&self, _: Action) -> bool {
        true
    }

    fn after_commit(&self, event: &Event) {
        *self.0.lock().unwrap() = Some(event.clone());
    }
}

#[test]
fn events_have_the_timestamp_of_their_list() {
    let last = Last::default();
    let app = Parts::new(&[]).plugin(last.clone()).in_memory();
    let ann = app.user("ann");
    ann.with_records("b", "c", &[("r", json!({}))]);
    let etag = || ann.get(RECORDS).header("etag").trim_matches('"').parse::<i64>().unwrap();
    let told = || last.0.lock().unwrap().clone().unwrap().timestamp.0;
    assert_eq!(etag(), told(), "a list that was read");
    ann.put(&format!("{RECORDS}/past"), &data(json!({"last_modified": 12345}))).expect(201);
    let written = told();
    assert_eq!(etag(), written, "an object from the past moves no list");
    ann.send(&http::Method::HEAD, RECORDS, Vec::new()).expect(200);
    assert_eq!(told(), written, "a count");
    ann.delete(&format!("{RECORDS}/r")).expect(200);
    assert!(told() > written, "a deletion");
    assert_eq!(last.0.lock().unwrap().clone().unwrap().user.unwrap(), app.id_of("ann"));
}
