//! `cumulo migrate`: brings the storage to the schema of this version.

use crate::{
    args,
    config::{Config, Env},
    logging, say, wiring,
};

/// Runs the command.
pub(crate) fn run(args: &args::Migrate, env: &Env) -> anyhow::Result<()> {
    let start = args::Start {
        common: args.common.clone(),
        data: args.data.clone(),
        ..args::Start::default()
    };
    let config = Config::load(&start, env)?;
    logging::start(&config.settings, &args.common)?;
    let done = match &config.sqlite_file {
        None => "There is nothing to migrate: the storage is in memory.".to_owned(),
        Some(file) if args.dry_run && file.exists() => {
            format!("{} would be brought to the schema of this version.", file.display())
        }
        Some(file) if args.dry_run => format!("{} would be created.", file.display()),
        Some(file) => {
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
    if args.common.quiet { Ok(()) } else { say(&done) }
}
