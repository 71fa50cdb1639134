//! `cumulo patch`

use cumulo_client::{Changes, Permissions, Timestamp};
use serde_json::{Value, json};

use super::{check_named, shown, timestamp};
use crate::{
    Address, Connect, Context, Error, Format, Result, Surroundings,
    input::{Input, check_object},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo patch blog/articles/first title='A better title'
  cumulo patch blog/articles/first --merge '{\"author\": {\"name\": \"Ann\"}, \"price\": null}'
  cumulo patch blog/articles/first --json-patch \\
      '[{\"op\": \"add\", \"path\": \"/data/tags\", \"value\": [\"new\"]}]'
  cumulo patch blog/articles --permission read=system.Everyone";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Patch {
    /// What to change
    address: Address,
    #[command(flatten)]
    input: Input,
    /// Merge objects in the object, and remove fields that are `null` (RFC 7396); otherwise the
    /// fields that are given replace those that are there
    #[arg(long, group = "type")]
    merge: bool,
    /// The data is a list of operations on `/data/…` and `/permissions/…` (RFC 6902)
    #[arg(long = "json-patch", group = "type", conflicts_with_all = ["permission", "full"])]
    operations: bool,
    /// Only if it has this timestamp
    #[arg(long, value_name = "TIMESTAMP", value_parser = timestamp)]
    if_match: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl Patch {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        check_named(&self.address.target)?;
        let context = Context::new(&self.connect, surroundings);
        let (data, permissions) = self.input.read()?;
        if !self.operations {
            check_object(data.as_ref().filter(|it| !it.is_null()))?;
        }
        let client = context.at(&self.address)?;
        let target = &self.address.target;
        let Some(one) = target.object(&client) else {
            return Err(Error::Usage(format!("{target} is a list, and only objects are changed")));
        };
        let mut write = one.patch(self.changes(data, permissions.as_ref())?);
        if let Some(permissions) = permissions {
            write = write.permissions(permissions);
        }
        if let Some(timestamp) = self.if_match {
            write = write.if_match(timestamp);
        }
        let object = write.send()?;
        context.output(&self.format).object(&shown(object, self.input.full))
    }

    fn changes(&self, data: Option<Value>, permissions: Option<&Permissions>) -> Result<Changes> {
        Ok(match (data, permissions) {
            (None, None) => {
                return Err(Error::Usage("say what to change: name=text, JSON, …".to_owned()));
            }
            (None, Some(permissions)) => permissions.clone().into(),
            (Some(data), _) if self.operations => Changes::json(data),
            (Some(data), _) if self.merge => Changes::merge(data),
            (Some(data), _) => Changes::basic(if data.is_null() { json!({}) } else { data }),
        })
    }
}
