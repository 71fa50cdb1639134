//! What the user may do.

use anyhow::{Context, Result, ensure};
use cumulo_client::{Permissions, field};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn permissions_are_listed_on_all_pages<F: Face>(t: &Test<F>) -> Result<()> {
    let shop = t.client.bucket("shop");
    t.done(shop.create().send()).await?;
    for n in 0..7 {
        t.done(shop.collection(format!("c{n}")).create().send()).await?;
    }
    let mut entries = t.done(t.client.permissions().all()).await?;
    entries.retain(|it| it.resource_name == "collection");
    ensure!(entries.len() == 7);
    let entry = entries.iter().find(|it| it.uri == "/buckets/shop/collections/c3");
    let entry = entry.context("it is among them")?;
    ensure!(["write", "read", "record:create"].iter().all(|it| entry.permissions.contains(*it)));
    ensure!(t.collect(t.client.permissions().pages()).await?.len() == 2);
    Ok(())
}

pub(super) async fn others_see_what_they_may_do<F: Face>(t: &Test<F>) -> Result<()> {
    let (receipts, bob) = (t.receipts().await?, t.user("bob")?);
    let permissions = Permissions::new().grant("read", t.principal(&bob).await?);
    let record = receipts.records().create(json!({})).id("r").permissions(permissions);
    t.done(record.send()).await?;
    let list = || bob.permissions().filter(field("bucket_id").is("shop"));
    let entries = t.done(list().all()).await?;
    ensure!(entries.len() == 1 && entries[0].record_id.as_deref() == Some("r"));
    ensure!(entries[0].permissions.iter().eq(["read"]));
    let others = list().filter(field("resource_name").none_of(["record"]));
    ensure!(t.done(others.all()).await?.is_empty());
    Ok(())
}
