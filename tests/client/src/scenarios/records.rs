//! Records.

use anyhow::{Result, ensure};
use cumulo_client::{Error, Permissions, Timestamp};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::face::Face;
use crate::test::Test;

pub(super) async fn a_record_is_read_with_its_permissions<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let permissions = Permissions::new().grant("read", "account:alexis");
    let created = records.create(json!({"foo": "bar"})).permissions(permissions);
    let created = t.done(created.send()).await?;
    let read = t.done(records.get(&created.id).send()).await?;
    ensure!(read == created && read.data["foo"] == "bar");
    ensure!(read.permissions.is_some_and(|it| it.has("read", "account:alexis")));
    Ok(())
}

pub(super) async fn a_record_needs_its_collection<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let records = t.client.collection("shop", "none").records();
    let create = records.create(json!({})).id("r");
    for error in [t.fails(create.send()).await?, t.fails(records.list().all()).await?] {
        ensure!(matches!(error, Error::NotFound(_)), "{error}");
    }
    let records = t.client.collection("none", "receipts").records();
    let error = t.fails(records.create(json!({})).id("r").send()).await?;
    ensure!(matches!(error, Error::NotFound(_)), "{error}");
    Ok(())
}

pub(super) async fn ids_come_from_argument_data_client_or_server<F: Face>(
    t: &Test<F>,
) -> Result<()> {
    let records = t.receipts().await?.records();
    let argued = t.done(records.create(json!({})).id("a").send()).await?;
    let told = t.done(records.create(json!({"id": "b"})).send()).await?;
    ensure!(argued.id == "a" && told.id == "b");
    let made = t.done(records.create(json!({"by": "client"})).send()).await?;
    let assigned = t.done(records.create(json!({"by": "server"})).assigned_id().send()).await?;
    ensure!(made.id.len() == 36 && assigned.id.len() == 36 && made.id != assigned.id);
    let error = t.fails(records.update(json!({"n": 1})).send()).await?;
    ensure!(error.to_string() == "an id is needed, as an argument or in the data");
    Ok(())
}

pub(super) async fn ids_are_never_changed<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    for id in ["A_b-9", "0", "Zoë", "a b", "a.b", "../x", "", "_a"] {
        match t.done(records.create(json!({})).id(id).send()).await {
            Ok(record) => ensure!(record.id == id),
            Err(error) => ensure!(matches!(error, Error::Argument(_)), "{error}"),
        }
    }
    ensure!(t.done(records.list().count()).await? == 2);
    Ok(())
}

pub(super) async fn the_timestamp_is_that_of_the_last_change<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let before = t.done(records.timestamp()).await?;
    let record = t.done(records.create(json!({})).send()).await?;
    ensure!(t.done(records.timestamp()).await? == record.last_modified);
    ensure!(before < record.last_modified);
    let tombstone = t.done(records.delete(&record.id).send()).await?;
    ensure!(t.done(records.timestamp()).await? == tombstone.last_modified);
    Ok(())
}

pub(super) async fn what_was_read_is_saved<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let permissions = Permissions::new().grant("read", "account:alexis");
    let created = records.create(json!({"foo": "bar"})).permissions(permissions);
    let created = t.done(created.send()).await?;
    let mut record = t.done(records.get(&created.id).send()).await?;
    record.data["bar"] = "baz".into();
    t.done(records.save(&record).send()).await?;
    let read = t.done(records.get(&created.id).send()).await?;
    ensure!(read.id == created.id && read.data["foo"] == "bar" && read.data["bar"] == "baz");
    ensure!(read.permissions == created.permissions);
    // The object is older than what is there now.
    let error = t.fails(records.save(&record).send()).await?;
    ensure!(matches!(error, Error::Conflict(_)), "{error}");
    Ok(())
}

pub(super) async fn permissions_are_saved_too<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let mut record = t.done(records.create(json!({"n": 1})).id("r").send()).await?;
    let permissions = record.permissions.take().unwrap_or_default();
    record.permissions = Some(permissions.grant("read", "account:alexis"));
    t.done(records.save(&record).send()).await?;
    let mut record = t.done(records.get("r").send()).await?;
    ensure!(record.permissions.take().is_some_and(|it| it.has("read", "account:alexis")));
    // Without permissions, such as from a list, those that are there stay.
    t.done(records.save(&record).send()).await?;
    let record = t.done(records.get("r").send()).await?;
    ensure!(record.permissions.is_some_and(|it| it.has("read", "account:alexis")));
    Ok(())
}

pub(super) async fn a_record_that_exists_is_not_created_again<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let created = t.done(records.create(json!({"foo": "bar"})).send()).await?;
    let again = || records.create(json!({"id": created.id, "bar": "baz"}));
    let error = t.fails(again().send()).await?;
    let Error::Conflict(refusal) = &error else { return Err(error.into()) };
    ensure!(refusal.existing().is_some_and(|it| it.data == created.data));
    let taken = t.done(again().if_not_exists().send()).await?;
    ensure!(taken == created);
    let written = t.done(again().overwrite().send()).await?;
    ensure!(written.data["bar"] == "baz" && written.data.get("foo").is_none());
    Ok(())
}

