//! What goes out of one engine comes into another, whatever happens on the way.
//!
//! The engines are one table, [`ENGINES`]; each pair of them is tried.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    any::Any,
    io::{self, Write},
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use cumulo_core::{
    clock::ManualClock,
    object::{Acl, List, Object, TOMBSTONE, Timestamp},
    store::{Access, Outcome, Result, Store, Transaction},
};
use cumulo_moving::{
    Error, Unwatched, Watch,
    export::{export, header},
    format::Trailer,
    import::{Mode, Report, import},
};
use cumulo_store::{Durability, Memory, Options, Postgres, PostgresOptions, Sqlite};
use proptest::prelude::*;

/// A store, and what must live as long as it does.
type Opened = (Arc<dyn Store>, Box<dyn Any>);

type Open = fn() -> Opened;

const ENGINES: [(&str, Open); 3] =
    [("memory", memory), ("sqlite", sqlite), ("postgresql", postgresql)];

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_000_000))
}

fn memory() -> Opened {
    (Arc::new(Memory::new(clock())), Box::new(()))
}

fn sqlite() -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Off, ..Options::default() };
    let store = Sqlite::open(&dir.path().join("cumulo.sqlite"), options, clock()).unwrap();
    (Arc::new(store), Box::new(dir))
}

fn postgresql() -> Opened {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("moving{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let url = cumulo_servers::Postgres::shared().create_database(&name).unwrap();
    Postgres::migrate(&url, false).unwrap();
    let options = PostgresOptions { pool_size: 2, ..PostgresOptions::default() };
    (Arc::new(Postgres::open(&url, options, clock()).unwrap()), Box::new(()))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn write<T: Send + 'static>(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> T {
    let work = move |tx: &mut dyn Transaction| Ok((Outcome::Commit, work(tx)?));
    block_on(store.transact(Access::Write, work)).unwrap()
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn out(store: &Arc<dyn Store>) -> (Trailer, String) {
    let written = Shared::default();
    let begin = written.clone();
    let open = move || {
        begin.0.lock().unwrap().clear();
        Ok(Box::new(begin.clone()) as Box<dyn Write + Send>)
    };
    let header = header(Timestamp(7), "a test");
    let trailer = block_on(export(store, header, Box::new(open), Arc::new(Unwatched))).unwrap();
    let bytes = written.0.lock().unwrap().clone();
    (trailer, String::from_utf8(bytes).unwrap())
}

/// The same content; engines may spell it in other ways.
fn assert_same(found: &Trailer, wanted: &Trailer) {
    let sha256 = wanted.sha256.clone();
    assert_eq!(Trailer { sha256, ..found.clone() }, *wanted);
}

fn into(
    store: &Arc<dyn Store>,
    text: &str,
    mode: Mode,
) -> std::result::Result<Report, cumulo_moving::Error> {
    let watch: Arc<dyn Watch> = Arc::new(Unwatched);
    block_on(import(store, text.as_bytes(), mode, &watch))
}

fn posts() -> List {
    List::new("/buckets/blog/collections/posts", "record")
}

fn acl(permission: &str, principal: &str) -> Acl {
    let mut acl = Acl::default();
    acl.add(permission, principal);
    acl
}

/// One list after the other, with objects, tombstones, permissions, members and odd values.
fn fill(store: &Arc<dyn Store>, records: u32) {
    write(store, move |tx| {
        tx.put(&List::new("", "bucket"), "blog", None, "{}", Some(&acl("write", "basicauth:a")))?;
        let collections = List::new("/buckets/blog", "collection");
        tx.put(&collections, "posts", None, r#"{"schema":{"type":"object"}}"#, None)?;
        let groups = List::new("/buckets/blog", "group");
        tx.put(&groups, "g", None, r#"{"members":["bob"]}"#, None)?;
        tx.join("bob", "/buckets/blog/groups/g")?;
        tx.put(&List::new("alice", "account"), "alice", None, r#"{"password":"$2b$"}"#, None)?;
        for n in 0..records {
            let data =
                format!(r#"{{"n":{n}.0,"big":123456789012345678901234567890,"é":"\u00e9"}}"#);
            let own = (n % 3 == 0).then(|| acl("read", "system.Everyone"));
            tx.put(&posts(), &format!("r{n}"), None, &data, own.as_ref())?;
        }
        tx.put(&posts(), "past", Some(Timestamp(-5)), "{}", None)?;
        for n in (0..records).step_by(7) {
            tx.delete(&posts(), &format!("r{n}"), None)?;
        }
        tx.restore_list(&posts(), Timestamp(5_000_000))?;
        tx.timestamp(&List::new("/buckets/blog/collections/empty", "record"))
    });
}

fn for_each_pair(check: impl Fn(&Arc<dyn Store>, &Arc<dyn Store>)) {
    for (from, open_from) in ENGINES {
        for (to, open_to) in ENGINES {
            println!("{from} to {to}");
            let (from, to) = (open_from(), open_to());
            check(&from.0, &to.0);
        }
    }
}

#[test]
fn everything_is_the_same_afterwards() {
    for_each_pair(|from, to| {
        fill(from, 2500);
        let (trailer, text) = out(from);
        let report = into(to, &text, Mode::Empty).unwrap();
        assert_eq!(report.trailer, trailer);
        assert_eq!(report.counts.written, trailer.objects + trailer.tombstones);
        assert_eq!(trailer.tombstones, 358);
        assert_same(&out(to).0, &trailer);
        let stamp = write(to, |tx| tx.put(&posts(), "new", None, "{}", None));
        assert_eq!(stamp, Timestamp(5_000_001));
    });
}

#[test]
fn an_empty_store_can_be_moved() {
    for_each_pair(|from, to| {
        let (trailer, text) = out(from);
        assert_eq!(into(to, &text, Mode::Empty).unwrap().trailer, trailer);
        assert_same(&out(to).0, &trailer);
    });
}

/// Reads so many bytes, then fails, as if the process had been killed there.
struct Breaking<'a>(&'a [u8], usize);

impl io::Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len().min(self.0.len()).min(self.1);
        if size == 0 && !self.0.is_empty() {
            return Err(io::Error::other("killed"));
        }
        buffer[..size].copy_from_slice(&self.0[..size]);
        self.0 = &self.0[size..];
        self.1 -= size;
        Ok(size)
    }
}

#[test]
fn an_interrupted_import_goes_on() {
    for_each_pair(|from, to| {
        fill(from, 2500);
        let (trailer, text) = out(from);
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        for part in 1..10 {
            let until = text.len() * part / 10;
            let input = io::BufReader::new(Breaking(text.as_bytes(), until));
            let broken = block_on(import(to, input, Mode::Empty, &watch));
            assert!(matches!(broken, Err(Error::Read(_))));
        }
        let written = Shared::default();
        let open = Box::new(move || Ok(Box::new(written.clone()) as Box<dyn Write + Send>));
        let early = block_on(export(to, header(Timestamp(1), "x"), open, Arc::clone(&watch)));
        assert!(matches!(early, Err(Error::Unfinished(_))), "half a store was exported");
        let other = text.replacen("r1\"", "rX\"", 1);
        assert!(matches!(into(to, &other, Mode::Empty), Err(Error::Unfinished(_))));
        assert!(matches!(into(to, &text, Mode::Merge), Err(Error::Unfinished(_))));
        let report = into(to, &text, Mode::Empty).unwrap();
        assert!(report.resumed_after >= 2000, "{report:?}");
        assert_same(&out(to).0, &trailer);
    });
}

#[test]
fn a_store_that_is_not_empty_is_refused() {
    for_each_pair(|from, to| {
        fill(from, 3);
        let (_, text) = out(from);
        write(to, |tx| tx.join("somebody", "/g"));
        let before = out(to);
        assert!(matches!(into(to, &text, Mode::Empty), Err(Error::NotEmpty)));
        assert_eq!(out(to), before);
    });
}

#[test]
fn damage_is_named_by_its_line() {
    let (from, _) = memory();
    fill(&from, 5);
    let (_, text) = out(&from);
    let lines: Vec<_> = text.lines().collect();
    let last = lines.len() as u64;
    let damaged = |text: &str, line: u64, word: &str| {
        let (to, _) = memory();
        match into(&to, text, Mode::Empty) {
            Err(Error::Damaged { line: named, reason }) => {
                assert_eq!(named, line, "{reason}");
                assert!(reason.contains(word), "{reason}");
            }
            other => panic!("{other:?} instead of line {line}: {word}"),
        }
    };
    damaged("", 1, "not an export");
    damaged("hello\n", 1, "not understood");
    damaged(&text[text.find('\n').unwrap() + 1..], 1, "not an export");
    damaged(&text.replace("\"version\":1", "\"version\":9"), 1, "version 9");
    damaged(&format!("{}\n", lines[..4].join("\n")), 5, "cut off");
    damaged(&text[..text.len() - 9], last, "cut off");
    damaged(&text.replace("basicauth:a", "basicauth:b"), last, "digest");
    damaged(&text.replacen("\"objects\":9", "\"objects\":8", 1), last, "counts");
    damaged(&text.replace("\"password\":", "\"password\":,"), 17, "not understood");
    let without: Vec<_> = lines.iter().filter(|line| !line.contains("\"r1\"")).copied().collect();
    damaged(&format!("{}\n", without.join("\n")), last - 1, "counts");
    damaged(&format!("{text}{}\n", lines[1]), last + 1, "after the trailer");
}

#[test]
fn a_merge_keeps_what_is_newer() {
    for_each_pair(|from, to| {
        fill(from, 3);
        write(to, |tx| {
            tx.put(&List::new("", "bucket"), "blog", Some(Timestamp(5)), "{}", None)?;
            let collections = List::new("/buckets/blog", "collection");
            tx.put(&collections, "posts", Some(Timestamp(5)), "{}", None)?;
            tx.put(&posts(), "r1", Some(Timestamp(2_000_000)), r#"{"newer":true}"#, None)?;
            tx.put(&posts(), "r2", Some(Timestamp(5)), r#"{"newer":false}"#, None)?;
            tx.put(&posts(), "mine", Some(Timestamp(-5)), "{}", None)?;
            let groups = List::new("/buckets/blog", "group");
            tx.put(&groups, "g", Some(Timestamp(9)), r#"{"members":["carol"]}"#, None)?;
            tx.join("carol", "/buckets/blog/groups/g")
        });
        let (_, text) = out(from);
        let report = into(to, &text, Mode::Merge).unwrap();
        assert_eq!((report.counts.older, report.counts.restamped), (1, 1));
        let (r1, r2, past, groups) = write(to, |tx| {
            Ok((
                tx.get(&posts(), "r1")?.unwrap().object.data,
                tx.get(&posts(), "r2")?.unwrap().object.data,
                tx.get(&posts(), "past")?.unwrap().object.last_modified,
                (tx.groups(&["bob"])?.len(), tx.groups(&["carol"])?.len()),
            ))
        });
        assert_eq!(r1, r#"{"newer":true}"#);
        assert!(r2.contains("\"n\":2.0"), "{r2}");
        assert!(past > Timestamp(5_000_000), "a taken timestamp is replaced by a new one");
        assert_eq!(groups, (1, 0));
        // Once more changes nothing but what had to get another timestamp.
        let again = into(to, &text, Mode::Merge).unwrap();
        assert_eq!((again.counts.older, again.counts.restamped), (2, 0));
    });
}

#[test]
fn a_merged_deletion_reaches_what_lies_below() {
    for_each_pair(|from, to| {
        fill(from, 3);
        let (_, text) = out(from);
        into(to, &text, Mode::Empty).unwrap();
        write(from, |tx| {
            tx.delete(&List::new("/buckets/blog", "collection"), "posts", None)?;
            tx.delete_below("/buckets/blog/collections/posts")
        });
        let (_, deleted) = out(from);
        into(to, &deleted, Mode::Merge).unwrap();
        assert!(!out(to).1.contains("\"r1\""));
        // What is older does not come back below what is gone.
        assert!(into(to, &text, Mode::Merge).unwrap().counts.older > 3);
        assert!(!out(to).1.contains("\"r1\""));
    });
}

#[test]
fn a_store_that_differs_is_found_out() {
    let content = |change: fn(&mut dyn Transaction) -> Result<()>| {
        let (store, _) = memory();
        fill(&store, 3);
        write(&store, change);
        out(&store).0.content
    };
    let same = content(|_| Ok(()));
    assert_eq!(same, content(|tx| tx.restore_list(&posts(), Timestamp(9_000_000))));
    let changes: [fn(&mut dyn Transaction) -> Result<()>; 6] = [
        |tx| tx.leave("bob", "/buckets/blog/groups/g"),
        |tx| tx.join("carol", "/buckets/blog/groups/g"),
        |tx| tx.set_acl(&posts(), "r1", &acl("write", "bob")),
        |tx| tx.delete(&posts(), "r1", None).map(drop),
        |tx| tx.put(&posts(), "r9", None, "{}", None).map(drop),
        |tx| tx.timestamp(&List::new("/x", "record")).map(drop),
    ];
    for change in changes {
        assert_ne!(content(change), same);
    }
}

/// A list with all that it holds but data, which engines may spell in other ways.
type Whole = (List, Timestamp, Vec<(String, Timestamp, bool, Acl)>);

fn entries(tx: &mut dyn Transaction) -> Result<Vec<Whole>> {
    let mut all = Vec::new();
    for (list, timestamp) in tx.lists(None, usize::MAX)? {
        let mut entries = Vec::new();
        tx.entries(&list, None, &mut |row, acl| {
            entries.push((row.id.to_owned(), row.last_modified, row.deleted, acl.clone()));
            Ok(ControlFlow::Continue(()))
        })?;
        all.push((list, timestamp, entries));
    }
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn random_stores_survive_two_moves(
        rows in proptest::collection::vec(
            (0..3_usize, r#"[a-c%_'"\\é]{1,3}"#, -9..2_000_000_i64, any::<bool>(), any::<f64>()),
            0..20,
        ),
    ) {
        let parents = ["", "/buckets/a", "/odd \" parent"];
        for_each_pair(|first, second| {
            let rows = rows.clone();
            write(first, move |tx| {
                for (parent, id, at, deleted, number) in &rows {
                    let list = List::new(parents[*parent], "odd");
                    let data = format!(r#"{{"n":{}}}"#, serde_json::json!(number));
                    let data = if *deleted { TOMBSTONE.to_owned() } else { data };
                    let (id, at) = (id.clone(), Timestamp(*at));
                    let object = Object { id, last_modified: at, deleted: *deleted, data };
                    // Some meet others with the same timestamp.
                    let _ = tx.restore(&list, object.as_row(), &acl("read", "a\"b"));
                }
                Ok(())
            });
            let (trailer, text) = out(first);
            into(second, &text, Mode::Empty).unwrap();
            assert_eq!(write(second, entries), write(first, entries));
            assert_same(&out(second).0, &trailer);
        });
    }
}
