//! What commands do to a store, beside what requests do.

use cumulo_core::{
    object::{List, Object, Timestamp},
    query::Query,
    store::{Flaw, Tombstones},
};

use crate::db::{Db, NOW, acl, ids, posts};

const BLOG: &str = "/buckets/blog";
const POSTS: &str = "/buckets/blog/collections/posts";
const OLD: &str = "/buckets/blog/collections/old";

fn all() -> Query {
    Query { tombstones: true, ..Query::default() }
}

/// The ids of the tombstones, newest first.
fn tombstones(db: &Db, list: &List) -> Vec<String> {
    let (dead, _): (Vec<Object>, Vec<_>) =
        db.list(list, &all()).into_iter().partition(|object| object.deleted);
    ids(&dead)
}

fn bury(db: &Db, list: &List, ids: &[&str]) {
    for id in ids {
        db.put(list, id);
        db.delete(list, id);
    }
}

fn found(db: &Db, list: &List, keep: usize, before: Option<Timestamp>) -> Option<Tombstones> {
    let list = list.clone();
    db.read(move |tx| tx.tombstones(&list, keep, before))
}

/// Removes all but the newest `keep`, and returns how many.
fn purge(db: &Db, list: &List, keep: usize) -> u64 {
    let Some(found) = found(db, list, keep, None) else { return 0 };
    let list = list.clone();
    let purged = db.write(move |tx| tx.purge(&list, found.latest, usize::MAX));
    assert_eq!(purged, found.count);
    purged
}

fn move_below(db: &Db, from: &'static str, to: &'static str) {
    db.write(move |tx| tx.move_below(from, to));
}

fn flaws(db: &Db) -> Vec<Flaw> {
    db.read(|tx| {
        let mut flaws = Vec::new();
        tx.inspect(&mut |flaw| flaws.push(flaw))?;
        Ok(flaws)
    })
}

pub(crate) fn purging_keeps_the_newest_tombstones(db: &Db) {
    assert_eq!(found(db, &posts(), 0, None), None, "the list is not there");
    db.put(&posts(), "alive");
    bury(db, &posts(), &["a", "b", "c", "d"]);
    db.put(&posts(), "alive too");
    assert_eq!(found(db, &posts(), 4, None), None);
    assert_eq!(purge(db, &posts(), 2), 2);
    assert_eq!(tombstones(db, &posts()), ["d", "c"]);
    assert_eq!(db.ids(&posts()), ["alive too", "alive"]);
    assert_eq!(db.count(&posts(), &Query::default()), 2);
    assert_eq!(purge(db, &posts(), 2), 0);
    assert_eq!(purge(db, &posts(), 0), 2);
    assert_eq!(tombstones(db, &posts()), [""; 0]);
}

pub(crate) fn purging_goes_by_age(db: &Db) {
    bury(db, &posts(), &["a", "b"]);
    db.clock.set(NOW + 100);
    bury(db, &posts(), &["c", "d"]);
    let before = Some(Timestamp(NOW + 100));
    let old = found(db, &posts(), 0, before).unwrap();
    assert_eq!(old, Tombstones { count: 2, latest: Timestamp(NOW + 3) });
    assert_eq!(found(db, &posts(), 3, before).map(|found| found.count), Some(1));
    assert_eq!(found(db, &posts(), 0, Some(Timestamp(NOW))), None);
    db.write(move |tx| tx.purge(&posts(), old.latest, usize::MAX));
    assert_eq!(tombstones(db, &posts()), ["d", "c"]);
}

pub(crate) fn purging_is_bounded(db: &Db) {
    bury(db, &posts(), &["a", "b", "c", "d", "e"]);
    let latest = found(db, &posts(), 1, None).unwrap().latest;
    for (purged, left) in [(2, &["e", "d", "c"][..]), (2, &["e"]), (0, &["e"])] {
        assert_eq!(db.write(move |tx| tx.purge(&posts(), latest, 2)), purged);
        assert_eq!(tombstones(db, &posts()), left);
    }
}

pub(crate) fn purging_leaves_objects_with_the_same_id(db: &Db) {
    let others = [
        List::new("/buckets/blog/collections/pages", "record"),
        List::new(POSTS, "attachment"),
        List::new(BLOG, "collection"),
        List::new("", "bucket"),
    ];
    bury(db, &posts(), &["same", "x"]);
    for list in &others {
        db.put_acl(list, "same", &acl("read", "alice"));
        bury(db, list, &["x"]);
    }
    assert_eq!(purge(db, &posts(), 0), 2);
    for list in &others {
        assert_eq!(db.ids(list), ["same"]);
        assert_eq!(db.shared(list, "alice"), ["same"]);
        assert_eq!(tombstones(db, list), ["x"]);
    }
}