pub(super) async fn a_record_is_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let record = t.done(records.create(json!({"foo": "bar"})).send()).await?;
    let tombstone = t.done(records.delete(&record.id).send()).await?;
    ensure!(tombstone.id == record.id && tombstone.last_modified > record.last_modified);
    ensure!(t.done(records.list().all()).await?.is_empty());
    ensure!(t.done(records.delete(&record.id).if_exists().send()).await?.is_none());
    let error = t.fails(records.delete(&record.id).send()).await?;
    ensure!(matches!(error, Error::NotFound(_)), "{error}");
    Ok(())
}

pub(super) async fn all_records_are_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    ensure!(t.done(records.delete_many().send()).await?.is_empty());
    t.done(records.create(json!({})).send()).await?;
    ensure!(t.done(records.delete_many().send()).await?.len() == 1);
    ensure!(t.done(records.list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn a_record_is_shared<F: Face>(t: &Test<F>) -> Result<()> {
    let (records, bob) = (t.receipts().await?.records(), t.user("bob")?);
    let permissions = Permissions::new().grant("read", t.principal(&bob).await?);
    let shared = records.create(json!({"foo": "bar"})).permissions(permissions);
    let shared = t.done(shared.send()).await?;
    t.done(records.create(json!({"foo": "private"})).send()).await?;
    let of_bob = bob.collection("shop", "receipts").records();
    ensure!(t.done(of_bob.get(&shared.id).send()).await?.data["foo"] == "bar");
    let listed = t.done(of_bob.list().all()).await?;
    ensure!(listed.len() == 1 && listed[0].id == shared.id);
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    shop: String,
    day: Date,
    paid: Option<jiff::Timestamp>,
}

pub(super) async fn records_have_types_and_dates<F: Face>(t: &Test<F>) -> Result<()> {
    let plain = t.receipts().await?.records();
    let typed = plain.of::<Receipt>();
    let day = "2026-10-03".parse()?;
    let paid = Some("2026-10-03T09:08:07.5Z".parse()?);
    let receipt = Receipt { shop: "Bakery".to_owned(), day, paid };
    let mut created = t.done(typed.create(&receipt).id("r").send()).await?;
    ensure!(created.data == receipt);
    let text = t.done(plain.get("r").send()).await?;
    ensure!(text.data["day"] == "2026-10-03" && text.data["paid"] == "2026-10-03T09:08:07.5Z");
    created.data.paid = None;
    let saved = t.done(typed.save(&created).send()).await?;
    ensure!(saved.last_modified > created.last_modified);
    let listed = t.done(typed.list().all()).await?;
    ensure!(listed.len() == 1 && listed[0].data == created.data);
    // What is not of the type says so, and what came can be looked at.
    t.done(plain.create(json!({"shop": 5})).id("other").send()).await?;
    let error = t.done(typed.get("other").send()).await.err();
    let Some(Error::Answer { response, .. }) = error else { anyhow::bail!("{error:?}") };
    ensure!(response.json::<Value>()?["data"]["shop"] == 5);
    Ok(())
}

pub(super) async fn texts_of_all_kinds_come_back<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let data = json!({
        "": "no name",
        "é ñ 漢字 🦀": "Ελληνικά \u{202e}עברית",
        "quotes": "\" \\ / ' \u{8} \u{c} \n \r \t \u{7f} \u{2028}",
        "a.b": {"c d": [null, true, -0.5, 1e100, 9_007_199_254_740_993_i64]},
        "empty": [{}, [], ""],
    });
    let created = t.done(records.create(&data).id("r").send()).await?;
    let mut read = t.done(records.get("r").send()).await?;
    ensure!(read == created);
    let members = read.data.as_object_mut().into_iter();
    members.for_each(|it| it.retain(|name, _| name != "id" && name != "last_modified"));
    ensure!(read.data == data);
    Ok(())
}

pub(super) async fn a_record_can_have_an_older_timestamp<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let old = json!({"id": "old", "last_modified": 1_000_000, "n": 1});
    let created = t.done(records.create(old).send()).await?;
    ensure!(created.last_modified == Timestamp(1_000_000));
    Ok(())
}

pub(super) async fn only_some_fields_are_read<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let data = json!({"title": "a", "author": {"name": "ann", "mail": "a@b"}, "body": "…"});
    t.done(records.create(data).id("r").send()).await?;
    let read = t.done(records.get("r").fields(["title", "author.name"]).send()).await?;
    ensure!(read.data["author"] == json!({"name": "ann"}) && read.data.get("body").is_none());
    let listed = t.done(records.list().fields(["title"]).all()).await?;
    ensure!(listed[0].data["title"] == "a" && listed[0].data.get("author").is_none());
    Ok(())
}
