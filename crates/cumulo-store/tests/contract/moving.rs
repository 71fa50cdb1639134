//! Everything can be taken out of a store and put into another.

use std::{cell::Cell, collections::BTreeSet, ops::ControlFlow, sync::Arc};

use cumulo_core::{
    object::{Acl, List, Object, Row, TOMBSTONE, Timestamp},
    store::{Access, Error, Membership, Outcome, Result, Store, Transaction},
};
use cumulo_store::Memory;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::db::{Db, NOW, acl, posts};

/// A list with all that it holds.
type Whole = (List, Timestamp, Vec<(Object, Acl)>);

/// All that a store holds.
type Content = (Vec<Whole>, Vec<Membership>);

fn entries(tx: &mut dyn Transaction, list: &List) -> Result<Vec<(Object, Acl)>> {
    let mut entries = Vec::new();
    tx.entries(list, None, &mut |row, acl| {
        entries.push((row.to_object(), acl.clone()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(entries)
}

fn export(tx: &mut dyn Transaction) -> Result<Content> {
    let mut lists = Vec::new();
    for (list, timestamp) in tx.lists(None, usize::MAX)? {
        let entries = entries(tx, &list)?;
        lists.push((list, timestamp, entries));
    }
    Ok((lists, tx.memberships(None, usize::MAX)?))
}

fn import(tx: &mut dyn Transaction, (lists, memberships): &Content) -> Result<()> {
    for (list, timestamp, entries) in lists {
        for (object, acl) in entries {
            tx.restore(list, object.as_row(), acl)?;
        }
        tx.restore_list(list, *timestamp)?;
    }
    memberships.iter().try_for_each(|one| tx.join(&one.member, &one.group))
}

fn exported(db: &Db, store: &Arc<dyn Store>) -> Content {
    let export = store.transact(Access::Scan, |tx| Ok((Outcome::Commit, export(tx)?)));
    db.runtime.block_on(export).unwrap()
}

fn imported(db: &Db, store: &Arc<dyn Store>, content: &Content) {
    let content = content.clone();
    let import = move |tx: &mut dyn Transaction| Ok((Outcome::Commit, import(tx, &content)?));
    db.runtime.block_on(store.transact(Access::Write, import)).unwrap();
}

fn live(id: &str, at: i64) -> Object {
    Object {
        id: id.into(),
        last_modified: Timestamp(at),
        deleted: false,
        data: format!(r#"{{"at":{at}}}"#),
    }
}

fn restore(db: &Db, list: &List, object: Object, acl: Acl) -> Result<()> {
    let list = list.clone();
    db.try_write(move |tx| tx.restore(&list, object.as_row(), &acl))
}

fn restore_live(db: &Db, id: &str, at: i64) {
    restore(db, &posts(), live(id, at), Acl::default()).unwrap();
}

pub(crate) fn lists_come_in_order_and_in_pages(db: &Db) {
    let mut lists = [
        List::new("", "bucket"),
        List::new("/buckets/a", "collection"),
        List::new("/buckets/a", "group"),
        List::new("/buckets/a-b", "group"),
        List::new("/buckets/a/collections/x", "record"),
        List::new("/buckets/é", "group"),
        List::new("b:ob", "never seen before"),
    ];
    for list in lists.iter().rev() {
        assert_eq!(db.timestamp(list), Timestamp(NOW));
    }
    lists.sort();
    for size in 1..=lists.len() + 1 {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let page = db.read(move |tx| tx.lists(after.as_ref(), size));
            assert!(page.len() <= size);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            met.extend(page);
        }
        let expected: Vec<_> = lists.iter().map(|list| (list.clone(), Timestamp(NOW))).collect();
        assert_eq!(met, expected, "pages of {size}");
    }
    let between = List::new("/buckets/a-", "zebra");
    assert_eq!(db.read(move |tx| tx.lists(Some(&between), 1))[0].0, lists[3]);
}

pub(crate) fn lists_show_what_the_transaction_has_changed(db: &Db) {
    db.put(&posts(), "a");
    db.put(&List::new("/buckets/gone", "group"), "a");
    let lists = db.write(|tx| {
        tx.put(&posts(), "b", None, "{}", None)?;
        tx.put(&List::new("", "bucket"), "b", None, "{}", None)?;
        tx.delete_below("/buckets/gone")?;
        tx.lists(None, 10)
    });
    assert_eq!(lists, [(List::new("", "bucket"), Timestamp(NOW)), (posts(), Timestamp(NOW + 1))]);
}

pub(crate) fn entries_come_oldest_first_with_tombstones(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.put(&posts(), "b");
    db.delete(&posts(), "a");
    db.put_acl(&posts(), "c", &acl("read", "carol"));
    db.put_at(&posts(), "past", Some(5)).unwrap();
    let all = db.read(|tx| entries(tx, &posts()));
    let told: Vec<_> = all
        .iter()
        .map(|(object, acl)| (&*object.id, object.last_modified.0, object.deleted, acl.clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("past", 5, false, Acl::default()),
            ("b", NOW + 1, false, Acl::default()),
            ("a", NOW + 2, true, Acl::default()),
            ("c", NOW + 3, false, acl("read", "carol")),
        ]
    );
    assert_eq!(all[2].0.data, TOMBSTONE);
    for after in [4, 5, NOW + 1, NOW + 2, NOW + 3, i64::MAX] {
        let ids = db.read(move |tx| {
            let mut ids = Vec::new();
            tx.entries(&posts(), Some(Timestamp(after)), &mut |row, _| {
                ids.push(row.last_modified.0);
                Ok(if ids.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            Ok(ids)
        });
        let later = [5, NOW + 1, NOW + 2, NOW + 3].into_iter().filter(|&at| at > after);
        assert_eq!(ids, later.take(2).collect::<Vec<_>>(), "after {after}");
    }
}

pub(crate) fn entries_of_a_list_that_is_not_there_are_none(db: &Db) {
    db.put(&posts(), "a");
    let other = List::new(posts().parent, "comment");
    assert_eq!(db.read(move |tx| entries(tx, &other)), []);
}

pub(crate) fn memberships_come_in_order_and_in_pages(db: &Db) {
    let pairs = [("bob", "/b"), ("alice", "/b"), ("bob", "/a"), ("alice", "/a/x"), ("é", "/a")];
    for (member, group) in pairs {
        db.join(member, group);
    }
    let mut expected =
        pairs.map(|(member, group)| Membership { member: member.into(), group: group.into() });
    expected.sort();
    for size in 1..7 {
        let (mut met, mut after) = (Vec::new(), None::<Membership>);
        loop {
            let page = db.read(move |tx| tx.memberships(after.as_ref(), size));
            assert!(page.len() <= size);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            met.extend(page);
        }
        assert_eq!(met, expected, "pages of {size}");
    }
}

pub(crate) fn a_restored_object_keeps_its_timestamp(db: &Db) {
    for at in [NOW, 5, NOW * 3, -7, 0] {
        restore(db, &posts(), live(&at.to_string(), at), acl("read", "alice")).unwrap();
        let entry = db.get(&posts(), &at.to_string()).unwrap();
        assert_eq!(entry.object, live(&at.to_string(), at));
        assert_eq!(*entry.acl, acl("read", "alice"));
    }
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW * 3));
    assert_eq!(db.count(&posts(), &cumulo_core::query::Query::default()), 5);
}

pub(crate) fn a_restored_object_replaces_what_has_its_id(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    assert!(db.acl(&posts(), "a").is_some());
    for at in [NOW + 5, NOW, NOW, 3] {
        restore(db, &posts(), live("a", at), acl("write", "bob")).unwrap();
        assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("write", "bob"));
        assert_eq!(db.read(|tx| entries(tx, &posts())), [(live("a", at), acl("write", "bob"))]);
    }
    db.delete(&posts(), "a");
    restore_live(db, "a", NOW);
    assert_eq!(db.ids(&posts()), ["a"]);
    assert_eq!(db.count(&posts(), &cumulo_core::query::Query::default()), 1);
}

pub(crate) fn a_restored_tombstone_is_one(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    assert!(db.acl(&posts(), "a").is_some());
    for id in ["a", "b"] {
        let at = Timestamp(if id == "a" { 5 } else { 6 });
        let tombstone = Row { id, last_modified: at, deleted: true, data: "ignored" }.to_object();
        restore(db, &posts(), tombstone, acl("read", "ignored")).unwrap();
        assert!(db.get(&posts(), id).is_none() && db.acl(&posts(), id).is_none());
    }
    let all = db.read(|tx| entries(tx, &posts()));
    assert!(all.iter().all(|(object, acl)| object.deleted && *acl == Acl::default()));
    assert!(all.iter().all(|(object, _)| object.data == TOMBSTONE));
    assert_eq!(db.count(&posts(), &cumulo_core::query::Query::default()), 0);
    assert_eq!(db.shared(&posts(), "ignored"), [""; 0]);
}

pub(crate) fn a_restored_timestamp_is_not_taken_twice(db: &Db) {
    db.put_at(&posts(), "a", Some(5)).unwrap();
    db.put(&posts(), "b");
    db.delete(&posts(), "b");
    let before = db.read(export);
    for at in [5, NOW + 1] {
        let taken = restore(db, &posts(), live("c", at), Acl::default());
        assert!(matches!(taken, Err(Error::TimestampTaken(Timestamp(taken))) if taken == at));
    }
    assert_eq!(db.read(export), before);
}

pub(crate) fn restoring_never_moves_a_list_back(db: &Db) {
    db.put(&posts(), "a");
    restore_live(db, "old", 5);
    db.write(|tx| tx.restore_list(&posts(), Timestamp(7)));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW));
    db.write(|tx| tx.restore_list(&posts(), Timestamp(NOW + 9)));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 9));
    db.write(|tx| tx.restore_list(&List::new("", "bucket"), Timestamp(7)));
    assert_eq!(db.timestamp(&List::new("", "bucket")), Timestamp(7));
}

