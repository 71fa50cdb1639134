//! The three kinds of patches, and how much of the object comes back.

use protocol_tests::{App, Client, Kind, on_each_store};
use serde_json::{Value, json};

on_each_store!(
    who_inherits_the_right_to_write_keeps_the_rights_of_others
    media_types_may_have_parameters
    light_answers_have_what_changed
    groups_answer_lightly_too
    what_is_not_an_object_any_more_is_refused
);

const RECORD: &str = "/buckets/b/collections/c/records/r";

/// A record of alice with other readers and writers, in a bucket that bob may write too.
fn shared_record(app: &App) -> Client<'_> {
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("r", json!({"a": 1, "deep": {"x": 1, "y": 2}}))]);
    let share = json!({"permissions": {"read": ["carol"], "write": [app.id_of("alice"), "dave"]}});
    alice.patch(RECORD, "json", &share).expect(200);
    let bucket = json!({"permissions": {"write": [app.id_of("bob")]}});
    alice.patch("/buckets/b", "json", &bucket).expect(200);
    app.user("bob")
}

#[track_caller]
fn holds(permissions: &Value, permission: &str, principal: &str) {
    let holders = permissions[permission].as_array().expect("a list");
    assert!(holders.contains(&json!(principal)), "{permission}: {permissions}");
}

fn who_inherits_the_right_to_write_keeps_the_rights_of_others(kind: Kind) {
    // Kinto takes permissions that the writer does not see for none, and a patch erases them.
    let app = App::on(kind, &[]);
    let bob = shared_record(&app);
    bob.patch(RECORD, "json-patch+json", &json!([{"op": "add", "path": "/data/b", "value": 2}]))
        .expect(200);
    let merge = json!({"permissions": {"read": ["erin"]}});
    let patched = bob.patch(RECORD, "merge-patch+json", &merge).is(200).json;
    holds(&patched["permissions"], "read", "erin");
    holds(&patched["permissions"], "write", "dave");
    holds(&patched["permissions"], "write", &app.id_of("alice"));
}

fn media_types_may_have_parameters(kind: Kind) {
    // Kinto compares the whole header: with a parameter, a merge patch stores nulls.
    let app = App::on(kind, &[]);
    let bob = shared_record(&app);
    let merge = json!({"data": {"a": null}});
    let patched = bob.patch(RECORD, "merge-patch+json; charset=utf-8", &merge).is(200).json;
    assert!(patched["data"].get("a").is_none());
}

fn light_answers_have_what_changed(kind: Kind) {
    // In Kinto a removed key makes it 500, and nested changes are none.
    let app = App::on(kind, &[]);
    let bob = shared_record(&app);
    let light = bob.header("response-behavior", "light");
    let merge = json!({"data": {"a": null, "deep": {"x": 5}, "new": 1}});
    let answer = light.patch(RECORD, "merge-patch+json", &merge).is(200).json;
    assert_eq!(answer, json!({"data": {"deep": {"x": 5, "y": 2}, "new": 1}}));
    let diff = bob.header("response-behavior", "diff");
    let answer = diff.patch(RECORD, "json", &json!({"data": {"new": 2}})).is(200).json;
    assert_eq!(answer, json!({"data": {}}));
}

fn groups_answer_lightly_too(kind: Kind) {
    // In Kinto groups answer 500.
    let app = App::on(kind, &[]);
    let alice = app.user("alice");
    alice.put("/buckets/b", &json!({})).expect(201);
    alice.put("/buckets/b/groups/g", &json!({"data": {"members": ["x"]}})).expect(201);
    let light = alice.header("response-behavior", "light");
    let body = json!({"data": {"members": ["x", "y"]}});
    let answer = light.patch("/buckets/b/groups/g", "json", &body).is(200).json;
    assert_eq!(answer, json!({"data": {"members": ["x", "y"]}}));
}

fn what_is_not_an_object_any_more_is_refused(kind: Kind) {
    // Kinto answers 500 to most of these.
    let app = App::on(kind, &[]);
    let bob = shared_record(&app);
    for operation in [
        json!({"op": "remove", "path": "/data"}),
        json!({"op": "replace", "path": "/data", "value": 1}),
        json!({"op": "remove", "path": "/permissions"}),
        json!({"op": "add", "path": "/permissions/fly/x"}),
    ] {
        bob.patch(RECORD, "json-patch+json", &json!([operation])).expect(400);
    }
    bob.patch(RECORD, "json-patch+json", &json!({"op": "add"})).expect(400);
    let over_a_scalar = json!({"data": {"a": {"now": "an object"}}});
    bob.patch(RECORD, "merge-patch+json", &over_a_scalar).expect(200);
}
