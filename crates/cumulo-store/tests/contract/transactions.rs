//! All or nothing, isolation, and what the store does when work fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cumulo_core::{
    object::{List, Timestamp},
    query::Query,
    store::{Access, Error, Outcome, Result, Transaction},
};

use crate::db::{Db, NOW, acl, posts};

const GROUP: &str = "/buckets/blog/groups/g";

type Change = fn(&mut dyn Transaction) -> Result<()>;

/// Changes everything that a transaction can change.
fn change_all(tx: &mut dyn Transaction) -> Result<()> {
    tx.put(&posts(), "new", None, "{}", Some(&acl("read", "alice")))?;
    tx.put(&posts(), "old", None, r#"{"n":2}"#, Some(&acl("read", "bob")))?;
    tx.set_acl(&posts(), "shared", &acl("write", "bob"))?;
    tx.delete(&posts(), "gone", None)?;
    tx.timestamp(&List::new("", "touched"))?;
    tx.join("alice", GROUP)?;
    tx.leave("bob", GROUP)?;
    tx.leave_all("carol")?;
    tx.disband("/g")?;
    tx.delete_below("/buckets/other")
}

fn prepare(db: &Db) {
    for id in ["old", "shared", "gone"] {
        db.put_acl(&posts(), id, &acl("read", "carol"));
    }
    db.put(&List::new("/buckets/other", "collection"), "a");
    for (m, g) in [("bob", GROUP), ("carol", GROUP), ("dan", "/g")] {
        db.join(m, g);
    }
    warm(db);
}

/// Everything that can be seen; also fills caches.
fn warm(db: &Db) -> String {
    let lists = [posts(), List::new("/buckets/other", "collection"), List::new("", "touched")];
    let mut seen = String::new();
    for list in lists {
        let all = db.list(&list, &Query { tombstones: true, ..Query::default() });
        let live = db.ids(&list);
        let acls: Vec<_> = live.iter().map(|id| db.acl(&list, id)).collect();
        let count = db.count(&list, &Query::default());
        let timestamp = db.try_read(move |tx| tx.timestamp(&list)).ok();
        seen += &format!("{all:?} {acls:?} {count} {timestamp:?}\n");
    }
    for member in ["alice", "bob", "carol", "dan"] {
        let shared = db.shared(&posts(), member);
        seen += &format!("{member} {:?} {shared:?}\n", db.groups(member));
    }
    seen
}

pub(crate) fn errors_roll_back(db: &Db) {
    prepare(db);
    let before = warm(db);
    let error = db.try_write(|tx| {
        change_all(tx)?;
        Err::<(), _>(Error::Internal("mine".into()))
    });
    assert!(matches!(error, Err(Error::Internal(source)) if source.to_string() == "mine"));
    assert_eq!(warm(db), before);
    db.write(change_all);
    assert_ne!(warm(db), before);
}

pub(crate) fn the_rollback_outcome_rolls_back(db: &Db) {
    prepare(db);
    let before = warm(db);
    let value = db.run(Access::Write, |tx| {
        change_all(tx)?;
        Ok((Outcome::Rollback, 7))
    });
    assert_eq!(value.unwrap(), 7);
    assert_eq!(warm(db), before);
}

pub(crate) fn panics_roll_back_and_are_reported(db: &Db) {
    prepare(db);
    let before = warm(db);
    let error = db.try_write(|tx| -> Result<()> {
        change_all(tx)?;
        panic!("on purpose");
    });
    assert!(matches!(error, Err(Error::Internal(_))), "{error:?}");
    assert_eq!(warm(db), before);
    for access in [Access::Read, Access::Scan] {
        let error = db.run(access, |_| -> Result<(Outcome, ())> { panic!("on purpose") });
        assert!(matches!(error, Err(Error::Internal(_))), "{error:?}");
    }
    assert_eq!(warm(db), before);
    db.write(change_all);
}

pub(crate) fn readers_can_not_write(db: &Db) {
    prepare(db);
    let before = warm(db);
    let writes: [Change; 10] = [
        |tx| tx.put(&posts(), "a", None, "{}", None).map(drop),
        |tx| tx.set_acl(&posts(), "old", &acl("read", "alice")),
        |tx| tx.delete(&posts(), "old", None).map(drop),
        |tx| tx.delete_below("/buckets/other"),
        |tx| tx.join("alice", GROUP),
        |tx| tx.leave("bob", GROUP),
        |tx| tx.disband(GROUP),
        |tx| tx.leave_all("bob"),
        |tx| tx.flush(),
        |tx| tx.timestamp(&List::new("", "touched")).map(drop),
    ];
    for access in [Access::Read, Access::Scan] {
        for write in writes {
            let error = db.run(access, move |tx| Ok((Outcome::Commit, write(tx)?)));
            assert!(matches!(error, Err(Error::ReadOnly)), "{error:?}");
        }
    }
    assert_eq!(warm(db), before);
}

pub(crate) fn readers_may_open_savepoints(db: &Db) {
    db.put(&posts(), "a");
    db.read(|tx| {
        tx.savepoint()?;
        tx.savepoint()?;
        assert!(tx.get(&posts(), "a")?.is_some());
        tx.release()?;
        tx.rollback()?;
        assert!(tx.get(&posts(), "a")?.is_some());
        Ok(())
    });
}

pub(crate) fn savepoints_nest(db: &Db) {
    let seen = db.write(|tx| {
        let put = |tx: &mut dyn Transaction, id| tx.put(&posts(), id, None, "{}", None);
        put(tx, "0")?;
        tx.savepoint()?;
        put(tx, "1-kept")?;
        tx.savepoint()?;
        tx.savepoint()?;
        put(tx, "2-undone")?;
        tx.release()?;
        put(tx, "3-undone")?;
        tx.rollback()?;
        tx.savepoint()?;
        tx.rollback()?;
        put(tx, "4-kept")?;
        tx.release()?;
        tx.savepoint()?;
        put(tx, "5-undone")?;
        tx.rollback()?;
        tx.collect(&posts(), &Query::default())
    });
    assert_eq!(crate::db::ids(&seen), ["4-kept", "1-kept", "0"]);
    assert_eq!(db.ids(&posts()), ["4-kept", "1-kept", "0"]);
    assert_eq!(db.count(&posts(), &Query::default()), 3);
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 2));
}

