//! Groups.

use anyhow::{Result, ensure};
use cumulo_client::{Error, Permissions};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn a_group_is_read_with_its_permissions<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let group = t.client.bucket("shop").group("payments");
    let permissions = Permissions::new().grant("write", "blah");
    let group_data = json!({"members": ["blah"]});
    t.done(group.create().data(group_data).permissions(permissions).send()).await?;
    let read = t.done(group.get().send()).await?;
    ensure!(read.data["members"] == json!(["blah"]));
    ensure!(read.permissions.is_some_and(|it| it.has("write", "blah")));
    Ok(())
}

pub(super) async fn a_group_that_exists_is_taken_as_it_is<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let groups = t.client.bucket("shop").groups();
    let first = json!({"id": "payments", "members": ["ann"]});
    let first = t.done(groups.create(first).send()).await?;
    let second = json!({"id": "payments", "members": ["bob"]});
    ensure!(t.done(groups.create(second).if_not_exists().send()).await? == first);
    Ok(())
}

pub(super) async fn a_group_needs_its_bucket<F: Face>(t: &Test<F>) -> Result<()> {
    let groups = t.client.bucket("none").groups();
    let error = t.fails(groups.create(json!({"members": ["blah"]})).id("payments").send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    ensure!(error.to_string().contains("what is above it does not exist"), "{error}");
    Ok(())
}

pub(super) async fn a_group_is_updated_and_patched<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let group = t.client.bucket("shop").group("payments");
    t.done(group.create().data(json!({"members": ["ann"]})).send()).await?;
    let updated = t.done(group.update(json!({"members": ["ann", "bob"]})).send()).await?;
    ensure!(updated.data["members"] == json!(["ann", "bob"]));
    let patched = t.done(group.patch(json!({"secret": "psssssst!"})).send()).await?;
    ensure!(patched.data["members"] == json!(["ann", "bob"]));
    ensure!(t.done(group.get().send()).await?.data["secret"] == "psssssst!");
    Ok(())
}

pub(super) async fn groups_are_listed_and_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("shop").create().send()).await?;
    let groups = t.client.bucket("shop").groups();
    ensure!(t.done(groups.delete_many().send()).await?.is_empty());
    for id in ["receipts", "assets", "payments"] {
        t.done(groups.create(json!({"members": ["blah"]})).id(id).send()).await?;
    }
    let listed = t.done(groups.list().sort("id").all()).await?;
    ensure!(listed.iter().map(|it| it.id.as_str()).eq(["assets", "payments", "receipts"]));
    t.done(groups.delete("assets").send()).await?;
    ensure!(t.done(groups.delete("assets").if_exists().send()).await?.is_none());
    ensure!(t.done(groups.delete_many().send()).await?.len() == 2);
    ensure!(t.done(groups.list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn deleting_if_it_exists_fails_for_other_reasons<F: Face>(
    t: &Test<F>,
) -> Result<()> {
    let shop = t.client.bucket("shop");
    t.done(shop.create().send()).await?;
    t.done(shop.collection("assets").create().send()).await?;
    t.done(shop.groups().create(json!({"members": []})).id("payments").send()).await?;
    let shop = t.user("bob")?.bucket("shop");
    let error = t.fails(shop.group("payments").delete().if_exists().send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    let error = t.fails(shop.collection("assets").delete().if_exists().send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    Ok(())
}

pub(super) async fn members_have_the_rights_of_their_group<F: Face>(t: &Test<F>) -> Result<()> {
    let (shop, bob) = (t.client.bucket("shop"), t.user("bob")?);
    t.done(shop.create().send()).await?;
    let members = json!({"members": [t.principal(&bob).await?]});
    t.done(shop.group("clerks").create().data(members).send()).await?;
    let permissions = Permissions::new().grant("read", "/buckets/shop/groups/clerks");
    t.done(shop.collection("receipts").create().permissions(permissions).send()).await?;
    t.done(bob.collection("shop", "receipts").get().send()).await?;
    t.done(shop.group("clerks").update(json!({"members": []})).send()).await?;
    let error = t.fails(bob.collection("shop", "receipts").get().send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    Ok(())
}