pub(crate) fn a_list_at_the_end_of_time_takes_nothing_and_loses_nothing(db: &Db) {
    let end = db.try_write(|tx| tx.restore_list(&posts(), Timestamp(i64::MAX)));
    if end.is_err() {
        // The engine has no such timestamps.
        return;
    }
    let put = |db: &Db, id: &'static str| {
        db.try_write(move |tx| tx.put(&posts(), id, None, "{}", Some(&Acl::default())))
    };
    for id in ["a", "b"] {
        let put = put(db, id);
        let stored = db.read(move |tx| tx.get(&posts(), id));
        assert_eq!(put.is_ok(), stored.is_some(), "{id}: {put:?}");
    }
}

pub(crate) fn restoring_can_be_undone(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    let before = db.read(export);
    db.write(|tx| {
        tx.savepoint()?;
        tx.restore(&posts(), live("a", NOW + 50).as_row(), &acl("write", "bob"))?;
        tx.restore(&posts(), live("b", 1).as_row(), &Acl::default())?;
        tx.restore_list(&posts(), Timestamp(NOW * 2))?;
        tx.restore_list(&List::new("", "bucket"), Timestamp(NOW * 2))?;
        tx.rollback()
    });
    assert_eq!(db.read(export), before);
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("read", "alice"));
    let refused = db.try_read(|tx| tx.restore(&posts(), live("b", 1).as_row(), &Acl::default()));
    assert!(matches!(refused, Err(Error::ReadOnly)));
    let refused = db.try_read(|tx| tx.restore_list(&posts(), Timestamp(NOW * 2)));
    assert!(matches!(refused, Err(Error::ReadOnly)));
}

