//! Each list has one sequence of timestamps, which only grows.

use cumulo_core::{
    object::{List, Timestamp},
    query::Query,
    store::Error,
};

use crate::db::{Db, NOW, acl, posts};

fn stamps(db: &Db) -> Vec<i64> {
    db.list(&posts(), &Query { tombstones: true, ..Query::default() })
        .iter()
        .map(|object| object.last_modified.0)
        .collect()
}

pub(crate) fn a_touched_list_keeps_its_timestamp(db: &Db) {
    assert!(matches!(db.try_read(|tx| tx.timestamp(&posts())), Err(Error::ReadOnly)));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW));
    db.clock.set(NOW + 5);
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW));
    assert_eq!(db.read(|tx| tx.timestamp(&posts())), Timestamp(NOW));
    assert_eq!(db.put(&posts(), "a"), Timestamp(NOW + 5));
    assert_eq!(db.read(|tx| tx.timestamp(&posts())), Timestamp(NOW + 5));
}

pub(crate) fn timestamps_increase_while_the_clock_stands_still(db: &Db) {
    let put: Vec<_> = ["a", "b", "a"].map(|id| db.put(&posts(), id).0).into();
    assert_eq!(put, [NOW, NOW + 1, NOW + 2]);
    assert_eq!(db.delete(&posts(), "b"), Some(Timestamp(NOW + 3)));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 3));
}

pub(crate) fn timestamps_increase_when_the_clock_goes_back(db: &Db) {
    db.put(&posts(), "a");
    db.clock.set(5);
    assert_eq!(db.put(&posts(), "b"), Timestamp(NOW + 1));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 1));
}

pub(crate) fn the_clock_is_followed_when_it_is_ahead(db: &Db) {
    db.put(&posts(), "a");
    db.clock.set(NOW + 100);
    assert_eq!(db.put(&posts(), "b"), Timestamp(NOW + 100));
}

pub(crate) fn a_past_timestamp_is_kept_and_moves_no_list(db: &Db) {
    db.put(&posts(), "a");
    for past in [12, 0, -3] {
        assert_eq!(db.put_at(&posts(), &past.to_string(), Some(past)).unwrap(), Timestamp(past));
    }
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW));
    assert_eq!(stamps(db), [NOW, 12, 0, -3]);
}

pub(crate) fn a_future_timestamp_moves_the_list(db: &Db) {
    db.put_at(&posts(), "a", Some(NOW * 2)).unwrap();
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW * 2));
    assert_eq!(db.put(&posts(), "b"), Timestamp(NOW * 2 + 1));
    assert_eq!(db.delete(&posts(), "a"), Some(Timestamp(NOW * 2 + 2)));
}

pub(crate) fn the_first_object_sets_the_list_timestamp(db: &Db) {
    db.put_at(&posts(), "a", Some(12)).unwrap();
    assert_eq!(db.timestamp(&posts()), Timestamp(12));
}

pub(crate) fn the_list_timestamp_is_not_taken_twice(db: &Db) {
    db.put(&posts(), "a");
    assert_eq!(db.put_at(&posts(), "b", Some(NOW)).unwrap(), Timestamp(NOW + 1));
    assert_eq!(db.put_at(&posts(), "b", Some(NOW + 1)).unwrap(), Timestamp(NOW + 2));
    db.clock.set(NOW + 50);
    assert_eq!(db.put_at(&posts(), "b", Some(NOW + 2)).unwrap(), Timestamp(NOW + 50));
}

pub(crate) fn a_taken_timestamp_is_refused(db: &Db) {
    db.put_at(&posts(), "a", Some(10)).unwrap();
    db.put_at(&posts(), "b", Some(20)).unwrap();
    db.put(&posts(), "c");
    db.write(|tx| tx.delete(&posts(), "b", Some(Timestamp(30))));
    for taken in [10, 30] {
        let error = db.put_at(&posts(), "d", Some(taken)).unwrap_err();
        assert!(matches!(error, Error::TimestampTaken(Timestamp(at)) if at == taken), "{error}");
        let error = db.try_write(move |tx| tx.delete(&posts(), "c", Some(Timestamp(taken))));
        assert!(matches!(error, Err(Error::TimestampTaken(Timestamp(at))) if at == taken));
    }
    assert_eq!(db.put_at(&posts(), "d", Some(20)).unwrap(), Timestamp(20));
    assert_eq!(stamps(db), [NOW, 30, 20, 10]);
}

pub(crate) fn an_object_may_keep_its_own_timestamp(db: &Db) {
    db.put_at(&posts(), "a", Some(10)).unwrap();
    db.put(&posts(), "b");
    assert_eq!(db.put_at(&posts(), "a", Some(10)).unwrap(), Timestamp(10));
    assert_eq!(db.write(|tx| tx.delete(&posts(), "a", Some(Timestamp(10)))), Some(Timestamp(10)));
    assert_eq!(db.put_at(&posts(), "a", Some(10)).unwrap(), Timestamp(10));
    assert_eq!(stamps(db), [NOW, 10]);
}

pub(crate) fn deletes_choose_timestamps_like_puts(db: &Db) {
    for id in ["a", "b", "c"] {
        db.put(&posts(), id);
    }
    let delete =
        |id: &'static str, at| db.write(move |tx| tx.delete(&posts(), id, Some(Timestamp(at))));
    assert_eq!(delete("a", NOW + 2), Some(Timestamp(NOW + 3)));
    assert_eq!(delete("b", 7), Some(Timestamp(7)));
    assert_eq!(delete("c", NOW * 2), Some(Timestamp(NOW * 2)));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW * 2));
}

pub(crate) fn lists_have_their_own_timestamps(db: &Db) {
    let others = [
        List::new("/buckets/blog/collections/posts", "history"),
        List::new("/buckets/blog/collections/drafts", "record"),
        List::new("", "record"),
    ];
    db.put_at(&posts(), "a", Some(NOW + 9)).unwrap();
    for (n, other) in (0..).zip(&others) {
        assert_eq!(db.put_at(other, "a", Some(NOW + n)).unwrap(), Timestamp(NOW + n));
        assert_eq!(db.timestamp(other), Timestamp(NOW + n));
    }
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW + 9));
}

pub(crate) fn setting_permissions_moves_no_timestamp(db: &Db) {
    db.put(&posts(), "a");
    db.write(|tx| tx.set_acl(&posts(), "a", &acl("read", "alice")));
    assert_eq!(db.timestamp(&posts()), Timestamp(NOW));
    assert_eq!(stamps(db), [NOW]);
}
