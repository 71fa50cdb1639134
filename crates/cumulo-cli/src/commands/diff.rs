//! `cumulo diff`

use super::replicate::{Look, Places, named, write};
use crate::{Address, Connect, Context, Error, Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Shows what `cumulo sync A B` would do with B: + creates, ~ changes, - deletes. Timestamps are not
compared. The exit status is 0 if nothing differs, and 1 if something does.

Examples:
  cumulo diff prod:blog/articles staging:blog/articles
  cumulo diff blog backup --ignore seen --without-permissions
  cumulo diff blog/articles http://localhost:8888/v1/buckets/blog/collections/articles -o ndjson";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// A bucket or a collection: `blog`, `work:blog/articles`, a path or a URL
    #[arg(value_name = "A")]
    source: Address,
    /// Another one
    #[arg(value_name = "B")]
    destination: Address,
    /// A field that may differ, of whatever object; may be given several times
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<String>,
    /// Compare who may do what with each record too, which must be asked for one by one
    #[arg(long)]
    permissions: bool,
    /// Don't compare who may do what
    #[arg(long, conflicts_with = "permissions")]
    without_permissions: bool,
    /// How to write the differences
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Look,
    #[command(flatten)]
    connect: Connect,
}

impl Diff {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let places = Places::new(&context, &self.source, &self.destination)?;
        let mut diff = places.diff();
        for field in &self.ignore {
            diff = diff.ignore(field);
        }
        if self.permissions {
            diff = diff.record_permissions();
        }
        if self.without_permissions {
            diff = diff.without_permissions();
        }
        let planned = write(&context, self.output, diff.rows())?;
        if planned.total() == 0 {
            return Ok(());
        }
        if self.connect.quiet {
            return Err(Error::Silent(1));
        }
        let (from, to) = (named(&self.source), named(&self.destination));
        let message = format!("{to} differs from {from}: {}", planned.words());
        Err(Error::Incomplete { message, code: 1 })
    }
}
