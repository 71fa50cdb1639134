//! What `diff`, `sync` and `copy` share: two places, how differences are shown, and what was done.

use std::{
    fmt::Write as _,
    io::{self, BufWriter, Write as _},
};

use clap::ValueEnum;
use cumulo_client::{
    Blocking, Error as ClientError,
    blocking::{Bucket, Collection, Items},
    replication::{Action, Counts, Diff, Difference, Problem, Progress, Replication, Report},
};
use indicatif::ProgressBar;
use serde_json::value::RawValue;

use super::number;
use crate::{
    Address, Context, Error, Format, Result, Shape, Unit,
    address::{Server, Target},
    output::printable,
};

/// Longer values are cut where people read them.
const LONGEST: usize = 200;

/// How differences are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Look {
    /// Lines for people
    #[default]
    Text,
    /// A list in JSON: `[{"path": …, "before": …, "after": …}, …]`
    Json,
    /// A difference on each line
    Ndjson,
}

/// Two buckets or two collections.
pub(super) enum Places {
    Buckets(Bucket, Bucket),
    Collections(Collection, Collection),
}

impl Places {
    pub(super) fn new(context: &Context, from: &Address, to: &Address) -> Result<Self> {
        if let Some(address) = [from, to].into_iter().find(|it| !it.params.is_empty()) {
            let place = named(address);
            return Err(Error::Usage(format!("filters are not for this: name {place} alone")));
        }
        match (&from.target, &to.target) {
            (
                Target::Bucket(a) | Target::Collections(a),
                Target::Bucket(b) | Target::Collections(b),
            ) => Ok(Self::Buckets(context.at(from)?.bucket(a), context.at(to)?.bucket(b))),
            (
                Target::Collection(a, c) | Target::Records(a, c),
                Target::Collection(b, d) | Target::Records(b, d),
            ) => Ok(Self::Collections(
                context.at(from)?.collection(a, c),
                context.at(to)?.collection(b, d),
            )),
            _ => Err(Error::Usage(format!(
                "expected two buckets or two collections, not {} and {}",
                named(from),
                named(to)
            ))),
        }
    }

    pub(super) fn diff(&self) -> Diff<Blocking> {
        match self {
            Self::Buckets(from, to) => from.diff(to),
            Self::Collections(from, to) => from.diff(to),
        }
    }

    pub(super) fn sync(&self) -> Replication<Blocking> {
        match self {
            Self::Buckets(from, to) => from.sync_to(to),
            Self::Collections(from, to) => from.sync_to(to),
        }
    }

    pub(super) fn copy(&self) -> Replication<Blocking> {
        match self {
            Self::Buckets(from, to) => from.copy_to(to),
            Self::Collections(from, to) => from.copy_to(to),
        }
    }

    /// Does it, with a bar.
    pub(super) fn run(
        &self,
        context: &Context,
        replication: Replication<Blocking>,
    ) -> Result<Report> {
        let bar = self.bar(context);
        let told = bar.clone();
        let tell = move |progress: &Progress| told.set_position(progress.counts.compared);
        let done = replication.on_progress(tell).send();
        bar.finish_and_clear();
        Ok(done?)
    }

    /// A bar for comparing. How many objects a bucket has nobody tells.
    pub(super) fn bar(&self, context: &Context) -> ProgressBar {
        let total = match self {
            Self::Buckets(..) => None,
            // Servers create what is read here.
            Self::Collections(from, _) if from.path().starts_with("/buckets/default/") => None,
            // That it can't be counted will be told when it is read.
            Self::Collections(from, _) => from.records().list().count().ok(),
        };
        context.progress(Unit::Objects("objects"), total)
    }
}

/// Numbers of differences.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planned {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
}

impl Planned {
    pub(super) fn add(&mut self, difference: &Difference) {
        *match difference.action() {
            Action::Create => &mut self.created,
            Action::Update => &mut self.updated,
            Action::Delete => &mut self.deleted,
        } += 1;
    }

    pub(super) fn total(&self) -> u64 {
        self.created + self.updated + self.deleted
    }

