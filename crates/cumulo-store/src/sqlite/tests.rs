//! What only this store promises: its file, its failures, its plans and its indexes.

use std::{sync::Barrier, time::Duration};

use cumulo_core::{
    clock::ManualClock,
    object::{List, Timestamp},
    query::{Field, Filter, Op, Query, Sort},
    store::{Outcome, Transaction},
};
use serde_json::json;
use tempfile::TempDir;

use super::{sql::Source, *};

const NOW: i64 = 1_000_000;

struct Db {
    dir: TempDir,
    clock: Arc<ManualClock>,
    runtime: tokio::runtime::Runtime,
}

impl Db {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(NOW)),
            runtime: runtime.unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("cumulo.db")
    }

    fn try_open(&self) -> error::Result<Sqlite> {
        let options = Options { durability: Durability::Off, ..Options::default() };
        Sqlite::open(&self.path(), options, Arc::clone(&self.clock) as _)
    }

    fn open(&self) -> Sqlite {
        self.try_open().unwrap()
    }

    fn run<T: Send + 'static>(
        &self,
        store: &Sqlite,
        access: Access,
        mut work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store: &dyn Store = store;
        self.runtime.block_on(
            store.transact(access, move |tx| work(tx).map(|value| (Outcome::Commit, value))),
        )
    }

    fn put(&self, store: &Sqlite, id: &str, data: &str) -> Result<Timestamp> {
        let (id, data) = (id.to_owned(), data.to_owned());
        self.run(store, Access::Write, move |tx| tx.put(&posts(), &id, None, &data, Some(&acl())))
    }

    fn count(&self, store: &Sqlite) -> u64 {
        self.run(store, Access::Read, |tx| {
            let listed = tx.collect(&posts(), &Query::default())?.len() as u64;
            assert_eq!(tx.count(&posts(), &Query::default())?, listed);
            Ok(listed)
        })
        .unwrap()
    }
}

/// Runs statements on the writer's connection.
fn on_writer(store: &Sqlite, sql: &'static str) {
    let (done, wait) = std::sync::mpsc::channel();
    store.writer.task(Box::new(move |connection| {
        connection.execute_batch(sql).unwrap();
        done.send(()).unwrap();
    }));
    wait.recv().unwrap();
}

/// Waits until the writer has done what was asked of it.
fn settle(store: &Sqlite) {
    on_writer(store, "");
}

fn posts() -> List {
    List::new("/buckets/blog/collections/posts", "record")
}

fn acl() -> Acl {
    let mut acl = Acl::default();
    acl.add("read", "alice");
    acl
}

fn data(name: &str) -> Field {
    Field::Data(vec![name.to_owned()])
}

fn filter(field: Field, op: Op) -> Filter {
    Filter { field, op }
}

