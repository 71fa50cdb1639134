//! The protocol over PostgreSQL: how often it is asked and waited for, and what it refuses.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use cumulo_core::{
    api::Api,
    error::Result,
    event::{Action, Event},
    outbox::Message,
    plugin::Plugin,
    store::{Access, Outcome, Transaction},
};
use cumulo_servers::Postgres as Server;
use cumulo_store::{Postgres, PostgresOptions};
use protocol_tests::{App, Client};
use serde_json::{Value, json};

/// A service over an empty database, and its store.
fn app(name: &str) -> (App, Arc<Postgres>) {
    plugged_app(name, Vec::new())
}

fn plugged_app(name: &str, plugins: Vec<Box<dyn Plugin>>) -> (App, Arc<Postgres>) {
    let url = Server::shared().create_database(name).unwrap();
    Postgres::migrate(&url, false).unwrap();
    let mut store = None;
    let app = App::plugged_over(&[], plugins, |clock| {
        let opened = Arc::new(Postgres::open(&url, PostgresOptions::default(), clock).unwrap());
        Arc::clone(store.insert(opened)) as _
    });
    (app, store.unwrap())
}

struct Counted<'a> {
    client: Client<'a>,
    store: &'a Postgres,
}

impl Counted<'_> {
    /// Round trips of a request, which must be answered with `status`.
    #[track_caller]
    fn trips(&self, method: &str, path: &str, body: &Value, status: u16) -> u64 {
        let before = self.store.round_trips();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.client.send(&method.parse().unwrap(), path, body).expect(status);
        self.store.round_trips() - before
    }
}

const RECORDS: &str = "/buckets/b/collections/c/records";

#[test]
fn a_read_takes_two_round_trips_and_a_write_three_at_the_most() {
    let (app, store) = app("round_trips");
    let client = app.user("ann");
    client.with_records("b", "c", &[("r", json!({"n": 1})), ("s", json!({"n": 2}))]);
    let etag = client.get(RECORDS).headers["etag"].to_str().unwrap().to_owned();
    let ann = Counted { client: client.clone(), store: &store };
    let polling = Counted { client: client.header("if-none-match", &etag), store: &store };
    let record = format!("{RECORDS}/r");
    let none = Value::Null;
    let data = |n: i32| json!({"data": {"n": n}});

    assert_eq!(ann.trips("GET", &record, &none, 200), 1, "a record");
    assert_eq!(ann.trips("GET", &format!("{RECORDS}/missing"), &none, 404), 1, "no record");
    assert_eq!(ann.trips("GET", RECORDS, &none, 200), 2, "a list");
    assert_eq!(ann.trips("GET", &format!("{RECORDS}?n=1&_sort=n"), &none, 200), 2, "a filter");
    assert_eq!(ann.trips("HEAD", RECORDS, &none, 200), 2, "a count");
    assert_eq!(polling.trips("GET", RECORDS, &none, 304), 1, "a list that did not change");

    assert_eq!(ann.trips("POST", RECORDS, &data(3), 201), 2, "a creation");
    assert_eq!(ann.trips("PUT", &record, &data(4), 200), 2, "a replacement");
    assert_eq!(ann.trips("PATCH", &record, &data(5), 200), 2, "a patch");
    let shared = json!({"permissions": {"read": ["system.Everyone"]}});
    assert_eq!(ann.trips("PATCH", &record, &shared, 200), 2, "permissions");
    assert_eq!(ann.trips("DELETE", &record, &none, 200), 2, "a deletion");
    assert_eq!(
        ann.trips("PUT", "/buckets/b/groups/g", &json!({"data": {"members": ["x"]}}), 201),
        2
    );
    assert_eq!(ann.trips("DELETE", "/buckets/b/collections/c", &none, 200), 2, "with all below");
}

