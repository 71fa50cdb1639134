//! One place becomes as another is, between two running servers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use cumulo_client::{
    Basic, Client, Error, Permissions, Timestamp, blocking,
    replication::{Action, Counts, Difference, Report, State},
};
use cumulo_e2e::{Program, Server, Storage};
use futures_util::TryStreamExt as _;
use proptest::{
    collection::{btree_map, btree_set, vec},
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two servers. One has small pages, the other takes small batches, so that few objects need many
/// requests.
struct Servers {
    source: Server,
    destination: Server,
    _folders: [TempDir; 2],
}

impl Servers {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(more: &[(&str, &str)]) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let start = |folder: &TempDir, setting| {
            let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
            let settings = [setting, ("kinto.trailing_slash_redirect_enabled", "false")];
            let settings = [&settings[..], more].concat();
            Server::start(&program, folder.path(), &Storage::Memory, &settings).unwrap()
        };
        Self {
            source: start(&folders[0], ("kinto.paginate_by", "3")),
            destination: start(&folders[1], ("kinto.batch_max_requests", "4")),
            _folders: folders,
        }
    }

    fn blocking(&self) -> (blocking::Client, blocking::Client) {
        let client = |server: &Server, user| {
            let auth = Basic::new(user, "secret");
            blocking::Client::builder(&server.url()).auth(auth).build_blocking().unwrap()
        };
        (client(&self.source, "ann"), client(&self.destination, "bob"))
    }

    fn waiting(&self) -> (Client, Client) {
        let client = |server: &Server, user| {
            Client::builder(&server.url()).auth(Basic::new(user, "secret")).build().unwrap()
        };
        (client(&self.source, "ann"), client(&self.destination, "bob"))
    }
}

fn put(collection: &blocking::Collection, records: impl IntoIterator<Item = Value>) {
    for record in records {
        collection.records().update(record).send().unwrap();
    }
}

/// A collection in a bucket, both new.
fn collection(client: &blocking::Client, bucket: &str) -> blocking::Collection {
    client.bucket(bucket).create().if_not_exists().send().unwrap();
    let collection = client.collection(bucket, "articles");
    collection.create().send().unwrap();
    collection
}

fn counts(report: &Report) -> (u64, u64, u64) {
    assert!(report.is_complete(), "{:?}", report.problems);
    (report.counts.created, report.counts.updated, report.counts.deleted)
}

fn shown(differences: &[Difference]) -> Vec<String> {
    let sign = |action| match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Delete => '-',
    };
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    differences.iter().map(|it| format!("{}{}", sign(it.action()), id(&it.path))).collect()
}

fn titles(collection: &blocking::Collection) -> Vec<(String, Value)> {
    let records = collection.records().list().sort("id").all().unwrap();
    records.into_iter().map(|it| (it.id, it.data["title"].clone())).collect()
}

#[test]
fn a_collection_becomes_as_another_is() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let copy = destination.collection("mirror", "texts");
    put(&ours, (0..10).map(|n| json!({"id": format!("r{n}"), "title": n})));

    let first = ours.sync_to(&copy).send().unwrap();
    // The bucket and the collection are created too.
    assert_eq!(counts(&first), (12, 0, 0));
    assert_eq!(titles(&copy), titles(&ours));
    let second = ours.sync_to(&copy).send().unwrap();
    assert_eq!(second.counts, Counts { compared: 10, ..Counts::default() });

    ours.records().delete("r3").send().unwrap();
    put(&ours, [json!({"id": "r5", "title": "changed"})]);
    put(&copy, [json!({"id": "extra", "title": "x"}), json!({"id": "r7", "title": "mine"})]);
    let differences = ours.diff(&copy).all().unwrap();
    assert_eq!(shown(&differences), ["-extra", "-r3", "~r5", "~r7"]);
    let fields = serde_json::to_value(differences[2].fields()).unwrap();
    assert_eq!(fields, json!([{"name": "title", "before": 5, "after": "changed"}]));

    let plan = ours.sync_to(&copy).keep_extra().planned().unwrap();
    assert_eq!(shown(&plan), ["~r5", "~r7"]);
    let kept = ours.sync_to(&copy).keep_extra().send().unwrap();
    assert_eq!((counts(&kept), kept.counts.kept), ((0, 2, 0), 2));
    assert_eq!(counts(&ours.sync_to(&copy).send().unwrap()), (0, 0, 2));
    assert!(ours.diff(&copy).all().unwrap().is_empty());
}

