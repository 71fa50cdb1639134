//! `cumulo check`: verifies that all in the storage is as it must be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::bail;
use cumulo_core::store::Flaw;
use cumulo_moving::Watch as _;
use cumulo_upkeep::{
    check::{self, Watch},
    counts::{self, Mode},
};

use super::{Refusal, block_on, confirm, count, load, printable, with_store};
use crate::{
    args,
    config::{Config, Env},
    moving::progress::{Progress, Unit},
    say, wiring,
};

/// Runs the command.
pub(crate) fn run(args: &args::Check, env: &Env) -> anyhow::Result<()> {
    let (config, _logs) = load(&args.stored, env)?;
    if args.repair {
        if config.settings.readonly {
            bail!(Refusal::ReadOnly);
        }
        confirm(args.yes, "Correct counts, and remove permissions and memberships of nothing?")?;
        repair(args, &config)?;
    }
    let store = wiring::open_unchanged(&config)?;
    let screen = Arc::new(Screen {
        progress: Progress::new(Unit::Objects, args.stored.common.quiet),
        begun: AtomicBool::new(false),
    });
    let checked = block_on(check::check(&store, wiring::accepts_id(&config), screen.clone()));
    store.close();
    let report = checked?;
    let seen = format!(
        "{}, {} and {} were looked at",
        count(report.lists, "list", "lists"),
        count(report.objects, "object", "objects"),
        count(report.tombstones, "tombstone", "tombstones"),
    );
    if report.flaws > 0 {
        screen.progress.clear();
        bail!("{seen}: {}", count(report.flaws, "flaw was found", "flaws were found"));
    }
    screen.progress.finish(&format!("{seen}: all is well."));
    Ok(())
}

/// Mends what can be mended without loss.
fn repair(args: &args::Check, config: &Config) -> anyhow::Result<()> {
    let progress = Progress::new(Unit::Lists, args.stored.common.quiet);
    with_store(config, |store| {
        let advance = |done| progress.advance(done);
        let counts = block_on(counts::rebuild(store, Mode::Correct, &|_, _| {}, &advance))?;
        let removed = block_on(check::mend(store))?;
        progress.finish(&format!(
            "{} corrected, {} of nothing removed.",
            count(counts.wrong, "count", "counts"),
            count(removed, "permission or membership", "permissions and memberships"),
        ));
        Ok(())
    })
}

/// Shows flaws on the standard output, the rest beside it.
struct Screen {
    progress: Progress,
    begun: AtomicBool,
}

impl Watch for Screen {
    fn begin(&self) {
        if self.begun.swap(true, Ordering::Relaxed) {
            self.progress.say("The connection was lost: the check begins anew.");
        }
    }

    fn advance(&self, rows: u64) {
        self.progress.advance(rows);
    }

    fn found(&self, flaw: Flaw) {
        let line = printable(&format!("{}: {}", flaw.place, flaw.problem));
        // Who does not read on learns the number from the exit code.
        let _ = self.progress.beside(|| say(&line));
    }
}
