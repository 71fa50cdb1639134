//! Removal without trace.

use cumulo_core::{
    object::{List, Timestamp},
    query::Query,
    store::Error,
};

use crate::db::{Db, NOW, acl, posts};

const BLOG: &str = "/buckets/blog";

fn all(db: &Db, list: &List) -> usize {
    db.list(list, &Query { tombstones: true, ..Query::default() }).len()
}

pub(crate) fn all_below_is_removed(db: &Db) {
    let lists = [List::new(BLOG, "collection"), List::new(BLOG, "group"), posts()];
    for list in &lists {
        for id in ["a", "b"] {
            db.put_acl(list, id, &acl("read", "alice"));
        }
        db.delete(list, "b");
        assert!(db.acl(list, "a").is_some());
    }
    db.clock.set(NOW + 100);
    db.delete_below(BLOG);
    for list in lists {
        assert_eq!(all(db, &list), 0);
        assert!(db.get(&list, "a").is_none());
        assert!(db.acl(&list, "a").is_none());
        assert_eq!(db.count(&list, &Query::default()), 0);
        assert!(db.shared(&list, "alice").is_empty());
        assert!(matches!(db.try_read(move |tx| tx.timestamp(&list)), Err(Error::ReadOnly)));
    }
    assert!(db.read(|tx| tx.granted(&["alice".into()], None)).is_empty());
}

pub(crate) fn erased_objects_leave_no_trace(db: &Db) {
    for id in ["a", "b", "c", "gone"] {
        db.put_acl(&posts(), id, &acl("read", "alice"));
    }
    db.delete(&posts(), "gone");
    let other = List::new("/buckets/blog/collections/other", "record");
    db.put_acl(&other, "b", &acl("read", "alice"));
    let end = db.timestamp(&posts());
    let ids = ["b", "c", "gone", "missing"].map(str::to_owned);
    db.write(move |tx| tx.erase(&posts(), &ids));
    assert_eq!(db.ids(&posts()), ["a"]);
    assert_eq!(all(db, &posts()), 2, "the tombstone stays");
    assert_eq!(db.count(&posts(), &Query::default()), 1);
    assert!(db.acl(&posts(), "b").is_none());
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
    assert_eq!(db.shared(&other, "alice"), ["b"], "the same id elsewhere");
    assert_eq!(db.timestamp(&posts()), end);
    assert!(db.put(&posts(), "b") > end);
    assert!(db.acl(&posts(), "b").unwrap().0.is_empty());
}

pub(crate) fn erasing_the_newest_keeps_the_timestamp(db: &Db) {
    db.put(&posts(), "a");
    db.put(&posts(), "b");
    let end = db.timestamp(&posts());
    db.write(move |tx| tx.erase(&posts(), &["b".to_owned()]));
    assert_eq!(db.timestamp(&posts()), end);
    assert!(db.put(&posts(), "c") > end);
}

pub(crate) fn erasing_can_be_undone(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.write(|tx| {
        tx.savepoint()?;
        tx.erase(&posts(), &["a".to_owned()])?;
        assert!(tx.get(&posts(), "a")?.is_none());
        tx.rollback()
    });
    assert_eq!(db.ids(&posts()), ["a"]);
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
    assert_eq!(db.count(&posts(), &Query::default()), 1);
}

pub(crate) fn siblings_with_wildcards_stay(db: &Db) {
    let odd =
        ["blog_", "blog%", "blog*", "blog2", "blog0", "blog.", "blog/", "blo", "BLOG", "bl_g"];
    let list = |name: &str| List::new(format!("/buckets/{name}"), "collection");
    for name in odd.into_iter().chain(["blog"]) {
        db.put(&list(name), "a");
        db.join("alice", &format!("/buckets/{name}/groups/g"));
    }
    db.delete_below("/buckets/bl_g");
    db.delete_below("/buckets/blog%");
    db.delete_below("/buckets/blog");
    for name in odd {
        let removed = ["bl_g", "blog%", "blog/"].contains(&name);
        assert_eq!(all(db, &list(name)), usize::from(!removed), "{name}");
        let group = format!("/buckets/{name}/groups/g");
        assert_eq!(db.groups("alice").contains(&group), !removed, "{name}");
    }
    assert_eq!(all(db, &list("blog")), 0);
}

pub(crate) fn memberships_of_groups_below_are_removed(db: &Db) {
    for group in ["/buckets/blog/groups/g", "/buckets/blog", "/buckets/blog2/groups/g"] {
        db.join("alice", group);
    }
    assert_eq!(db.groups("alice").len(), 3);
    db.delete_below(BLOG);
    assert_eq!(db.groups("alice"), ["/buckets/blog", "/buckets/blog2/groups/g"]);
}

