//! Every store agrees with [`Query::matches`] and [`Query::compare`].

use std::cell::Cell;

use cumulo_core::{
    object::{List, Object},
    query::{Field, Filter, Op, Query, Sort, key},
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::db::{Db, ids, posts};

/// What the oracle says about `objects`, in the order of the query.
fn oracle(objects: &[Object], query: &Query) -> Vec<Object> {
    let mut rows: Vec<_> =
        objects.iter().filter(|object| query.matches(object.as_row())).cloned().collect();
    rows.sort_by(|a, b| query.compare(a.as_row(), b.as_row()));
    rows.truncate(query.limit.unwrap_or(usize::MAX));
    rows
}

fn everything(db: &Db, list: &List) -> Vec<Object> {
    db.list(list, &Query { tombstones: true, ..Query::default() })
}

fn check(db: &Db, list: &List, objects: &[Object], query: &Query) {
    assert_eq!(db.list(list, query), oracle(objects, query), "{query:?}");
    let counted = objects.iter().filter(|o| !o.deleted && query.selects(o.as_row())).count();
    assert_eq!(db.count(list, query), counted as u64, "{query:?}");
}

fn samples() -> Vec<Value> {
    vec![
        json!(null),
        json!(false),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(""),
        json!("a"),
        json!("A"),
        json!("b_%*c"),
        json!("é'\"\\"),
        json!("1"),
        json!([]),
        json!([1, "a"]),
        json!([[1], {"k": 1, "m": 2}]),
        json!({}),
        json!({"k": 1}),
        json!({"k": 1, "m": [1, 2]}),
    ]
}

fn operators(value: &Value) -> Vec<Op> {
    let list = vec![value.clone(), json!("a"), json!(7)];
    let wrapped = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let pattern = value.as_str().map_or_else(|| value.to_string(), String::from);
    vec![
        Op::Eq(value.clone()),
        Op::Not(value.clone()),
        Op::Lt(value.clone()),
        Op::Max(value.clone()),
        Op::Gt(value.clone()),
        Op::Min(value.clone()),
        Op::In(list.clone()),
        Op::Exclude(list.clone()),
        Op::In(vec![]),
        Op::Exclude(vec![]),
        Op::Like(format!("*{pattern}*")),
        Op::Like(pattern),
        Op::Has(true),
        Op::Has(false),
        Op::Missing,
        Op::Contains(wrapped.clone()),
        Op::Contains(vec![]),
        Op::ContainsAny(wrapped),
        Op::ContainsAny(list),
    ]
}

fn stamp_operators(value: &Value) -> Vec<Op> {
    let all = [Op::Eq, Op::Not, Op::Lt, Op::Max, Op::Gt, Op::Min];
    all.map(|op| op(value.clone())).into()
}

fn id_operators(text: &str) -> Vec<Op> {
    let mut all = stamp_operators(&json!(text));
    all.push(Op::In(vec![json!(text), json!("0")]));
    all.push(Op::In(vec![]));
    all.push(Op::Exclude(vec![json!(text), json!("0")]));
    all.push(Op::Exclude(vec![]));
    all.push(Op::Like(format!("*{text}*")));
    all
}

fn in_data(path: &[&str], op: Op) -> Filter {
    Filter { field: Field::Data(path.iter().map(ToString::to_string).collect()), op }
}

pub(crate) fn every_operator_is_understood(db: &Db) {
    for (n, value) in samples().into_iter().enumerate() {
        db.put_data(&posts(), &n.to_string(), &json!({"f": value, "o": {"f": value}}).to_string());
    }
    db.put_data(&posts(), "none", r#"{"o":1}"#);
    db.put(&posts(), "gone");
    db.delete(&posts(), "gone");
    let objects = everything(db, &posts());
    let mut filters: Vec<_> = samples()
        .iter()
        .flat_map(operators)
        .flat_map(|op| [in_data(&["f"], op.clone()), in_data(&["o", "f"], op)])
        .collect();
    let stamps = [objects[3].last_modified.0, 0, i64::MAX, i64::MIN].map(Value::from);
    for value in stamps.into_iter().chain([json!(u64::MAX)]) {
        let ops = stamp_operators(&value).into_iter();
        filters.extend(ops.map(|op| Filter { field: Field::LastModified, op }));
    }
    for text in ["1", "none", "NO%", "'"] {
        let ops = id_operators(text).into_iter();
        filters.extend(ops.map(|op| Filter { field: Field::Id, op }));
    }
    for filter in filters {
        let query = Query { filters: vec![filter], ..Query::default() };
        check(db, &posts(), &objects, &query);
        check(db, &posts(), &objects, &Query { tombstones: true, limit: Some(5), ..query });
    }
}

pub(crate) fn odd_paths_are_found(db: &Db) {
    let odd = ["it's", "a\"b", "a.b", "", "ü\u{1F600}", "a\\", "$", "?1", "--", "a\nb", "%"];
    for (n, name) in odd.iter().enumerate() {
        db.put_data(&posts(), &n.to_string(), &json!({*name: {*name: n}}).to_string());
    }
    for (n, name) in odd.iter().enumerate() {
        let query = Query {
            filters: vec![in_data(&[name, name], Op::Eq(json!(n)))],
            sort: vec![
                Sort { field: Field::Data(vec![(*name).to_owned()]), descending: false },
                Sort { field: Field::Id, descending: false },
            ],
            ..Query::default()
        };
        assert_eq!(ids(&db.list(&posts(), &query)), [n.to_string()], "{name:?}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    select(samples())
}

fn data() -> impl Strategy<Value = Value> {
    (prop::option::of(value()), prop::option::of(value()), value()).prop_map(|(a, b, c)| {
        let mut data = json!({"o": {"c": c}});
        for (name, value) in [("a", a), ("b", b)] {
            if let Some(value) = value {
                data[name] = value;
            }
        }
        data
    })
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    select(vec![vec!["a"], vec!["b"], vec!["o", "c"], vec!["o"], vec!["a", "k"]])
}

fn filter() -> impl Strategy<Value = Filter> {
    let stamp = (0_i64..50).prop_map(|n| json!(crate::db::NOW + n));
    prop_oneof![
        4 => (path(), value().prop_map(|v| operators(&v)).prop_flat_map(select))
            .prop_map(|(path, op)| in_data(&path, op)),
        1 => stamp.prop_map(|v| stamp_operators(&v)).prop_flat_map(select)
            .prop_map(|op| Filter { field: Field::LastModified, op }),
        1 => "[0-9_%']{1,2}".prop_map(|text| id_operators(&text)).prop_flat_map(select)
            .prop_map(|op| Filter { field: Field::Id, op }),
    ]
}

fn sort() -> impl Strategy<Value = Vec<Sort>> {
    let fields = (vec((path(), any::<bool>()), 0..3), any::<bool>(), any::<bool>());
    fields.prop_map(|(paths, by_id, descending)| {
        let data = |path: Vec<&str>| Field::Data(path.iter().map(ToString::to_string).collect());
        let last = if by_id { Field::Id } else { Field::LastModified };
        paths
            .into_iter()
            .map(|(path, descending)| Sort { field: data(path), descending })
            .chain([Sort { field: last, descending }])
            .collect()
    })
}

fn query() -> impl Strategy<Value = Query> {
    (
        vec(filter(), 0..3),
        prop::option::weighted(0.3, vec(vec(filter(), 1..3), 1..3)),
        prop::option::weighted(0.6, sort()),
        prop::option::of(0_usize..20),
        any::<bool>(),
        prop::option::weighted(0.2, vec("[0-9]{1,2}", 0..9)),
    )
        .prop_map(|(filters, page, sort, limit, tombstones, ids)| Query {
            filters,
            page: page.unwrap_or_default(),
            sort: sort.unwrap_or_default(),
            limit,
            tombstones,
            ids,
        })
}

/// Stores `rows`; every fifth becomes a tombstone.
fn fill(db: &Db, list: &List, rows: &[Value]) {
    let (list, rows) = (list.clone(), rows.to_vec());
    db.write(move |tx| {
        for (n, data) in rows.iter().enumerate() {
            tx.put(&list, &n.to_string(), None, &data.to_string(), None)?;
        }
        for n in (0..rows.len()).step_by(5) {
            tx.delete(&list, &n.to_string(), None)?;
        }
        Ok(())
    });
}

pub(crate) fn random_queries_match_the_oracle(db: &Db) {
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let round = Cell::new(0);
    let cases = (vec(data(), 0..40), vec(query(), 20));
    let result = runner.run(&cases, |(rows, queries)| {
        round.set(round.get() + 1);
        let list = List::new(format!("/round/{}", round.get()), "record");
        fill(db, &list, &rows);
        let objects = everything(db, &list);
        for query in &queries {
            check(db, &list, &objects, query);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// The page after `last`, as the protocol asks for it.
fn page_after(last: &Object, sort: &[Sort]) -> Vec<Vec<Filter>> {
    let filter = |field: &Field, op| Filter { field: field.clone(), op };
    let value = |field: &Field| match field {
        Field::Id => Some(json!(last.id)),
        Field::LastModified => Some(json!(last.last_modified.0)),
        Field::Data(path) => key::value_at(&last.data, path),
    };
    let equal = |sort: &Sort| filter(&sort.field, value(&sort.field).map_or(Op::Missing, Op::Eq));
    let beyond = |sort: &Sort| match (value(&sort.field), sort.descending) {
        (Some(value), false) => Some(filter(&sort.field, Op::Gt(value))),
        (Some(value), true) => Some(filter(&sort.field, Op::Lt(value))),
        (None, false) => None,
        (None, true) => Some(filter(&sort.field, Op::Has(true))),
    };
    (0..sort.len())
        .filter_map(|n| {
            let next = beyond(&sort[n])?;
            Some(sort[..n].iter().map(equal).chain([next]).collect())
        })
        .collect()
}

pub(crate) fn pages_cover_every_object_once(db: &Db) {
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let round = Cell::new(0);
    let cases = (vec(data(), 0..40), sort(), 1_usize..9, any::<bool>());
    let result = runner.run(&cases, |(rows, sort, limit, tombstones)| {
        round.set(round.get() + 1);
        let list = List::new(format!("/round/{}", round.get()), "record");
        fill(db, &list, &rows);
        let mut query = Query { sort, tombstones, ..Query::default() };
        let expected = db.list(&list, &query);
        assert_eq!(expected.len(), oracle(&everything(db, &list), &query).len());
        query.limit = Some(limit);
        let mut seen = Vec::new();
        while let page @ [.., last] = &*db.list(&list, &query) {
            assert!(page.len() <= limit && seen.len() <= expected.len());
            seen.extend_from_slice(page);
            query.page = page_after(last, &query.sort);
            if query.page.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
