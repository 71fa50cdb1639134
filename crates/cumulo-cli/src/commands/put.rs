//! `cumulo put`

use cumulo_client::Timestamp;
use serde_json::json;

use super::{check_named, shown, timestamp};
use crate::{
    Address, Connect, Context, Error, Format, Result, Surroundings,
    input::{Input, check_object},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo put blog --permission read=system.Everyone
  cumulo put blog/articles/third title=Third price:=12.5
  cumulo put blog/articles/ title='With an id that is made'
  cumulo put blog/articles/fourth @article.json --if-not-exists
  echo '{\"title\": \"Fifth\"}' | cumulo put blog/articles/fifth -";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Put {
    /// What to write; a list, such as `blog/articles/`, gets a new object
    address: Address,
    #[command(flatten)]
    input: Input,
    /// Only if it has this timestamp; by default, one in the data must be that of the object
    #[arg(long, value_name = "TIMESTAMP", value_parser = timestamp, group = "condition")]
    if_match: Option<Timestamp>,
    /// Only if it is not there; shows what is there otherwise
    #[arg(long, group = "condition")]
    if_not_exists: bool,
    /// Whatever is there, even if the data has a timestamp
    #[arg(long, group = "condition")]
    overwrite: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl Put {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        check_named(&self.address.target)?;
        let context = Context::new(&self.connect, surroundings);
        let (data, permissions) = self.input.read()?;
        check_object(data.as_ref())?;
        let client = context.at(&self.address)?;
        let target = &self.address.target;
        let mut write = if let Some(one) = target.object(&client) {
            match data {
                Some(data) => one.update(data),
                None => one.create().overwrite(),
            }
        } else if let Some(resource) = target.resource(&client) {
            match data {
                Some(data) if data.get("id").is_some() => resource.update(data),
                data => resource.create(data.unwrap_or_else(|| json!({}))),
            }
        } else {
            return Err(Error::Usage(format!("{target} can't be written")));
        };
        if let Some(permissions) = permissions {
            write = write.permissions(permissions);
        }
        if let Some(timestamp) = self.if_match {
            write = write.if_match(timestamp);
        } else if self.if_not_exists {
            write = write.if_not_exists();
        } else if self.overwrite {
            write = write.overwrite();
        }
        let object = write.send()?;
        context.output(&self.format).object(&shown(object, self.input.full))
    }
}