pub(crate) fn a_new_object_goes_with_its_savepoint_whatever_came_after_it(db: &Db) {
    db.write(|tx| tx.put(&posts(), "old", None, "{}", Some(&acl("read", "alice"))));
    let before = warm(db);
    let put = |tx: &mut dyn Transaction, id, at| {
        tx.put(&posts(), id, at, "{}", Some(&acl("read", "alice")))
    };
    let changes: [Change; 4] = [
        |_| Ok(()),
        |tx| tx.set_acl(&posts(), "new", &acl("read", "bob")),
        |tx| tx.delete(&posts(), "new", None).map(drop),
        // The moment of an object that is there again after the savepoint.
        |tx| {
            tx.delete(&posts(), "old", None)?;
            tx.put(&posts(), "other", Some(Timestamp(NOW)), "{}", None).map(drop)
        },
    ];
    for change in changes {
        for (kept, outcome) in [
            (false, Outcome::Commit),
            (true, Outcome::Commit),
            (false, Outcome::Rollback),
            (true, Outcome::Rollback),
        ] {
            let undone = db.run(Access::Write, move |tx| {
                tx.savepoint()?;
                put(tx, "new", None)?;
                tx.savepoint()?;
                change(tx)?;
                put(tx, "newer", None)?;
                if kept { tx.release() } else { tx.rollback() }?;
                assert_eq!(tx.get(&posts(), "newer")?.is_some(), kept);
                put(tx, "newest", None)?;
                tx.rollback()?;
                tx.savepoint()?;
                put(tx, "new", None)?;
                change(tx)?;
                tx.totals()?;
                tx.rollback()?;
                Ok((outcome, ()))
            });
            undone.unwrap();
            assert_eq!(warm(db), before);
        }
        let undone = db.run(Access::Write, move |tx| {
            put(tx, "new", None)?;
            tx.totals()?;
            change(tx)?;
            Ok((Outcome::Rollback, ()))
        });
        undone.unwrap();
        assert_eq!(warm(db), before);
    }
    db.write(move |tx| put(tx, "new", None));
    assert_eq!(db.ids(&posts()), ["new", "old"]);
}