pub(crate) fn restored_permissions_are_found(db: &Db) {
    restore(db, &posts(), live("a", 5), acl("read", "alice")).unwrap();
    restore(db, &posts(), live("b", 6), acl("read", "alice")).unwrap();
    restore(db, &posts(), live("b", 7), acl("read", "bob")).unwrap();
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
    assert_eq!(db.shared(&posts(), "bob"), ["b"]);
    assert_eq!(db.read(|tx| tx.granted(&["alice".into()], None)).len(), 1);
}

pub(crate) fn timestamps_increase_after_restoring(db: &Db) {
    restore_live(db, "a", NOW + 70);
    db.write(|tx| tx.restore_list(&posts(), Timestamp(NOW + 90)));
    assert_eq!(db.put(&posts(), "b"), Timestamp(NOW + 91));
    restore_live(db, "past", 5);
    assert_eq!(db.delete(&posts(), "a"), Some(Timestamp(NOW + 92)));
    assert_eq!(db.put(&posts(), "past"), Timestamp(NOW + 93));
}

pub(crate) fn what_was_done_is_moved_whole(db: &Db) {
    for id in ["a", "b", "c"] {
        db.put_acl(&posts(), id, &acl("read", "alice"));
        db.put(&List::new("", "bucket"), id);
        db.join("alice", &format!("/buckets/{id}/groups/g"));
    }
    db.delete(&posts(), "b");
    db.put(&List::new("/buckets/b", "group"), "gone");
    db.delete_below("/buckets/b");
    db.timestamp(&List::new("/buckets/c", "collection"));
    let content = exported(db, &db.store);
    assert_eq!((content.0.len(), content.1.len()), (3, 2));
    let other: Arc<dyn Store> = Arc::new(Memory::new(Arc::clone(&db.clock) as _));
    imported(db, &other, &content);
    assert_eq!(exported(db, &other), content);
}

/// Names that tempt: wildcards, quotes, NUL-free oddities, prefixes of each other.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", r#"[%_*'"\\ -]{1,3}"#, "[é✓𝄞]{1,2}"]
}

