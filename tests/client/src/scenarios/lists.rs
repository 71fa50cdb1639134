//! Lists and their pages. Servers give five objects at once.

use anyhow::{Context, Result, ensure};
use cumulo_client::{Change, Error, Object, Resource, Timestamp, field};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

/// Twelve records, `n` from 0.
async fn twelve<F: Face>(t: &Test<F>) -> Result<Resource<F>> {
    let record = |n| json!({"id": format!("r{n}"), "n": n, "even": n % 2 == 0});
    t.receipts_of((0..12).map(record)).await
}

fn numbers(objects: &[Object]) -> Vec<i64> {
    objects.iter().filter_map(|it| it.data["n"].as_i64()).collect()
}

fn range(numbers: impl Iterator<Item = i64>) -> Vec<i64> {
    numbers.collect()
}

pub(super) async fn all_pages_are_read<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let all = t.done(records.list().all()).await?;
    ensure!(numbers(&all) == range((0..12).rev()), "newest first");
    Ok(())
}

pub(super) async fn pages_come_one_by_one<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let timestamp = t.done(records.timestamp()).await?;
    let pages = t.collect(records.list().sort("n").pages()).await?;
    ensure!(pages.iter().map(|page| page.rows.len()).eq([5, 5, 2]));
    ensure!(pages.iter().all(|page| page.timestamp == timestamp));
    Ok(())
}

pub(super) async fn rows_come_one_by_one<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let rows = t.collect(records.list().sort("n").rows()).await?;
    ensure!(numbers(&rows) == range(0..12));
    ensure!(t.collect(records.list().filter(field("n").is(-1)).rows()).await?.is_empty());
    Ok(())
}

pub(super) async fn streams_end_with_their_error<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let missing = t.client.collection("shop", "none").records();
    let error = t.collect(missing.list().rows()).await.err();
    ensure!(matches!(error, Some(Error::NotFound(_))));
    let error = t.collect(records.list().param("_since", "yesterday").pages()).await.err();
    ensure!(matches!(error, Some(Error::Invalid(_))));
    Ok(())
}

pub(super) async fn a_limit_spans_pages<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    for (limit, expected) in [(0, 0), (1, 1), (5, 5), (7, 7), (12, 12), (20, 12)] {
        let rows = t.done(records.list().sort("n").limit(limit).all()).await?;
        ensure!(numbers(&rows) == range(0..expected));
    }
    let pages = t.collect(records.list().sort("n").page_size(3).limit(7).pages()).await?;
    ensure!(pages.iter().map(|page| page.rows.len()).eq([3, 3, 1]));
    let pages = t.collect(records.list().sort("n").page_size(3).max_pages(2).pages()).await?;
    ensure!(pages.iter().map(|page| page.rows.len()).eq([3, 3]));
    Ok(())
}

pub(super) async fn a_list_goes_on_where_it_ended<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let list = || records.list().filter(field("n").at_least(1)).sort("-n").page_size(4);
    let first = t.done(list().page()).await?;
    ensure!(numbers(&first.rows) == range((8..12).rev()));
    // The token can be kept as text.
    let token = serde_json::to_string(&first.next.context("there is more")?)?;
    let second = t.done(list().resume(serde_json::from_str(&token)?).page()).await?;
    ensure!(numbers(&second.rows) == range((4..8).rev()));
    let rest = list().resume(second.next.context("there is more")?);
    ensure!(numbers(&t.done(rest.all()).await?) == range((1..4).rev()));
    Ok(())
}

pub(super) async fn objects_are_counted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    ensure!(t.done(records.list().count()).await? == 12);
    ensure!(t.done(records.list().filter(field("even").is(true)).count()).await? == 6);
    t.done(records.delete("r0").send()).await?;
    ensure!(t.done(records.list().count()).await? == 11);
    ensure!(t.done(t.client.buckets().list().count()).await? == 1);
    Ok(())
}

pub(super) async fn lists_are_sorted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let all = t.done(records.list().sort("even,-n").all()).await?;
    ensure!(numbers(&all) == [11, 9, 7, 5, 3, 1, 10, 8, 6, 4, 2, 0]);
    let all = t.done(records.list().sort("last_modified").all()).await?;
    ensure!(numbers(&all) == range(0..12));
    Ok(())
}

