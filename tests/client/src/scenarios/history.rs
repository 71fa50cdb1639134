//! What happened in a bucket.

use anyhow::{Result, ensure};
use cumulo_client::{Permissions, field, history::Change};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

/// A bucket in which nine things have happened.
async fn fill<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    let shop = t.client.bucket("shop");
    F::done(shop.group("clerks").create().data(json!({"members": ["ann"]})).send()).await?;
    for n in 0..3 {
        let record = receipts.records().create(json!({ "n": n }));
        F::done(record.id(format!("r{n}")).send()).await?;
    }
    F::done(receipts.record("r1").patch(json!({"n": 10})).send()).await?;
    F::done(receipts.record("r2").delete().send()).await?;
    F::done(receipts.patch(Permissions::new().grant("read", "bob")).send()).await?;
    Ok(())
}

fn uris(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|it| it.uri.as_str()).collect()
}

pub(super) async fn everything_is_noted<F: Face>(t: &Test<F>) -> Result<()> {
    fill(t).await?;
    let history = t.client.bucket("shop").history();
    let changes = t.done(history.list().all()).await?;
    ensure!(changes.len() == 9 && changes.last().is_some_and(|it| it.uri == "/buckets/shop"));
    let pages = t.collect(history.list().sort("last_modified").pages()).await?;
    ensure!(pages.iter().map(|page| page.rows.len()).eq([5, 4]));
    let updated = &changes[2];
    ensure!(updated.action == "update" && updated.target.data["n"] == 10);
    ensure!(updated.record_id.as_deref() == Some("r1"));
    let principal = t.principal(&t.client).await?;
    ensure!(changes.iter().all(|it| it.user_id == principal));
    Ok(())
}

pub(super) async fn changes_are_filtered<F: Face>(t: &Test<F>) -> Result<()> {
    fill(t).await?;
    let history = t.client.bucket("shop").history();
    let of_record = "/buckets/shop/collections/receipts/records/r1";
    for (filter, expected) in [
        (field("resource_name").is("record"), 5),
        (field("action").is("delete"), 1),
        (field("uri").is(of_record), 2),
        (field("uri").like("/buckets/shop/collections/*"), 7),
        (field("collection_id").is("receipts"), 7),
        (field("record_id").any_of(["r0", "r1"]), 3),
        (field("target.data.n").is(10), 1),
        (field("target.data.n").any_of([1, 2]), 2),
        (field("user_id").is("account:nobody"), 0),
    ] {
        let shown = format!("{filter:?}");
        let found = t.done(history.list().filter(filter).all()).await?;
        ensure!(found.len() == expected, "{shown}: {:?}", uris(&found));
    }
    let first = t.done(history.list().sort("last_modified").limit(1).all()).await?;
    let later = history.list().filter(field("last_modified").greater_than(first[0].last_modified));
    ensure!(t.done(later.all()).await?.len() == 8);
    let found = t.collect(history.list().limit(7).rows()).await?;
    ensure!(found.len() == 7);
    Ok(())
}

pub(super) async fn history_is_counted<F: Face>(t: &Test<F>) -> Result<()> {
    fill(t).await?;
    // Kinto does not tell it.
    if let Ok(count) = t.done(t.client.bucket("shop").history().list().count()).await {
        ensure!(count == 9);
    }
    Ok(())
}

pub(super) async fn history_is_purged<F: Face>(t: &Test<F>) -> Result<()> {
    fill(t).await?;
    let history = t.client.bucket("shop").history();
    let groups = history.purge().filter(field("resource_name").is("group"));
    ensure!(t.done(groups.send()).await?.len() == 1);
    let changes = t.done(history.list().all()).await?;
    let middle = changes[3].last_modified;
    ensure!(t.done(history.purge().before(middle).send()).await?.len() == 4);
    ensure!(t.done(history.list().all()).await?.len() == 4);
    ensure!(t.done(history.purge().send()).await?.len() == 4);
    ensure!(t.done(history.list().all()).await?.is_empty());
    Ok(())
}
