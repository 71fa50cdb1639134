//! `cumulo download`

use std::{
    fs,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process,
};

use indicatif::ProgressBar;

use super::{list, number};
use crate::{
    Address, Connect, Context, Error, Format, Result, Shape, Surroundings, Unit, files,
    input::Param,
    interrupt::{INTERRUPTED, on_interrupt},
};

pub(super) const EXAMPLES: &str = "\
A file appears when it is complete.

Examples:
  cumulo download blog/articles -o all.ndjson
  cumulo download blog/articles min_price=3 -o some.csv --columns id,title,price
  cumulo download blog/articles | gzip > articles.ndjson.gz";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Download {
    /// A list, as in `list`
    address: Address,
    /// Which objects, and how, as in `list`
    #[arg(value_name = "FILTER")]
    filters: Vec<Param>,
    /// Where to write them; `-` is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// How to write them [default: by the name of the file; ndjson to the standard output]
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Shape>,
    /// The fields to write, in this order; those in a field in dots: `author.name`
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    columns: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Download {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let client = context.at(&self.address)?;
        let target = self.address.target.clone().into_list();
        let params = list::params(&self.address, &self.filters);
        let shape = self.shape()?;
        let list = || list::of(&client, &target, &params);
        // A server that does not tell, or lists parts only, makes no bar.
        let total = list()?.count().ok().filter(|it| *it > 0);
        let to_output = self.output.as_os_str() == "-";
        let bar = if to_output && io::stdout().is_terminal() {
            // It would stand between the objects.
            ProgressBar::hidden()
        } else {
            context.progress(Unit::Objects("objects"), total)
        };
        let mut count = 0;
        let rows = list()?.rows().map(|row| {
            bar.inc(1);
            count += 1;
            Ok(row?)
        });
        let format = Format { output: Some(shape), columns: self.columns.clone() };
        let output = context.output(&format);
        let written = if to_output {
            let mut out = BufWriter::new(io::stdout().lock());
            output.rows_to(&mut out, shape, rows).and_then(|()| Ok(out.flush()?))
        } else {
            to_file(&self.output, |out| output.rows_to(out, shape, rows))
        };
        bar.finish_and_clear();
        written?;
        context.remark(&format!("{} of {target}", number(count, "object", "objects")));
        Ok(())
    }

    fn shape(&self) -> Result<Shape> {
        if let Some(shape) = self.format {
            return Ok(shape);
        }
        match self.output.extension().and_then(|it| it.to_str()) {
            _ if self.output.as_os_str() == "-" => Ok(Shape::Ndjson),
            Some("ndjson" | "jsonl") => Ok(Shape::Ndjson),
            Some("json") => Ok(Shape::Json),
            Some("csv") => Ok(Shape::Csv),
            _ => {
                let name = self.output.display();
                Err(Error::Usage(format!("{name}: say what to write with --format")))
            }
        }
    }
}

/// Writes a file that appears whole or not at all.
fn to_file(path: &Path, write: impl FnOnce(&mut BufWriter<&fs::File>) -> Result<()>) -> Result<()> {
    let failed = |error| Error::file(path, error);
    let file = files::beside(path, &readable())?;
    let left = file.path().to_owned();
    on_interrupt(move || {
        // It may be gone, or have its name by now.
        let _ = fs::remove_file(left);
        process::exit(INTERRUPTED);
    })?;
    let mut out = BufWriter::with_capacity(1 << 16, file.as_file());
    write(&mut out).map_err(|error| match error {
        Error::Output(error) => failed(error),
        other => other,
    })?;
    out.flush().map_err(failed)?;
    drop(out);
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Temporary files that others may read as they may read any new file.
fn readable() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}
