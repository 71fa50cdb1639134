//! What only this store does: other writers, lost sessions, works that commit together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use cumulo_core::{
    clock::SystemClock,
    object::{Acl, List, Timestamp},
    query::Query,
    store::{Access, Error, Outcome, Outlook, Result, Store, Transaction},
};
use tokio::task::JoinHandle;

use super::{
    Address, Connection, Postgres, PostgresMigration, PostgresOptions, SchemaError, statements,
};
use crate::error;

/// A store over an empty database, and the address of that.
fn open() -> (Arc<Postgres>, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let server = cumulo_servers::Postgres::shared();
    let url = server.create_database(&format!("unit{number}")).unwrap();
    assert_eq!(Postgres::migrate(&url, false).unwrap(), PostgresMigration::Created);
    (reopen(&url), url)
}

fn reopen(url: &str) -> Arc<Postgres> {
    let options = PostgresOptions { pool_size: 4, max_overflow: 0, ..PostgresOptions::default() };
    Arc::new(Postgres::open(url, options, Arc::new(SystemClock::default())).unwrap())
}

/// Another program that uses the database.
struct Other(Connection);

impl Other {
    fn connect(url: &str) -> Self {
        Self(Connection::open(&Address::parse(url).unwrap()).unwrap())
    }

    fn run(&mut self, sql: &str) {
        self.0.simple(sql, &mut |_| Ok(())).unwrap();
    }

    fn read(&mut self, sql: &str) -> String {
        let mut found = String::new();
        self.0
            .simple(sql, &mut |mut row| {
                found += row.text()?;
                Ok(())
            })
            .unwrap();
        found
    }

    /// Begins to create an object as Kinto does, without a timestamp.
    fn begin_to_create(&mut self, id: &str) {
        self.run("BEGIN");
        self.create(id);
    }

    fn create(&mut self, id: &str) {
        self.run(&format!(
            "INSERT INTO objects (id, parent_id, resource_name, data, last_modified, deleted) \
             VALUES ('{id}', '/buckets/b/collections/c', 'record', '{{}}', NULL, FALSE)"
        ));
    }
}

fn records() -> List {
    List::new("/buckets/b/collections/c", "record")
}

fn put(store: &Arc<Postgres>, id: &str) -> JoinHandle<Result<Timestamp>> {
    let (store, id) = (Arc::clone(store), id.to_owned());
    let outlook = Outlook { writes: vec![records()], ..Outlook::default() };
    tokio::spawn(async move {
        let store: &dyn Store = &*store;
        let work = move |tx: &mut dyn Transaction| {
            Ok((Outcome::Commit, tx.put(&records(), &id, None, "{}", None)?))
        };
        store.transact_foreseen(Access::Write, outlook, work).await
    })
}

