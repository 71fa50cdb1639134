//! `cumulo export` and `cumulo import`: everything that a storage holds, in and out.

mod export;
mod import;
pub(crate) mod progress;

use std::sync::Arc;

use anyhow::bail;
use cumulo_core::{clock::Clock, store::Store};

use crate::{
    args::Stored,
    config::{Config, Env},
    logging::{self, Logs},
    wiring,
};

pub(crate) use self::{export::run as export, import::run as import};

/// Starts the logs and opens the storage of the settings.
fn open(
    stored: &Stored,
    env: &Env,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Logs, Arc<dyn Store>)> {
    let config = Config::of_command(stored, env)?;
    let logs = logging::start(&config.settings, &stored.common)?;
    if !config.is_durable() {
        bail!("the storage of these settings is in memory, which ends with this command");
    }
    Ok((logs, wiring::open(&config, clock)?))
}

/// Runs work to its end, on this thread; the store has its own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
