//! The server itself, and how the client speaks to it.

use anyhow::{Result, ensure};
use cumulo_client::{Client, Error, Plan, Refusal, Retry};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

pub(super) async fn the_server_tells_about_itself<F: Face>(t: &Test<F>) -> Result<()> {
    let info = t.done(t.client.server_info()).await?;
    ensure!(info.settings.batch_max_requests == Some(25) && !info.settings.readonly);
    ensure!(info.has("history") && info.has("permissions_endpoint") && !info.has("none"));
    ensure!(info.url.trim_end_matches('/') == t.server());
    ensure!(t.done(t.nobody()?.server_info()).await?.user.is_none());
    let heartbeat = t.client.heartbeat();
    ensure!(F::done(heartbeat).await?["storage"] == true);
    Ok(())
}

pub(super) async fn flushing_leaves_nothing<F: Face>(t: &Test<F>) -> Result<()> {
    t.receipts().await?;
    t.done(t.client.flush()).await?;
    ensure!(t.done(t.client.buckets().list().all()).await?.is_empty());
    Ok(())
}

pub(super) async fn credentials_can_stand_in_the_url<F: Face>(t: &Test<F>) -> Result<()> {
    let url = t.server().replace("http://", "http://ann%21:secret@");
    let client = F::build(Client::builder(&format!("{url}/")))?;
    ensure!(t.principal(&client).await? == t.principal(&t.client).await?);
    Ok(())
}

pub(super) async fn headers_go_with_requests<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    t.done(records.create(json!({})).id("r").send()).await?;
    let create = records.create(json!({"id": "r"})).overwrite().header("If-None-Match", "*");
    let error = t.fails(create.send()).await?;
    ensure!(matches!(error, Error::Conflict(_)), "{error}");
    let client = F::build(F::builder(&t.client).header("If-None-Match", "*"))?;
    let update = client.collection("shop", "receipts").records().update(json!({"id": "r"}));
    let error = t.fails(update.send()).await?;
    ensure!(matches!(error, Error::Conflict(_)), "{error}");
    Ok(())
}

pub(super) async fn bad_queries_are_invalid<F: Face>(t: &Test<F>) -> Result<()> {
    let records = t.receipts().await?.records();
    let error = t.fails(records.list().param("_since", "yesterday").all()).await?;
    let fields = error.refusal().map(Refusal::fields).unwrap_or_default();
    ensure!(fields.len() == 1 && fields[0].location == "querystring");
    Ok(())
}

pub(super) async fn nothing_is_sent_in_dry_mode<F: Face>(t: &Test<F>) -> Result<()> {
    let plan = Plan::new();
    let dry = F::build(F::builder(&t.client).server("http://127.0.0.1:1/v1").dry(&plan))?;
    let batch = dry.batch();
    let bucket = batch.bucket("shop").create().send();
    let collection = batch.collection("shop", "receipts").create().send();
    let results = t.done(batch.send()).await?;
    results.get(&bucket)?;
    results.get(&collection)?;
    t.done(dry.bucket("shop").delete().send()).await?;
    ensure!(t.done(dry.permissions().all()).await?.is_empty());
    ensure!(t.done(dry.bucket("shop").history().purge().send()).await?.is_empty());
    let sent: Vec<_> = plan.requests().into_iter().map(|it| it.method.to_string()).collect();
    ensure!(sent == ["POST", "DELETE", "GET", "DELETE"]);
    Ok(())
}

pub(super) async fn a_server_that_is_away_is_a_transport_error<F: Face>(t: &Test<F>) -> Result<()> {
    let retry = Retry::never();
    let builder = F::builder(&t.client).server("http://127.0.0.1:1/v1").retry(retry);
    let error = t.fails(F::build(builder)?.server_info()).await?;
    ensure!(matches!(error, Error::Transport { .. }), "{error}");
    Ok(())
}
