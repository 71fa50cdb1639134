//! Many operations in few requests. Servers take 25 at once.

use anyhow::{Context, Result, bail, ensure};
use cumulo_client::{Changes, Errno, Error, Fresh, Permissions, field};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn results_come_in_order<F: Face>(t: &Test<F>) -> Result<()> {
    let batch = t.client.batch();
    let fonts = batch.collection("shop", "fonts");
    let _ = batch.bucket("shop").create().send();
    let _ = fonts.create().send();
    let permissions = Permissions::new().grant("read", "account:natim");
    let first = fonts.records().create(json!({"foo": "bar"})).permissions(permissions).send();
    let second = fonts.records().create(json!({"bar": "baz"})).send();
    let results = t.done(batch.send()).await?;
    let (first, second) = (results.get(&first)?, results.get(&second)?);
    ensure!(first.permissions.is_some_and(|it| it.has("read", "account:natim")));
    let listed = t.done(t.client.collection("shop", "fonts").records().list().all()).await?;
    ensure!(listed.len() == 2);
    ensure!(listed[0].data == second.data && listed[1].data == first.data);
    Ok(())
}

pub(super) async fn everything_is_read_in_batches<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    for n in 0..7 {
        t.done(records.create(json!({ "n": n })).id(format!("r{n}")).send()).await?;
    }
    let batch = t.client.batch();
    let receipts = batch.collection("shop", "receipts");
    let bucket = batch.bucket("shop").get().send();
    let collection = receipts.get().send();
    let record = receipts.record("r3").get().send();
    let fields = receipts.record("r3").get().fields(["id"]).send();
    let page = receipts.records().list().filter(field("n").at_least(1)).sort("n").page();
    let history = batch.bucket("shop").history().list().limit(2).page();
    let timestamp = receipts.records().timestamp();
    let count = receipts.records().list().count();
    let info = batch.server_info();
    let results = t.done(batch.send()).await?;
    ensure!(results.get(&bucket)?.id == "shop" && results.get(&collection)?.id == "receipts");
    ensure!(results.get(&record)?.data["n"] == 3);
    ensure!(results.get(&fields)?.data.get("n").is_none());
    let page = results.get(&page)?;
    ensure!(page.rows.len() == 5 && page.next.is_some());
    ensure!(results.get(&history)?.rows.len() == 2);
    ensure!(results.get(&timestamp)? == t.done(records.timestamp()).await?);
    ensure!(results.get(&count)? == 7);
    ensure!(results.get(&info)?.user.is_some());
    // A page that was read in a batch leads on to others outside.
    let rest = records.list().resume(page.next.context("there is more")?);
    ensure!(t.done(rest.all()).await?.len() == 1);
    Ok(())
}

pub(super) async fn a_bucket_may_be_called_like_a_version<F: Face>(t: &Test<F>) -> Result<()> {
    let batch = t.client.batch();
    let created = batch.bucket("dev1").create().send();
    let collection = batch.collection("dev1", "v1").create().send();
    let record = batch.collection("dev1", "v1").record("v1").create().send();
    let results = t.done(batch.send()).await?;
    ensure!(results.get(&created)?.id == "dev1" && results.get(&collection)?.id == "v1");
    ensure!(results.get(&record)?.id == "v1");
    t.done(t.client.collection("dev1", "v1").record("v1").get().send()).await?;
    Ok(())
}

pub(super) async fn the_default_bucket_is_in_batches_too<F: Face>(t: &Test<F>) -> Result<()> {
    let client = F::build(F::builder(&t.client).collection("notes"))?;
    let batch = client.batch();
    let bucket = batch.bucket("default").get().send();
    let note = batch.records().create(json!({"title": "Milk"})).id("n").send();
    let results = t.done(batch.send()).await?;
    ensure!(results.get(&bucket)?.id != "default" && results.get(&note)?.id == "n");
    ensure!(t.done(client.records().get("n").send()).await?.data["title"] == "Milk");
    Ok(())
}

pub(super) async fn a_batch_is_split_by_the_servers_limit<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let batch = t.client.batch();
    let of_batch = batch.collection("shop", "receipts").records();
    let creations = (0..60).map(|n| of_batch.create(json!({ "n": n })).send());
    let tickets: Vec<_> = creations.collect();
    ensure!(batch.len() == 60);
    let results = t.done(batch.send()).await?;
    for (n, ticket) in tickets.iter().enumerate() {
        ensure!(results.get(ticket)?.data["n"] == n);
    }
    ensure!(t.done(records.list().count()).await? == 60);
    Ok(())
}

pub(super) async fn an_empty_batch_sends_nothing<F: Face>(t: &Test<F>) -> Result<()> {
    let nowhere = F::build(F::builder(&t.client).server("http://127.0.0.1:1/v1"))?;
    let batch = nowhere.batch();
    ensure!(batch.is_empty());
    ensure!(t.done(batch.send()).await?.is_empty());
    Ok(())
}

