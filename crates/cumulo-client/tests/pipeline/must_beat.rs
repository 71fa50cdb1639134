//! The defects of the Python client kinto-http 11.11 that must not come back, one test for each.
//! Those of downloads, replication and the login in a browser are tested where these are. Sections
//! are those of the inventory of what that client does.

use std::time::Duration;

use cumulo_client::{
    Batch, Client, Errno, Error, Fresh, OnBackoff, Permissions, Plan, Retry, Timestamp, auth,
    changeset::Expected, field,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tokio::time::Instant;

use crate::stub::{
    Reply, Stub, batch, batch_with_headers, data, error, error_body, list, object, reply, root,
    text,
};

// Section 2: what a client is made of.

#[tokio::test(start_paused = true)]
async fn a_clone_with_another_server_keeps_everything_else() {
    let first = Stub::start(|_| object("a")).await;
    let second = Stub::start(|_| Reply::Silence).await;
    let original = first
        .builder()
        .header("X-A", "kept")
        .user_agent("kept/1")
        .auth(auth::Bearer::new("kept"))
        .timeout(Duration::from_secs(7))
        .retry(Retry::never())
        .bucket("blog")
        .collection("posts")
        .build()
        .unwrap();
    let clone = original.to_builder().server(&second.url()).build().unwrap();
    let begun = Instant::now();
    let result = clone.records().get("a").send().await;
    assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(second.lines(), ["GET /v1/buckets/blog/collections/posts/records/a"]);
    let received = second.last();
    assert_eq!(received.header("X-A"), Some("kept"));
    assert_eq!(received.header("User-Agent"), Some("kept/1"));
    assert_eq!(received.header("Authorization"), Some("Bearer kept"));
}

#[tokio::test]
async fn a_clone_of_a_client_in_dry_mode_sends_nothing_either() {
    let stub = Stub::start(|_| object("a")).await;
    let plan = Plan::new();
    let original = stub.builder().dry(&plan).build().unwrap();
    let clone = original.to_builder().server(&stub.url()).auth(auth::Bearer::new("x"));
    clone.build().unwrap().bucket("a").delete().send().await.unwrap();
    assert_eq!(stub.received().len(), 0);
    assert_eq!(plan.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_overridden_in_a_clone_has_an_effect() {
    let stub = Stub::start(|_| text(500, "").header("Backoff", "2")).await;
    let original = stub.builder().retry(Retry::never()).build().unwrap();
    let sent = |client: Client| {
        let stub = &stub;
        async move {
            let before = stub.received().len();
            let failure = client.records().get("a").send().await.unwrap_err();
            (failure, stub.received().split_off(before))
        }
    };
    let with = || original.to_builder().collection("c");

    let (_, received) = sent(with().build().unwrap()).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].line, "GET /v1/buckets/default/collections/c/records/a");

    let (_, received) = sent(with().retry(Retry::times(2)).build().unwrap()).await;
    assert_eq!(received.len(), 3);
    let (_, received) = sent(with().header("X-A", "1").build().unwrap()).await;
    assert_eq!(received[0].header("X-A"), Some("1"));
    let (_, received) = sent(with().user_agent("other").build().unwrap()).await;
    assert_eq!(received[0].header("User-Agent"), Some("other"));
    let (_, received) = sent(with().auth(auth::Bearer::new("x")).build().unwrap()).await;
    assert_eq!(received[0].header("Authorization"), Some("Bearer x"));
    let (_, received) = sent(with().bucket("b").build().unwrap()).await;
    assert_eq!(received[0].line, "GET /v1/buckets/b/collections/c/records/a");
    let (failure, received) = sent(with().on_backoff(OnBackoff::Fail).build().unwrap()).await;
    assert!(matches!(failure, Error::Backoff { .. }) && received.is_empty(), "{failure}");
    let (_, received) = sent(with().compression(true).build().unwrap()).await;
    assert_eq!(received[0].header("Accept-Encoding"), Some("gzip"));
    let tiny = with().max_response_bytes(0).build().unwrap();
    assert!(matches!(sent(tiny).await.0, Error::Server(_)), "an empty answer is not too large");

    let silent = Stub::start(|_| Reply::Silence).await;
    for clone in [
        with().server(&silent.url()).timeout(Duration::from_secs(5)),
        with().server(&silent.url()).read_timeout(Duration::from_secs(5)),
    ] {
        let begun = Instant::now();
        let result = clone.build().unwrap().records().get("a").send().await;
        assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}

// Section 3: authentication.

#[tokio::test]
async fn a_bearer_token_with_a_colon_stays_a_bearer_token() {
    let stub = Stub::start(|_| object("a")).await;
    for (text, expected) in [
        ("Bearer a:b", "Bearer a:b"),
        ("ann:a b", "Basic YW5uOmEgYg=="),
        ("ann:", "Basic YW5uOg=="),
    ] {
        let auth = auth::parse(text).unwrap();
        let client = stub.builder().shared_auth(Some(auth.into())).build().unwrap();
        client.bucket("a").get().send().await.unwrap();
        assert_eq!(stub.last().header("Authorization"), Some(expected));
    }
}

// Section 4: the request pipeline, with queries and dry mode.

#[tokio::test]
async fn text_that_looks_like_json_stays_text() {
    let stub = Stub::start(|_| list(&[])).await;
    let buckets = stub.client().buckets();
    for (filter, expected) in [
        (field("a").is("12"), "a=%2212%22"),
        (field("a").is("true"), "a=%22true%22"),
        (field("a").is("null"), "a=%22null%22"),
        (field("a").is("NaN"), "a=%22NaN%22"),
        (field("a").is("milk"), "a=milk"),
        (field("a").is(12), "a=12"),
        (field("a").like("12"), "like_a=%2212%22"),
        (field("a").any_of(["12", "x"]), "in_a=%2212%22,x"),
        (field("a").any_of([12]), "in_a=12"),
        (field("a").any_of(["one"]), "in_a=one"),
    ] {
        buckets.list().filter(filter).page().await.unwrap();
        assert_eq!(stub.last().line, format!("GET /v1/buckets?{expected}"));
    }
}

#[tokio::test]
async fn lists_of_fields_are_joined_by_commas() {
    let stub = Stub::start(|_| list(&[])).await;
    let buckets = stub.client().buckets();
    buckets.list().fields(["id", "a.b"]).sort("-a,b").page().await.unwrap();
    assert_eq!(stub.last().line, "GET /v1/buckets?_fields=id,a.b&_sort=-a,b");
    _ = buckets.get("a").fields(["id", "a.b"]).send().await;
    assert_eq!(stub.last().line, "GET /v1/buckets/a?_fields=id,a.b");
}

#[tokio::test]
async fn a_text_with_a_comma_is_refused_where_commas_separate() {
    let stub = Stub::start(|_| list(&[])).await;
    let buckets = stub.client().buckets();
    for filter in [field("a").any_of(["b,c"]), field("a").none_of(["b,c"])] {
        let failure = buckets.list().filter(filter).page().await.unwrap_err();
        assert!(failure.to_string().contains("comma"), "{failure}");
    }
    assert_eq!(stub.received().len(), 0);
    buckets.list().filter(field("a").is("b,c")).page().await.unwrap();
}

#[tokio::test]
async fn deletions_permissions_and_purges_work_in_dry_mode() {
    let stub = Stub::script([]).await;
    let plan = Plan::new();
    let client = stub.builder().dry(&plan).build().unwrap();
    let bucket = client.bucket("a");
    assert_eq!(bucket.delete().send().await.unwrap().id, "a");
    assert!(bucket.delete().if_exists().send().await.unwrap().is_some());
    assert_eq!(bucket.collections().delete_many().send().await.unwrap(), []);
    assert_eq!(client.permissions().all().await.unwrap(), []);
    assert_eq!(bucket.history().purge().send().await.unwrap(), []);
    let planned: Vec<_> =
        plan.requests().iter().map(|it| format!("{} {}", it.method, it.url)).collect();
    let url = stub.url();
    assert_eq!(
        planned,
        [
            format!("DELETE {url}/buckets/a"),
            format!("DELETE {url}/buckets/a"),
            format!("DELETE {url}/buckets/a/collections"),
            format!("GET {url}/permissions?_sort=id&_limit=5000"),
            format!("DELETE {url}/buckets/a/history"),
        ]
    );
    assert_eq!(stub.received().len(), 0);
}

// Section 5: endpoints.

#[tokio::test]
async fn ids_are_refused_rather_than_changed() {
    let stub = Stub::script([]).await;
    let client = stub.client();
    for id in ["Hello World", "é", "", "a/b", "-a", "..", "a?b"] {
        let failures = [
            client.bucket(id).get().send().await.map(|_| ()).unwrap_err(),
            client.bucket(id).collections().list().all().await.map(|_| ()).unwrap_err(),
            client
                .bucket("a")
                .collection(id)
                .record("r")
                .delete()
                .send()
                .await
                .map(|_| ())
                .unwrap_err(),
            client.buckets().create(json!({"id": id})).send().await.map(|_| ()).unwrap_err(),
        ];
        for failure in failures {
            assert!(matches!(failure, Error::Argument(_)), "{failure}");
            assert!(
                failure.to_string().contains(&format!("{id:?} is not a valid id")),
                "{failure}"
            );
        }
    }
    assert_eq!(stub.received().len(), 0);
}

// Section 6: what is returned.

#[tokio::test]
async fn headers_of_answers_are_there() {
    let page = list(&["a"])
        .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("Total-Objects", "7")
        .header("Next-Page", "http://x/v1/buckets?_token=1");
    let stub = Stub::start(
        move |it| {
            if it.line.contains("/buckets/a") { object("a") } else { page.clone() }
        },
    )
    .await;
    let buckets = stub.client().buckets();
    let read = buckets.list().page().await.unwrap();
    assert_eq!((read.timestamp, read.total), (Timestamp(9), Some(7)));
    assert!(read.next.is_some());
    let raw = buckets.list().response().await.unwrap();
    assert_eq!(raw.header("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    for response in [
        buckets.get("a").response().await.unwrap(),
        buckets.create(json!({"id": "a"})).response().await.unwrap(),
        buckets.patch("a", json!({})).response().await.unwrap(),
        buckets.delete("a").response().await.unwrap(),
    ] {
        assert_eq!(response.header("ETag"), Some("\"7\""));
        assert_eq!(response.timestamp(), Some(Timestamp(7)));
    }
}

// Section 7: conditions.

#[tokio::test]
async fn not_modified_is_told_from_an_empty_list() {
    let stub = Stub::script([text(304, ""), list(&[]), text(304, ""), text(304, "")]).await;
    let buckets = stub.client().buckets();
    let since = || buckets.list().if_none_match(Timestamp(9));
    assert_eq!(since().all().await.unwrap(), Fresh::NotModified);
    assert_eq!(since().all().await.unwrap(), Fresh::Modified(vec![]));
    assert!(matches!(since().page().await.unwrap(), Fresh::NotModified));
    let one = buckets.get("a").if_none_match(Timestamp(9)).send().await.unwrap();
    assert_eq!(one, Fresh::NotModified);
    assert_eq!(stub.last().header("If-None-Match"), Some("\"9\""));
}

// Section 8: methods.

#[tokio::test]
async fn deletions_of_many_take_filters_limits_and_pages() {
    let next = list(&["a"]).header("Next-Page", "http://x/v1/buckets?title=x&_token=1");
    let stub = Stub::script([next, list(&["b"]), list(&["a", "b"])]).await;
    let buckets = stub.client().buckets();
    let all = buckets.delete_many().filter(field("title").is("x")).send().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(stub.lines(), ["DELETE /v1/buckets?title=x", "DELETE /v1/buckets?title=x&_token=1"]);
    let some = buckets.delete_many().sort("a").before(Timestamp(9)).limit(2).send().await.unwrap();
    assert_eq!(some.len(), 2);
    assert_eq!(stub.last().line, "DELETE /v1/buckets?_sort=a&_before=9&_limit=2");
}

#[tokio::test]
async fn permissions_are_read_to_the_last_page() {
    let entry = |id: &str| {
        let entry = json!({
            "resource_name": "bucket", "uri": format!("/buckets/{id}"), "bucket_id": id,
            "permissions": ["read"],
        });
        reply(200, &json!({"data": [entry]}))
    };
    let next = entry("a").header("Next-Page", "http://x/v1/permissions?_token=1");
    let stub = Stub::script([next, entry("b")]).await;
    let entries = stub.client().permissions().all().await.unwrap();
    let uris: Vec<_> = entries.iter().map(|it| it.uri.as_str()).collect();
    assert_eq!(uris, ["/buckets/a", "/buckets/b"]);
    assert_eq!(stub.lines()[1], "GET /v1/permissions?_token=1");
}

// Section 10: pages.

#[tokio::test]
async fn every_list_is_a_stream() {
    let next = |received: &crate::stub::Received| {
        let page = reply(200, &json!({"data": []}));
        if received.line.contains("_token") {
            page
        } else {
            page.header("Next-Page", "http://x/v1/?_token=1")
        }
    };
    let stub = Stub::start(next).await;
    let client = stub.client();
    let bucket = client.bucket("a");
    macro_rules! pages {
        ($list:expr) => {
            assert_eq!($list.pages().try_collect::<Vec<_>>().await.unwrap().len(), 2);
            assert_eq!($list.rows().count().await, 0);
        };
    }
    pages!(client.buckets().list());
    pages!(client.accounts().list());
    pages!(client.permissions());
    pages!(bucket.groups().list());
    pages!(bucket.collections().list());
    pages!(bucket.collection("b").records().list());
    pages!(bucket.collection("b").records().list().since(Timestamp(1)));
    pages!(bucket.history().list());
    assert_eq!(stub.received().len(), 8 * 4);
}

#[tokio::test]
async fn timestamps_of_lists_are_asked_for_each_time() {
    let mut number = 0;
    let stub = Stub::start(move |_| {
        number += 1;
        text(200, "").header("ETag", &format!("\"{number}\""))
    })
    .await;
    let records = stub.client().collection("a", "b").records();
    assert_eq!(records.timestamp().await.unwrap(), Timestamp(1));
    assert_eq!(records.timestamp().await.unwrap(), Timestamp(2));
    assert_eq!(stub.last().line, "HEAD /v1/buckets/a/collections/b/records");
}

// Section 11: batches.

#[tokio::test]
async fn a_batch_reads_all_that_can_be_read() {
    let object_part = (200, data("a"));
    let list_part = (200, json!({"data": [{"id": "a", "last_modified": 7}]}));
    let parts = [
        object_part.clone(),
        list_part.clone(),
        object_part.clone(),
        object_part,
        list_part.clone(),
    ];
    let history = (200, json!({"data": []}));
    let parts: Vec<_> = parts.into_iter().chain([history, (304, json!({}))]).collect();
    let stub = Stub::script([root(None, &[]), batch(&parts)]).await;
    let waiting = stub.client().batch();
    let bucket = waiting.bucket("a");
    let records = bucket.collection("b").records();
    let record = records.get("a").send();
    let page = records.list().filter(field("title").is("x")).page();
    let one = bucket.get().send();
    let collection = bucket.collection("b").get().send();
    let groups = bucket.groups().list().page();
    let entries = bucket.history().list().limit(3).page();
    let fresh = records.get("a").if_none_match(Timestamp(7)).send();
    let results = waiting.send().await.unwrap();
    assert_eq!(results.get(&record).unwrap().id, "a");
    assert_eq!(results.get(&page).unwrap().rows.len(), 1);
    assert_eq!(results.get(&one).unwrap().last_modified, Timestamp(7));
    assert_eq!(results.get(&collection).unwrap().id, "a");
    assert_eq!(results.get(&groups).unwrap().rows[0].id, "a");
    assert_eq!(results.get(&entries).unwrap().rows, []);
    assert_eq!(results.get(&fresh).unwrap(), Fresh::NotModified);
    let operations = stub.last().operations();
    assert_eq!(operations[1], "GET /buckets/a/collections/b/records?title=x");
    assert_eq!(operations[5], "GET /buckets/a/history?_limit=3");
}

#[tokio::test]
async fn a_bucket_may_have_the_version_in_its_name() {
    let stub = Stub::script([root(None, &[]), batch(&[(200, data("r")), (200, data("r"))])]).await;
    let waiting = stub.client().batch();
    let first = waiting.collection("dev1", "v1").record("r").get().send();
    _ = waiting.collection("v1", "dev1").record("v1").get().send();
    let results = waiting.send().await.unwrap();
    assert_eq!(
        stub.last().operations(),
        [
            "GET /buckets/dev1/collections/v1/records/r",
            "GET /buckets/v1/collections/dev1/records/v1"
        ]
    );
    assert_eq!(results.get(&first).unwrap().id, "r");
}

#[tokio::test(start_paused = true)]
async fn operations_that_can_not_be_done_yet_are_sent_again() {
    let busy = |status| (status, json!({"Retry-After": "20"}), error_body(status, 117, "Later"));
    let done = (200, json!({}), data("a"));
    let first = batch_with_headers([busy(409), done, busy(429), busy(503)]);
    let second = batch_with_headers([busy(409), (200, json!({}), data("c")), busy(503)]);
    let third = batch(&[(201, data("a")), (201, data("d"))]);
    let stub = Stub::script([root(None, &[]), first, second, third]).await;
    let client = stub.builder().retry(Retry::times(2)).build().unwrap();
    let waiting = client.batch();
    for id in ["a", "b", "c", "d"] {
        _ = waiting.buckets().update(json!({"id": id})).send();
    }
    let begun = Instant::now();
    let results = waiting.send().await.unwrap();
    assert!((40..44).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let statuses: Vec<_> = results.responses().map(|it| it.unwrap().status.as_u16()).collect();
    assert_eq!(statuses, [201, 200, 200, 201]);
    let received = stub.received();
    let put = |id: &str| format!("PUT /buckets/{id}");
    assert_eq!(received[2].operations(), [put("a"), put("c"), put("d")]);
    assert_eq!(received[3].operations(), [put("a"), put("d")]);
}

/// Kinto undoes what came before a conflict, though it has answered that it was done.
#[tokio::test(start_paused = true)]
async fn what_a_conflict_has_undone_is_sent_again_or_told() {
    let conflict = || (409, json!({}), error_body(409, 122, "Again"));
    let done = |id| (201, json!({}), data(id));
    let first = batch_with_headers([done("a"), done("b"), conflict(), done("d")]);
    let second = batch(&[(201, data("a")), (201, data("c"))]);
    let stub = Stub::script([root(None, &[]), first, second]).await;
    let client = stub.builder().retry(Retry::times(1)).build().unwrap();
    let waiting = client.batch();
    let created = waiting.buckets().create(json!({"id": "a"})).send();
    let overwritten = waiting.buckets().update(json!({"id": "b"})).send();
    let conflicting = waiting.buckets().create(json!({"id": "c"})).send();
    let later = waiting.buckets().update(json!({"id": "d"})).send();
    let Err(Error::Batch(failures)) = waiting.send().await else { panic!() };
    let results = failures.results;
    assert_eq!(stub.received()[2].operations(), ["PUT /buckets/a", "PUT /buckets/c"]);
    for ticket in [created, conflicting, later] {
        results.get(&ticket).unwrap();
    }
    // To write it once more could undo what others have written.
    assert!(matches!(results.get(&overwritten), Err(Error::Conflict(_))));
}

#[tokio::test]
async fn status_and_headers_of_operations_can_be_read() {
    let part = (201, json!({"ETag": "\"7\""}), data("a"));
    let stub = Stub::script([root(None, &[]), batch_with_headers([part])]).await;
    let waiting = stub.client().batch();
    _ = waiting.buckets().create(json!({"id": "a"})).send();
    let results = waiting.send().await.unwrap();
    let response = results.responses().next().unwrap().unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.header("ETag"), Some("\"7\""));
    assert_eq!(response.request.url, format!("{}/buckets/a", stub.url()));
}

// Section 12: errors.

#[tokio::test]
async fn only_a_bucket_that_is_not_there_is_not_found() {
    for status in [401, 403, 500, 503] {
        let stub = Stub::start(move |_| error(status, 999, "No")).await;
        let failure = stub.client_once().bucket("a").get().send().await.unwrap_err();
        assert!(!matches!(failure, Error::NotFound(_)), "{status}: {failure}");
        assert_eq!(failure.status().unwrap(), status);
    }
    let stub = Stub::script([error(404, 110, "No")]).await;
    let failure = stub.client().bucket("a").get().send().await.unwrap_err();
    assert!(matches!(failure, Error::NotFound(_)), "{failure}");
}

#[tokio::test]
async fn errors_have_numbers_details_and_the_request() {
    let mut body = error_body(412, 114, "Resource was modified meanwhile");
    body["details"] = json!({"existing": {"id": "a", "last_modified": 9}});
    body["info"] = "http://localhost/help".into();
    let stub = Stub::script([reply(412, &body).header("Retry-After", "3")]).await;
    let failure = stub.client().bucket("a").create().send().await.unwrap_err();
    let refusal = failure.refusal().unwrap();
    assert_eq!(refusal.errno(), Some(Errno::ModifiedMeanwhile));
    assert_eq!(refusal.existing().unwrap().last_modified, Timestamp(9));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(refusal.info.as_deref(), Some("http://localhost/help"));
    assert!(refusal.details.is_some());
    let request = failure.request().unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("PUT", &*format!("{}/buckets/a", stub.url()))
    );
    assert_eq!(failure.response().unwrap().status, 412);
}

// Section 13: the async client.

#[tokio::test]
async fn batches_reviews_and_streams_are_async() {
    let next = list(&["a"]).header("Next-Page", "http://x/v1/buckets?_token=1");
    let stub = Stub::script([
        object("b"),
        object("b"),
        object("b"),
        object("b"),
        object("b"),
        next,
        list(&["b"]),
        root(None, &[]),
        batch(&[(200, data("a"))]),
    ])
    .await;
    let client = stub.client();
    let collection = client.collection("a", "b");
    collection.request_review("ready").send().await.unwrap();
    assert_eq!(
        stub.last().json(),
        json!({"data": {"status": "to-review", "last_editor_comment": "ready"}})
    );
    collection.approve_changes().send().await.unwrap();
    collection.decline_changes("no").send().await.unwrap();
    collection.rollback_changes("back").send().await.unwrap();
    collection.refresh_signature().send().await.unwrap();
    assert_eq!(stub.received().len(), 5, "each is sent once it is awaited once");

    let rows: Vec<_> = client.buckets().list().rows().try_collect().await.unwrap();
    assert_eq!(rows.len(), 2);

    let waiting: Batch<_> = client.batch();
    let read = waiting.bucket("a").get().send();
    let results = waiting.send().await.unwrap();
    assert_eq!(results.get(&read).unwrap().id, "a");
}

#[tokio::test]
async fn futures_can_go_to_other_threads() {
    fn is_send<T: Send>(_: &T) {}
    let client = Client::new("http://localhost/v1").unwrap();
    is_send(&client.buckets().list().all());
    is_send(&client.buckets().list().rows());
    is_send(&client.bucket("a").update(json!({})).permissions(Permissions::new()).send());
    is_send(&client.batch().send());
    is_send(&client.monitor_changes::<serde_json::Value>(Expected::Any, None).send());
}
