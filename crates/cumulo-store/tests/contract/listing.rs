//! Listing and counting.

use cumulo_core::{
    object::List,
    query::{Field, Filter, Op, Query, Sort},
    store::{Error, Total},
};
use serde_json::json;

use crate::db::{Db, NOW, filtered, ids, posts};

fn field(name: &str) -> Field {
    Field::Data(vec![name.into()])
}

fn stamp(op: Op) -> Filter {
    Filter { field: Field::LastModified, op }
}

/// Five objects `a` to `e`, of which `b` and `d` are tombstones, newest first: d b e c a.
fn fill(db: &Db) {
    for id in ["a", "b", "c", "d", "e"] {
        db.put_data(&posts(), id, &format!(r#"{{"l":"{id}"}}"#));
    }
    for id in ["b", "d"] {
        db.delete(&posts(), id);
    }
}

pub(crate) fn the_default_order_is_newest_first(db: &Db) {
    fill(db);
    db.put_at(&posts(), "old", Some(5)).unwrap();
    assert_eq!(db.ids(&posts()), ["e", "c", "a", "old"]);
}

pub(crate) fn limits_bound_a_listing(db: &Db) {
    fill(db);
    for (limit, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (usize::MAX, 3)] {
        let query = Query { limit: Some(limit), ..Query::default() };
        assert_eq!(db.list(&posts(), &query).len(), expected, "{limit}");
        let sort = vec![Sort { field: Field::Id, descending: false }];
        let query = Query { sort, ..query };
        assert_eq!(db.list(&posts(), &query).len(), expected, "{limit} sorted");
    }
}

pub(crate) fn tombstones_are_listed_when_asked(db: &Db) {
    fill(db);
    let query = Query { tombstones: true, ..Query::default() };
    assert_eq!(ids(&db.list(&posts(), &query)), ["d", "b", "e", "c", "a"]);
    let query = Query { limit: Some(3), ..query };
    assert_eq!(ids(&db.list(&posts(), &query)), ["d", "b", "e"]);
    let deleted = Filter { field: field("deleted"), op: Op::Eq(json!(true)) };
    let query = Query { filters: vec![deleted], tombstones: true, ..Query::default() };
    assert_eq!(ids(&db.list(&posts(), &query)), ["d", "b"]);
    let sort = vec![
        Sort { field: field("l"), descending: true },
        Sort { field: Field::Id, descending: false },
    ];
    let query = Query { sort, tombstones: true, ..Query::default() };
    assert_eq!(ids(&db.list(&posts(), &query)), ["b", "d", "e", "c", "a"]);
}

pub(crate) fn bounds_on_the_timestamp_select(db: &Db) {
    fill(db);
    let cases: [(Vec<Op>, &[&str]); 7] = [
        (vec![Op::Gt(json!(NOW + 2))], &["d", "b", "e"]),
        (vec![Op::Min(json!(NOW + 2))], &["d", "b", "e", "c"]),
        (vec![Op::Lt(json!(NOW + 2))], &["a"]),
        (vec![Op::Max(json!(NOW + 2))], &["c", "a"]),
        (vec![Op::Eq(json!(NOW + 4))], &["e"]),
        (vec![Op::Not(json!(NOW + 4)), Op::Lt(json!(NOW + 6))], &["b", "c", "a"]),
        (vec![Op::Gt(json!(NOW + 4)), Op::Lt(json!(NOW + 3))], &[]),
    ];
    for (ops, expected) in cases {
        let filters = ops.iter().cloned().map(stamp).collect();
        let query = Query { filters, tombstones: true, ..Query::default() };
        assert_eq!(ids(&db.list(&posts(), &query)), expected, "{ops:?}");
    }
}

pub(crate) fn ids_restrict_a_listing(db: &Db) {
    fill(db);
    let query = |ids: &[&str]| Query {
        ids: Some(ids.iter().map(ToString::to_string).collect()),
        ..Query::default()
    };
    assert_eq!(ids(&db.list(&posts(), &query(&["a", "e", "a", "b", "x"]))), ["e", "a"]);
    assert_eq!(db.count(&posts(), &query(&["a", "e", "a", "b", "x"])), 2);
    assert!(db.list(&posts(), &query(&[])).is_empty());
    assert_eq!(db.count(&posts(), &query(&[])), 0);
    let all = Query { tombstones: true, limit: Some(2), ..query(&["a", "d", "c"]) };
    assert_eq!(ids(&db.list(&posts(), &all)), ["d", "c"]);
}

pub(crate) fn counts_follow_the_filters(db: &Db) {
    fill(db);
    assert_eq!(db.count(&posts(), &Query::default()), 3);
    let is_a = Filter { field: field("l"), op: Op::Eq(json!("a")) };
    assert_eq!(db.count(&posts(), &filtered([is_a])), 1);
    assert_eq!(db.count(&posts(), &filtered([stamp(Op::Gt(json!(NOW)))])), 2);
    let deleted = Filter { field: field("deleted"), op: Op::Eq(json!(true)) };
    let query = Query { tombstones: true, ..filtered([deleted]) };
    assert_eq!(db.count(&posts(), &query), 0, "only live objects count");
    let query = Query { tombstones: true, ..Query::default() };
    assert_eq!(db.count(&posts(), &query), 3, "only live objects count");
}

pub(crate) fn counts_ignore_order_page_and_limit(db: &Db) {
    fill(db);
    let query = Query {
        page: vec![vec![stamp(Op::Lt(json!(0)))]],
        sort: vec![Sort { field: field("l"), descending: false }],
        limit: Some(1),
        ..filtered([stamp(Op::Gt(json!(0)))])
    };
    assert_eq!(db.count(&posts(), &query), 3);
    assert_eq!(db.count(&posts(), &Query { filters: vec![], ..query }), 3);
}

pub(crate) fn a_visitor_can_stop_a_listing(db: &Db) {
    fill(db);
    for sort in [vec![], vec![Sort { field: Field::Id, descending: false }]] {
        let query = Query { sort, ..Query::default() };
        let seen = db.try_read(move |tx| {
            let mut seen = 0;
            tx.list(&posts(), &query, &mut |_| {
                seen += 1;
                Ok(if seen == 2 {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                })
            })?;
            Ok(seen)
        });
        assert_eq!(seen.unwrap(), 2);
    }
    let error = db.try_read(|tx| {
        tx.list(&posts(), &Query::default(), &mut |_| Err(Error::Internal("enough".into())))
    });
    assert!(matches!(error, Err(Error::Internal(source)) if source.to_string() == "enough"));
    assert_eq!(db.ids(&posts()).len(), 3);
}

pub(crate) fn all_lists_of_a_resource_can_be_listed_together(db: &Db) {
    let list = |parent: &str| List::new(parent, "account");
    for (parent, stamp) in [("c", 5), ("a", 5), ("b", 5), ("d", 6), ("gone", 7)] {
        db.put_at(&list(parent), parent, Some(stamp)).unwrap();
    }
    db.put_data(&posts(), "other", "{}");
    db.put_data(&list("d"), "second", r#"{"n":1}"#);
    db.delete(&list("gone"), "gone");
    let all = |query: Query| {
        let found = db.try_read(move |tx| {
            let mut found = Vec::new();
            tx.list_all("account", &query, &mut |row| {
                found.push(row.id.to_owned());
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
            Ok(found)
        });
        found.unwrap().join(" ")
    };
    let newest = Sort { field: Field::LastModified, descending: true };
    let by_id = Sort { field: Field::Id, descending: false };
    let sort = vec![newest, by_id.clone()];
    let newest = Query { sort: sort.clone(), ..Query::default() };
    assert_eq!(all(newest.clone()), "second d a b c");
    assert_eq!(all(Query { tombstones: true, ..newest.clone() }), "gone second d a b c");
    assert_eq!(all(Query { limit: Some(4), ..newest.clone() }), "second d a b");
    assert_eq!(all(Query { sort: vec![by_id], ..Query::default() }), "a b c d second");
    let same = Filter { field: Field::LastModified, op: Op::Eq(json!(5)) };
    let beyond = Filter { field: Field::Id, op: Op::Gt(json!("a")) };
    assert_eq!(all(Query { page: vec![vec![same, beyond]], ..newest }), "b c");
    let with_field = Filter { field: field("n"), op: Op::Has(true) };
    assert_eq!(all(Query { sort, ..filtered([with_field]) }), "second");
    assert_eq!(all(Query { ids: Some(vec!["b".into(), "x".into()]), ..Query::default() }), "b");
}

pub(crate) fn sorts_combine_fields(db: &Db) {
    for (id, data) in [
        ("a", r#"{"n":1,"s":"x"}"#),
        ("b", r#"{"n":2,"s":"x"}"#),
        ("c", r#"{"s":"y"}"#),
        ("d", r#"{"n":1,"s":"y"}"#),
        ("e", r#"{"n":null}"#),
    ] {
        db.put_data(&posts(), id, data);
    }
    let sorted = |sort: &[(&str, bool)]| {
        let sort = sort.iter().map(|(name, descending)| Sort {
            field: match *name {
                "id" => Field::Id,
                "last_modified" => Field::LastModified,
                name => field(name),
            },
            descending: *descending,
        });
        ids(&db.list(&posts(), &Query { sort: sort.collect(), ..Query::default() })).concat()
    };
    assert_eq!(sorted(&[("n", false), ("id", false)]), "eadbc");
    assert_eq!(sorted(&[("n", true), ("id", true)]), "cbdae");
    assert_eq!(sorted(&[("s", true), ("n", false), ("last_modified", true)]), "edcab");
    assert_eq!(sorted(&[("id", true)]), "edcba");
    assert_eq!(sorted(&[("last_modified", false)]), "abcde");
}

pub(crate) fn totals_tell_what_there_is_of_each_kind(db: &Db) {
    let total = |resource: &str, live, tombstones| Total {
        resource: resource.to_owned(),
        live,
        tombstones,
    };
    assert_eq!(db.read(|tx| tx.totals()), []);
    fill(db);
    db.put(&List::new("/buckets/blog/collections/other", "record"), "a");
    db.put(&List::new("/buckets/blog", "history"), "x");
    let expected = [total("history", 1, 0), total("record", 4, 2)];
    assert_eq!(db.read(|tx| tx.totals()), expected);
    let in_write = db.write(|tx| {
        tx.put(&List::new("", "bucket"), "blog", None, "{}", None)?;
        tx.delete(&posts(), "a", None)?;
        tx.totals()
    });
    let expected = [total("bucket", 1, 0), total("history", 1, 0), total("record", 3, 3)];
    assert_eq!(in_write, expected);
    assert_eq!(db.read(|tx| tx.totals()), expected);
}
