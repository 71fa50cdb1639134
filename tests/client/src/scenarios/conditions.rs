//! Nobody overwrites what they have not seen, and nothing is read twice for nothing.

use anyhow::{Result, bail, ensure};
use cumulo_client::{Error, Fresh, Refusal, Timestamp};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

fn is_conflict(error: &Error) -> Result<()> {
    ensure!(matches!(error, Error::Conflict(_)), "{error}");
    Ok(())
}

pub(super) async fn a_conflict_has_the_object_that_is_there<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let first = t.done(records.create(json!({"n": 1})).id("r").send()).await?;
    let second = t.done(records.update(json!({"id": "r", "n": 2})).send()).await?;
    // The data tells when it was read.
    let error = t.fails(records.update(&first.data).send()).await?;
    is_conflict(&error)?;
    let Some(existing) = error.refusal().and_then(Refusal::existing) else { bail!("{error}") };
    ensure!(existing.id == "r" && existing.last_modified == second.last_modified);
    ensure!(existing.data["n"] == 2);
    t.done(records.update(&first.data).overwrite().send()).await?;
    Ok(())
}

pub(super) async fn changes_can_depend_on_a_timestamp<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let first = t.done(records.create(json!({"n": 1})).id("r").send()).await?.last_modified;
    let patch = |at| records.patch("r", json!({"m": 1})).if_match(at).send();
    let second = t.done(patch(first)).await?.last_modified;
    is_conflict(&t.fails(patch(first)).await?)?;
    let update = |at| records.update(json!({"n": 3})).id("r").if_match(at).send();
    is_conflict(&t.fails(update(first)).await?)?;
    let third = t.done(update(second)).await?.last_modified;
    is_conflict(&t.fails(records.delete("r").if_match(second).send()).await?)?;
    t.done(records.delete("r").if_match(third).send()).await?;
    Ok(())
}

pub(super) async fn an_update_under_a_condition_creates_nothing<F: Face>(
    t: &Test<F>,
) -> Result<()> {
    let records = t.receipts().await?.records();
    let update = records.update(json!({})).id("r").if_match(Timestamp(5));
    is_conflict(&t.fails(update.send()).await?)?;
    ensure!(t.done(records.list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn not_modified_is_a_value<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let record = t.done(records.create(json!({"n": 1})).id("r").send()).await?;
    let at = record.last_modified;
    let unchanged = t.done(records.get("r").if_none_match(at).send()).await?;
    ensure!(unchanged == Fresh::NotModified);
    t.done(records.patch("r", json!({"n": 2})).send()).await?;
    let changed = t.done(records.get("r").if_none_match(at).send()).await?;
    ensure!(matches!(changed, Fresh::Modified(record) if record.data["n"] == 2));
    Ok(())
}

pub(super) async fn an_unchanged_list_is_not_an_empty_one<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    for n in 0..7 {
        t.done(records.create(json!({ "n": n })).send()).await?;
    }
    let at = t.done(records.timestamp()).await?;
    ensure!(t.done(records.list().if_none_match(at).all()).await? == Fresh::NotModified);
    let page = t.done(records.list().if_none_match(at).page()).await?;
    ensure!(matches!(page, Fresh::NotModified));
    t.done(records.create(json!({"n": 7})).send()).await?;
    let all = t.done(records.list().if_none_match(at).all()).await?;
    ensure!(matches!(all, Fresh::Modified(all) if all.len() == 8), "on several pages");
    t.done(records.delete_many().send()).await?;
    let all = t.done(records.list().if_none_match(at).all()).await?;
    ensure!(matches!(all, Fresh::Modified(all) if all.is_empty()));
    Ok(())
}

pub(super) async fn reads_can_depend_on_a_timestamp<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let at = t.done(records.create(json!({})).id("r").send()).await?.last_modified;
    t.done(records.get("r").if_match(at).send()).await?;
    t.done(records.list().if_match(at).all()).await?;
    t.done(records.patch("r", json!({"n": 2})).send()).await?;
    is_conflict(&t.fails(records.get("r").if_match(at).send()).await?)?;
    is_conflict(&t.fails(records.list().if_match(at).all()).await?)?;
    Ok(())
}

pub(super) async fn a_list_that_changed_is_not_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let first = t.done(records.create(json!({})).send()).await?.last_modified;
    let second = t.done(records.create(json!({})).send()).await?.last_modified;
    is_conflict(&t.fails(records.delete_many().if_match(first).send()).await?)?;
    ensure!(t.done(records.list().count()).await? == 2);
    ensure!(t.done(records.delete_many().if_match(second).send()).await?.len() == 2);
    Ok(())
}
