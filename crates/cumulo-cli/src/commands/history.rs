//! `cumulo history`

use super::{confirm, delete, list, number};
use crate::{
    Address, Connect, Context, Error, Format, Result, Surroundings, address::Target, input::Param,
};

/// What tables show.
const COLUMNS: [&str; 5] = ["date", "user_id", "action", "resource_name", "uri"];

pub(super) const EXAMPLES: &str = "\
Examples:
  cumulo history blog
  cumulo history blog/articles action=delete -o table
  cumulo history blog/articles/first --columns date,user_id,target.data.title
  cumulo history blog lt_last_modified=1700000000000 --purge --yes";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct History {
    /// A bucket, or something in it
    address: Address,
    /// Which changes, as in `list`: on `action`, `user_id`, `resource_name`, `uri`, …
    #[arg(value_name = "FILTER")]
    filters: Vec<Param>,
    /// Forget the changes instead
    #[arg(long)]
    purge: bool,
    /// Don't ask
    #[arg(short, long, requires = "purge")]
    yes: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl History {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let client = context.at(&self.address)?;
        let mut params = list::params(&self.address, &self.filters);
        let bucket = bucket_of(&self.address.target, &mut params)?;
        let target = Target::History(bucket.clone());
        if !self.purge {
            let list = list::of(&client, &target, &params)?;
            let output = context.output(&self.format).with_table_columns(&COLUMNS);
            return output.rows(list.rows().map(|row| Ok(row?)));
        }
        if !self.yes {
            let Some(question) = delete::question(&target, &client, &params)? else {
                context.remark("there is nothing to forget");
                return Ok(());
            };
            confirm(false, &question)?;
        }
        let purge = client.bucket(&bucket).history().purge();
        let purged = delete::filtered(purge, &params)?.send()?.len() as u64;
        context.remark(&format!("{} forgotten", number(purged, "change", "changes")));
        Ok(())
    }
}

/// The bucket of what is meant, with filters for the rest.
fn bucket_of(target: &Target, params: &mut Vec<Param>) -> Result<String> {
    let mut only = |name: &str, id: &str| params.push(Param(name.to_owned(), id.to_owned()));
    Ok(match target {
        Target::Bucket(bucket) | Target::History(bucket) => bucket.clone(),
        Target::Groups(bucket) => {
            only("resource_name", "group");
            bucket.clone()
        }
        Target::Collections(bucket) => {
            only("resource_name", "collection");
            bucket.clone()
        }
        Target::Group(bucket, id) => {
            only("group_id", id);
            bucket.clone()
        }
        Target::Collection(bucket, id) => {
            only("collection_id", id);
            bucket.clone()
        }
        Target::Records(bucket, id) => {
            only("collection_id", id);
            only("resource_name", "record");
            bucket.clone()
        }
        Target::Record(bucket, collection, id) => {
            only("collection_id", collection);
            only("record_id", id);
            bucket.clone()
        }
        Target::Server
        | Target::Buckets
        | Target::Accounts
        | Target::Account(_)
        | Target::Permissions => {
            return Err(Error::Usage("a history is that of a bucket".to_owned()));
        }
    })
}
