//! `cumulo upload`

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use cumulo_client::{Permissions, blocking::Client};
use indicatif::ProgressBar;
use serde_json::Value;

use super::number;
use crate::{
    Address, Connect, Context, Error, Result, Surroundings, Unit,
    address::Target,
    input::Input,
    rows::{self, Cells, Kind},
};

/// How many objects are held and sent at once.
const AT_ONCE: usize = 2_000;

pub(super) const EXAMPLES: &str = "\
Objects with an `id` are written under it, others get a new one. The timestamps in files are not
compared with those on the server. What was sent before an error stays.

Examples:
  cumulo upload articles.ndjson blog/articles
  cumulo upload articles.csv more.json blog/articles --if-not-exists
  cumulo upload - blog/articles --kind csv < articles.csv";

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
        let client = context.at(&address)?;
        let mut upload = Sending {
            target: address.target.into_list(),
            if_not_exists: self.if_not_exists,
            permissions: self.permissions()?,
            client,
            sent: 0,
        };
        // What can't be read is found before anything is sent.
        let files: Vec<_> = files.iter().map(|it| self.source(it)).collect::<Result<_>>()?;
        for source in files {
            let bar = context.progress(Unit::Bytes, source.bytes);
            let cells = if self.text { Cells::Text } else { Cells::Guessed };
            let rows = rows::read(bar.wrap_read(source.reader), source.name, source.kind, cells);
            let done = upload.all(rows, &bar);
            bar.finish_and_clear();
            if let Err(error) = done {
                context.remark(&format!("{} sent before:", objects(upload.sent)));
                return Err(error);
            }
        }
        context.remark(&format!("{} sent to {}", objects(upload.sent), upload.target));
        Ok(())
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

fn objects(n: u64) -> String {
    number(n, "object", "objects")
}

/// A file that is open.
struct Source {
    reader: Box<dyn Read + Send>,
    bytes: Option<u64>,
    kind: Kind,
    name: String,
}

struct Sending {
    client: Client,
    target: Target,
    if_not_exists: bool,
    permissions: Option<Permissions>,
    sent: u64,
}

impl Sending {
    /// Sends objects in the order in which they come.
    fn all(&mut self, rows: impl Iterator<Item = Result<Value>>, bar: &ProgressBar) -> Result<()> {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let mut some = Vec::new();
            let mut problem = None;
            for row in rows.by_ref().take(AT_ONCE) {
                match row {
                    Ok(row) => some.push(row),
                    Err(error) => {
                        problem = Some(error);
                        break;
                    }
                }
            }
            self.some(some)?;
            bar.tick();
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
        Ok(())
    }

    fn some(&mut self, rows: Vec<Value>) -> Result<()> {
        let batch = self.client.batch();
        let Some(resource) = self.target.resource(&batch) else {
            let target = &self.target;
            return Err(Error::Usage(format!("{target} is no list that objects can be sent to")));
        };
        let count = rows.len() as u64;
        for row in rows {
            let mut write = if self.if_not_exists {
                resource.create(row).if_not_exists()
            } else if row.get("id").is_some() {
                resource.update(row).overwrite()
            } else {
                resource.create(row)
            };
            if let Some(permissions) = &self.permissions {
                write = write.permissions(permissions.clone());
            }
            let _ticket = write.send();
        }
        batch.send()?;
        self.sent += count;
        Ok(())
    }
}
