//! The history tells everything: replayed, it gives every object as it is, and the collection as it
//! was at any time.

use std::{collections::BTreeMap, sync::Arc};

use cumulo_core::clock::ManualClock;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use protocol_tests::{Client, Kind, Parts, on_each_store};
use serde_json::{Value, json};

use super::{HISTORY, ON, RECORDS};

on_each_store! { history_replayed_gives_what_is_there }

/// One step of a random past. Records have few ids, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, i8),
    Patch(u8, i8),
    Delete(u8),
    DeleteAll,
    Recreate,
    Batch(Vec<Step>),
}

fn single() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, any::<i8>()).prop_map(|(id, n)| Step::Put(id, n)),
        2 => (0..4_u8, any::<i8>()).prop_map(|(id, n)| Step::Patch(id, n)),
        2 => (0..4_u8).prop_map(Step::Delete),
        1 => Just(Step::DeleteAll),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => single(),
        1 => Just(Step::Recreate),
        2 => proptest::collection::vec(single(), 1..6).prop_map(Step::Batch),
    ]
}

impl Step {
    fn requests(&self) -> Vec<Value> {
        let path = |id: &u8| format!("{RECORDS}/r{id}");
        let data = |n: &i8| json!({"data": {"n": n}});
        match self {
            Self::Put(id, n) => vec![json!({"method": "PUT", "path": path(id), "body": data(n)})],
            Self::Patch(id, n) => {
                vec![json!({"method": "PATCH", "path": path(id), "body": data(n)})]
            }
            Self::Delete(id) => vec![json!({"method": "DELETE", "path": path(id)})],
            Self::DeleteAll => vec![json!({"method": "DELETE", "path": RECORDS})],
            Self::Recreate => {
                let path = "/buckets/b/collections/c";
                vec![
                    json!({"method": "DELETE", "path": path}),
                    json!({"method": "PUT", "path": path, "body": {"data": {}}}),
                ]
            }
            Self::Batch(steps) => steps.iter().flat_map(Self::requests).collect(),
        }
    }
}

fn history_replayed_gives_what_is_there(kind: Kind) {
    let cases = if kind == Kind::Postgresql { 8 } else { 48 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let pasts = proptest::collection::vec(step(), 1..25);
    TestRunner::new(config).run(&pasts, |past| check(kind, &past)).unwrap();
}

fn check(kind: Kind, past: &[Step]) -> Result<(), TestCaseError> {
    let clock = Arc::new(ManualClock::at(1000));
    let app = Parts::new(&ON).clock(Arc::clone(&clock) as _).on(kind);
    let ann = app.user("ann");
    ann.with_records("b", "c", &[]);
    let mut moments = vec![(1999, records(&ann, RECORDS))];
    for (step, now) in past.iter().zip((2000..).step_by(1000)) {
        clock.set(now);
        ann.post("/batch", &json!({"requests": step.requests()})).expect(200);
        moments.push((now + 999, records(&ann, RECORDS)));
    }
    prop_assert_eq!(&replay(&ann), &moments.last().unwrap().1);
    for (moment, then) in moments {
        let path = format!("/buckets/b/snapshot/collections/c@{moment}");
        prop_assert_eq!(records(&ann, &path), then, "at {}", moment);
    }
    Ok(())
}

/// The objects of a list by id.
fn records(client: &Client<'_>, path: &str) -> BTreeMap<String, Value> {
    let list = client.get(path).is(200).json;
    let objects = list["data"].as_array().unwrap().iter();
    objects.map(|it| (it["id"].as_str().unwrap().to_owned(), it.clone())).collect()
}

/// What the entries make, one after the other.
fn replay(client: &Client<'_>) -> BTreeMap<String, Value> {
    let history = client.get(&format!("{HISTORY}?_sort=last_modified")).is(200).json;
    let mut objects = BTreeMap::new();
    for entry in history["data"].as_array().unwrap() {
        let data = &entry["target"]["data"];
        match (entry["resource_name"].as_str().unwrap(), entry["action"].as_str().unwrap()) {
            ("record", "delete") => drop(objects.remove(data["id"].as_str().unwrap())),
            ("record", _) => {
                objects.insert(data["id"].as_str().unwrap().to_owned(), data.clone());
            }
            ("collection", "delete") => objects.clear(),
            _ => {}
        }
    }
    objects
}
