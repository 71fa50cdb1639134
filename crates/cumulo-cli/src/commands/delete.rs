//! `cumulo delete`

use cumulo_client::{Blocking, DeleteMany, Timestamp, blocking::Client};
use serde_json::Value;

use super::{check_named, confirm, list, number, timestamp};
use crate::{
    Address, Connect, Context, Error, Result, Surroundings, address::Target, input::Param,
};

/// How many objects are shown before many are deleted.
const SHOWN: usize = 5;

pub(super) const EXAMPLES: &str = "\
Before more than one object is deleted, what it is is shown, and --yes or an answer is needed.

Examples:
  cumulo delete blog/articles/second
  cumulo delete blog/articles/ max_price=3 --yes
  cumulo delete blog/drafts --if-exists --yes";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// What to delete; with what is in it. A list, such as `blog/articles/`, is emptied
    address: Address,
    /// Of a list: which objects, as in `list`
    #[arg(value_name = "FILTER")]
    filters: Vec<Param>,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// That it is not there is no error
    #[arg(long)]
    if_exists: bool,
    /// Only if it has this timestamp
    #[arg(long, value_name = "TIMESTAMP", value_parser = timestamp, conflicts_with = "if_exists")]
    if_match: Option<Timestamp>,
    #[command(flatten)]
    connect: Connect,
}

impl Delete {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        check_named(&self.address.target)?;
        let context = Context::new(&self.connect, surroundings);
        let client = context.at(&self.address)?;
        let params = list::params(&self.address, &self.filters);
        match self.address.target.object(&client) {
            Some(_) if !params.is_empty() => {
                let target = &self.address.target;
                Err(Error::Usage(format!(
                    "filters are for lists\n  the list in {target} is {}",
                    target.clone().into_list()
                )))
            }
            Some(_) => self.one(&context, &client),
            None => self.many(&context, &client, &params),
        }
    }

    fn one(&self, context: &Context, client: &Client) -> Result<()> {
        let target = &self.address.target;
        let Some(one) = target.object(client) else { return Ok(()) };
        if !self.yes {
            match inside(target, client) {
                Ok(None) => {}
                Ok(Some(inside)) => confirm(false, &format!("Delete {target} with {inside}?"))?,
                // The deletion itself tells, or is not to tell.
                Err(Error::Client(cumulo_client::Error::NotFound(_))) if self.if_exists => {}
                Err(error) => return Err(error),
            }
        }
        let mut delete = one.delete();
        if let Some(timestamp) = self.if_match {
            delete = delete.if_match(timestamp);
        }
        let is_deleted = if self.if_exists {
            delete.if_exists().send()?.is_some()
        } else {
            delete.send().map(|_| true)?
        };
        let done = if is_deleted { "is deleted" } else { "was not there" };
        context.remark(&format!("{target} {done}"));
        Ok(())
    }

    fn many(&self, context: &Context, client: &Client, params: &[Param]) -> Result<()> {
        let target = &self.address.target;
        let mut delete = match (target, target.resource(client)) {
            (Target::History(bucket), _) => client.bucket(bucket).history().purge(),
            (_, Some(resource)) => resource.delete_many(),
            _ => return Err(Error::Usage(format!("{target} can't be deleted"))),
        };
        if !self.yes {
            let question = question(target, client, params)?;
            let Some(question) = question else {
                context.remark("there is nothing to delete");
                return Ok(());
            };
            confirm(false, &question)?;
        }
        if let Some(timestamp) = self.if_match {
            delete = delete.if_match(timestamp);
        }
        let deleted = filtered(delete, params)?.send()?.len() as u64;
        context.remark(&format!("{} deleted from {target}", number(deleted, "object", "objects")));
        Ok(())
    }
}

/// With the parameters of a list.
pub(super) fn filtered(
    mut delete: DeleteMany<Blocking>,
    params: &[Param],
) -> Result<DeleteMany<Blocking>> {
    for Param(name, value) in params {
        delete = match name.as_str() {
            "_limit" => delete.limit(list::limit(value)?),
            "_sort" => delete.sort(value),
            _ => delete.param(name, value),
        };
    }
    Ok(delete)
}

/// What else is deleted with an object; nothing if it is alone.
fn inside(target: &Target, client: &Client) -> Result<Option<String>> {
    Ok(match target {
        Target::Bucket(id) => {
            let bucket = client.bucket(id);
            let collections = bucket.collections().list().count()?;
            let groups = bucket.groups().list().count()?;
            let collections = number(collections, "collection", "collections");
            Some(format!("{collections} and {}", number(groups, "group", "groups")))
        }
        Target::Collection(bucket, id) => {
            let records = client.collection(bucket, id).records().list().count()?;
            Some(number(records, "record", "records"))
        }
        _ => None,
    })
}

/// What is asked before many objects are deleted; nothing if there are none.
pub(super) fn question(
    target: &Target,
    client: &Client,
    params: &[Param],
) -> Result<Option<String>> {
    // Kinto tells how many there are only if nothing else is asked for.
    let count = list::of(client, target, params)?.count()?;
    let limit = params.iter().find(|it| it.0 == "_limit").map(|it| list::limit(&it.1));
    let count = limit.transpose()?.map_or(count, |limit| count.min(limit as u64));
    if count == 0 {
        return Ok(None);
    }
    let page = list::of(client, target, params)?.page_size(SHOWN).page()?;
    let ids = page.rows.iter().take(SHOWN).filter_map(|row: &Value| row.get("id")?.as_str());
    let more = if count > SHOWN as u64 { ", …" } else { "" };
    let ids: Vec<_> = ids.collect();
    let objects = number(count, "object", "objects");
    Ok(Some(format!("Delete {objects} of {target} ({}{more})?", ids.join(", "))))
}