#[test]
fn a_reopened_file_has_everything() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    db.put(&store, "b", r#"{"n":1}"#).unwrap();
    let (member, group) = ("alice", "/buckets/blog/groups/g");
    db.run(&store, Access::Write, move |tx| {
        tx.delete(&posts(), "a", None)?;
        tx.join(member, group)
    })
    .unwrap();
    store.close();
    db.clock.set(5);
    let store = db.open();
    db.run(&store, Access::Read, move |tx| {
        assert_eq!(tx.timestamp(&posts())?, Timestamp(NOW + 2));
        let entry = tx.get(&posts(), "b")?.unwrap();
        assert_eq!((entry.object.data.as_str(), &*entry.acl), (r#"{"n":1}"#, &acl()));
        assert_eq!(*tx.acl(&posts(), "b")?.unwrap(), acl());
        assert_eq!(*tx.groups(&[member])?, [group]);
        assert_eq!(tx.granted(&["alice".into()], None)?[0].list, posts());
        let all = tx.collect(&posts(), &Query { tombstones: true, ..Query::default() })?;
        assert_eq!(all.len(), 2);
        Ok(())
    })
    .unwrap();
    assert_eq!(db.count(&store), 1);
    assert_eq!(db.put(&store, "c", "{}").unwrap(), Timestamp(NOW + 3), "not before, not again");
}

#[test]
fn an_acknowledged_write_survives_the_process() {
    let db = Db::new();
    let store = db.open();
    for n in 0..20 {
        db.put(&store, &n.to_string(), "{}").unwrap();
    }
    // What kill -9 would leave: the files as they are, without a clean end.
    let after = Db::new();
    for suffix in ["", "-wal"] {
        let name = format!("cumulo.db{suffix}");
        std::fs::copy(db.dir.path().join(&name), after.dir.path().join(&name)).unwrap();
    }
    let store = after.open();
    assert_eq!(after.count(&store), 20);
    assert_eq!(after.put(&store, "x", "{}").unwrap(), Timestamp(NOW + 20));
}

#[test]
fn a_closed_store_leaves_one_file() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    assert_eq!(db.count(&store), 1);
    store.close();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = db.dir.path().read_dir().unwrap().map(name).collect();
    names.sort_unstable();
    assert_eq!(names, ["cumulo.db", "cumulo.db.lock"]);
    assert_eq!(db.count(&db.open()), 1, "the lock is free though the store was not dropped");
}

#[test]
fn a_file_has_one_owner() {
    let db = Db::new();
    let store = db.open();
    let error = db.try_open().err().unwrap();
    assert!(matches!(error, crate::Error::InUse { .. }));
    assert!(error.to_string().contains("cumulo.db is in use"), "{error}");
    assert!(matches!(Sqlite::migrate(&db.path()), Err(crate::Error::InUse { .. })));
    drop(store);
    db.open();
}

#[test]
fn migrations_are_reported_once() {
    let db = Db::new();
    let migrate = || Sqlite::migrate(&db.path()).unwrap();
    assert_eq!(migrate(), Migration { from: 0, to: schema::VERSION });
    assert_eq!(migrate(), Migration { from: schema::VERSION, to: schema::VERSION });
}

#[test]
fn a_file_of_an_older_version_keeps_what_it_holds() {
    let db = Db::new();
    let store = db.open();
    let grant = acl();
    db.run(&store, Access::Write, move |tx| tx.put(&posts(), "a", None, "{}", Some(&grant)))
        .unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(db.path()).unwrap();
    let older = "UPDATE metadata SET value = 2 WHERE name = 'schema';
        DROP INDEX object_acl;
        CREATE INDEX object_acl ON object (acl, list, id) WHERE acl IS NOT NULL;";
    connection.execute_batch(older).unwrap();
    drop(connection);
    let migration = Sqlite::migrate(&db.path()).unwrap();
    assert_eq!(migration, Migration { from: 2, to: schema::VERSION });
    let store = db.open();
    let shared = |tx: &mut dyn Transaction| tx.shared(&posts(), &["alice".into()], &["read"]);
    assert_eq!(db.run(&store, Access::Read, shared).unwrap(), ["a"]);
}

#[test]
fn later_and_foreign_files_are_refused() {
    let db = Db::new();
    drop(db.open());
    let edit = |sql| rusqlite::Connection::open(db.path()).unwrap().execute_batch(sql).unwrap();
    edit("UPDATE metadata SET value = 99 WHERE name = 'schema'");
    assert!(matches!(db.try_open(), Err(crate::Error::TooNew { found: 99, .. })));
    edit("PRAGMA application_id = 7");
    assert!(matches!(db.try_open(), Err(crate::Error::Foreign { .. })));
    std::fs::write(db.path(), "no database, but long enough to look like one".repeat(100)).unwrap();
    assert!(matches!(db.try_open(), Err(crate::Error::Engine { .. })));
    let nowhere = db.dir.path().join("none/cumulo.db");
    let error = Sqlite::open(&nowhere, Options::default(), Arc::clone(&db.clock) as _);
    assert!(error.err().unwrap().to_string().contains("none/cumulo.db"));
}

#[test]
fn a_full_disk_makes_writes_unavailable_until_there_is_space() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    on_writer(&store, "PRAGMA max_page_count = 1");
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    for _ in 0..3 {
        let error = db.put(&store, "b", &large).unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert_eq!(db.count(&store), 1);
    }
    on_writer(&store, "PRAGMA max_page_count = 1000000");
    assert_eq!(db.put(&store, "b", &large).unwrap(), Timestamp(NOW + 1));
    assert_eq!(db.count(&store), 2);
    on_writer(&store, "PRAGMA integrity_check");
}

