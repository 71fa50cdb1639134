//! `cumulo apply`: makes a server have what a file says.
//!
//! - `file`: what the file says
//! - `plan`: what has to be done

mod file;
mod plan;

use std::{collections::BTreeSet, io::Write as _, path::PathBuf};

use cumulo_client::{
    Blocking, Changes, Error as ClientError, Object, One, blocking::Client, server::User,
};

use self::{
    file::{File, Place, Wanted},
    plan::{Action, Plan, Step},
};
use super::confirm;
use crate::{Connect, Context, Error, Result, Surroundings, address::Server};

pub(super) const EXAMPLES: &str = "\
The file names buckets with their groups and collections:
  buckets:
    blog:
      data: {title: My blog}
      permissions: {write: ['group:editors']}
      groups:
        editors: {members: ['account:ann']}
      collections:
        articles:
          schema: {type: object, properties: {title: {type: string}}}
          permissions: {read: [system.Everyone]}

Fields and permissions that it names become as it says, others stay; a field that is null is
removed. 'group:editors' stands for a group of the same bucket. Nothing is deleted without --prune,
and records are not touched.

Examples:
  cumulo apply blog.yaml --dry-run
  cumulo apply blog.yaml --yes";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// The file, YAML or JSON; `-` is the standard input
    file: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Delete groups and collections that the file does not name from the buckets that it names
    #[arg(long)]
    prune: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// How to show the plan: `json` is for programs
    #[arg(short, long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    output: String,
    #[command(flatten)]
    connect: Connect,
}

impl Apply {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let wanted = File::read(&self.file)?.wanted();
        let (client, info) = context.introduced(&Server::Chosen)?;
        let plan = self.plan(&client, wanted, info.user.as_ref())?;
        self.show(&plan)?;
        if self.dry_run || plan.steps.is_empty() {
            return Ok(());
        }
        confirm(self.yes, "Do this?")?;
        for step in &plan.steps {
            carry_out(&client, step)?;
            context.remark(&format!("{}: done", step.place));
        }
        Ok(())
    }

    fn plan(&self, client: &Client, wanted: Vec<Wanted>, user: Option<&User>) -> Result<Plan> {
        let own = user.and_then(|user| user.bucket.as_deref());
        let user = user.map(|user| user.id.as_str());
        let named: BTreeSet<Place> = wanted.iter().map(|it| it.place.clone()).collect();
        let mut plan = Plan::default();
        for wanted in wanted {
            let actual = actual(client, &wanted.place, own)?;
            plan.add(wanted, actual.as_ref(), user);
        }
        if self.prune {
            for place in &named {
                if let Place::Bucket(bucket) = place {
                    plan_deletions(client, bucket, &named, &mut plan)?;
                }
            }
        }
        Ok(plan)
    }

    fn show(&self, plan: &Plan) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match self.output.as_str() {
            "json" => writeln!(out, "{}", plan.to_json())?,
            _ => writeln!(out, "{plan}")?,
        }
        Ok(())
    }
}

/// An object as it is, if it is there. To those who may not see it, servers don't tell whether it
/// is: then creating it shows. `own` is the id of the bucket that is called `default`: to read a
/// collection under that name would create it.
fn actual(client: &Client, place: &Place, own: Option<&str>) -> Result<Option<Object>> {
    let one = match (place, own) {
        (Place::Collection(bucket, id), Some(own)) if bucket == "default" => {
            client.bucket(own).collections().one(id)
        }
        _ => one(client, place),
    };
    match one.get().send() {
        Ok(object) if object.permissions.is_none() => {
            Err(Error::Input(format!("{place}: you may read it, but not change it")))
        }
        Ok(object) => Ok(Some(object)),
        Err(ClientError::NotFound(_) | ClientError::Forbidden(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn one(client: &Client, place: &Place) -> One<Blocking> {
    match place {
        Place::Bucket(id) => client.buckets().one(id),
        Place::Group(bucket, id) => client.bucket(bucket).group(id),
        Place::Collection(bucket, id) => client.bucket(bucket).collections().one(id),
    }
}

/// Plans to delete what is in a bucket and not in the file.
fn plan_deletions(
    client: &Client,
    bucket: &str,
    named: &BTreeSet<Place>,
    plan: &mut Plan,
) -> Result<()> {
    let parent = client.bucket(bucket);
    let absent = |place: &Place| !named.contains(place);
    for group in or_none(parent.groups().list().all())? {
        let place = Place::Group(bucket.to_owned(), group.id);
        if absent(&place) {
            plan.delete(place, group.last_modified, None);
        }
    }
    for collection in or_none(parent.collections().list().all())? {
        let place = Place::Collection(bucket.to_owned(), collection.id.clone());
        if absent(&place) {
            let records = parent.collection(&collection.id).records().list().count()?;
            plan.delete(place, collection.last_modified, Some(records));
        }
    }
    Ok(())
}

/// What is in a bucket: nothing, if the bucket is yet to be made.
fn or_none(list: cumulo_client::Result<Vec<Object>>) -> Result<Vec<Object>> {
    match list {
        Err(ClientError::NotFound(_) | ClientError::Forbidden(_)) => Ok(Vec::new()),
        list => Ok(list?),
    }
}

/// Does one step, if the object is still as it was when the plan was made.
fn carry_out(client: &Client, step: &Step) -> Result<()> {
    let one = one(client, &step.place);
    match &step.action {
        Action::Create { data, permissions } => {
            one.create().data(data).permissions(permissions.clone()).send()?;
        }
        Action::Change { operations, since } => {
            one.patch(Changes::json(operations)).if_match(*since).send()?;
        }
        Action::Delete { since } => {
            one.delete().if_match(*since).send()?;
        }
    }
    Ok(())
}
