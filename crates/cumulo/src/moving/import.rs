//! `cumulo import`: everything that `cumulo export` has written, or that a Kinto server holds.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use cumulo_core::{
    clock::{Clock, SystemClock},
    store::Store,
};
use cumulo_moving::{
    Counts, Watch,
    import::{Mode, import},
    kinto::{self, Credentials},
};

use super::progress::{Progress, Unit};
use crate::{args, config::Env};

/// Runs the command.
pub(crate) fn run(args: &args::Import, env: &Env) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (_logs, store) = super::open(&args.stored, env, &clock)?;
    let moved = match &args.from_kinto {
        Some(url) => pull(args, url, &store),
        None => read(args, &store),
    };
    store.close();
    moved
}

fn mode(args: &args::Import) -> Mode {
    if args.merge { Mode::Merge } else { Mode::Empty }
}

fn read(args: &args::Import, store: &Arc<dyn Store>) -> anyhow::Result<()> {
    let progress = Arc::new(Progress::new(Unit::Bytes, args.stored.common.quiet));
    let watch: Arc<dyn Watch> = Arc::clone(&progress) as _;
    let input = open(&args.input, &*watch)?;
    let report = super::block_on(import(store, input, mode(args), &watch))??;
    let trailer = report.trailer;
    let resumed = match report.resumed_after {
        0 => String::new(),
        lines => format!(" Went on after line {lines}."),
    };
    progress.finish(&format!(
        "Imported {} lists, {} objects, {} tombstones and {} memberships, and verified them.{}{}",
        trailer.lists,
        trailer.objects,
        trailer.tombstones,
        trailer.memberships,
        resumed,
        told(report.counts),
    ));
    Ok(())
}

fn open(name: &Path, watch: &dyn Watch) -> anyhow::Result<Box<dyn BufRead>> {
    if name == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(name).with_context(|| format!("can't read {}", name.display()))?;
    if let Ok(metadata) = file.metadata() {
        watch.expect(metadata.len());
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

fn pull(args: &args::Import, url: &str, store: &Arc<dyn Store>) -> anyhow::Result<()> {
    let progress = Arc::new(Progress::new(Unit::Objects, args.stored.common.quiet));
    let watch: Arc<dyn Watch> = Arc::clone(&progress) as _;
    let credentials = match (&args.auth, &args.token) {
        (Some(auth), _) => Credentials::basic(auth),
        (None, Some(token)) => Credentials::token(token),
        (None, None) => Credentials::none(),
    };
    let options = kinto::Options {
        credentials,
        mode: mode(args),
        connections: args.connections.max(1),
        record_permissions: !args.without_record_permissions,
    };
    let report = super::block_on(kinto::pull(store, url, options, &watch))??;
    for remark in &report.remarks {
        tracing::warn!("{remark}");
    }
    progress.finish(&format!(
        "Pulled {} lists with {} objects and {} tombstones, and {} accounts, and verified counts \
         and timestamps.{}",
        report.lists,
        report.objects,
        report.tombstones,
        report.accounts,
        told(report.counts)
    ));
    Ok(())
}

/// What is worth telling of objects that were not written as they were.
fn told(counts: Counts) -> String {
    let older = match counts.older {
        0 => String::new(),
        n => format!(" {n} were left out: the storage has newer versions."),
    };
    let restamped = match counts.restamped {
        0 => String::new(),
        n => format!(" {n} got new timestamps: others have theirs."),
    };
    older + &restamped
}