async fn list(store: &Arc<Postgres>) -> Vec<(String, Timestamp)> {
    let store: &dyn Store = &**store;
    let work = |tx: &mut dyn Transaction| {
        let objects = tx.collect(&records(), &Query::default())?;
        let found = objects.into_iter().map(|object| (object.id, object.last_modified));
        Ok((Outcome::Commit, found.collect::<Vec<_>>()))
    };
    store.transact(Access::Scan, work).await.unwrap()
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_become_visible_in_order_whoever_writes() {
    let (store, url) = open();
    let mut other = Other::connect(&url);
    other.begin_to_create("theirs");
    let ours = put(&store, "ours");
    pause().await;
    assert_eq!(list(&store).await, [], "what is later waits for what is earlier");
    other.run("COMMIT");
    ours.await.unwrap().unwrap();
    let found = list(&store).await;
    assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["ours", "theirs"]);
    assert!(found[0].1 > found[1].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_programs_wait_for_each_other() {
    let (store, url) = open();
    let (mut first, mut second) = (Other::connect(&url), Other::connect(&url));
    first.begin_to_create("first");
    let late = tokio::task::spawn_blocking(move || second.create("second"));
    pause().await;
    assert_eq!(list(&store).await, []);
    first.run("COMMIT");
    late.await.unwrap();
    assert_eq!(list(&store).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_without_foresight() {
    let (store, _) = open();
    put(&store, "counter").await.unwrap().unwrap();
    let tasks: Vec<_> = (0..40).map(|_| tokio::spawn(increment(Arc::clone(&store)))).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let dynamic: &dyn Store = &*store;
    let read = |tx: &mut dyn Transaction| {
        Ok((Outcome::Commit, tx.get(&records(), "counter")?.unwrap().object.data))
    };
    assert_eq!(dynamic.transact(Access::Read, read).await.unwrap(), r#"{"n":40}"#);
}

async fn increment(store: Arc<Postgres>) -> Result<()> {
    let store: &dyn Store = &*store;
    let work = |tx: &mut dyn Transaction| {
        let data = tx.get(&records(), "counter")?.unwrap().object.data;
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        let next = serde_json::json!({"n": data["n"].as_i64().unwrap_or(0) + 1}).to_string();
        tx.put(&records(), "counter", None, &next, None)?;
        Ok((Outcome::Commit, ()))
    };
    store.transact(Access::Write, work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn works_that_lock_crosswise_both_succeed() {
    let (store, _) = open();
    let crosswise = |first: &'static str, second: &'static str| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let store: &dyn Store = &*store;
            let work = move |tx: &mut dyn Transaction| {
                tx.put(&List::new(first, "record"), "x", None, "{}", None)?;
                // So that the lock is taken now.
                tx.count(&List::new(first, "record"), &Query::default())?;
                std::thread::sleep(Duration::from_millis(100));
                tx.put(&List::new(second, "record"), "x", None, "{}", None)?;
                Ok((Outcome::Commit, ()))
            };
            store.transact(Access::Write, work).await
        })
    };
    let (one, two) = (crosswise("/a", "/b"), crosswise("/b", "/a"));
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_fails_harms_none_of_those_that_commit_with_it() {
    let (store, url) = open();
    let mut other = Other::connect(&url);
    // Holds the list, so that all others wait and are taken together.
    other.begin_to_create("theirs");
    let first = put(&store, "first");
    pause().await;
    let tasks: Vec<_> = (0..40).map(|n| tokio::spawn(misbehave(Arc::clone(&store), n))).collect();
    pause().await;
    other.run("COMMIT");
    first.await.unwrap().unwrap();
    for (n, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        assert_eq!(result.is_ok(), n % 5 != 1 && n % 5 != 2, "{n}: {result:?}");
    }
    let mut found: Vec<_> = list(&store).await.into_iter().map(|(id, _)| id).collect();
    found.sort();
    let mut wanted: Vec<_> =
        (0..40).filter(|n| n % 5 == 0 || n % 5 == 4).map(|n| format!("w{n:02}")).collect();
    wanted.splice(0..0, ["first".to_owned(), "theirs".to_owned()]);
    assert_eq!(found, wanted);
}

async fn misbehave(store: Arc<Postgres>, n: usize) -> Result<()> {
    let outlook = Outlook { writes: vec![records()], ..Outlook::default() };
    let work = move |tx: &mut dyn Transaction| {
        tx.put(&records(), &format!("w{n:02}"), None, "{}", None)?;
        match n % 5 {
            1 => return Err(Error::TimestampTaken(Timestamp(1))),
            2 => panic!("on purpose"),
            3 => return Ok((Outcome::Rollback, ())),
            // So that what was kept back is sent in between.
            4 => drop(tx.count(&records(), &Query::default())?),
            _ => {}
        }
        Ok((Outcome::Commit, ()))
    };
    let store: &dyn Store = &*store;
    store.transact_foreseen(Access::Write, outlook, work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_ended_are_replaced() {
    let (store, url) = open();
    put(&store, "a").await.unwrap().unwrap();
    assert_eq!(list(&store).await.len(), 1);
    let mut other = Other::connect(&url);
    for n in 0..5 {
        other.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        if n % 2 == 0 {
            put(&store, "b").await.unwrap().unwrap();
        }
        assert_eq!(list(&store).await.len(), 2);
    }
}

#[test]
fn wrong_schemas_are_explained() {
    let (store, url) = open();
    drop(store);
    let reason =
        || match Postgres::open(&url, PostgresOptions::default(), Arc::new(SystemClock::default()))
        {
            Err(error::Error::Schema(reason)) => reason,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was opened"),
        };
    let mut other = Other::connect(&url);
    other.run("UPDATE metadata SET value = '25' WHERE name = 'storage_schema_version'");
    assert!(matches!(reason(), SchemaError::TooOld { kind: "storage", found: 25, known: 26 }));
    assert!(reason().to_string().contains("kinto migrate"));
    // The history stays: the highest counts.
    other.run("INSERT INTO metadata VALUES ('storage_schema_version', '26')");
    drop(reopen(&url));
    other.run("INSERT INTO metadata VALUES ('storage_schema_version', '27')");
    assert!(matches!(reason(), SchemaError::TooNew { found: 27, .. }));
    other.run("DROP TABLE objects, timestamps, metadata, access_control_entries, user_principals");
    assert!(matches!(reason(), SchemaError::Empty));
}

#[test]
fn migrating_twice_does_nothing_and_kinto_is_completed() {
    let (store, url) = open();
    drop(store);
    assert_eq!(Postgres::migrate(&url, false).unwrap(), PostgresMigration::Current);
    let mut other = Other::connect(&url);
    other.run("DROP TRIGGER cumulo_commit_order ON objects; DROP FUNCTION cumulo_commit_order");
    drop(reopen(&url));
    assert_eq!(Postgres::migrate(&url, true).unwrap(), PostgresMigration::Completed);
    assert_eq!(other.read("SELECT count(*) FROM pg_proc WHERE proname LIKE 'cumulo%'"), "0");
    assert_eq!(Postgres::migrate(&url, false).unwrap(), PostgresMigration::Completed);
    assert_eq!(other.read("SELECT count(*) FROM pg_proc WHERE proname LIKE 'cumulo%'"), "1");
    for lost in ["TABLE cumulo_message", "INDEX idx_cumulo_access_control_entries_principal"] {
        other.run(&format!("DROP {lost}"));
        assert_eq!(Postgres::migrate(&url, false).unwrap(), PostgresMigration::Completed);
        assert_eq!(Postgres::migrate(&url, false).unwrap(), PostgresMigration::Current);
    }
}

#[tokio::test]
async fn history_entries_are_not_read_for_what_somebody_may_do() {
    let (store, url) = open();
    let mut other = Other::connect(&url);
    other.run(
        "INSERT INTO access_control_entries SELECT '/buckets/b/history/' || n, 'read', 'ann' \
         FROM generate_series(1, 5000) AS n; ANALYZE access_control_entries",
    );
    let put = |tx: &mut dyn Transaction| {
        let mut acl = Acl::default();
        acl.add("read", "ann");
        tx.put(&List::new("", "bucket"), "b", None, "{}", Some(&acl))?;
        Ok((Outcome::Commit, tx.granted(&["ann".to_owned()], Some(&["bucket"]))?.len()))
    };
    let store: &dyn Store = &*store;
    assert_eq!(store.transact(Access::Write, put).await.unwrap(), 1);
    let sql = statements::granted(&[], false).sql.replace("$1", "'{ann}'");
    let plan = other.read(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}"));
    assert!(plan.contains("idx_cumulo_access_control_entries_principal"), "{plan}");
    assert!(!plan.contains("Rows Removed"), "{plan}");
}

#[tokio::test]
async fn a_database_without_the_table_of_messages_serves_all_but_them() {
    let (store, url) = open();
    drop(store);
    Other::connect(&url).run("DROP TABLE cumulo_message");
    let store = reopen(&url);
    let store: &dyn Store = &*store;
    let write = store.transact(Access::Write, |tx| {
        tx.put(&List::new("", "bucket"), "b", None, "{}", None)?;
        tx.flush()?;
        Ok((Outcome::Commit, ()))
    });
    write.await.unwrap();
    let look = store.transact(Access::Read, |tx| Ok((Outcome::Commit, tx.next_due("hook")?)));
    let error = look.await.unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("cumulo_message") && reason.contains("cumulo migrate"), "{reason}");
}