#[test]
fn a_full_disk_fails_only_the_work_that_needs_space() {
    let db = Db::new();
    let store = Arc::new(db.open());
    db.put(&store, "a", "{}").unwrap();
    on_writer(&store, "PRAGMA max_page_count = 1");
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    let submit = |id: String, data: String| {
        let work = move |tx: &mut dyn Transaction| {
            tx.put(&posts(), &id, None, &data, None)?;
            Ok(Outcome::Commit)
        };
        store.writer.submit(Box::new(work))
    };
    // While this task runs, the works behind it gather to one group.
    let barrier = Arc::new(Barrier::new(2));
    let gate = Arc::clone(&barrier);
    store.writer.task(Box::new(move |_| _ = gate.wait()));
    let replies: Vec<_> = (0..6)
        .map(|n| submit(n.to_string(), if n % 2 == 0 { "{}".into() } else { large.clone() }))
        .collect();
    barrier.wait();
    for (n, reply) in replies.into_iter().enumerate() {
        let result = db.runtime.block_on(reply).unwrap();
        if n % 2 == 1 {
            assert!(matches!(result, Err(Error::Unavailable(_))), "{n} {result:?}");
        }
        let stored = db.run(&store, Access::Read, move |tx| tx.get(&posts(), &n.to_string()));
        assert_eq!(stored.unwrap().is_some(), result.is_ok(), "{n} {result:?}");
    }
}

#[test]
fn a_read_only_file_makes_writes_unavailable_while_it_is() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    on_writer(&store, "PRAGMA query_only = 1");
    assert!(matches!(db.put(&store, "b", "{}"), Err(Error::Unavailable(_))));
    assert_eq!(db.count(&store), 1);
    on_writer(&store, "PRAGMA query_only = 0");
    db.put(&store, "b", "{}").unwrap();
    assert_eq!(db.count(&store), 2);
}

#[test]
fn a_failing_commit_fails_the_group_and_changes_nothing() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    // A deferred constraint fails at the commit and not before.
    on_writer(
        &store,
        "PRAGMA foreign_keys = 1;
         CREATE TABLE judge (id INTEGER PRIMARY KEY);
         CREATE TABLE trap (id INTEGER REFERENCES judge DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER spring AFTER INSERT ON object BEGIN INSERT INTO trap VALUES (1); END;",
    );
    let error = db.put(&store, "b", "{}").unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    assert_eq!(db.count(&store), 1);
    let stamp = db.run(&store, Access::Read, |tx| tx.timestamp(&posts())).unwrap();
    assert_eq!(stamp, Timestamp(NOW));
    on_writer(&store, "DROP TRIGGER spring");
    assert_eq!(db.put(&store, "b", "{}").unwrap(), Timestamp(NOW + 1));
    assert_eq!(db.count(&store), 2);
}

#[test]
fn a_panic_of_the_writer_itself_is_survived() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    store.writer.task(Box::new(|connection| {
        connection.execute_batch("BEGIN; DELETE FROM object").unwrap();
        panic!("on purpose");
    }));
    db.put(&store, "b", "{}").unwrap();
    assert_eq!(db.count(&store), 2);
}

#[test]
fn more_readers_than_connections_are_served() {
    let db = Db::new();
    let store: Arc<dyn Store> = Arc::new(db.open());
    let work = |tx: &mut dyn Transaction| {
        std::thread::sleep(Duration::from_millis(1));
        tx.collect(&posts(), &Query::default())?;
        std::thread::sleep(Duration::from_millis(1));
        Ok(Outcome::Commit)
    };
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let store = Arc::clone(&store);
            let access = if n % 2 == 0 { Access::Scan } else { Access::Read };
            db.runtime.spawn(async move { store.submit(access, Box::new(work)).await })
        })
        .collect();
    for task in tasks {
        db.runtime.block_on(task).unwrap().unwrap();
    }
}

