//! `cumulo get`

use super::{check_named, shown};
use crate::{Address, Connect, Context, Error, Format, Result, Surroundings};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo get blog/articles/first
  cumulo get blog/articles/first?_fields=title,price -o table
  cumulo get /buckets/blog/groups/editors --full";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// What to show: `blog`, `blog/articles`, `blog/articles/first`, a path or a URL
    address: Address,
    /// With its permissions: `{"data": …, "permissions": …}`
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl Get {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        check_named(&self.address.target)?;
        let context = Context::new(&self.connect, surroundings);
        let Address { target, params, .. } = &self.address;
        let client = context.at(&self.address)?;
        let Some(one) = target.object(&client) else {
            return Err(Error::Usage(format!(
                "{target} is a list\n  show it with: cumulo list {target}"
            )));
        };
        let get = params.iter().fold(one.get(), |get, (name, value)| get.param(name, value));
        let object = get.send()?;
        context.output(&self.format).object(&shown(object, self.full))
    }
}
