//! `cumulo watch`

use std::{
    io::{self, Write as _},
    thread,
    time::Duration,
};

use cumulo_client::{
    Blocking, Error as ClientError, Fresh, OnBackoff, Refusal, Resource, Timestamp,
};
use serde_json::Value;

use super::{list, timestamp};
use crate::{
    Address, Connect, Context, Error, Result, Surroundings, address::Target, input::Param,
    options::interval,
};

/// How long a server may ask not to be asked.
const PATIENCE: Duration = Duration::from_hours(24);

pub(super) const EXAMPLES: &str = "\
The server is asked again and again, at little cost while nothing changes, and never sooner than it
wants. What is deleted comes with \"deleted\": true. While the server is out of reach, it goes on.

Examples:
  cumulo watch blog/articles --since 0 --changes 2
  cumulo watch blog/articles min_price=3 --since 0 --changes 1 --interval 0.5";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// A list, as in `list`; or one object
    address: Address,
    /// Which objects, as in `list`
    #[arg(value_name = "FILTER")]
    filters: Vec<Param>,
    /// Begin with what has changed since this timestamp [default: now]
    #[arg(long, value_name = "TIMESTAMP", value_parser = timestamp)]
    since: Option<Timestamp>,
    /// How long to wait before the server is asked again
    #[arg(long, value_name = "SECONDS", value_parser = interval, default_value = "2")]
    interval: Duration,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    changes: Option<usize>,
    #[command(flatten)]
    connect: Connect,
}

impl Watch {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let client = context.at(&self.address)?;
        let client = client.to_builder().on_backoff(OnBackoff::Wait(PATIENCE)).build_blocking()?;
        let mut params = list::params(&self.address, &self.filters);
        if let Some(name) = params.iter().map(|it| &it.0).find(|it| it.starts_with('_')) {
            return Err(Error::Usage(format!("{name} is not for watching")));
        }
        let target = list_of(&self.address.target, &mut params);
        let Some(resource) = target.resource(&client) else {
            return Err(Error::Usage(format!("{target} can't be watched")));
        };
        let since = match self.since {
            Some(since) => since,
            None => resource.timestamp()?,
        };
        let mut watched = Watched { resource, params, since, seen: None };
        let mut left = self.changes.unwrap_or(usize::MAX);
        let mut out = io::stdout().lock();
        while left > 0 {
            match watched.ask() {
                Ok(Some(rows)) => {
                    for row in rows.iter().take(left) {
                        writeln!(out, "{row}")?;
                    }
                    out.flush()?;
                    left = left.saturating_sub(rows.len());
                }
                Ok(None) => thread::sleep(self.interval),
                Err(error) if may_pass(&error) => {
                    context.remark(&format!("cumulo: {error}; going on"));
                    let asked = error.refusal().and_then(Refusal::retry_after).unwrap_or_default();
                    thread::sleep(self.interval.max(asked).max(Duration::from_secs(1)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The list that an object is in, with a filter for it; of a bucket and a collection, what is in it.
fn list_of(target: &Target, params: &mut Vec<Param>) -> Target {
    let mut only = |id: &String| params.push(Param("id".to_owned(), id.clone()));
    match target.clone() {
        Target::Record(bucket, collection, id) => {
            only(&id);
            Target::Records(bucket, collection)
        }
        Target::Group(bucket, id) => {
            only(&id);
            Target::Groups(bucket)
        }
        Target::Account(id) => {
            only(&id);
            Target::Accounts
        }
        other => other.into_list(),
    }
}

/// Whether it may be better later.
fn may_pass(error: &ClientError) -> bool {
    use ClientError as E;
    matches!(
        error,
        E::Throttled(_)
            | E::Server(_)
            | E::Backoff { .. }
            | E::Timeout { .. }
            | E::Transport { .. }
    )
}

/// A list, and up to where it is known.
struct Watched {
    resource: Resource<Blocking>,
    params: Vec<Param>,
    /// The timestamp of the last change that was shown.
    since: Timestamp,
    /// The timestamp of the list when it was asked for last, with all of its changes.
    seen: Option<Timestamp>,
}

impl Watched {
    /// The next changes, oldest first; nothing if there are none now.
    fn ask(&mut self) -> Result<Option<Vec<Value>>, ClientError> {
        let list = self.resource.list().sort("last_modified").since(self.since).of::<Value>();
        let list = self.params.iter().fold(list, |list, it| list.param(&it.0, &it.1));
        let page = match self.seen {
            None => list.page()?,
            Some(seen) => match list.if_none_match(seen).page()? {
                Fresh::NotModified => return Ok(None),
                Fresh::Modified(page) => page,
            },
        };
        if let Some(last) = page.rows.last().and_then(|it| it.get("last_modified")?.as_i64()) {
            self.since = Timestamp(last);
        }
        self.seen = page.next.is_none().then_some(page.timestamp);
        Ok(Some(page.rows).filter(|rows| !rows.is_empty()))
    }
}