#[test]
fn a_batch_takes_as_many_round_trips_as_one_write() {
    let (app, store) = app("round_trips_of_batches");
    let client = app.user("ann");
    client.with_records("b", "c", &[]);
    let ann = Counted { client: client.clone(), store: &store };
    let items: Vec<_> = (0..25)
        .map(|n| json!({"method": "PUT", "path": format!("{RECORDS}/{n}"), "body": {"data": {}}}))
        .collect();
    let batch = json!({"requests": items});
    assert_eq!(ann.trips("POST", "/batch", &batch, 200), 2, "creations");
    assert_eq!(ann.trips("POST", "/batch", &batch, 200), 2, "replacements");
}

#[test]
fn waiting_writes_to_a_list_share_their_round_trips() {
    let (app, store) = app("round_trips_of_groups");
    let client = app.user("ann");
    client.with_records("b", "c", &[]);
    let before = store.round_trips();
    let answers = client.post_all(RECORDS, &json!({"data": {}}), 100);
    assert!(answers.iter().all(|status| *status == 201), "{answers:?}");
    let trips = store.round_trips() - before;
    assert!(trips < 50, "100 writes took {trips} round trips");
}

#[test]
fn the_default_bucket_is_foreseen() {
    let (app, store) = app("round_trips_of_default");
    let ann = Counted { client: app.user("ann"), store: &store };
    let records = "/buckets/default/collections/notes/records";
    ann.trips("POST", records, &json!({"data": {}}), 201);
    assert_eq!(ann.trips("POST", records, &json!({"data": {}}), 201), 2, "a creation");
    assert_eq!(ann.trips("GET", records, &Value::Null, 200), 2, "a list");
}

/// A plugin that writes a message about each event.
struct Enqueuing;

impl Plugin for Enqueuing {
    fn name(&self) -> &'static str {
        "enqueuing"
    }

    fn subscribes(&self, action: Action) -> bool {
        action != Action::Read
    }

    fn on_event(
        &self,
        api: &Api,
        event: &Event,
        tx: &mut dyn Transaction,
        _: &mut Vec<Event>,
    ) -> Result<()> {
        Ok(tx.enqueue(&Message::new("hook", &*event.uri, api.clock.now()))?)
    }
}

#[test]
fn messages_to_listeners_take_no_further_round_trip() {
    let (app, store) = plugged_app("round_trips_of_messages", vec![Box::new(Enqueuing)]);
    let client = app.user("ann");
    client.with_records("b", "c", &[]);
    let ann = Counted { client, store: &store };
    let record = format!("{RECORDS}/r");
    assert_eq!(ann.trips("PUT", &record, &json!({"data": {}}), 201), 2, "a creation");
    assert_eq!(ann.trips("DELETE", &record, &Value::Null, 200), 2, "a deletion");
    let put = |n: i32| json!({"method": "PUT", "path": format!("{RECORDS}/{n}")});
    let batch = json!({"requests": [put(1), put(2)]});
    assert_eq!(ann.trips("POST", "/batch", &batch, 200), 2, "a batch");
    let count =
        app.store().transact(Access::Read, |tx| Ok((Outcome::Commit, tx.backlog("hook")?.waiting)));
    assert_eq!(app.wait(count).unwrap(), 5, "bucket, collection, and three");
}

#[test]
fn what_the_database_can_not_keep_is_refused() {
    let (app, store) = app("unstorable");
    let client = app.user("ann");
    client.with_records("b", "c", &[("r", json!({"n": 1}))]);
    // Without repetition, so that it is not compressed.
    let words = (0_u64..200).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let long = words.map(|word| format!("{word:016x}")).collect::<Vec<_>>().join("-");
    let answer = client.put(&format!("{RECORDS}/{long}"), &json!({"data": {}})).is(400);
    assert!(answer.json["message"].as_str().unwrap().contains("can't keep"), "{}", answer.json);
    client.get(&format!("{RECORDS}/r")).expect(200);
    drop(store);
}