#[test]
fn a_bucket_becomes_as_another_is() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let (ours, copy) = (source.bucket("blog"), destination.bucket("mirror"));
    let editors = Permissions::new().grant("write", "/buckets/blog/groups/editors");
    let everyone = Permissions::new().grant("read", "system.Everyone");
    ours.create().data(json!({"title": "Blog"})).permissions(everyone.clone()).send().unwrap();
    ours.groups().create(json!({"id": "editors", "members": ["ann"]})).send().unwrap();
    ours.group("empty").create().send().unwrap();
    let articles = ours.collection("articles");
    articles.create().data(json!({"x": 1})).permissions(editors).send().unwrap();
    articles.records().create(json!({"id": "a"})).permissions(everyone).send().unwrap();
    collection(&destination, "mirror");
    copy.collection("gone").create().send().unwrap();
    put(&copy.collection("gone"), [json!({"id": "z"})]);

    let plan = ours.sync_to(&copy).planned().unwrap();
    assert_eq!(shown(&plan), ["~mirror", "+editors", "+empty", "~articles", "-gone", "+a"]);
    let report = ours.sync_to(&copy).send().unwrap();
    assert_eq!(counts(&report), (3, 2, 1));
    assert!(ours.diff(&copy).all().unwrap().is_empty());
    assert_eq!(counts(&ours.sync_to(&copy).send().unwrap()), (0, 0, 0));

    let permissions = copy.collection("articles").get().send().unwrap().permissions.unwrap();
    assert!(permissions.has("write", "/buckets/mirror/groups/editors"));
    assert!(copy.get().send().unwrap().permissions.unwrap().has("read", "system.Everyone"));

    // Those of records count if they are asked for.
    let differences = ours.diff(&copy).record_permissions().all().unwrap();
    assert_eq!(shown(&differences), ["~a"]);
    assert_eq!(differences[0].fields()[0].name, "permissions.read");
    let report = ours.sync_to(&copy).record_permissions().send().unwrap();
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(ours.diff(&copy).record_permissions().all().unwrap().is_empty());

    // Rights that were taken away are taken away there too.
    ours.update(json!({"title": "Blog"}))
        .permissions(Permissions::new().grant("read", "ann"))
        .send()
        .unwrap();
    assert_eq!(counts(&ours.sync_to(&copy).send().unwrap()), (0, 1, 0));
    assert!(!copy.get().send().unwrap().permissions.unwrap().has("read", "system.Everyone"));
}

#[test]
fn records_only_leaves_the_rest() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let (ours, copy) = (source.bucket("blog"), destination.bucket("blog"));
    put(&collection(&source, "blog"), [json!({"id": "a"})]);
    ours.group("editors").create().send().unwrap();
    copy.create().data(json!({"mine": true})).send().unwrap();
    copy.collection("mine").create().send().unwrap();
    let report = ours.sync_to(&copy).records_only().send().unwrap();
    // The collection and its record; the bucket and the other collection stay.
    assert_eq!((counts(&report), report.counts.kept), ((2, 0, 0), 2));
    assert_eq!(copy.get().send().unwrap().data["mine"], true);
    assert_eq!(copy.groups().list().count().unwrap(), 0);
}

#[test]
fn a_copy_keeps_timestamps_and_permissions() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let everyone = Permissions::new().grant("read", "system.Everyone");
    for id in ["c", "a", "b"] {
        let data = json!({"id": id, "title": id});
        ours.records().create(data).permissions(everyone.clone()).send().unwrap();
    }
    let stamps = |it: &blocking::Collection| -> Vec<(String, Timestamp)> {
        let records = it.records().list().sort("id").all().unwrap();
        records.into_iter().map(|it| (it.id, it.last_modified)).collect()
    };
    // The timestamps of the bucket and the collection are not the newest of their lists.
    source.bucket("later").create().send().unwrap();
    source.collection("blog", "later").create().send().unwrap();
    for copy in [
        source.collection("blog", "copy"),
        source.collection("elsewhere", "copy"),
        destination.collection("there", "copy"),
    ] {
        let report = ours.copy_to(&copy).send().unwrap();
        assert!(report.is_complete(), "{:?}", report.problems);
        assert_eq!(stamps(&copy), stamps(&ours));
        let record = copy.record("a").get().send().unwrap();
        assert!(record.permissions.unwrap().has("read", "system.Everyone"));
        assert_eq!(counts(&ours.copy_to(&copy).send().unwrap()), (0, 0, 0));

        // What is there already is not touched.
        put(&copy, [json!({"id": "a", "title": "mine"}), json!({"id": "z"})]);
        let report = ours.copy_to(&copy).send().unwrap();
        assert_eq!((counts(&report), report.counts.kept), ((0, 0, 0), 2));
    }
    // In one list, no two collections have the same timestamp.
    let copy = destination.collection("there", "copy").get().send().unwrap();
    assert_eq!(copy.last_modified, ours.get().send().unwrap().last_modified);
}