#[test]
fn a_timestamp_is_never_newer_than_the_data_beside_it() {
    let db = Db::new();
    let store: Arc<dyn Store> = Arc::new(db.open());
    let writing = Arc::new(AtomicBool::new(true));
    let readers: Vec<_> = (0..2)
        .map(|reader| {
            let (store, writing) = (Arc::clone(&store), Arc::clone(&writing));
            db.runtime.spawn(async move {
                while writing.load(Ordering::Relaxed) {
                    let look = move |tx: &mut dyn Transaction| look_both_ways(tx, reader == 0);
                    match store.submit(Access::Read, Box::new(look)).await {
                        Ok(()) | Err(Error::ReadOnly) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    for n in 0..2_000 {
        let work = move |tx: &mut dyn Transaction| {
            if n % 50 == 0 {
                tx.delete_below("/buckets/blog")?;
            }
            tx.put(&posts(), &(n % 7).to_string(), None, "{}", None)?;
            Ok(Outcome::Commit)
        };
        db.runtime.block_on(store.submit(Access::Write, Box::new(work))).unwrap();
    }
    writing.store(false, Ordering::Relaxed);
    for reader in readers {
        db.runtime.block_on(reader).unwrap();
    }
}

/// Compares the timestamp with the data, either of which may be asked first.
fn look_both_ways(tx: &mut dyn Transaction, data_first: bool) -> Result<Outcome> {
    let newest = |tx: &mut dyn Transaction| {
        let query = Query { limit: Some(1), ..Query::default() };
        tx.collect(&posts(), &query).map(|objects| objects[0].last_modified)
    };
    if data_first {
        tx.get(&posts(), "0")?;
    }
    let timestamp = tx.timestamp(&posts())?;
    let newest = newest(tx)?;
    assert!(timestamp <= newest, "{timestamp} {newest}");
    assert!(!data_first || timestamp == newest, "{timestamp} {newest}");
    Ok(Outcome::Commit)
}

#[test]
fn a_snapshot_that_missed_a_commit_is_not_used_again() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    assert_eq!(db.count(&store), 1);
    let mut reader = store.shared.pool.take(&store.shared).unwrap();
    reader.end().unwrap();
    reader.begin(store.shared.cache.generation()).unwrap();
    let list = posts();
    let rows = rows::Rows { connection: &reader.connection, shared: &store.shared };
    assert!(rows.get(&list, "b").unwrap().is_none());
    db.put(&store, "b", "{}").unwrap();
    store.shared.pool.give_back(Some(reader));
    assert_eq!(db.count(&store), 2);
}

#[test]
fn unused_access_control_lists_are_removed_on_opening() {
    let db = Db::new();
    let store = db.open();
    db.put(&store, "a", "{}").unwrap();
    db.run(&store, Access::Write, |tx| tx.set_acl(&posts(), "a", &Acl::default())).unwrap();
    drop(store);
    drop(db.open());
    let connection = rusqlite::Connection::open(db.path()).unwrap();
    for table in ["acl", "access"] {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(connection.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
    }
}

/// The plan of a statement, one line per step.
fn plan(connection: &rusqlite::Connection, sql: &sql::Sql) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text)).unwrap();
    let params = rusqlite::params_from_iter(&sql.params);
    let steps = statement.query_map(params, |row| row.get::<_, String>(3)).unwrap();
    steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("\n")
}

fn connection(db: &Db) -> rusqlite::Connection {
    let mut connection = connection::open_writer(&db.path(), &Options::default()).unwrap();
    schema::migrate(&mut connection, &db.path()).unwrap();
    connection
}

#[test]
fn kinds_that_are_not_asked_for_are_not_read() {
    let db = Db::new();
    let connection = connection(&db);
    let text = rows::GRANTED_AMONG.to_owned();
    let params = ["[\"alice\"]", "[\"bucket\"]"].map(|text| text.to_owned().into()).into();
    let plan = plan(&connection, &sql::Sql { text, params });
    let reads: Vec<_> = plan.lines().filter(|line| line.contains(" object ")).collect();
    let by_list = "SEARCH object USING INDEX object_acl (acl=? AND list=?)";
    let next_list = "SEARCH object USING COVERING INDEX object_acl (acl=? AND list>?)";
    let first_list = "SEARCH object USING COVERING INDEX object_acl (acl=?)";
    assert_eq!(reads, [first_list, next_list, by_list], "{plan}");
}

#[test]
fn the_default_order_needs_no_sorting() {
    let db = Db::new();
    let connection = connection(&db);
    let since = filter(Field::LastModified, Op::Gt(json!(5)));
    let ascending = Sort { field: Field::LastModified, descending: false };
    let queries = [
        Query { limit: Some(10), ..Query::default() },
        Query { tombstones: true, limit: Some(10), ..Query::default() },
        Query { filters: vec![since.clone()], tombstones: true, ..Query::default() },
        Query { filters: vec![since.clone()], ..Query::default() },
        Query { sort: vec![ascending], tombstones: true, ..Query::default() },
        Query { page: vec![vec![since.clone()]], limit: Some(10), ..Query::default() },
    ];
    for query in queries {
        let plan = plan(&connection, &sql::select(Source::Named(&posts()), &query));
        assert!(!plan.contains("TEMP B-TREE"), "{query:?}\n{plan}");
        assert!(plan.contains("SEARCH object USING PRIMARY KEY (list=? AND deleted=?"), "{plan}");
        let bounded = !query.filters.is_empty() || !query.page.is_empty();
        assert_eq!(plan.contains("last_modified>?"), bounded, "{plan}");
    }
}

#[test]
fn ids_are_looked_up_by_index() {
    let db = Db::new();
    let connection = connection(&db);
    let query = Query { filters: vec![filter(Field::Id, Op::Eq(json!("a")))], ..Query::default() };
    let plan = plan(&connection, &sql::select(Source::Named(&posts()), &query));
    assert!(plan.contains("object_id (list=? AND id=?)"), "{plan}");
}

#[test]
fn field_indexes_serve_filters_and_orders() {
    let db = Db::new();
    let connection = connection(&db);
    connection.execute_batch("INSERT INTO list VALUES (7, '/p', 'record', 1, 0)").unwrap();
    index::create(&connection, 7, &["n".to_owned()]).unwrap();
    let newest = Sort { field: Field::LastModified, descending: true };
    let by_n = |descending| vec![Sort { field: data("n"), descending }, newest.clone()];
    let filtered = |op| Query { filters: vec![filter(data("n"), op)], ..Query::default() };
    let bounds = [Op::Min(json!(1)), Op::Lt(json!(9))].map(|op| filter(data("n"), op));
    let bounded = Query { filters: bounds.into(), ..Query::default() };
    let next = vec![
        vec![filter(data("n"), Op::Lt(json!(4)))],
        vec![filter(data("n"), Op::Eq(json!(4))), filter(Field::LastModified, Op::Lt(json!(9)))],
    ];
    let cases = [
        (filtered(Op::Eq(json!(1))), "(<expr>=?"),
        (filtered(Op::Has(false)), "(<expr>=?"),
        (bounded, "(<expr>>? AND <expr><?"),
        (filtered(Op::In(vec![json!(1), json!(2)])), "(<expr>=?"),
        (Query { sort: by_n(true), limit: Some(9), ..Query::default() }, "USING INDEX object_fiel"),
        (Query { sort: by_n(false), limit: Some(9), ..Query::default() }, "USING INDEX object_fi"),
        (
            Query { sort: by_n(true), page: next, limit: Some(9), ..Query::default() },
            "AND <expr><?",
        ),
    ];
    for (query, expected) in cases {
        let plan = plan(&connection, &sql::select(Source::Id(7), &query));
        assert!(plan.contains("object_field_1") && plan.contains(expected), "{query:?}\n{plan}");
    }
}

/// Fills a list so that a filter has to step over much.
fn fill(db: &Db, store: &Sqlite) {
    db.run(store, Access::Write, |tx| {
        for n in 0..6_000 {
            tx.put(&posts(), &n.to_string(), None, &json!({"n": n}).to_string(), None)?;
        }
        Ok(())
    })
    .unwrap();
}

/// How often data is looked into for one object among many.
fn find_one(db: &Db, store: &Sqlite, n: u32) -> u64 {
    let query = Query { filters: vec![filter(data("n"), Op::Eq(json!(n)))], ..Query::default() };
    let looked = |store: &Sqlite| {
        let reader = store.shared.pool.take(&store.shared).unwrap();
        let looked = reader.looked();
        store.shared.pool.give_back(Some(reader));
        looked
    };
    let before = looked(store);
    let found = db.run(store, Access::Read, move |tx| tx.collect(&posts(), &query)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, n.to_string());
    settle(store);
    looked(store) - before
}

#[test]
fn slow_filters_get_an_index() {
    let db = Db::new();
    let store = db.open();
    fill(&db, &store);
    assert!(find_one(&db, &store, 17) >= 6_000);
    assert!(find_one(&db, &store, 18) < 10);
    db.put(&store, "18", "{}").unwrap();
    db.put(&store, "6001", r#"{"n":18}"#).unwrap();
    db.put(&store, "18", r#"{"n":6001}"#).unwrap();
    let found = |n: u32| {
        let filters = vec![filter(data("n"), Op::Eq(json!(n)))];
        let query = Query { filters, ..Query::default() };
        let found = db.run(&store, Access::Write, move |tx| tx.collect(&posts(), &query)).unwrap();
        found.into_iter().map(|object| object.id).collect::<Vec<_>>()
    };
    assert_eq!(found(18), ["6001"]);
    assert_eq!(found(6001), ["18"]);
    drop(store);
    let store = db.open();
    assert!(find_one(&db, &store, 19) < 10, "the index is known after a restart");
}

#[test]
fn indexes_go_with_their_list() {
    let db = Db::new();
    let store = db.open();
    fill(&db, &store);
    find_one(&db, &store, 17);
    let remove = |outcome| {
        let remove: Work = Box::new(move |tx: &mut dyn Transaction| {
            tx.delete_below("/buckets/blog")?;
            Ok(outcome)
        });
        db.runtime.block_on(store.submit(Access::Write, remove)).unwrap();
    };
    remove(Outcome::Rollback);
    assert!(find_one(&db, &store, 18) < 10, "a rolled back removal keeps the index");
    remove(Outcome::Commit);
    on_writer(&store, "CREATE TEMP TABLE none AS SELECT 1 / (count(*) = 0) AS ok FROM field_index");
    fill(&db, &store);
    assert!(find_one(&db, &store, 17) >= 6_000);
    assert!(find_one(&db, &store, 18) < 10, "the new list can have one too");
}

#[test]
fn indexes_can_be_turned_off() {
    let db = Db::new();
    let options = Options { auto_index: false, ..Options::default() };
    let store = Sqlite::open(&db.path(), options, Arc::clone(&db.clock) as _).unwrap();
    fill(&db, &store);
    for n in [17, 18] {
        assert!(find_one(&db, &store, n) >= 6_000);
    }
}

#[test]
fn indexed_queries_still_match_the_oracle() {
    let db = Db::new();
    let store = db.open();
    fill(&db, &store);
    find_one(&db, &store, 17);
    let all = db.run(&store, Access::Read, |tx| tx.collect(&posts(), &Query::default())).unwrap();
    let ops = [
        Op::Eq(json!(5)),
        Op::Lt(json!(5)),
        Op::Max(json!(5)),
        Op::Gt(json!(5_990)),
        Op::Min(json!("x")),
        Op::In(vec![json!(7), json!(5.0), json!(7)]),
        Op::In((0..40).map(|n| json!(n)).collect()),
        Op::Missing,
    ];
    for op in ops {
        for descending in [false, true] {
            let sort = vec![
                Sort { field: data("n"), descending },
                Sort { field: Field::LastModified, descending: true },
            ];
            let query = Query {
                filters: vec![filter(data("n"), op.clone())],
                sort,
                limit: Some(30),
                ..Query::default()
            };
            let mut expected: Vec<_> =
                all.iter().filter(|object| query.matches(object.as_row())).cloned().collect();
            expected.sort_by(|a, b| query.compare(a.as_row(), b.as_row()));
            expected.truncate(30);
            let found = db.run(&store, Access::Read, move |tx| tx.collect(&posts(), &query));
            assert_eq!(found.unwrap(), expected);
        }
    }
}
