//! `cumulo flush-cache`: empties the cache.

use cumulo_core::settings::CacheEngine;

use crate::{
    args,
    config::{Config, Env},
    logging, say, wiring,
};

/// Runs the command.
pub(crate) fn run(args: &args::FlushCache, env: &Env) -> anyhow::Result<()> {
    let config = Config::of_command(&args.stored, env)?;
    let _logs = logging::start(&config.settings, &args.stored.common)?;
    let done = if config.settings.cache_backend == CacheEngine::Memory {
        "There is nothing to empty: the cache is in the memory of the service."
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { anyhow::Ok(wiring::cache(&config)?.flush().await?) })?;
        "The cache is empty."
    };
    if args.stored.common.quiet { Ok(()) } else { say(done) }
}