pub(super) async fn it_is_told_what_failed_and_why<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    t.done(receipts.record("r").create().data(json!({"n": 1})).send()).await?;
    let batch = t.client.batch();
    let records = batch.collection("shop", "receipts").records();
    let conflict = records.create(json!({"id": "r", "n": 2})).send();
    let missing = records.get("none").send();
    let forbidden = batch.collection("none", "receipts").create().send();
    let invalid = batch.bucket("shop").groups().create(json!({"members": 5})).id("g").send();
    let created = records.create(json!({"id": "s"})).send();
    let error = t.fails(batch.send()).await?;
    let Error::Batch(failures) = error else { return Err(error.into()) };
    ensure!(failures.cause.is_none() && failures.results.failures().count() == 4);
    let indexes: Vec<_> = failures.results.failures().map(|it| it.index).collect();
    ensure!(indexes == [conflict.index(), missing.index(), forbidden.index(), invalid.index()]);
    let results = &failures.results;
    let Err(Error::Conflict(refusal)) = results.get(&conflict) else { bail!("{failures}") };
    ensure!(refusal.existing().is_some_and(|it| it.data["n"] == 1));
    ensure!(matches!(results.get(&missing), Err(Error::NotFound(_))));
    ensure!(matches!(results.get(&forbidden), Err(Error::Forbidden(_))));
    let Err(Error::Invalid(refusal)) = results.get(&invalid) else { bail!("{failures}") };
    ensure!(refusal.errno() == Some(Errno::InvalidParameters));
    ensure!(refusal.fields()[0].name.as_deref() == Some("data.members"));
    // The others were done.
    ensure!(results.get(&created)?.id == "s");
    t.done(receipts.record("s").get().send()).await?;
    Ok(())
}

pub(super) async fn refusals_can_be_ignored<F: Face>(t: &Test<F>) -> Result<()> {
    t.receipts().await?;
    let batch = t.client.batch().ignore_refusals();
    let records = batch.collection("shop", "receipts").records();
    let missing = records.get("none").send();
    let gone = records.delete("none").if_exists().send();
    let created = records.create(json!({})).id("r").send();
    let results = t.done(batch.send()).await?;
    ensure!(matches!(results.get(&missing), Err(Error::NotFound(_))));
    ensure!(results.get(&gone)?.is_none() && results.get(&created)?.id == "r");
    Ok(())
}

pub(super) async fn batches_patch_update_and_delete<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    let at = t.done(receipts.record("a").create().send()).await?.last_modified;
    t.done(receipts.record("b").create().send()).await?;
    let batch = t.client.batch();
    let records = batch.collection("shop", "receipts").records();
    let patched = records.patch("a", json!({"n": 1})).if_match(at).send();
    let updated = records.update(json!({"id": "c"})).send();
    let deleted = records.delete("b").send();
    let existing = records.create(json!({"id": "a"})).if_not_exists().send();
    let results = t.done(batch.send()).await?;
    ensure!(results.get(&patched)?.data["n"] == 1 && results.get(&updated)?.id == "c");
    ensure!(results.get(&deleted)?.id == "b");
    ensure!(results.get(&existing)?.data["n"] == 1);
    Ok(())
}

pub(super) async fn deleting_many_is_one_operation<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    for n in 0..4 {
        t.done(records.create(json!({ "n": n })).send()).await?;
    }
    let batch = t.client.batch();
    let of_batch = batch.collection("shop", "receipts").records();
    let deleted = of_batch.delete_many().filter(field("n").at_least(2)).page();
    let results = t.done(batch.send()).await?;
    ensure!(results.get(&deleted)?.rows.len() == 2);
    ensure!(t.done(records.list().count()).await? == 2);
    Ok(())
}

pub(super) async fn not_modified_is_a_value_in_batches<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    let at = t.done(receipts.record("r").create().send()).await?.last_modified;
    let batch = t.client.batch();
    let records = batch.collection("shop", "receipts").records();
    let record = records.get("r").if_none_match(at).send();
    let list = records.list().if_none_match(at).page();
    // Kinto fails the whole batch.
    if let Ok(results) = t.done(batch.send()).await {
        ensure!(results.get(&record)? == Fresh::NotModified);
        ensure!(matches!(results.get(&list)?, Fresh::NotModified));
    }
    Ok(())
}

pub(super) async fn what_batches_cannot_do_is_refused_before<F: Face>(t: &Test<F>) -> Result<()> {
    let receipts = t.receipts().await?;
    let batch = t.client.batch();
    let records = batch.collection("shop", "receipts").records();
    let _ = records.create(json!({})).id("r").send();
    let _ = records.patch("r", Changes::merge(json!({"n": null}))).send();
    let error = t.fails(batch.send()).await?;
    ensure!(matches!(error, Error::Argument(_)), "{error}");
    let batch = t.client.batch();
    let _ = batch.bucket("shop").collections().one("a/b").create().send();
    let error = t.fails(batch.send()).await?;
    ensure!(error.to_string().contains("\"a/b\" is not a valid id"), "{error}");
    ensure!(t.done(receipts.records().list().count()).await? == 0);
    Ok(())
}
