//! Accounts.

use anyhow::{Result, ensure};
use cumulo_client::{Basic, Error, Root};
use serde_json::json;

use crate::face::Face;
use crate::test::Test;

fn login<F: Face>(t: &Test<F>, name: &str, password: &str) -> Result<Root<F>> {
    Ok(F::build(F::builder(&t.client).auth(Basic::new(name, password)))?)
}

pub(super) async fn people_make_accounts_and_change_passwords<F: Face>(t: &Test<F>) -> Result<()> {
    let account = json!({"id": "carl", "password": "old"});
    let created = t.nobody()?.accounts().create(account);
    ensure!(t.done(created.response()).await?.status == 201);
    let carl = login(t, "carl", "old")?;
    let user = t.done(carl.server_info()).await?.user;
    ensure!(user.is_some_and(|it| it.id == "account:carl"));
    t.done(carl.accounts().patch("carl", json!({"password": "new"})).response()).await?;
    // Whoever has no account is somebody else here, by basic authentication.
    let error = t.fails(login(t, "carl", "old")?.accounts().get("carl").send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    let carl = login(t, "carl", "new")?;
    ensure!(t.done(carl.accounts().get("carl").response()).await?.status == 200);
    ensure!(t.done(carl.accounts().delete("carl").send()).await?.id == "carl");
    Ok(())
}

pub(super) async fn only_administrators_see_all_accounts<F: Face>(t: &Test<F>) -> Result<()> {
    for name in ["admin", "dora@example.com"] {
        let account = t.nobody()?.accounts().create(json!({"id": name, "password": "secret"}));
        t.done(account.response()).await?;
    }
    let all = login(t, "admin", "secret")?.accounts().list().sort("id").fields(["id"]);
    let ids: Vec<_> = t.done(all.all()).await?.into_iter().map(|it| it.id).collect();
    ensure!(ids == ["admin", "dora@example.com"]);
    let dora = login(t, "dora@example.com", "secret")?;
    let own = t.done(dora.accounts().list().fields(["id"]).all()).await?;
    ensure!(own.len() == 1 && own[0].id == "dora@example.com");
    let error = t.fails(dora.accounts().get("admin").send()).await?;
    ensure!(matches!(error, Error::Forbidden(_)), "{error}");
    Ok(())
}