pub(crate) fn purging_matches_names_exactly(db: &Db) {
    let lists: Vec<_> = ["a_b", "axb", "a%b", "a%", "a", "*"]
        .iter()
        .map(|name| List::new(format!("/buckets/{name}"), "collection"))
        .collect();
    for list in &lists {
        bury(db, list, &["a_b", "axb", "%"]);
    }
    for name in ["a_b", "a%b", "*"] {
        purge(db, &List::new(format!("/buckets/{name}"), "collection"), 1);
        purge(db, &List::new(format!("/buckets/{name}"), "collect_on"), 0);
    }
    for list in &lists {
        let purged =
            ["a_b", "a%b", "*"].iter().any(|name| list.parent.ends_with(&format!("/{name}")));
        let left: &[&str] = if purged { &["%"] } else { &["%", "axb", "a_b"] };
        assert_eq!(tombstones(db, list), left, "{}", list.parent);
    }
}

pub(crate) fn purging_never_moves_a_list_back(db: &Db) {
    bury(db, &posts(), &["a", "b"]);
    let end = db.timestamp(&posts());
    assert_eq!(purge(db, &posts(), 0), 2);
    assert_eq!(db.timestamp(&posts()), end);
    let lists = db.read(|tx| tx.lists(None, 10));
    assert_eq!(lists, [(posts(), end)], "the list stays, empty as it is");
    db.clock.set(5);
    assert_eq!(db.put(&posts(), "c"), end.next());
}

pub(crate) fn purging_can_be_undone(db: &Db) {
    bury(db, &posts(), &["a", "b"]);
    let end = db.timestamp(&posts());
    let seen = db.write(move |tx| {
        tx.savepoint()?;
        let purged = tx.purge(&posts(), end, usize::MAX)?;
        let left = tx.tombstones(&posts(), 0, None)?;
        tx.rollback()?;
        Ok((purged, left))
    });
    assert_eq!(seen, (2, None));
    assert_eq!(tombstones(db, &posts()), ["b", "a"]);
    assert_eq!(db.timestamp(&posts()), end);
}

pub(crate) fn purged_objects_can_be_put_again(db: &Db) {
    bury(db, &posts(), &["a"]);
    purge(db, &posts(), 0);
    let again = db.put(&posts(), "a");
    assert_eq!((db.ids(&posts()), db.timestamp(&posts())), (vec!["a".to_owned()], again));
    assert_eq!(db.count(&posts(), &Query::default()), 1);
}

