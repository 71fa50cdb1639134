//! Buckets.

use anyhow::{Result, ensure};
use cumulo_client::{AUTHENTICATED, EVERYONE, Error, Permissions};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn whoever_creates_a_bucket_may_write_it<F: Face>(t: &Test<F>) -> Result<()> {
    let bucket = t.done(t.client.bucket("blog").create().send()).await?;
    let ann = t.principal(&t.client).await?;
    ensure!(bucket.id == "blog" && bucket.permissions.is_some_and(|it| it.has("write", &ann)));
    Ok(())
}

pub(super) async fn a_bucket_that_exists_is_taken_as_it_is<F: Face>(t: &Test<F>) -> Result<()> {
    let blog = t.client.bucket("blog");
    let created = t.done(blog.create().data(json!({"version": 1})).send()).await?;
    let second = blog.create().data(json!({"version": 2})).if_not_exists();
    let taken = t.done(second.send()).await?;
    ensure!(taken == created);
    Ok(())
}

pub(super) async fn a_bucket_that_exists_is_not_created_again<F: Face>(t: &Test<F>) -> Result<()> {
    let created = t.done(t.client.bucket("blog").create().send()).await?;
    let error = t.fails(t.client.bucket("blog").create().send()).await?;
    let Error::Conflict(refusal) = error else { return Err(error.into()) };
    let existing = refusal.existing().map(|it| it.last_modified);
    ensure!(existing == Some(created.last_modified));
    Ok(())
}

pub(super) async fn buckets_are_listed<F: Face>(t: &Test<F>) -> Result<()> {
    for id in ["blog", "shop"] {
        t.done(t.client.bucket(id).create().send()).await?;
    }
    let buckets = t.done(t.client.buckets().list().all()).await?;
    ensure!(buckets.iter().map(|it| it.id.as_str()).eq(["shop", "blog"]));
    let others = t.done(t.user("bob")?.buckets().list().all()).await?;
    ensure!(others.is_empty());
    Ok(())
}

pub(super) async fn a_bucket_is_read<F: Face>(t: &Test<F>) -> Result<()> {
    let created = t.client.bucket("blog").create().data(json!({"title": "Ann's"}));
    let created = t.done(created.send()).await?;
    let read = t.done(t.client.bucket("blog").get().send()).await?;
    ensure!(read == created && read.data["title"] == "Ann's");
    Ok(())
}

pub(super) async fn a_patch_keeps_fields_and_an_update_replaces_them<F: Face>(
    t: &Test<F>,
) -> Result<()> {
    let blog = t.client.bucket("blog");
    t.done(blog.create().data(json!({"version": 1})).send()).await?;
    let patched = t.done(blog.patch(json!({"author": "you"})).send()).await?;
    ensure!(patched.data["version"] == 1 && patched.data["author"] == "you");
    let updated = t.done(blog.update(json!({"date": "today"})).send()).await?;
    ensure!(updated.data["date"] == "today" && updated.data.get("version").is_none());
    Ok(())
}

pub(super) async fn forbidden_and_missing_are_told_apart<F: Face>(t: &Test<F>) -> Result<()> {
    t.done(t.client.bucket("blog").create().send()).await?;
    let missing = t.fails(t.user("admin")?.bucket("none").get().send()).await?;
    ensure!(matches!(missing, Error::NotFound(_)), "{missing}");
    // Who may not read all buckets is not told which there are.
    let missing = t.fails(t.client.bucket("none").get().send()).await?;
    ensure!(matches!(missing, Error::Forbidden(_)), "{missing}");
    let missing = t.fails(t.client.collection("blog", "none").get().send()).await?;
    ensure!(matches!(missing, Error::NotFound(_)), "{missing}");
    let forbidden = t.fails(t.user("bob")?.bucket("blog").get().send()).await?;
    ensure!(matches!(forbidden, Error::Forbidden(_)), "{forbidden}");
    let unknown = t.fails(t.nobody()?.bucket("blog").get().send()).await?;
    ensure!(matches!(unknown, Error::Unauthorized(_)), "{unknown}");
    Ok(())
}

