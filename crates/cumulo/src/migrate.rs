//! `cumulo migrate`: brings the storage to the schema of this version.

use cumulo_core::settings::CacheEngine;
use cumulo_store::PostgresMigration;
use secrecy::SecretString;

use crate::{
    args,
    config::{Config, Env, Storage},
    logging, say, wiring,
};

/// Runs the command.
pub(crate) fn run(args: &args::Migrate, env: &Env) -> anyhow::Result<()> {
    let config = Config::of_command(&args.stored, env)?;
    let _logs = logging::start(&config.settings, &args.stored.common)?;
    let done = match &config.storage {
        Storage::Memory => "There is nothing to migrate: the storage is in memory.".to_owned(),
        Storage::Postgresql(url) => postgresql(url, args.dry_run)?,
        Storage::Sqlite(file) if args.dry_run && file.exists() => {
            format!("{} would be brought to the schema of this version.", file.display())
        }
        Storage::Sqlite(file) if args.dry_run => format!("{} would be created.", file.display()),
        Storage::Sqlite(file) => {
            let migration = wiring::migrate(file)?;
            match migration.from {
                0 => format!("{} was created with schema {}.", file.display(), migration.to),
                from if from == migration.to => {
                    format!("{} has schema {from} already.", file.display())
                }
                from => format!("{} went from schema {from} to {}.", file.display(), migration.to),
            }
        }
    };
    let cache = migrate_cache(&config, args.dry_run)?;
    if args.stored.common.quiet {
        return Ok(());
    }
    say(&done)?;
    cache.map_or(Ok(()), say)
}

/// Creates the table of the cache in PostgreSQL; what was done, if the cache is there.
fn migrate_cache(config: &Config, dry_run: bool) -> anyhow::Result<Option<&'static str>> {
    if config.settings.cache_backend != CacheEngine::Postgresql {
        return Ok(None);
    }
    if dry_run {
        return Ok(Some("The table of the cache would be created if it is missing."));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let created = runtime.block_on(wiring::migrate_cache(config))?;
    Ok(Some(if created {
        "The table of the cache was created."
    } else {
        "The table of the cache is there already."
    }))
}

/// Brings a database to the schema of this version, or tells what that would do.
fn postgresql(url: &SecretString, dry_run: bool) -> anyhow::Result<String> {
    let done = wiring::migrate_postgresql(url, dry_run)?;
    let would = |did: &str, would: &str| if dry_run { would.to_owned() } else { did.to_owned() };
    Ok(match done {
        PostgresMigration::Created => would(
            "The tables were created in the database.",
            "The tables would be created in the database.",
        ),
        PostgresMigration::Completed => would(
            "The tables of Kinto are there; what Cumulo adds to them was added: the trigger that \
             keeps the order of commits, the table of messages to listeners, and the index of \
             permissions without those on history entries.",
            "The tables of Kinto are there; what Cumulo adds to them would be added: the trigger \
             that keeps the order of commits, the table of messages to listeners, and the index \
             of permissions without those on history entries.",
        ),
        PostgresMigration::Current => "The database is up to date.".to_owned(),
    })
}