pub(crate) fn the_object_itself_and_its_list_stay(db: &Db) {
    let buckets = List::new("", "bucket");
    db.put_acl(&buckets, "blog", &acl("read", "alice"));
    db.put(&posts(), "a");
    db.delete_below(BLOG);
    assert_eq!(db.ids(&buckets), ["blog"]);
    assert_eq!(*db.acl(&buckets, "blog").unwrap(), acl("read", "alice"));
    assert_eq!(db.timestamp(&buckets), Timestamp(NOW));
}

pub(crate) fn a_recreated_list_starts_later(db: &Db) {
    let before = db.put(&posts(), "a");
    db.delete_below(BLOG);
    let start = db.timestamp(&posts());
    assert!(start > before, "{start} > {before}");
    db.delete_below(BLOG);
    assert!(db.put(&posts(), "a") > start);
}

pub(crate) fn a_recreated_list_starts_later_after_the_clock_went_back(db: &Db) {
    let before = db.put(&posts(), "a");
    db.clock.set(NOW + 50);
    db.delete_below(BLOG);
    db.clock.set(5);
    assert!(db.put(&posts(), "a") > before);
    db.clock.set(NOW + 50);
    db.delete_below(BLOG);
    db.clock.set(5);
    db.put_at(&posts(), "b", Some(7)).unwrap();
    assert!(db.timestamp(&posts()) > before);
}

pub(crate) fn an_undone_removal_moves_no_other_list(db: &Db) {
    db.put(&posts(), "a");
    db.clock.set(NOW + 50);
    db.write(|tx| {
        tx.savepoint()?;
        tx.delete_below(BLOG)?;
        tx.rollback()
    });
    db.clock.set(5);
    assert_eq!(db.timestamp(&List::new("", "bucket")), Timestamp(5));
}

pub(crate) fn a_recreated_list_starts_later_than_the_future(db: &Db) {
    let future = db.put_at(&posts(), "a", Some(NOW * 3)).unwrap();
    db.delete_below(BLOG);
    assert_eq!(all(db, &posts()), 0);
    assert!(db.timestamp(&posts()) > future);
    db.delete_below(BLOG);
    assert!(db.put(&posts(), "b") > future.next());
    let other = List::new("/buckets/other", "collection");
    assert_eq!(db.timestamp(&other), Timestamp(NOW), "other lists are not moved");
}

pub(crate) fn a_removed_list_can_be_refilled_in_one_transaction(db: &Db) {
    let before = db.put(&posts(), "a");
    let stamp = db.write(|tx| {
        tx.put(&posts(), "b", None, "{}", None)?;
        tx.delete_below(BLOG)?;
        assert!(tx.get(&posts(), "b")?.is_none());
        tx.put(&posts(), "c", None, "{}", None)
    });
    assert!(stamp > before.next());
    assert_eq!(db.ids(&posts()), ["c"]);
    assert_eq!(db.count(&posts(), &Query::default()), 1);
    assert_eq!(db.timestamp(&posts()), stamp);
}

pub(crate) fn many_objects_are_removed(db: &Db) {
    db.write(|tx| {
        for n in 0..20_000 {
            tx.put(&posts(), &n.to_string(), None, "{}", Some(&acl("read", "alice")))?;
        }
        Ok(())
    });
    assert_eq!(db.count(&posts(), &Query::default()), 20_000);
    db.delete_below(BLOG);
    assert_eq!(db.count(&posts(), &Query::default()), 0);
    assert_eq!(all(db, &posts()), 0);
}

pub(crate) fn a_flush_empties_everything(db: &Db) {
    for list in [posts(), List::new("", "bucket")] {
        db.put_acl(&list, "a", &acl("read", "alice"));
        assert!(db.acl(&list, "a").is_some());
    }
    db.join("alice", "/g");
    assert_eq!(db.groups("alice"), ["/g"]);
    db.write(|tx| tx.flush());
    for list in [posts(), List::new("", "bucket")] {
        assert_eq!(all(db, &list), 0);
        assert!(db.acl(&list, "a").is_none());
        assert_eq!(db.count(&list, &Query::default()), 0);
    }
    assert!(db.groups("alice").is_empty());
    assert!(db.read(|tx| tx.granted(&["alice".into()], None)).is_empty());
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("read", "alice"));
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
}

pub(crate) fn flushed_lists_start_later(db: &Db) {
    let buckets = List::new("", "bucket");
    let past = db.put(&posts(), "a");
    let future = db.put_at(&buckets, "a", Some(NOW * 3)).unwrap();
    db.write(|tx| tx.flush());
    db.clock.set(5);
    assert!(db.timestamp(&posts()) > past);
    assert!(db.timestamp(&buckets) > future);
}
