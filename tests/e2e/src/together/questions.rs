//! What both servers are asked. Placeholders are those of the story.

use super::peer::Request;
use super::scenario::{ALICE, BOB, DORA, DORA_LATER, NOBODY, RECORDS, record};

/// Questions to a list of records, encoded when they are asked.
const QUERIES: &str = r#"
    n=3 n="3" n=10 not_n=3 n=null title=null title="" title= flag=true flag=false not_flag=true
    in_n=3,7,10 in_id=text,nested exclude_n=3,7 exclude_id=text min_n=3 max_n=3 gt_n=3 lt_n=7
    min_n=3&max_n=7 min_title="T" lt_title="b" has_title=true has_title=false has_a.b=true
    has_nothing=true like_title=tag like_title=*e* like_title=Ümläut like_n=3 contains_tags=red
    contains_tags=["red",3] contains_tags={"k":1} contains_any_tags=["green","blue"]
    contains_any_tags=[3] contains_n=3 a.b=9007199254740993 a.b.c=1
    n=1234567890123456789012345678901234567890 gt_n=1000 id=text not_id=text gt_id="n" like_id=t*
    nothing=1 _sort=n _sort=-n,title _sort=title _sort=-title,id _sort=flag,-last_modified
    _sort=a.b _sort=nothing,id _sort=-id _sort=id&_limit=3 _fields=title,n _fields=a.b
    _fields=nothing _since={middle} _since="{middle}" _to={middle}
    _before={middle} _before={middle}&_since=0 gt_last_modified={middle}
    lt_last_modified={middle} min_last_modified={middle} max_last_modified={middle}
    last_modified={middle} in_last_modified={middle},1 _since=0&deleted=true
    _since=0&not_deleted=true _since=0&n=3 _since=0&_sort=id _since=0&_limit=5 _since=abc
    _since=-1 _before= _limit=abc _limit=-1 _token=abc _sort=, _unknown=1 in_n=
    contains_any_tags=red has_title=maybe in_n=[3,7] _limit=1000 float=0.1 tiny=1e-7 huge=1.5e300
    exp=100 title=Late title="Late" min_float=0.05 n=3.0 n=3.5 not_title=Late&not_n=3
"#;

/// What both are asked after something was written to a path.
pub(super) fn looks_at(path: &str) -> Vec<Request> {
    let path = path.split('?').next().unwrap_or_default();
    let path = if path.starts_with("/buckets/") { path } else { RECORDS };
    let names = path.matches('/').count();
    let list =
        if names.is_multiple_of(2) { path.rsplit_once('/').map_or("", |it| it.0) } else { path };
    vec![
        Request::get(path).by(ALICE),
        Request::get(path).by(BOB),
        Request::get(&format!("{list}?_since=0")).by(ALICE),
        Request::get(list).by(ALICE).with("If-None-Match", &format!("{{etag {list}}}")),
    ]
}

/// Of these, both are asked some after each step, in turns.
pub(super) fn glances() -> Vec<Request> {
    let get = |path: &str, user: &str| Request::get(path).by(user);
    vec![
        get("/buckets?_since=0", ALICE),
        get("/permissions?_sort=uri", ALICE),
        get(&format!("{RECORDS}?_since=0"), ALICE),
        get("/", BOB),
        get("/buckets/together", ALICE),
        get("/buckets/together/history?_since=0", ALICE),
        get("/buckets/private/history", BOB),
        Request::new("HEAD", RECORDS).by(ALICE),
        get("/buckets/private/collections/hidden/records", BOB),
        get("/buckets/together/groups?_since=0", ALICE),
        get("/permissions?_sort=uri", BOB),
        get(RECORDS, NOBODY),
        get("/buckets/together/collections?_since=0", ALICE),
        get("/buckets/private/collections?_since=0", ALICE),
    ]
}

/// Who can log in.
pub(super) fn logins() -> Vec<Request> {
    let get = |path: &str, user: &str| Request::get(path).by(user);
    vec![
        get("/", DORA),
        get("/", DORA_LATER),
        get("/accounts/dora", DORA),
        get("/accounts", DORA_LATER),
        get("/buckets/default/collections/notes/records", DORA),
        get("/accounts/dora", BOB),
        get("/accounts", NOBODY),
    ]
}

/// What both are asked now and then.
pub(super) fn questions() -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for query in QUERIES.split_whitespace() {
        let query = query.replace("{\"k\":1}", "%7B%22k%22:1%7D").replace("ä", "%C3%A4");
        let query = query.replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        requests
            .push(Request::get(&format!("{RECORDS}?{}", query.replace('Ü', "%C3%9C"))).by(ALICE));
    }
    for query in ["", "?n=3", "?_since=0", "?_limit=2", "?has_title=true&_since=0"] {
        requests.push(Request::new("HEAD", &format!("{RECORDS}{query}")).by(ALICE));
    }
    requests.extend(more_questions());
    requests
}

fn more_questions() -> Vec<Request> {
    let get = |path: &str| Request::get(path).by(ALICE);
    let etag = format!("{{etag {RECORDS}}}");
    let text = record("text");
    let mut requests = vec![
        get(RECORDS).with("If-None-Match", &etag),
        get(RECORDS).with("If-None-Match", "\"1\""),
        get(RECORDS).with("If-Match", &etag),
        get(RECORDS).with("If-Match", "\"1\""),
        get(RECORDS).with("If-None-Match", "abc"),
        get(&text).with("If-None-Match", &format!("{{etag {text}}}")),
        get(&text).with("If-Match", "\"1\""),
        get(&text).with("Accept", "text/html"),
        get(&format!("{text}?_fields=title")),
        Request::new("HEAD", &text).by(ALICE),
        Request::new("OPTIONS", RECORDS)
            .with("Origin", "https://example.org")
            .with("Access-Control-Request-Method", "PUT"),
        get(RECORDS).with("Origin", "https://example.org"),
        Request::new("PUT", RECORDS).by(ALICE),
        Request::new("POST", &text).by(ALICE),
        get("/__heartbeat__"),
        get("/__lbheartbeat__"),
        get("/__version__"),
        get("/nowhere"),
        get("/buckets/"),
        get("/buckets/together/collections/strict"),
        get("/buckets/together/collections/strict/records"),
        get("/buckets/together/groups/bobs"),
        get("/buckets/bad%20id"),
    ];
    let paths = [
        "/",
        "/buckets",
        "/buckets/together",
        "/buckets/private",
        "/buckets/private/collections",
        "/buckets/private/collections/shared/records",
        "/buckets/private/collections/hidden/records?_since=0",
        "/buckets/private/collections/hidden/records?n=1",
        "/buckets/private/collections/hidden/records?_sort=n&_limit=1",
        "/buckets/private/collections/hidden/records/seen",
        "/buckets/private/collections/hidden/records/unseen",
        "/buckets/nowhere/collections",
        "/permissions?resource_name=record&_sort=id",
    ];
    for path in paths {
        for user in [BOB, NOBODY] {
            requests.push(Request::get(path).by(user));
        }
        requests.push(Request::new("HEAD", path).by(BOB));
    }
    requests
}