    /// `1 to create, 2 to delete`
    pub(super) fn words(&self) -> String {
        let parts = [(self.created, "create"), (self.updated, "change"), (self.deleted, "delete")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(count, verb)| format!("{} to {verb}", number(*count, "object", "objects")))
            .collect();
        parts.join(", ")
    }
}

/// Writes differences as they come, and counts them.
pub(super) fn write(
    context: &Context,
    look: Look,
    differences: Items<Difference>,
) -> Result<Planned> {
    let mut planned = Planned::default();
    let shape = match look {
        Look::Text => {
            let mut out = BufWriter::new(io::stdout().lock());
            for difference in differences {
                let difference = difference?;
                planned.add(&difference);
                out.write_all(text(&difference).as_bytes())?;
            }
            out.flush()?;
            return Ok(planned);
        }
        Look::Json => Shape::Json,
        Look::Ndjson => Shape::Ndjson,
    };
    let format = Format { output: Some(shape), columns: Vec::new() };
    let rows = differences.map(|difference| {
        let difference = difference?;
        planned.add(&difference);
        serde_json::to_value(&difference).map_err(|error| Error::Output(error.into()))
    });
    context.output(&format).rows(rows)?;
    Ok(planned)
}

/// A difference in lines: what is done with which object, and the fields that become others.
pub(super) fn text(difference: &Difference) -> String {
    let sign = match difference.action() {
        Action::Create => '+',
        Action::Update => '~',
        Action::Delete => '-',
    };
    let mut text = format!("{sign} {}\n", short(&difference.path));
    let value = |json: Option<&RawValue>| match json {
        Some(json) => {
            let json = printable(json.get());
            let cut: String = json.chars().take(LONGEST).collect();
            if cut.len() < json.len() { format!("{cut}…") } else { cut }
        }
        None => "nothing".to_owned(),
    };
    for field in difference.fields() {
        let (before, after) = (value(field.before.as_deref()), value(field.after.as_deref()));
        // Writing to text can't fail.
        let _ = writeln!(text, "    {}: {before} → {after}", printable(&field.name));
    }
    text
}

/// An address with its server, as people write it.
pub(super) fn named(Address { server, target, .. }: &Address) -> String {
    match server {
        Server::Chosen => target.to_string(),
        Server::Profile(profile) => format!("{profile}:{target}"),
        Server::Url(url) => format!("{url}{}", target.path()),
    }
}

/// A path as people write it.
fn short(path: &str) -> String {
    path.parse::<Address>().map_or_else(|_| path.to_owned(), |it| it.target.to_string())
}

/// Tells what was done, and what was not: that is an error.
pub(super) fn tell(context: &Context, report: &Report) -> Result<()> {
    let Counts { compared, created, updated, deleted, kept, conflicts, failures } = report.counts;
    let done = [(created, "created"), (updated, "changed"), (deleted, "deleted"), (kept, "kept")];
    let mut words: Vec<_> = done
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, verb)| format!("{} {verb}", number(*count, "object", "objects")))
        .collect();
    if words.is_empty() {
        words.push("nothing to do".to_owned());
    }
    context.remark(&format!(
        "{}; {} compared",
        words.join(", "),
        number(compared, "object", "objects")
    ));
    if report.is_complete() {
        return Ok(());
    }
    let mut message =
        format!("{} could not be written", number(conflicts + failures, "object", "objects"));
    for problem in &report.problems {
        let _ = write!(message, "\n  {}", why(problem));
    }
    let told = report.problems.len() as u64;
    if conflicts + failures > told {
        let _ = write!(message, "\n  … and {} more", conflicts + failures - told);
    }
    Err(Error::Incomplete { message, code: if failures > 0 { 6 } else { 5 } })
}

fn why(Problem { path, error, .. }: &Problem) -> String {
    let path = short(path);
    match error {
        ClientError::Conflict(_) => format!("{path}: it was changed meanwhile"),
        error => format!("{path}: {error}"),
    }
}
