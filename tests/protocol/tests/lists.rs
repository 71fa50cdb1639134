//! Filters, pages and deletions of lists.

use protocol_tests::{App, Client, Kind, on_each_store};
use serde_json::json;

on_each_store!(
    only_the_star_is_special_in_like
    bounds_of_null_are_no_bounds
    no_limit_does_not_pass_the_page_size
    paged_deletions_reach_the_end_in_any_order
);

const RECORDS: &str = "/buckets/b/collections/c/records";

fn numbered(app: &App, count: usize) -> Client<'_> {
    let records: Vec<_> = (0..count).map(|n| (format!("r{n}"), json!({"n": n % 3}))).collect();
    let records: Vec<_> = records.iter().map(|(id, data)| (id.as_str(), data.clone())).collect();
    let alice = app.user("alice");
    alice.with_records("b", "c", &records);
    alice
}

/// The path of the page that a `Next-Page` header names, without `/v1`.
fn next(response: &protocol_tests::Response) -> Option<String> {
    let url = response.header("next-page");
    url.split_once("/v1").map(|(_, path)| path.to_owned())
}

fn only_the_star_is_special_in_like(kind: Kind) {
    // In Kinto on PostgreSQL `%`, `_` and `\` are wildcards of SQL.
    let app = App::on(kind, &[]);
    let records =
        [("a", json!({"t": "100%"})), ("b", json!({"t": "100x"})), ("c", json!({"t": "a_c"}))];
    let alice = app.user("alice");
    alice.with_records("b", "c", &records);
    let found = |value: &str| alice.get(&format!("{RECORDS}?like_t={value}")).ids().join(",");
    assert_eq!(found("0%25"), "a");
    assert_eq!(found("a_c"), "c");
    assert_eq!(found("1*0*"), "b,a");
}

fn bounds_of_null_are_no_bounds(kind: Kind) {
    // In Kinto on PostgreSQL `_since=null` finds nothing; `like_last_modified` is a 503.
    let app = App::on(kind, &[]);
    let alice = numbered(&app, 3);
    assert_eq!(alice.get(&format!("{RECORDS}?_since=null")).is(200).ids().len(), 3);
    alice.get(&format!("{RECORDS}?_since=true")).expect(400);
    alice.get(&format!("{RECORDS}?like_last_modified=\"10\"")).expect(400);
}

fn no_limit_does_not_pass_the_page_size(kind: Kind) {
    // In Kinto a limit of 0 goes around `paginate_by`.
    let app = App::on(kind, &[("paginate_by", "2")]);
    let alice = numbered(&app, 3);
    for query in ["", "?_limit=0", "?_limit=", "?_limit=100"] {
        assert_eq!(alice.get(&format!("{RECORDS}{query}")).is(200).ids().len(), 2, "{query}");
    }
}

#[test]
fn pages_of_any_order_cover_each_object_once() {
    let app = App::default();
    let alice = numbered(&app, 10);
    for sort in ["", "n", "-n", "n,-id", "id", "missing", "-missing,n"] {
        let mut path = Some(format!("{RECORDS}?_limit=3&_sort={sort}"));
        let mut seen = Vec::new();
        while let Some(page) = path {
            let response = alice.get(&page).is(200);
            seen.extend(response.ids().into_iter().map(str::to_owned));
            path = next(&response);
        }
        assert_eq!(seen.len(), 10, "{sort}: {seen:?}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10, "{sort}");
    }
}

fn paged_deletions_reach_the_end_in_any_order(kind: Kind) {
    // Kinto makes the token of the tombstone, and stops early unless the order is the default one.
    let app = App::on(kind, &[]);
    let alice = numbered(&app, 7);
    let mut path = Some(format!("{RECORDS}?_limit=2&_sort=n"));
    let mut deleted = 0;
    let mut first_token = None;
    while let Some(page) = path {
        let response = alice.delete(&page).is(200);
        deleted += response.ids().len();
        path = next(&response);
        first_token = first_token.or(path.clone());
    }
    assert_eq!(deleted, 7);
    assert_eq!(alice.get(RECORDS).ids(), Vec::<&str>::new());
    let again = alice.delete(&first_token.expect("a second page")).is(400);
    assert!(
        again.json["message"].as_str().expect("a text").contains("already used"),
        "{}",
        again.json
    );
}

#[test]
fn a_refused_deletion_does_not_use_its_token() {
    let app = App::default();
    let alice = numbered(&app, 4);
    let first = alice.delete(&format!("{RECORDS}?_limit=2")).is(200);
    let page = next(&first).unwrap();
    alice.header("if-match", "\"1\"").delete(&page).expect(412);
    app.user("bob").delete(&page).expect(403);
    alice.delete(&page).expect(200);
    alice.delete(&page).expect(400);
}

#[test]
fn a_token_works_once_in_a_batch() {
    let app = App::default();
    let alice = numbered(&app, 6);
    let first = alice.delete(&format!("{RECORDS}?_limit=2")).is(200);
    let page = next(&first).unwrap();
    let post = |paths: &[&str]| {
        let requests: Vec<_> =
            paths.iter().map(|path| json!({"method": "DELETE", "path": path})).collect();
        let response = alice.post("/batch", &json!({"requests": requests})).is(200);
        let items = response.json["responses"].as_array().unwrap().clone();
        items.iter().map(|item| item["status"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(post(&[&page, &page]), [200, 400]);
    assert_eq!(post(&[&page]), [400]);
    let again = alice.delete(&format!("{RECORDS}?_limit=1")).is(200);
    let page = next(&again).unwrap();
    let response = alice
        .post("/batch", &json!({"defaults": {"method": "DELETE"}, "requests": [{"path": page}]}));
    assert_eq!(response.is(200).json["responses"][0]["status"], 200);
    assert_eq!(alice.get(RECORDS).ids(), [""; 0]);
}

#[test]
fn a_token_asks_for_nothing_but_tokens() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let app = App::default();
    let alice = numbered(&app, 1);
    let token = json!({"last_object": {"last_modified": 1}, "offset": 0, "nonce": "other"});
    let token = STANDARD.encode(token.to_string());
    let refused = alice.delete(&format!("{RECORDS}?_token={token}")).is(400);
    assert!(refused.json["message"].as_str().unwrap().contains("already used"));
}

#[test]
fn bad_tokens_are_refused() {
    let app = App::default();
    let alice = numbered(&app, 1);
    for token in ["abc", "e30=", "bnVsbA==", "eyJsYXN0X29iamVjdCI6IHt9LCAib2Zmc2V0IjogMX0="] {
        alice.get(&format!("{RECORDS}?_token={token}")).expect(400);
    }
}

#[test]
fn tombstones_show_in_what_changed() {
    let app = App::default();
    let alice = numbered(&app, 2);
    let before = alice.get(RECORDS).header("etag").to_owned();
    alice.delete(&format!("{RECORDS}/r0")).expect(200);
    let changes = alice.get(&format!("{RECORDS}?_since={before}")).is(200);
    assert_eq!(changes.ids(), ["r0"]);
    assert_eq!(changes.json["data"][0]["deleted"], true);
    assert_eq!(alice.get(RECORDS).ids(), ["r1"]);
    assert_eq!(alice.get(&format!("{RECORDS}?_since=0&deleted=true")).ids(), ["r0"]);
}
