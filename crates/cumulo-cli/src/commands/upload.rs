//! `cumulo upload`

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write as _},
    path::Path,
};

use cumulo_client::{Counts, Error as ClientError, Permissions, Summary, blocking::Resource};
use futures_util::{StreamExt as _, stream};
use indicatif::{HumanCount, ProgressBar};

use super::check_named;
use crate::{
    Address, Connect, Context, Error, Result, Surroundings, Unit,
    address::Target,
    input::Input,
    rows::{Cells, Kind, Rows},
};

/// How many failures are told one by one.
const SHOWN: usize = 10;

pub(super) const EXAMPLES: &str = "\
Objects with an `id` are created under it, others get a new one. One that is there already is an
error, unless --overwrite or --if-not-exists says what to do. What was sent before an error stays.

Examples:
  cumulo upload articles.ndjson blog/articles
  cumulo upload articles.csv more.json blog/articles --overwrite
  cumulo upload - blog/articles --kind csv --if-not-exists < articles.csv";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(override_usage = "cumulo upload [OPTIONS] <FILE>... <ADDRESS>")]
pub struct Upload {
    /// Files, or `-` for the standard input; then the list that gets them, such as `blog/articles`
    #[arg(required = true, num_args = 2.., value_name = "FILES ADDRESS")]
    args: Vec<String>,
    /// How objects stand in the files [default: by their names; JSON from the standard input]
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Take all cells of CSV as text; otherwise numbers, `true`, `null` and JSON are what they are
    #[arg(long)]
    text: bool,
    /// Replace those that are there
    #[arg(long, conflicts_with = "if_not_exists")]
    overwrite: bool,
    /// Leave those alone that are there
    #[arg(long)]
    if_not_exists: bool,
    /// Who may do what with each, such as `read=system.Everyone`; may be given several times
    #[arg(long, value_name = "PERMISSION=PRINCIPAL")]
    permission: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Upload {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let Some((address, files)) = self.args.split_last() else { return Ok(()) };
        let address: Address = address.parse()?;
        let target = list_of(address.target.clone())?;
        let client = context.at(&address)?;
        let Some(resource) = target.resource(&client) else {
            return Err(Error::Usage(format!("{target} is no list that objects can be sent to")));
        };
        let permissions = self.permissions()?;
        // What can't be read is found before anything is sent.
        let files: Vec<_> = files.iter().map(|it| self.source(it)).collect::<Result<_>>()?;
        let mut all = Sent::default();
        for source in files {
            let bar = context.progress(Unit::Bytes, source.bytes);
            let (sent, done) = self.send(&resource, source, permissions.clone(), &bar);
            bar.finish_and_clear();
            all.add(sent);
            if let Err(error) = done {
                context.remark(&format!("{target}: {} before the error", all.counts()));
                return Err(error);
            }
        }
        context.remark(&format!("{target}: {}", all.counts()));
        all.check()
    }

    /// Sends a file. Tells what was sent, also if it did not come to its end.
    fn send(
        &self,
        resource: &Resource,
        source: Source,
        permissions: Option<Permissions>,
        bar: &ProgressBar,
    ) -> (Summary, Result<()>) {
        let cells = if self.text { Cells::Text } else { Cells::Guessed };
        let reader = bar.wrap_read(source.reader);
        let Rows { mut receiver, reading } = Rows::read(reader, source.name, source.kind, cells);
        let rows = stream::poll_fn(move |cx| receiver.poll_recv(cx)).map(Ok);
        let quiet = self.connect.quiet;
        let mut left = if quiet { 0 } else { SHOWN };
        let beside = bar.clone();
        let mut upload = resource.upload_stream(rows).on_failure(move |failure| {
            if left > 0 {
                left -= 1;
                let text = format!("object {}: {}", failure.index + 1, why(&failure.error));
                // Nobody is left to tell if this fails.
                let _ = beside.suspend(|| writeln!(io::stderr(), "{text}"));
            }
        });
        if self.overwrite {
            upload = upload.overwrite();
        } else if self.if_not_exists {
            upload = upload.if_not_exists();
        }
        if let Some(permissions) = permissions {
            upload = upload.permissions(permissions);
        }
        let (summary, done) = match upload.send() {
            Ok(summary) => (summary, reading.check()),
            Err(ClientError::Unfinished(it)) => (it.summary, Err(of_data(it.cause))),
            Err(error) => (Summary::default(), Err(of_data(error))),
        };
        let more = summary.counts.failed.saturating_sub(SHOWN as u64);
        if more > 0 && !quiet {
            // Nobody is left to tell if this fails.
            let _ = bar.suspend(|| writeln!(io::stderr(), "and {} more", HumanCount(more)));
        }
        (summary, done)
    }