#[test]
fn a_timestamp_that_is_taken_costs_no_time() {
    let servers = Servers::with(&[("kinto.retry_after_seconds", "30")]);
    let (source, _) = servers.blocking();
    let ours = collection(&source, "blog");
    put(&ours, ["a", "b", "c"].map(|id| json!({"id": id})));
    let stamp = |id| ours.record(id).get().send().unwrap().last_modified;
    let copy = source.collection("blog", "copy");
    copy.create().send().unwrap();
    let taken = json!({"id": "z", "last_modified": stamp("b")});
    copy.records().update(taken).overwrite().send().unwrap();
    put(&copy, [json!({"id": "newest"})]);
    let begin = Instant::now();
    // One of the records is in the way of another.
    assert_eq!(counts(&ours.copy_to(&copy).send().unwrap()), (3, 0, 0));
    // A collection of the same list has the timestamp of the first one.
    let copy = source.collection("blog", "more");
    assert_eq!(counts(&ours.copy_to(&copy).send().unwrap()), (4, 0, 0));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn looking_creates_nothing_in_default() {
    let servers = Servers::with(&[("kinto.includes", "kinto.plugins.default_bucket")]);
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    put(&ours, [json!({"id": "a"})]);
    let copy = destination.collection("default", "articles");
    assert_eq!(shown(&ours.diff(&copy).all().unwrap()), ["+articles", "+a"]);
    assert_eq!(shown(&ours.sync_to(&copy).planned().unwrap()), ["+articles", "+a"]);
    copy.sync_to(&ours).planned().unwrap_err();
    let collections = || destination.bucket("default").collections().list().count().unwrap();
    assert_eq!(collections(), 0);
    let buckets = source.bucket("blog").diff(&destination.bucket("default"));
    assert_eq!(shown(&buckets.without_permissions().all().unwrap()), ["+articles", "+a"]);
    assert_eq!(collections(), 0);
    assert_eq!(counts(&ours.sync_to(&copy).send().unwrap()), (2, 0, 0));
    assert!(ours.diff(&copy).all().unwrap().is_empty());
}

#[test]
fn a_bucket_for_a_collection_has_nothing_of_the_other() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let everyone = Permissions::new().grant("read", "system.Everyone");
    source.bucket("blog").patch(json!({"title": "Mine"})).send().unwrap();
    source.bucket("blog").patch(everyone).send().unwrap();
    ours.sync_to(&destination.collection("synced", "articles")).send().unwrap();
    ours.copy_to(&destination.collection("copied", "articles")).send().unwrap();
    for id in ["synced", "copied"] {
        let bucket = destination.bucket(id).get().send().unwrap();
        assert_eq!(bucket.data.get("title"), None);
        assert!(!bucket.permissions.unwrap().has("read", "system.Everyone"));
        assert!(bucket.last_modified > ours.get().send().unwrap().last_modified);
    }
}

#[test]
fn a_state_spares_what_has_not_changed() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let copy = collection(&destination, "blog");
    put(&ours, (0..20).map(|n| json!({"id": format!("r{n:02}"), "title": n})));
    let since = |state: &State| ours.sync_to(&copy).since(state.clone()).send().unwrap();
    let report = ours.sync_to(&copy).send().unwrap();
    // What was written by ourselves is looked at once more.
    let report = since(&report.state);
    assert_eq!((counts(&report), report.counts.compared), ((0, 0, 0), 20));
    let report = since(&report.state);
    assert_eq!((counts(&report), report.counts.compared), ((0, 0, 0), 0));

    ours.records().delete("r03").send().unwrap();
    put(&ours, [json!({"id": "r05", "title": "changed"}), json!({"id": "new", "deleted": true})]);
    put(&copy, [json!({"id": "r07", "title": "mine"}), json!({"id": "extra"})]);
    copy.records().delete("r09").send().unwrap();
    let state = serde_json::to_string(&report.state).unwrap();
    let state: State = serde_json::from_str(&state).unwrap();
    let plan = ours.sync_to(&copy).since(state.clone()).planned().unwrap();
    assert_eq!(shown(&plan), ["-extra", "+new", "-r03", "~r05", "~r07", "+r09"]);
    let report = since(&state);
    assert_eq!((counts(&report), report.counts.compared), ((2, 2, 2), 6));
    assert!(ours.diff(&copy).all().unwrap().is_empty());

    // A list that was made anew tells no deletions.
    ours.delete().send().unwrap();
    ours.create().send().unwrap();
    put(&ours, [json!({"id": "r00", "title": 0})]);
    since(&report.state);
    assert!(ours.diff(&copy).all().unwrap().is_empty());

    let elsewhere = destination.collection("blog", "other");
    let error = ours.sync_to(&elsewhere).since(state).send().unwrap_err();
    assert!(matches!(error, Error::Argument(_)), "{error}");
}

