//! `cumulo counters rebuild`: counts the objects of all lists anew.

use cumulo_core::{object::List, store::Recount};
use cumulo_moving::Watch as _;
use cumulo_upkeep::counts::{self, Mode};

use super::{block_on, configure, count, printable, tell, with_store};
use crate::{
    args::{self, Change, CountersCommand},
    config::Env,
    moving::progress::{Progress, Unit},
};

/// Runs the command.
pub(crate) fn run(args: &args::Counters, env: &Env) -> anyhow::Result<()> {
    match &args.command {
        CountersCommand::Rebuild(change) => rebuild(change, env),
    }
}

fn rebuild(change: &Change, env: &Env) -> anyhow::Result<()> {
    let (config, _logs) = configure(change, env)?;
    let mode = if change.dry_run { Mode::Tell } else { Mode::Correct };
    let progress = Progress::new(Unit::Lists, change.stored.common.quiet);
    let wrong = |list: &List, recount: Recount| progress.say(&told(list, recount));
    let report = with_store(&config, |store| {
        block_on(counts::rebuild(store, mode, &wrong, &|done| progress.advance(done)))
    })?;
    if report.lists == 0 && report.uncounted > 0 {
        return tell(
            &change.stored.common,
            "There is nothing to rebuild: this storage keeps no counts, it counts when it is asked.",
        );
    }
    let done = if change.dry_run { "would be corrected" } else { "were corrected" };
    let wrong = count(report.wrong, "count", "counts");
    progress.finish(&format!("{wrong} of {} {done}.", count(report.lists, "list", "lists")));
    Ok(())
}

fn told(list: &List, Recount { kept, counted }: Recount) -> String {
    let list = printable(&format!("{}/{}s", list.parent, list.resource));
    format!("{list}: it was said to have {kept} objects, but has {counted}")
}