    fn permissions(&self) -> Result<Option<Permissions>> {
        let input = Input { permission: self.permission.clone(), ..Input::default() };
        Ok(input.read()?.1)
    }

    fn source(&self, name: &str) -> Result<Source> {
        if name == "-" {
            let kind = self.kind.unwrap_or(Kind::Json);
            let name = "the standard input".to_owned();
            return Ok(Source { reader: Box::new(io::stdin()), bytes: None, kind, name });
        }
        let path = Path::new(name);
        let Some(kind) = self.kind.or_else(|| Kind::of(path)) else {
            let problem = "is it JSON, lines of JSON, or CSV? Say so with --kind";
            return Err(Error::Usage(format!("{name}: {problem}")));
        };
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let bytes = file.metadata().ok().map(|it| it.len()).filter(|length| *length > 0);
        Ok(Source { reader: Box::new(file), bytes, kind, name: name.to_owned() })
    }
}

/// The list that gets the objects. Of anything but a collection, it has to be written out.
fn list_of(target: Target) -> Result<Target> {
    check_named(&target)?;
    match target {
        Target::Bucket(bucket) => Err(Error::Usage(format!(
            "{bucket} is a bucket: name the collection that gets the records\n  if the objects are \
             collections, their list is /buckets/{bucket}/collections"
        ))),
        target => Ok(target.into_list()),
    }
}

/// What can't be sent is so because of the data.
fn of_data(error: ClientError) -> Error {
    match error {
        ClientError::Argument(problem) => Error::Input(problem),
        error => error.into(),
    }
}

/// Why an object was not written.
fn why(error: &ClientError) -> String {
    match error {
        ClientError::Conflict(_) => {
            "it is there already (see --overwrite and --if-not-exists)".to_owned()
        }
        error => error.to_string(),
    }
}

/// A file that is open.
struct Source {
    reader: Box<dyn Read + Send>,
    bytes: Option<u64>,
    kind: Kind,
    name: String,
}

/// What was sent of all files.
#[derive(Default)]
struct Sent {
    counts: Counts,
    failure: Option<ClientError>,
}

impl Sent {
    fn add(&mut self, summary: Summary) {
        self.counts.created += summary.counts.created;
        self.counts.replaced += summary.counts.replaced;
        self.counts.skipped += summary.counts.skipped;
        self.counts.failed += summary.counts.failed;
        let first = summary.failures.into_iter().next().map(|it| it.error);
        self.failure = self.failure.take().or(first);
    }

    /// In words.
    fn counts(&self) -> String {
        let Counts { created, replaced, skipped, failed, .. } = self.counts;
        let named = [(replaced, "replaced"), (skipped, "left alone"), (failed, "failed")];
        let mut text = format!("{} created", HumanCount(created));
        for (count, name) in named.into_iter().filter(|(count, _)| *count > 0) {
            // Texts take everything.
            let _ = write!(text, ", {} {name}", HumanCount(count));
        }
        text
    }

    fn check(self) -> Result<()> {
        let Counts { failed, .. } = self.counts;
        match self.failure {
            Some(cause) => Err(Error::Partly { failed, total: self.counts.done(), cause }),
            None => Ok(()),
        }
    }
}
