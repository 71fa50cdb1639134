//! Single objects: create, replace, delete, and their permissions.

use std::sync::Arc;

use cumulo_core::{
    object::{Acl, List, TOMBSTONE, Timestamp},
    query::Query,
};

use crate::db::{Db, NOW, acl, ids, posts};

pub(crate) fn what_is_put_is_read_back(db: &Db) {
    let stamp = db.write(|tx| {
        tx.put(&posts(), "a", None, r#"{"title":"Ünï \u0001"}"#, Some(&acl("read", "alice")))
    });
    let entry = db.get(&posts(), "a").unwrap();
    assert_eq!(entry.object.id, "a");
    assert_eq!(entry.object.last_modified, stamp);
    assert!(!entry.object.deleted);
    assert_eq!(entry.object.data, r#"{"title":"Ünï \u0001"}"#);
    assert_eq!(*entry.acl, acl("read", "alice"));
    assert_eq!(db.acl(&posts(), "a"), Some(Arc::new(acl("read", "alice"))));
    assert_eq!(db.list(&posts(), &Query::default()), [entry.object]);
}

pub(crate) fn a_missing_object_is_none(db: &Db) {
    for _ in 0..2 {
        assert!(db.get(&posts(), "a").is_none());
        assert!(db.acl(&posts(), "a").is_none());
        assert!(db.delete(&posts(), "a").is_none());
        assert!(db.ids(&posts()).is_empty());
        assert_eq!(db.count(&posts(), &Query::default()), 0);
        db.put(&posts(), "b");
        db.delete(&posts(), "b");
    }
}

pub(crate) fn a_put_replaces(db: &Db) {
    db.put_data(&posts(), "a", r#"{"n":1}"#);
    db.put(&posts(), "b");
    let stamp = db.put_data(&posts(), "a", r#"{"n":2}"#);
    let object = db.get(&posts(), "a").unwrap().object;
    assert_eq!((object.data.as_str(), object.last_modified), (r#"{"n":2}"#, stamp));
    assert_eq!(db.ids(&posts()), ["a", "b"]);
    assert_eq!(db.count(&posts(), &Query::default()), 2);
}

pub(crate) fn a_delete_leaves_a_tombstone(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    assert_eq!(db.delete(&posts(), "a"), Some(Timestamp(NOW + 1)));
    assert!(db.get(&posts(), "a").is_none());
    assert!(db.acl(&posts(), "a").is_none());
    assert!(db.ids(&posts()).is_empty());
    assert_eq!(db.count(&posts(), &Query::default()), 0);
    let all = db.list(&posts(), &Query { tombstones: true, ..Query::default() });
    assert_eq!(ids(&all), ["a"]);
    assert!(all[0].deleted);
    assert_eq!(all[0].data, TOMBSTONE);
    assert_eq!(all[0].last_modified, Timestamp(NOW + 1));
}

pub(crate) fn a_tombstone_is_deleted_no_more(db: &Db) {
    db.put(&posts(), "a");
    db.delete(&posts(), "a");
    assert_eq!(db.delete(&posts(), "a"), None);
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 1));
}

pub(crate) fn a_put_resurrects_a_tombstone(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.delete(&posts(), "a");
    let stamp = db.put_data(&posts(), "a", r#"{"n":2}"#);
    let entry = db.get(&posts(), "a").unwrap();
    assert_eq!(entry.object.last_modified, stamp);
    assert_eq!(*entry.acl, Acl::default(), "the tombstone had none to keep");
    let all = db.list(&posts(), &Query { tombstones: true, ..Query::default() });
    assert_eq!(all, [entry.object]);
    assert_eq!(db.count(&posts(), &Query::default()), 1);
}

pub(crate) fn a_put_without_permissions_keeps_them(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.put(&posts(), "a");
    assert_eq!(*db.get(&posts(), "a").unwrap().acl, acl("read", "alice"));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("read", "alice"));
    db.put(&posts(), "b");
    assert_eq!(*db.acl(&posts(), "b").unwrap(), Acl::default());
}

pub(crate) fn permissions_can_be_replaced_and_emptied(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("read", "alice"));
    db.put_acl(&posts(), "a", &acl("write", "bob"));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("write", "bob"));
    db.write(|tx| tx.set_acl(&posts(), "a", &acl("read", "carol")));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), acl("read", "carol"));
    assert_eq!(*db.get(&posts(), "a").unwrap().acl, acl("read", "carol"));
    db.write(|tx| tx.set_acl(&posts(), "a", &Acl::default()));
    assert_eq!(*db.acl(&posts(), "a").unwrap(), Acl::default());
    assert_eq!(*db.get(&posts(), "a").unwrap().acl, Acl::default());
    assert!(db.shared(&posts(), "carol").is_empty());
}

pub(crate) fn permissions_of_missing_objects_are_not_set(db: &Db) {
    db.put(&posts(), "a");
    db.delete(&posts(), "a");
    for id in ["a", "b"] {
        db.write(move |tx| tx.set_acl(&posts(), id, &acl("read", "alice")));
        assert!(db.acl(&posts(), id).is_none());
    }
    assert!(db.shared(&posts(), "alice").is_empty());
}

pub(crate) fn resources_and_parents_are_apart(db: &Db) {
    let lists = [
        List::new("", "bucket"),
        List::new("/buckets/blog", "collection"),
        List::new("/buckets/blog", "group"),
        List::new("/buckets/blog/collections/posts", "record"),
    ];
    for list in &lists {
        db.put_data(list, "same", &format!(r#"{{"in":"{}"}}"#, list.resource));
    }
    for list in &lists {
        let expected = format!(r#"{{"in":"{}"}}"#, list.resource);
        assert_eq!(db.get(list, "same").unwrap().object.data, expected);
        assert_eq!(db.ids(list), ["same"]);
    }
}

pub(crate) fn odd_ids_and_parents_match_exactly(db: &Db) {
    let odd = ["a_c", "a%c", "a*c", "abc", "a'c", "a\"c", "ä\u{1F600}c", "A_C", "a\\c", "a c", ""];
    for parent in odd {
        for id in odd {
            db.put(&List::new(format!("/{parent}"), "record"), id);
        }
    }
    for parent in odd {
        let list = List::new(format!("/{parent}"), "record");
        db.delete(&list, parent);
        assert!(db.get(&list, parent).is_none());
        let mut left = db.ids(&list);
        left.sort_unstable();
        let mut expected: Vec<_> = odd.into_iter().filter(|id| *id != parent).collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}

pub(crate) fn large_data_survives(db: &Db) {
    let data = format!(r#"{{"text":"{}"}}"#, "0123456789".repeat(200_000));
    db.put_data(&posts(), "a", &data);
    assert_eq!(db.get(&posts(), "a").unwrap().object.data, data);
    assert_eq!(db.list(&posts(), &Query::default())[0].data, data);
}