pub(super) async fn values_of_all_types_are_sorted<F: Face>(t: &Test<F>) -> Result<()> {
    let values = [json!("b"), json!("a"), json!(10), json!(9), json!(-1.5), json!(true)];
    let record = |(n, x)| json!({"id": format!("r{n}"), "x": x});
    let filled = values.into_iter().enumerate().map(record);
    let records = t.receipts_of(filled.chain([json!({"id": "missing"})])).await?;
    t.done(records.list().sort("x").all()).await?;
    t.done(records.list().sort("-x").all()).await?;
    Ok(())
}

pub(super) async fn what_changed_since_has_tombstones<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let since = t.done(records.timestamp()).await?;
    ensure!(t.done(records.list().since(since).all()).await?.is_empty());
    t.done(records.patch("r1", json!({"n": 100})).send()).await?;
    t.done(records.delete("r2").send()).await?;
    t.done(records.create(json!({"n": 12})).id("r12").send()).await?;
    let changes = t.done(records.list().since(since).sort("last_modified").all()).await?;
    ensure!(changes.iter().map(Change::id).eq(["r1", "r2", "r12"]));
    ensure!(matches!(&changes[1], Change::Deleted(tombstone) if tombstone.id == "r2"));
    let since = changes[0].last_modified();
    ensure!(t.collect(records.list().since(since).rows()).await?.len() == 2);
    ensure!(t.done(records.list().since(Timestamp(0)).all()).await?.len() == 13);
    Ok(())
}

pub(super) async fn what_was_changed_before_is_listed<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let fourth = t.done(records.get("r3").send()).await?.last_modified;
    let before = t.done(records.list().before(fourth).all()).await?;
    ensure!(numbers(&before) == [2, 1, 0]);
    Ok(())
}

pub(super) async fn some_records_are_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let odd = || records.delete_many().filter(field("even").is(false));
    let mut deleted = t.done(odd().sort("n").limit(2).send()).await?;
    deleted.sort_by(|one, other| one.id.cmp(&other.id));
    ensure!(deleted.iter().map(|it| it.id.as_str()).eq(["r1", "r3"]));
    ensure!(t.done(odd().send()).await?.len() == 4);
    let sixth = t.done(records.get("r6").send()).await?.last_modified;
    ensure!(t.done(records.delete_many().before(sixth).send()).await?.len() == 3);
    ensure!(numbers(&t.done(records.list().sort("n").all()).await?) == [6, 8, 10]);
    Ok(())
}

pub(super) async fn deleting_follows_pages<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let page = t.done(records.delete_many().limit(3).page()).await?;
    ensure!(page.rows.len() == 3);
    ensure!(t.done(records.list().count()).await? == 9);
    ensure!(t.done(records.delete_many().limit(7).send()).await?.len() == 7);
    ensure!(t.done(records.delete_many().send()).await?.len() == 2);
    ensure!(t.done(records.list().count()).await? == 0);
    Ok(())
}

pub(super) async fn groups_collections_and_buckets_have_pages<F: Face>(t: &Test<F>) -> Result<()> {
    async fn ids<F: Face>(t: &Test<F>, of: &Resource<F>) -> Result<usize> {
        let pages = t.collect(of.list().sort("id").pages()).await?;
        ensure!(pages.len() == 2);
        Ok(pages.iter().map(|page| page.rows.len()).sum())
    }
    let batch = t.client.batch();
    for n in 0..7 {
        let _ = batch.bucket(format!("b{n}")).create().send();
        let _ = batch.collection("b0", format!("c{n}")).create().send();
        let group = batch.bucket("b0").group(format!("g{n}"));
        let _ = group.create().data(json!({"members": []})).send();
    }
    t.done(batch.send()).await?;
    ensure!(ids(t, &t.client.buckets()).await? == 7);
    ensure!(ids(t, &t.client.bucket("b0").collections()).await? == 7);
    ensure!(ids(t, &t.client.bucket("b0").groups()).await? == 7);
    Ok(())
}

pub(super) async fn answers_come_with_their_headers<F: Face>(t: &Test<F>) -> Result<()> {
    let records = twelve(t).await?;
    let response = t.done(records.list().response()).await?;
    ensure!(response.header("Next-Page").is_some_and(|url| url.starts_with(t.server())));
    ensure!(response.header("Total-Records") == response.header("Total-Objects"));
    let response = t.done(records.get("r1").response()).await?;
    ensure!(response.header("Last-Modified").is_some() && response.timestamp().is_some());
    Ok(())
}
