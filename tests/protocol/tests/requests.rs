//! What is wrong with a request is said with a 4xx that names it.

use http::Method;
use protocol_tests::App;
use serde_json::{Value, json};

const RECORD: &str = "/buckets/b/collections/c/records/r";

#[test]
fn timestamps_out_of_range_are_refused() {
    // Kinto answers 500 or 503.
    let app = App::default();
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    for bad in
        [json!(9_223_372_036_854_775_807_i64), json!(u64::MAX), json!(-99_999_999_999_999_i64)]
    {
        let body = json!({"data": {"last_modified": bad}});
        let answer = alice.put(RECORD, &body).is(400).json;
        assert_eq!(answer["details"][0]["name"], "data.last_modified");
    }
    for ignored in [json!(true), json!("123"), json!(1.5), Value::Null] {
        let answer = alice.put(RECORD, &json!({"data": {"last_modified": ignored}})).json;
        assert!(
            answer["data"]["last_modified"].as_i64().expect("a number") > 1_500_000_000_000,
            "{answer}"
        );
    }
}

#[test]
fn nul_characters_are_refused() {
    // Kinto on PostgreSQL answers 503.
    let app = App::default();
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    alice.put(RECORD, &json!({"data": {"a": "\0"}})).expect(400);
    alice.get("/buckets/b/collections/c/records?a=%00").expect(400);
}

#[test]
fn deletions_take_integers_as_timestamps() {
    // Kinto answers 500, and takes 0 for a date in 1970.
    let app = App::default();
    let alice = app.user("alice");
    alice.with_records("b", "c", &[("r", json!({}))]);
    let answer = alice.delete(&format!("{RECORD}?last_modified=abc")).is(400).json;
    assert_eq!(answer["details"][0]["name"], "last_modified");
    let answer = alice.delete(&format!("{RECORD}?last_modified=0")).is(200).json;
    assert!(answer["data"]["last_modified"].as_i64().expect("a number") > 1_500_000_000_000);
}

#[test]
fn schemas_of_any_kind_never_break_the_server() {
    // Kinto answers 500 if a keyword at the top fails, or `items` is a list.
    let app = App::default();
    let alice = app.user("alice");
    alice.with_records("b", "c", &[]);
    for (schema, record, status) in [
        (json!({"minProperties": 1}), json!({}), 400),
        (json!({"not": {}}), json!({}), 400),
        (json!({"items": [{"type": "string"}], "type": "object"}), json!({"a": 1}), 200),
        (json!({"$ref": "#/nowhere"}), json!({}), 400),
        (json!({"$ref": "http://localhost:1/x"}), json!({}), 400),
        (json!({"pattern": "("}), json!({}), 400),
        (json!({"properties": {"a": {"type": "string"}}}), json!({"a": 1}), 400),
    ] {
        let collection =
            alice.put("/buckets/b/collections/c", &json!({"data": {"schema": schema}}));
        if collection.status == 200 {
            alice.put(RECORD, &json!({"data": {}}));
            let answer = alice.put(RECORD, &json!({"data": record}));
            assert!(
                answer.status == status || answer.status / 100 == 2 && status == 200,
                "{schema}: {answer:?}"
            );
        } else {
            assert_eq!(collection.status, 400, "{schema}");
        }
    }
}

#[test]
fn bodies_that_are_not_json_are_named() {
    let app = App::default();
    let alice = app.user("alice");
    for body in [&b"{"[..], b"\xff\xfe", b"[1", b"\"a\"", b"{\"a\": NaN}"] {
        let answer = alice.send(&Method::PUT, "/buckets/b", body.to_vec()).is(400);
        assert_eq!(answer.json["errno"], 107);
    }
}

#[test]
fn preconditions_must_be_etags() {
    // Kinto answers 500 to `*abc`.
    let app = App::default();
    for value in ["*abc", "abc", "W/\"1\""] {
        app.user("alice").header("if-match", value).get("/buckets").expect(400);
    }
}
