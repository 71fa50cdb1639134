//! `cumulo sync`

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use cumulo_client::{
    Blocking,
    replication::{Replication, State},
};

use super::{
    confirm,
    replicate::{Look, Places, Planned, named, tell, text, write},
};
use crate::{Address, Connect, Context, Error, Result, Surroundings, files};

/// How many differences are shown before somebody is asked.
const SHOWN: u64 = 20;

pub(super) const EXAMPLES: &str = "\
Creates, changes and deletes in B until it is as A. What changes in B meanwhile is left, and told.
Before anything is deleted, the differences are shown, and --yes or an answer is needed. A run that
was interrupted can be started again: it does what is left to do.

Examples:
  cumulo sync prod:blog/articles staging:blog/articles --dry-run
  cumulo sync prod:blog staging:blog --yes
  cumulo sync prod:blog backup:blog --keep-extra --permissions
  cumulo sync prod:blog backup:blog --yes --state blog.json";

/// The arguments.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Sync {
    /// The bucket or collection to go by: `blog`, `work:blog/articles`, a path or a URL
    #[arg(value_name = "A")]
    source: Address,
    /// The one that becomes as A is; created if it is missing
    #[arg(value_name = "B")]
    destination: Address,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Leave what only B has
    #[arg(long)]
    keep_extra: bool,
    /// Change and delete records only; missing buckets and collections are created
    #[arg(long)]
    records_only: bool,
    /// Copy who may do what with each record too, which must be asked for one by one
    #[arg(long)]
    permissions: bool,
    /// Don't copy who may do what
    #[arg(long, conflicts_with = "permissions")]
    without_permissions: bool,
    /// A field that may differ, of whatever object; may be given several times
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<String>,
    /// Go on from what this file tells of the last run, and keep there how far this one gets: then
    /// only records are looked at that have changed on either side
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How many requests are on their way at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    concurrency: usize,
    /// How to write what would be done
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, requires = "dry_run")]
    output: Look,
    #[command(flatten)]
    connect: Connect,
}

impl Sync {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let places = Places::new(&context, &self.source, &self.destination)?;
        let state = self.state.as_deref().map(read).transpose()?.flatten();
        if self.dry_run {
            let planned =
                write(&context, self.output, self.replication(&places, state.as_ref()).plan())?;
            let words = planned.words();
            context.remark(if words.is_empty() { "nothing to do" } else { &words });
            return Ok(());
        }
        if !self.yes && !self.keep_extra {
            self.ask(&context, &places, state.as_ref())?;
        }
        let report = places.run(&context, self.replication(&places, state.as_ref()))?;
        if let Some(path) = &self.state {
            keep(path, &report.state)?;
        }
        tell(&context, &report)
    }

    fn replication(&self, places: &Places, state: Option<&State>) -> Replication<Blocking> {
        let mut sync = self.ignore.iter().fold(places.sync(), Replication::ignore);
        if self.keep_extra {
            sync = sync.keep_extra();
        }
        if self.records_only {
            sync = sync.records_only();
        }
        if self.permissions {
            sync = sync.record_permissions();
        }
        if self.without_permissions {
            sync = sync.without_permissions();
        }
        if let Some(state) = state {
            sync = sync.since(state.clone());
        }
        sync.concurrency(self.concurrency)
    }

    /// Asks if something is to be deleted, with what is to be done.
    fn ask(&self, context: &Context, places: &Places, state: Option<&State>) -> Result<()> {
        let bar = places.bar(context);
        let told = bar.clone();
        let plan = self.replication(places, state);
        let plan = plan.on_progress(move |it| told.set_position(it.counts.compared)).plan();
        let mut planned = Planned::default();
        let mut shown = String::new();
        for difference in plan {
            let difference = difference?;
            planned.add(&difference);
            if planned.total() <= SHOWN {
                shown += &text(&difference);
            }
        }
        bar.finish_and_clear();
        if planned.deleted == 0 {
            return Ok(());
        }
        if planned.total() > SHOWN {
            shown += "…\n";
        }
        // The question is asked all the same.
        let _ = io::stderr().write_all(shown.as_bytes());
        let place = named(&self.destination);
        confirm(false, &format!("In {place}, {}. Go on?", planned.words()))
    }
}

/// What a file tells of the last run; nothing before the first.
fn read(path: &Path) -> Result<Option<State>> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path, error)),
    };
    let problem = |error| format!("{} is not the state of a sync: {error}", path.display());
    serde_json::from_slice(&json).map(Some).map_err(|error| Error::Usage(problem(error)))
}

/// The file is the old one or the new one, whatever happens.
fn keep(path: &Path, state: &State) -> Result<()> {
    let failed = |error| Error::file(path, error);
    let mut file = files::beside(path, &tempfile::Builder::new())?;
    serde_json::to_writer_pretty(&mut file, state).map_err(|error| failed(error.into()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
