//! `cumulo purge-deleted`: removes tombstones that nobody needs.

use cumulo_moving::Watch as _;
use cumulo_upkeep::purge::{self, Purge, Report};

use super::{block_on, configure, confirm, count, printable, tell, with_store};
use crate::{
    args,
    config::Env,
    moving::progress::{Progress, Unit},
};

/// Runs the command.
pub(crate) fn run(args: &args::PurgeDeleted, env: &Env) -> anyhow::Result<()> {
    let change = &args.change;
    let (config, _logs) = configure(change, env)?;
    let purge = Purge {
        resources: args.resources.iter().cloned().collect(),
        keep: args.max_retained,
        before: args.before,
    };
    with_store(&config, |store| {
        let found = block_on(purge::survey(store, &purge))?;
        for name in &found.unknown {
            tell(&change.stored.common, &format!("There are no lists of '{}'.", printable(name)))?;
        }
        if found.tombstones == 0 {
            return tell(&change.stored.common, "There is nothing to remove.");
        }
        if change.dry_run {
            return tell(&change.stored.common, &format!("{} would be removed.", told(&found)));
        }
        confirm(change.yes, &format!("Remove {}?", told(&found)))?;
        let progress = Progress::new(Unit::Tombstones, change.stored.common.quiet);
        progress.expect(found.tombstones);
        let done = block_on(purge::purge(store, &purge, &|done| progress.advance(done)))?;
        progress.finish(&format!("{} were removed.", told(&done)));
        Ok(())
    })
}

fn told(report: &Report) -> String {
    let tombstones = count(report.tombstones, "tombstone", "tombstones");
    format!("{tombstones} of {}", count(report.lists, "list", "lists"))
}