#[test]
fn what_changes_meanwhile_is_a_conflict() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let copy = collection(&destination, "blog");
    put(&ours, [json!({"id": "a", "title": 1}), json!({"id": "b", "title": 1})]);
    put(&copy, ["a", "c"].map(|id| json!({"id": id, "title": 0})));
    let state = ours.sync_to(&copy).keep_extra().send().unwrap().state;
    put(&ours, ["a", "b"].map(|id| json!({"id": id, "title": 2})));
    let meanwhile = copy.clone();
    let once = AtomicBool::new(false);
    let report = ours
        .sync_to(&copy)
        .since(state)
        .on_progress(move |progress| {
            if progress.compared > 0 && !once.swap(true, Ordering::Relaxed) {
                // Between being compared and being written.
                let copy = meanwhile.clone();
                let write = move || put(&copy, ["a", "c"].map(|id| json!({"id": id, "title": 3})));
                thread::spawn(write).join().unwrap();
            }
        })
        .send()
        .unwrap();
    assert_eq!((report.counts.updated, report.counts.conflicts), (1, 2));
    assert!(!report.is_complete());
    let paths: Vec<_> = report.problems.iter().map(|it| (it.action, it.path.as_str())).collect();
    let records = "/buckets/blog/collections/articles/records";
    let (a, c) = (format!("{records}/a"), format!("{records}/c"));
    assert_eq!(paths, [(Action::Update, a.as_str()), (Action::Delete, c.as_str())]);
    assert!(report.problems.iter().all(|it| matches!(it.error, Error::Conflict(_))));
    assert_eq!(titles(&copy)[0], ("a".to_owned(), json!(3)));

    // The state is not that of a list with problems.
    assert_eq!(counts(&ours.sync_to(&copy).since(report.state).send().unwrap()), (0, 1, 1));
}

#[test]
fn what_the_server_refuses_does_not_stop_the_rest() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    put(&ours, [json!({"id": "a"}), json!({"id": "b"})]);
    let other = destination.to_builder().auth(Basic::new("carl", "secret"));
    let other = other.build_blocking().unwrap();
    let copy = collection(&destination, "blog");
    let rights = Permissions::new().grant("read", "system.Everyone");
    let rights = rights.grant("record:create", "system.Everyone");
    copy.patch(rights).send().unwrap();
    put(&copy, [json!({"id": "mine"})]);
    let copy = other.collection("blog", "articles");
    let report = ours.sync_to(&copy).records_only().send().unwrap();
    assert_eq!((report.counts.created, report.counts.failures), (2, 1));
    assert!(matches!(report.problems[0].error, Error::Forbidden(_)));
}

#[test]
fn digits_and_order_of_fields_survive() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let ours = collection(&source, "blog");
    let copy = destination.collection("blog", "articles");
    let json = r#"{"z":9007199254740993,"a":0.1,"m":{"y":[],"b":null}}"#;
    let text = |it: &blocking::Collection| {
        let response = it.record("a").get().response().unwrap();
        String::from_utf8(response.body.to_vec()).unwrap()
    };
    let fields: cumulo_client::replication::Fields = serde_json::from_str(json).unwrap();
    ours.record("a").update(&fields).send().unwrap();
    assert!(text(&ours).contains(&json[1..json.len() - 1]), "{}", text(&ours));
    ours.sync_to(&copy).send().unwrap();
    assert!(text(&copy).contains(&json[1..json.len() - 1]), "{}", text(&copy));
}

