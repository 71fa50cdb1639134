//! A collection is copied, and the copy follows it.

use anyhow::{Result, ensure};
use cumulo_client::{Change, Object, Resource, Timestamp};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

/// Does in `copy` what happened in `origin` after `since`; gives where to go on.
async fn follow<F: Face>(
    t: &Test<F>,
    origin: &Resource<F>,
    copy: &str,
    since: Timestamp,
) -> Result<Timestamp> {
    let changes = t.collect(origin.list().since(since).sort("last_modified").rows()).await?;
    let batch = t.client.batch();
    let records = batch.collection(copy, "receipts").records();
    for change in &changes {
        match change {
            Change::Changed(object) => _ = records.update(&object.data).overwrite().send(),
            Change::Deleted(gone) => _ = records.delete(&gone.id).if_exists().send(),
        }
    }
    t.done(batch.send()).await?;
    Ok(changes.last().map_or(since, Change::last_modified))
}

pub(super) async fn a_copy_follows_its_origin<F: Face>(t: &Test<F>) -> Result<()> {
    let origin = t.receipts().await?.records();
    let batch = t.client.batch();
    let records = batch.collection("shop", "receipts").records();
    for n in 0..10 {
        let _ = records.create(json!({"foo": "bar", "n": n})).id(format!("r{n}")).send();
    }
    let _ = batch.bucket("copy").create().send();
    let _ = batch.collection("copy", "receipts").create().send();
    t.done(batch.send()).await?;

    let since = follow(t, &origin, "copy", Timestamp(0)).await?;
    t.done(origin.delete("r3").send()).await?;
    t.done(origin.patch("r4", json!({"n": 40})).send()).await?;
    t.done(origin.create(json!({"n": 10})).id("r10").send()).await?;
    let since = follow(t, &origin, "copy", since).await?;
    ensure!(since == t.done(origin.timestamp()).await?);

    let copy = t.client.collection("copy", "receipts").records();
    let ours = t.done(copy.list().sort("n").all()).await?;
    let theirs = t.done(origin.list().sort("n").all()).await?;
    // Servers may move a timestamp that the list has had by a moment.
    let content = |it: &Object| (it.id.clone(), it.data["n"].clone(), it.data["foo"].clone());
    ensure!(ours.len() == 10 && ours.iter().map(content).eq(theirs.iter().map(content)));
    Ok(())
}