fn data() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{}".to_owned()),
        Just(r#"{"z":1,"a":[1.0,12345678901234567890,1e300],"é":"\u0001\"\\"}"#.to_owned()),
        name().prop_map(|name| format!(r#"{{"name":{name:?}}}"#)),
    ]
}

fn an_acl() -> impl Strategy<Value = Acl> {
    vec((name(), name()), 0..3).prop_map(|pairs| {
        let mut acl = Acl::default();
        pairs.iter().for_each(|(permission, principal)| acl.add(permission, principal));
        acl
    })
}

/// What a list holds: ids and timestamps are each unique; the list timestamp may be ahead of all.
fn whole(parent: String, resource: &'static str) -> impl Strategy<Value = Whole> {
    let entry = (name(), -5..NOW * 2, any::<bool>(), data(), an_acl());
    (vec(entry, 0..6), 0..1000_i64).prop_map(move |(entries, ahead)| {
        let (mut ids, mut stamps) = (BTreeSet::new(), BTreeSet::new());
        let mut entries: Vec<_> = entries
            .into_iter()
            .filter(|(id, at, ..)| ids.insert(id.clone()) & stamps.insert(*at))
            .map(|(id, at, deleted, data, acl)| {
                let data = if deleted { TOMBSTONE.to_owned() } else { data };
                let acl = if deleted { Acl::default() } else { acl };
                (Object { id, last_modified: Timestamp(at), deleted, data }, acl)
            })
            .collect();
        entries.sort_by_key(|(object, _)| object.last_modified);
        let last = entries.last().map_or(1, |(object, _)| object.last_modified.0);
        (List::new(parent.clone(), resource), Timestamp(last + ahead), entries)
    })
}

fn content() -> impl Strategy<Value = Content> {
    let lists = [("/a", "record"), ("/a/b", "odd one"), ("/a", "group"), ("/é%", "record")];
    let lists: Vec<_> =
        lists.iter().map(|&(parent, resource)| whole(parent.to_owned(), resource)).collect();
    (lists, vec((name(), name()), 0..5)).prop_map(|(mut lists, memberships)| {
        lists.sort_by(|a, b| a.0.cmp(&b.0));
        let memberships = memberships.into_iter();
        let memberships = memberships.map(|(member, group)| Membership { member, group });
        (lists, memberships.collect::<BTreeSet<_>>().into_iter().collect())
    })
}

/// The same with data as values: engines may spell them in other ways.
fn with_values((lists, memberships): &Content) -> impl PartialEq + std::fmt::Debug + use<> {
    let value = |data: &str| serde_json::from_str::<serde_json::Value>(data).unwrap();
    let lists = lists.iter().map(|(list, timestamp, entries)| {
        let entries = entries.iter().map(|(object, acl)| {
            let Object { id, last_modified, deleted, data } = object.clone();
            (id, last_modified, deleted, value(&data), acl.clone())
        });
        (list.clone(), *timestamp, entries.collect::<Vec<_>>())
    });
    (lists.collect::<Vec<_>>(), memberships.clone())
}

/// The same below a root, so that no two cases meet.
fn below(root: &str, (lists, memberships): Content) -> Content {
    let at = |path: &str| format!("{root}{path}");
    let lists = lists.into_iter().map(|(list, timestamp, entries)| {
        (List::new(at(&list.parent), list.resource), timestamp, entries)
    });
    let memberships = memberships
        .into_iter()
        .map(|one| Membership { member: at(&one.member), group: at(&one.group) });
    (lists.collect(), memberships.collect())
}

pub(crate) fn random_content_survives_moving(db: &Db) {
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let cases = Cell::new(0);
    let result = runner.run(&content(), |content| {
        let root = format!("/{:05}", cases.replace(cases.get() + 1));
        let content = below(&root, content);
        imported(db, &db.store, &content);
        // Once more changes nothing.
        imported(db, &db.store, &content);
        let (lists, memberships) = exported(db, &db.store);
        let lists: Vec<_> =
            lists.into_iter().filter(|(list, ..)| list.parent.starts_with(&root)).collect();
        let memberships: Vec<_> =
            memberships.into_iter().filter(|one| one.group.starts_with(&root)).collect();
        prop_assert_eq!(with_values(&(lists, memberships)), with_values(&content));
        let other: Arc<dyn Store> = Arc::new(Memory::new(Arc::clone(&db.clock) as _));
        imported(db, &other, &content);
        prop_assert_eq!(exported(db, &other), content.clone());
        for (list, timestamp, _) in content.0 {
            prop_assert!(db.put(&list, "new") > timestamp);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
