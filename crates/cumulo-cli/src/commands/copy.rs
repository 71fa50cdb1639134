//! `cumulo copy`

use super::replicate::{Look, Places, named, tell, write};
use crate::{Address, Connect, Context, Error, Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Objects keep their timestamps and who may do what with them. What is there already stays as it is. A
run that was interrupted can be started again: it copies what is missing.

Examples:
  cumulo copy blog/articles archive/articles-2026
  cumulo copy blog blog-test --dry-run
  cumulo copy work:blog http://localhost:8888/v1/buckets/blog --without-permissions";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Copy {
    /// The bucket or collection to copy: `blog`, `work:blog/articles`, a path or a URL
    #[arg(value_name = "FROM")]
    source: Address,
    /// Its new name, or another server
    #[arg(value_name = "TO")]
    destination: Address,
    /// Only show what would be created
    #[arg(long)]
    dry_run: bool,
    /// Don't copy who may do what: faster, and for another server with other users
    #[arg(long)]
    without_permissions: bool,
    /// How to write what would be created
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, requires = "dry_run")]
    output: Look,
    #[command(flatten)]
    connect: Connect,
}

impl Copy {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let places = Places::new(&context, &self.source, &self.destination)?;
        let mut copy = places.copy();
        if self.without_permissions {
            copy = copy.without_permissions();
        }
        if self.dry_run {
            let planned = write(&context, self.output, copy.plan())?;
            let words = planned.words();
            context.remark(if words.is_empty() { "nothing to do" } else { &words });
            return Ok(());
        }
        let report = places.run(&context, copy)?;
        tell(&context, &report)?;
        if report.counts.kept == 0 {
            return Ok(());
        }
        let to = named(&self.destination);
        let message =
            format!("{to} had other objects, which stay as they are\n  `cumulo diff` shows them");
        Err(Error::Incomplete { message, code: 5 })
    }
}
