//! Collections.

use anyhow::{Context, Result, ensure};
use cumulo_client::{Errno, Error, Permissions};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn a_collection_is_read_with_its_permissions<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let receipts = t.client.collection("shop", "receipts");
    let permissions = Permissions::new().grant("write", "account:alexis");
    t.done(receipts.create().permissions(permissions).send()).await?;
    let read = t.done(receipts.get().send()).await?;
    ensure!(read.permissions.is_some_and(|it| it.has("write", "account:alexis")));
    Ok(())
}

pub(super) async fn a_collection_needs_its_bucket<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.client.collection("none", "receipts");
    for error in [t.fails(receipts.get().send()).await?, t.fails(receipts.create().send()).await?] {
        ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    }
    Ok(())
}

pub(super) async fn a_collection_that_exists_is_taken_as_it_is<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let receipts = t.client.collection("shop", "receipts");
    let created = t.done(receipts.create().send()).await?;
    ensure!(t.done(receipts.create().if_not_exists().send()).await? == created);
    Ok(())
}

pub(super) async fn collections_are_listed_and_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let collections = t.client.bucket("shop").collections();
    ensure!(t.done(collections.delete_many().send()).await?.is_empty());
    for id in ["receipts", "assets", "payments"] {
        t.done(collections.one(id).create().send()).await?;
    }
    let listed = t.done(collections.list().sort("id").all()).await?;
    ensure!(listed.iter().map(|it| it.id.as_str()).eq(["assets", "payments", "receipts"]));
    t.done(collections.delete("assets").send()).await?;
    ensure!(t.done(collections.delete("assets").if_exists().send()).await?.is_none());
    ensure!(t.done(collections.delete_many().send()).await?.len() == 2);
    ensure!(t.done(collections.list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn a_deleted_collection_takes_its_records_along<F: Face>(
    t: &Test<F>,
) -> Result<()> {
    let receipts = t.receipts().await?;
    t.done(receipts.record("r").create().send()).await?;
    t.done(receipts.delete().send()).await?;
    t.done(receipts.create().send()).await?;
    ensure!(t.done(receipts.records().list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn a_collection_is_patched<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    t.done(receipts.patch(json!({"secret": "psssssst!"})).send()).await?;
    ensure!(t.done(receipts.get().send()).await?.data["secret"] == "psssssst!");
    Ok(())
}

pub(super) async fn a_collection_is_shared<F: Face>(t: &Test<F>) -> Result<()> {
    let (receipts, bob) = (t.receipts().await?, t.user("bob")?);
    let principal = t.principal(&bob).await?;
    let sharing = Permissions::new().grant("read", &principal).grant("record:create", &principal);
    t.done(receipts.patch(sharing).send()).await?;
    let shared = bob.collection("shop", "receipts");
    t.done(shared.get().send()).await?;
    t.done(shared.records().create(json!({"n": 1})).send()).await?;
    ensure!(t.done(receipts.records().list().all()).await?.len() == 1);
    Ok(())
}

pub(super) async fn a_schema_tells_what_is_wrong<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    let price = json!({"type": "number", "minimum": 0});
    let schema = json!({"type": "object", "required": ["price"], "properties": {"price": price}});
    t.done(receipts.patch(json!({ "schema": schema })).send()).await?;
    t.done(receipts.record("good").create().data(json!({"price": 12.5})).send()).await?;
    let bad = receipts.record("bad").create().data(json!({"price": "a lot"}));
    let error = t.fails(bad.send()).await?;
    ensure!(matches!(error, Error::Invalid(_)), "{error}");
    let refusal = error.refusal().context("the server refuses it")?;
    ensure!(refusal.errno() == Some(Errno::InvalidParameters));
    let fields = refusal.fields();
    ensure!(fields.len() == 1 && fields[0].location == "body");
    ensure!(fields[0].name.as_deref() == Some("price"));
    Ok(())
}
