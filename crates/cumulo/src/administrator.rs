//! The administrator: an account that the first start makes when there is no settings file, or that
//! `--admin-password` sets up with any settings that have accounts.

use std::fmt;

use anyhow::bail;
use cumulo_core::store::Store;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{args, config::Config, secrets, wiring};

/// The name of the account; the settings speak of `account:admin`.
pub(crate) const NAME: &str = "admin";

/// What there is to tell of the administrator.
#[derive(Debug)]
pub(crate) enum Administrator {
    /// The account was made with this password, which nobody can find out later.
    New(SecretString),
    /// The account has a password that was told before.
    Known,
    /// The settings file knows who it is.
    Elsewhere,
}

/// Sees to the account before the service listens. When this is done it is stored, so that a password
/// that is shown works.
pub(crate) async fn prepare(
    store: &dyn Store,
    config: &Config,
    args: &args::Start,
) -> anyhow::Result<Administrator> {
    if let Some(password) = &args.admin_password {
        return set(store, config, password.expose_secret()).await;
    }
    if !config.is_unconfigured || !config.has_accounts() {
        return Ok(Administrator::Elsewhere);
    }
    if wiring::account_hash(store, NAME).await?.is_some() {
        return Ok(Administrator::Known);
    }
    // A password that nobody sees would be none.
    if args.common.quiet || config.settings.readonly {
        return Ok(Administrator::Elsewhere);
    }
    let password = secrets::fresh_password()?;
    let is_new =
        wiring::create_account(store, &config.settings, NAME, password.expose_secret()).await?;
    // Another copy may have been faster, and shows its own.
    Ok(if is_new { Administrator::New(password) } else { Administrator::Known })
}

/// Gives the administrator this password, unless it is theirs already.
async fn set(store: &dyn Store, config: &Config, password: &str) -> anyhow::Result<Administrator> {
    if !config.has_accounts() {
        bail!("--admin-password: the plugin 'accounts' is off");
    }
    if let Some(problem) = wiring::password_problem(&config.settings, password) {
        bail!("--admin-password: {problem}");
    }
    let hash = wiring::account_hash(store, NAME).await?;
    if hash.as_ref().is_some_and(|hash| wiring::is_password_of(hash, password)) {
        return Ok(Administrator::Known);
    }
    if config.settings.readonly {
        tracing::warn!("the password of '{NAME}' is not set: the service is read-only");
        return Ok(Administrator::Elsewhere);
    }
    wiring::set_password(store, &config.settings, NAME, password).await?;
    let done = if hash.is_some() { "has another password now" } else { "was created" };
    tracing::info!("the account '{NAME}' {done}");
    Ok(Administrator::Known)
}

/// Lines for the announcement.
impl fmt::Display for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(password) => writeln!(
                f,
                "User: {NAME}\nPassword: {}   (note it: it is not shown again)",
                password.expose_secret()
            ),
            Self::Known => {
                writeln!(f, "User: {NAME}   (another password: cumulo create-user -u {NAME})")
            }
            Self::Elsewhere => Ok(()),
        }
    }
}