#[tokio::test]
async fn an_interrupted_run_goes_on() {
    let servers = Servers::start();
    let (source, destination) = servers.waiting();
    source.bucket("blog").create().send().await.unwrap();
    let ours = source.collection("blog", "articles");
    ours.create().send().await.unwrap();
    for n in 0..60 {
        ours.records().create(json!({"n": n})).send().await.unwrap();
    }
    let copy = destination.collection("blog", "articles");
    let enough = std::sync::Arc::new(tokio::sync::Notify::new());
    let tell = enough.clone();
    let run = ours.sync_to(&copy).concurrency(1).on_progress(move |progress| {
        if progress.counts.created > 20 {
            tell.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = enough.notified() => {}
        _ = run.send() => panic!("it should have been interrupted"),
    }
    let rest: Vec<_> = ours.diff(&copy).rows().try_collect().await.unwrap();
    assert!(!rest.is_empty() && rest.len() < 60, "{}", rest.len());
    let report = ours.sync_to(&copy).send().await.unwrap();
    assert_eq!(report.counts.created, rest.len() as u64);
    assert!(ours.diff(&copy).all().await.unwrap().is_empty());
}

/// What a bucket has: groups, and collections with records.
#[derive(Clone, Debug)]
struct Model {
    groups: Vec<(String, Value)>,
    collections: Vec<(String, Vec<Record>)>,
}

/// Its id, its data, and whether everybody may read it.
type Record = (String, Value, bool);

fn model() -> impl Strategy<Value = Model> {
    let value = prop_oneof![
        Just(json!({})),
        (0..3).prop_map(|n| json!({"n": n})),
        "[a-cé]{0,2}".prop_map(|text| json!({"text": text, "list": [text, null]})),
        Just(json!({"deleted": true})),
    ];
    let members = btree_set("[a-c]", 0..3).prop_map(|members| json!({"members": members}));
    let records = btree_map("[a-cA-C0-2][a-b_-]?", (value, any::<bool>()), 0..12)
        .prop_map(|it| it.into_iter().map(|(id, (data, public))| (id, data, public)).collect());
    let groups = btree_map("[a-c]", members, 0..3).prop_map(|it| it.into_iter().collect());
    let collections = btree_map("[a-c]", records, 0..3).prop_map(|it| it.into_iter().collect());
    (groups, collections).prop_map(|(groups, collections)| Model { groups, collections })
}

/// Makes a bucket as a model is, of what it was before.
fn fill(bucket: &blocking::Bucket, model: &Model) {
    bucket.create().if_not_exists().send().unwrap();
    bucket.groups().delete_many().send().unwrap();
    for (id, data) in &model.groups {
        bucket.group(id).update(data).send().unwrap();
    }
    for (id, records) in &model.collections {
        let collection = bucket.collection(id);
        collection.create().if_not_exists().send().unwrap();
        let others = collection.records().list().all().unwrap();
        for other in others.iter().filter(|it| records.iter().all(|(id, ..)| *id != it.id)) {
            collection.record(&other.id).delete().send().unwrap();
        }
        for (id, data, public) in records {
            let holders = if *public { &["system.Everyone"][..] } else { &[] };
            let mut permissions = Permissions::new();
            permissions
                .0
                .insert("read".to_owned(), holders.iter().map(ToString::to_string).collect());
            collection.record(id).update(data).permissions(permissions).send().unwrap();
        }
    }
    let others = bucket.collections().list().all().unwrap();
    for other in others.iter().filter(|it| model.collections.iter().all(|(id, _)| *id != it.id)) {
        bucket.collection(&other.id).delete().send().unwrap();
    }
}

#[test]
fn after_a_sync_nothing_differs() {
    let servers = Servers::start();
    let (source, destination) = servers.blocking();
    let number = AtomicUsize::new(0);
    let check = |models: Vec<(Model, Option<Model>)>| {
        let name = format!("b{}", number.fetch_add(1, Ordering::Relaxed));
        let (ours, copy) = (source.bucket(&name), destination.bucket(&name));
        let mut state = None::<State>;
        for (there, here) in models {
            fill(&ours, &there);
            if let Some(model) = here {
                fill(&copy, &model);
            }
            let sync = ours.sync_to(&copy).record_permissions();
            let sync = match state.take() {
                Some(state) => sync.since(state),
                None => sync,
            };
            let report = sync.send().unwrap();
            prop_assert!(report.is_complete(), "{:?}", report.problems);
            let rest = ours.diff(&copy).record_permissions().all().unwrap();
            prop_assert!(rest.is_empty(), "{rest:?}");
            let again = ours.sync_to(&copy).record_permissions().send().unwrap();
            prop_assert_eq!(counts(&again), (0, 0, 0));
            state = Some(report.state);
        }
        Ok(())
    };
    let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
    let models = vec((model(), proptest::option::of(model())), 1..4);
    TestRunner::new(config).run(&models, check).unwrap();
}
