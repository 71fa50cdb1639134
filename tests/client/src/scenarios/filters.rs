//! Filters, each on the same records.

use anyhow::{Result, ensure};
use cumulo_client::{Filter, Resource, field};
use serde_json::{Value, json};

use crate::face::Face;
use crate::test::Test;

/// Records with a field `x`, of all types.
async fn filled<F: Face>(t: &Test<F>) -> Result<Resource<F>> {
    let values = [
        ("text", json!("milk")),
        ("text-12", json!("12")),
        ("text-true", json!("true")),
        ("text-null", json!("null")),
        ("text-quoted", json!("\"milk\"")),
        ("text-comma", json!("a,b")),
        ("text-odd", json!("é & = + # % ? / 🦀")),
        ("empty", json!("")),
        ("n-12", json!(12)),
        ("n-half", json!(12.5)),
        ("n-minus", json!(-3)),
        ("yes", json!(true)),
        ("no", json!(false)),
        ("null", Value::Null),
        ("list", json!(["a", "12", 12])),
        ("deep", json!({"name": "ann", "age": 41})),
    ];
    let filled = values.map(|(id, x)| json!({"id": id, "x": x}));
    t.receipts_of(filled.into_iter().chain([json!({"id": "missing"})])).await
}

/// The ids that pass each filter are these.
async fn pass<F: Face>(t: &Test<F>, cases: Vec<(Filter, &[&str])>) -> Result<()> {
    let records = filled(t).await?;
    for (filter, expected) in cases {
        let shown = format!("{filter:?}");
        let found = t.done(records.list().filter(filter).sort("id").all()).await?;
        let found: Vec<_> = found.iter().map(|it| it.id.as_str()).collect();
        ensure!(found == expected, "{shown}: {found:?} is not {expected:?}");
    }
    Ok(())
}

fn x() -> cumulo_client::Field {
    field("x")
}

pub(super) async fn values_are_found_by_their_type<F: Face>(t: &Test<F>) -> Result<()> {
    let cases: Vec<(Filter, &[&str])> = vec![
        (x().is("milk"), &["text"]),
        (x().is("12"), &["text-12"]),
        (x().is("true"), &["text-true"]),
        (x().is("null"), &["text-null"]),
        (x().is("\"milk\""), &["text-quoted"]),
        (x().is("a,b"), &["text-comma"]),
        (x().is("é & = + # % ? / 🦀"), &["text-odd"]),
        (x().is(""), &["empty"]),
        (x().is(12), &["n-12"]),
        (x().is(12.5), &["n-half"]),
        (x().is(-3), &["n-minus"]),
        (x().is(true), &["yes"]),
        (x().is(false), &["no"]),
        (field("id").is("n-12"), &["n-12"]),
        (field("x.name").is("ann"), &["deep"]),
        (field("x.age").is(41), &["deep"]),
    ];
    pass(t, cases).await
}

pub(super) async fn texts_are_compared<F: Face>(t: &Test<F>) -> Result<()> {
    let cases: Vec<(Filter, &[&str])> = vec![
        (field("id").greater_than("text-odd"), &["text-quoted", "text-true", "yes"]),
        (field("id").at_least("text-true"), &["text-true", "yes"]),
        (field("id").at_most("empty"), &["deep", "empty"]),
        (field("id").less_than("empty"), &["deep"]),
    ];
    pass(t, cases).await
}

pub(super) async fn numbers_are_compared<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts_of([-1, 0, 9, 10, 11].map(|n| json!({"n": n}))).await?;
    for (filter, expected) in [
        (field("n").at_least(10), vec![10, 11]),
        (field("n").greater_than(10), vec![11]),
        (field("n").at_most(0), vec![-1, 0]),
        (field("n").less_than(0.5), vec![-1, 0]),
        (field("n").is_not(9), vec![-1, 0, 10, 11]),
        (field("n").any_of([9, 11, 12]), vec![9, 11]),
        (field("n").none_of([9, 11, 12]), vec![-1, 0, 10]),
    ] {
        let found = t.done(records.list().filter(filter).sort("n").all()).await?;
        let found: Vec<_> = found.iter().filter_map(|it| it.data["n"].as_i64()).collect();
        ensure!(found == expected, "{found:?} is not {expected:?}");
    }
    let between = records.list().filter(field("n").at_least(0)).filter(field("n").less_than(10));
    ensure!(t.done(between.count()).await? == 2);
    Ok(())
}

pub(super) async fn one_of_several_values_is_found<F: Face>(t: &Test<F>) -> Result<()> {
    let cases: Vec<(Filter, &[&str])> = vec![
        (x().any_of(["milk"]), &["text"]),
        (x().any_of(["milk", "12"]), &["text", "text-12"]),
        (x().any_of(["true", "null"]), &["text-null", "text-true"]),
        (x().any_of([json!(12), json!("12"), json!(true)]), &["n-12", "text-12", "yes"]),
        (field("id").any_of(["n-12", "no", "none"]), &["n-12", "no"]),
    ];
    pass(t, cases).await
}

pub(super) async fn text_is_searched<F: Face>(t: &Test<F>) -> Result<()> {
    let cases: Vec<(Filter, &[&str])> = vec![
        (x().like("MIL"), &["text", "text-quoted"]),
        (x().like("m*k"), &["text"]),
        (x().like("🦀"), &["text-odd"]),
        (field("id").like("text-n*"), &["text-null"]),
    ];
    pass(t, cases).await
}

pub(super) async fn presence_and_lists_are_asked_for<F: Face>(t: &Test<F>) -> Result<()> {
    let cases: Vec<(Filter, &[&str])> = vec![
        (x().exists(false), &["missing"]),
        (field("x.name").exists(true), &["deep"]),
        (x().contains(["a"]), &["list"]),
        (x().contains(["a", "12"]), &["list"]),
        (x().contains(["a", "b"]), &[]),
        (x().contains([12]), &["list"]),
        (x().contains_any(["a", "b"]), &["list"]),
        (x().contains_any([13, 14]), &[]),
    ];
    pass(t, cases).await
}