pub(crate) fn savepoints_cover_permissions_and_memberships(db: &Db) {
    prepare(db);
    let before = warm(db);
    db.write(|tx| {
        tx.savepoint()?;
        change_all(tx)?;
        tx.rollback()?;
        assert_eq!(*tx.acl(&posts(), "old")?.unwrap(), acl("read", "carol"));
        assert_eq!(tx.groups(&["alice"])?.len(), 0);
        assert_eq!(*tx.groups(&["bob"])?, [GROUP]);
        assert!(tx.shared(&posts(), &["alice".into()], &["read"])?.is_empty());
        tx.savepoint()?;
        tx.set_acl(&posts(), "old", &acl("read", "erin"))?;
        tx.rollback()
    });
    assert_eq!(warm(db), before);
    db.write(|tx| tx.set_acl(&posts(), "old", &acl("read", "erin")));
    assert_eq!(*db.acl(&posts(), "old").unwrap(), acl("read", "erin"));
    assert_eq!(db.shared(&posts(), "erin"), ["old"]);
}

pub(crate) fn savepoints_cover_removals(db: &Db) {
    prepare(db);
    let before = warm(db);
    let removals: [Change; 2] = [|tx| tx.flush(), |tx| tx.delete_below("/buckets")];
    for remove in removals {
        db.write(move |tx| {
            tx.savepoint()?;
            remove(tx)?;
            assert!(tx.get(&posts(), "old")?.is_none());
            assert_eq!(tx.count(&posts(), &Query::default())?, 0);
            tx.put(&posts(), "new", None, "{}", None)?;
            tx.rollback()?;
            assert!(tx.get(&posts(), "new")?.is_none());
            assert_eq!(tx.count(&posts(), &Query::default())?, 3);
            Ok(())
        });
        assert_eq!(warm(db), before);
    }
}

pub(crate) fn unbalanced_savepoints_are_refused(db: &Db) {
    for access in [Access::Read, Access::Write] {
        let error = db.run(access, |tx| Ok((Outcome::Commit, tx.release()?)));
        assert!(matches!(error, Err(Error::Internal(_))));
        let error = db.run(access, |tx| Ok((Outcome::Commit, tx.rollback()?)));
        assert!(matches!(error, Err(Error::Internal(_))));
    }
}

pub(crate) fn a_transaction_sees_its_own_changes(db: &Db) {
    prepare(db);
    db.write(|tx| {
        change_all(tx)?;
        assert_eq!(*tx.get(&posts(), "new")?.unwrap().acl, acl("read", "alice"));
        assert_eq!(*tx.acl(&posts(), "new")?.unwrap(), acl("read", "alice"));
        assert_eq!(*tx.acl(&posts(), "old")?.unwrap(), acl("read", "bob"));
        assert_eq!(*tx.acl(&posts(), "shared")?.unwrap(), acl("write", "bob"));
        assert!(tx.acl(&posts(), "gone")?.is_none());
        assert_eq!(tx.count(&posts(), &Query::default())?, 3);
        assert_eq!(tx.timestamp(&posts())?, Timestamp(NOW + 5));
        assert_eq!(tx.timestamp(&List::new("", "touched"))?, Timestamp(NOW));
        assert_eq!(*tx.groups(&["alice", "bob", "carol", "dan"])?, [GROUP]);
        assert_eq!(tx.shared(&posts(), &["alice".into()], &["read"])?, ["new"]);
        assert_eq!(tx.granted(&["bob".into()], None)?.len(), 2);
        assert!(tx.get(&List::new("/buckets/other", "collection"), "a")?.is_none());
        Ok(())
    });
}