pub(crate) fn what_is_moved_is_whole(db: &Db) {
    let group = |parent: &str| format!("{parent}/groups/g");
    let deep = |parent: &str| List::new(format!("{parent}/records/a"), "attachment");
    let records = |parent: &str| List::new(parent, "record");
    db.put_acl(&records(POSTS), "a", &acl("read", "alice"));
    db.put_data(&records(POSTS), "b", r#"{"title":"B"}"#);
    bury(db, &records(POSTS), &["c"]);
    db.put(&deep(POSTS), "d");
    db.join("alice", &group(POSTS));
    let before = (db.list(&posts(), &all()), db.timestamp(&posts()), db.timestamp(&deep(POSTS)));
    assert!(db.acl(&posts(), "a").is_some());
    db.clock.set(NOW + 100);
    move_below(db, POSTS, OLD);
    let list = records(OLD);
    let after = (db.list(&list, &all()), db.timestamp(&list), db.timestamp(&deep(OLD)));
    assert_eq!(after, before);
    assert_eq!(db.ids(&deep(OLD)), ["d"]);
    assert_eq!(*db.acl(&list, "a").unwrap(), acl("read", "alice"));
    assert_eq!(db.shared(&list, "alice"), ["a"]);
    let granted = db.read(|tx| tx.granted(&["alice".into()], None));
    assert_eq!(granted.len(), 1);
    assert_eq!((&granted[0].list, granted[0].id.as_str()), (&list, "a"));
    assert_eq!(db.groups("alice"), [group(OLD)]);
    assert_eq!(db.count(&list, &Query::default()), 2);
    for list in [records(POSTS), deep(POSTS)] {
        assert!(db.list(&list, &all()).is_empty());
        assert_eq!(db.count(&list, &Query::default()), 0);
    }
    assert!(db.acl(&posts(), "a").is_none());
    assert!(db.get(&posts(), "b").is_none());
    let names: Vec<_> =
        db.read(|tx| tx.lists(None, 10)).into_iter().map(|(list, _)| list).collect();
    assert_eq!(names, [list, deep(OLD)]);
}

pub(crate) fn moving_matches_names_exactly(db: &Db) {
    let list = |name: &str| List::new(format!("/buckets/{name}"), "collection");
    let others = ["a_", "a%", "axb", "a_b2", "a_b0", "a_", "A_B", "ü_b"];
    for name in others.into_iter().chain(["a_b"]) {
        db.put_acl(&list(name), "x", &acl("read", name));
        db.join("alice", &format!("/buckets/{name}/groups/g"));
    }
    move_below(db, "/buckets/a_b", "/buckets/ü%");
    for name in others.into_iter().chain(["ü%"]) {
        assert_eq!(db.ids(&list(name)), ["x"], "{name}");
        let holder = if name == "ü%" { "a_b" } else { name };
        assert_eq!(*db.acl(&list(name), "x").unwrap(), acl("read", holder), "{name}");
        assert!(db.groups("alice").contains(&format!("/buckets/{name}/groups/g")), "{name}");
    }
    assert!(db.ids(&list("a_b")).is_empty());
    assert!(!db.groups("alice").contains(&"/buckets/a_b/groups/g".to_owned()));
}

pub(crate) fn a_moved_list_never_goes_back(db: &Db) {
    let old = List::new(OLD, "record");
    db.put(&posts(), "a");
    db.clock.set(NOW + 50);
    let past = db.put(&old, "gone");
    db.delete_below(OLD);
    move_below(db, POSTS, OLD);
    assert_eq!(db.ids(&old), ["a"]);
    assert!(db.timestamp(&old) > past);

    db.put_at(&posts(), "b", Some(NOW + 60)).unwrap();
    let future = db.put_at(&old, "gone", Some(NOW * 3)).unwrap();
    move_below(db, POSTS, OLD);
    assert_eq!(db.ids(&old), ["b"], "what was there is replaced");
    assert!(db.timestamp(&old) > future);
    assert!(db.put(&old, "c") > future.next());
}

pub(crate) fn a_list_that_moved_away_starts_later(db: &Db) {
    let past = db.put(&posts(), "a");
    db.clock.set(NOW + 50);
    move_below(db, POSTS, OLD);
    db.clock.set(5);
    assert!(db.put(&posts(), "b") > past);
    let future = db.put_at(&posts(), "c", Some(NOW * 3)).unwrap();
    move_below(db, POSTS, "/buckets/other");
    assert_eq!(db.timestamp(&List::new("/buckets/other", "record")), future);
    assert!(db.list(&posts(), &all()).is_empty());
    assert!(db.put(&posts(), "d") > future);
}

pub(crate) fn moving_can_be_undone(db: &Db) {
    let old = List::new(OLD, "record");
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.put(&old, "b");
    db.join("alice", &format!("{POSTS}/groups/g"));
    let before = (db.list(&posts(), &all()), db.list(&old, &all()));
    db.clock.set(NOW + 100);
    let moved = db.write(|tx| {
        tx.savepoint()?;
        tx.move_below(POSTS, OLD)?;
        let moved = tx.collect(&List::new(OLD, "record"), &Query::default())?;
        tx.put(&posts(), "c", None, "{}", None)?;
        tx.rollback()?;
        Ok(moved)
    });
    assert_eq!(ids(&moved), ["a"]);
    assert_eq!((db.list(&posts(), &all()), db.list(&old, &all())), before);
    assert_eq!(db.groups("alice"), [format!("{POSTS}/groups/g")]);
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
    assert_eq!((db.timestamp(&posts()), db.timestamp(&old)), (Timestamp(NOW), Timestamp(NOW)));
}

pub(crate) fn many_objects_are_moved(db: &Db) {
    db.write(|tx| {
        for n in 0..5000 {
            tx.put(&posts(), &n.to_string(), None, "{}", Some(&acl("read", "alice")))?;
        }
        Ok(())
    });
    move_below(db, BLOG, "/buckets/journal");
    let list = List::new("/buckets/journal/collections/posts", "record");
    assert_eq!(db.count(&list, &Query::default()), 5000);
    assert_eq!(db.shared(&list, "alice").len(), 5000);
    assert!(db.list(&posts(), &all()).is_empty());
}

pub(crate) fn counts_are_told_as_they_are(db: &Db) {
    db.put(&posts(), "a");
    bury(db, &posts(), &["b"]);
    let recount = db.write(|tx| tx.recount(&posts()));
    assert!(recount.is_none_or(|recount| (recount.kept, recount.counted) == (1, 1)), "{recount:?}");
    assert_eq!(db.count(&posts(), &Query::default()), 1);
}

pub(crate) fn a_store_in_order_has_no_flaws(db: &Db) {
    let group = |bucket: &str, name: &str| {
        let list = List::new(format!("/buckets/{bucket}"), "group");
        db.put_data(&list, name, r#"{"members":["alice","system.Authenticated","b\"_%"]}"#);
        for member in ["alice", "system.Authenticated", "b\"_%"] {
            db.join(member, &format!("/buckets/{bucket}/groups/{name}"));
        }
    };
    group("blog", "g");
    group("groups", "groups");
    let places = [
        List::new("", "bucket"),
        List::new("blog", "account"),
        List::new(BLOG, "collection"),
        List::new(BLOG, "group"),
        List::new(POSTS, "record"),
    ];
    for list in &places {
        let mut holders = acl("read", "alice");
        holders.add("write", "b\"_%");
        db.put_acl(list, "blog", &holders);
        db.put_acl(list, "gone", &holders);
        db.delete(list, "gone");
    }
    assert_eq!(flaws(db), []);
    assert_eq!(db.write(|tx| tx.mend(100)), 0);
    for list in &places {
        assert_eq!(db.acl(list, "blog").unwrap().0.len(), 2);
    }
    assert_eq!(db.groups("alice").len(), 2);
    assert_eq!(flaws(db), []);
}