pub(super) async fn a_deleted_bucket_is_gone<F: Face>(t: &Test<F>) -> Result<()> {
    let blog = t.client.bucket("blog");
    let created = t.done(blog.create().send()).await?;
    let tombstone = t.done(blog.delete().send()).await?;
    ensure!(tombstone.id == "blog" && tombstone.last_modified > created.last_modified);
    let error = t.fails(t.user("admin")?.bucket("blog").get().send()).await?;
    ensure!(matches!(error, Error::NotFound(_)), "{error}");
    Ok(())
}

pub(super) async fn a_bucket_is_deleted_if_it_exists<F: Face>(t: &Test<F>) -> Result<()> {
    let blog = t.client.bucket("blog");
    t.done(blog.create().send()).await?;
    ensure!(t.done(blog.delete().if_exists().send()).await?.is_some());
    ensure!(t.done(blog.delete().if_exists().send()).await?.is_none());
    let error = t.fails(blog.delete().send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    Ok(())
}

pub(super) async fn all_buckets_are_deleted<F: Face>(t: &Test<F>) -> Result<()> {
    ensure!(t.done(t.client.buckets().delete_many().send()).await?.is_empty());
    t.done(t.client.bucket("blog").create().send()).await?;
    t.done(t.user("bob")?.bucket("bobs").create().send()).await?;
    let deleted = t.done(t.client.buckets().delete_many().send()).await?;
    ensure!(deleted.iter().map(|it| it.id.as_str()).eq(["blog"]));
    let error = t.fails(t.user("admin")?.bucket("blog").get().send()).await?;
    ensure!(matches!(error, Error::NotFound(_)), "{error}");
    t.done(t.user("bob")?.bucket("bobs").get().send()).await?;
    Ok(())
}

pub(super) async fn a_bucket_is_shared<F: Face>(t: &Test<F>) -> Result<()> {
    let bob = t.user("bob")?;
    let principal = t.principal(&bob).await?;
    let permissions = Permissions::new().grant("read", &principal);
    t.done(t.client.bucket("blog").create().permissions(permissions).send()).await?;
    let read = t.done(bob.bucket("blog").get().send()).await?;
    ensure!(read.permissions.is_none_or(|it| it.0.is_empty()), "he may not write it");
    let error = t.fails(bob.bucket("blog").patch(json!({"title": "Bob's"})).send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    Ok(())
}

pub(super) async fn what_is_public_is_read_by_everyone<F: Face>(t: &Test<F>) -> Result<()> {
    let permissions = Permissions::new().grant("read", EVERYONE).grant("write", AUTHENTICATED);
    t.done(t.client.bucket("wiki").create().permissions(permissions).send()).await?;
    let (bob, nobody) = (t.user("bob")?, t.nobody()?);
    t.done(bob.collection("wiki", "pages").create().send()).await?;
    t.done(nobody.collection("wiki", "pages").get().send()).await?;
    let error = t.fails(nobody.collection("wiki", "pages").record("r").create().send()).await?;
    ensure!(matches!(error, Error::Unauthorized(_)), "{error}");
    Ok(())
}

pub(super) async fn everybody_has_a_bucket_called_default<F: Face>(t: &Test<F>) -> Result<()> {
    let client = F::build(F::builder(&t.client).collection("notes"))?;
    let note = t.done(client.records().create(json!({"title": "Milk"})).send()).await?;
    let own = t.done(t.client.server_info()).await?.user.and_then(|it| it.bucket);
    let bucket = t.done(t.client.bucket("default").get().send()).await?;
    ensure!(Some(bucket.id.clone()) == own);
    let by_id = t.client.collection(bucket.id, "notes").record(&note.id);
    ensure!(t.done(by_id.get().send()).await?.data["title"] == "Milk");
    Ok(())
}