pub(crate) fn acknowledged_writes_are_seen_by_readers(db: &Db) {
    for n in 0..50 {
        let id = (n % 3).to_string();
        let principal = n.to_string();
        db.put_acl(&posts(), &id, &acl("read", &principal));
        db.join("alice", &format!("/g/{n:02}"));
        assert_eq!(*db.acl(&posts(), &id).unwrap(), acl("read", &principal));
        assert_eq!(db.read(|tx| tx.timestamp(&posts())), Timestamp(NOW + n));
        assert_eq!(db.groups("alice").len(), usize::try_from(n).unwrap() + 1);
        assert_eq!(db.count(&posts(), &Query::default()), (n + 1).min(3).unsigned_abs());
        assert_eq!(db.shared(&posts(), &principal), [id]);
    }
}

pub(crate) fn concurrent_writers_are_all_served(db: &Db) {
    let store = &db.store;
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(store);
            db.runtime.spawn(async move {
                let mut stamps = Vec::new();
                for n in 0..10 {
                    let id = format!("{task}-{n}");
                    let put = id.clone();
                    let stamp = store.transact(Access::Write, move |tx| {
                        let stamp = tx.put(&posts(), &put, None, "{}", None)?;
                        Ok((Outcome::Commit, stamp))
                    });
                    stamps.push(stamp.await.unwrap());
                    let seen = store.transact(Access::Read, move |tx| {
                        let entry = tx.get(&posts(), &id)?;
                        Ok((Outcome::Commit, entry.map(|entry| entry.object.last_modified)))
                    });
                    assert_eq!(seen.await.unwrap(), stamps.last().copied());
                }
                stamps
            })
        })
        .collect();
    let mut stamps: Vec<_> =
        tasks.into_iter().flat_map(|task| db.runtime.block_on(task).unwrap()).collect();
    stamps.sort_unstable();
    stamps.dedup();
    assert_eq!(stamps.len(), 640);
    assert_eq!(db.ids(&posts()).len(), 640);
    assert_eq!(db.count(&posts(), &Query::default()), 640);
}

pub(crate) fn a_failing_neighbor_harms_nobody(db: &Db) {
    let tasks: Vec<_> = (0..90)
        .map(|task| {
            let store = Arc::clone(&db.store);
            db.runtime.spawn(async move {
                let work = move |tx: &mut dyn Transaction| {
                    tx.put(&posts(), &task.to_string(), None, "{}", None)?;
                    match task % 6 {
                        0 => Err(Error::Internal("mine".into())),
                        1 => panic!("on purpose"),
                        2 => Ok((Outcome::Rollback, ())),
                        _ => Ok((Outcome::Commit, ())),
                    }
                };
                store.transact(Access::Write, work).await.is_ok()
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(db.runtime.block_on(task).unwrap(), n % 6 > 1);
    }
    assert_eq!(db.ids(&posts()).len(), 45);
    assert_eq!(db.count(&posts(), &Query::default()), 45);
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 44), "the undone left no gap");
}

pub(crate) fn dropping_the_future_does_not_stop_a_write(db: &Db) {
    let work = |tx: &mut dyn Transaction| {
        tx.put(&posts(), "a", None, "{}", None)?;
        Ok(Outcome::Commit)
    };
    drop(db.store.submit(Access::Write, Box::new(work)));
    let deadline = Instant::now() + Duration::from_secs(10);
    while db.ids(&posts()) != ["a"] {
        assert!(Instant::now() < deadline, "the write was not done");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn a_closed_store_refuses_work(db: &Db) {
    db.put(&posts(), "a");
    db.store.close();
    db.store.close();
    for access in [Access::Read, Access::Scan, Access::Write] {
        let error = db.run(access, |tx| Ok((Outcome::Commit, tx.timestamp(&posts())?)));
        assert!(matches!(error, Err(Error::Unavailable(_))), "{access:?} {error:?}");
    }
}
