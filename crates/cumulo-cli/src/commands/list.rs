//! `cumulo list`

use cumulo_client::{Blocking, blocking::Client};
use serde_json::Value;

use crate::{
    Address, Connect, Context, Error, Format, Result, Surroundings, address::Target, input::Param,
};

pub(super) const EXAMPLES: &str = "\
Filters and parameters are those of the URL, without its escapes:
  title=x  not_title=x  min_price=3  max_price=9  lt_price=9  gt_price=3  in_id=a,b
  exclude_id=a,b  like_title=new*  has_price=true  contains_tags=[\"a\"]  contains_any_tags=[\"a\"]
  _sort=-price,title  _limit=10  _fields=title,price  _since=1700000000000  _before=…

Examples:
  cumulo list
  cumulo list blog
  cumulo list blog/articles min_price=3 _sort=-title _limit=10 _fields=title,price
  cumulo list blog/articles -o csv --columns id,title,author.name
  cumulo list /buckets/blog/groups
  cumulo list permissions";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Nothing for buckets, `blog` for collections, `blog/articles` for records, `accounts`,
    /// `permissions`, a path or a URL
    #[arg(default_value = "")]
    address: Address,
    /// Which objects, and how; see below
    #[arg(value_name = "FILTER")]
    filters: Vec<Param>,
    /// Print only how many there are
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

impl List {
    pub(super) fn run(self, surroundings: &Surroundings) -> Result<()> {
        let context = Context::new(&self.connect, surroundings);
        let client = context.at(&self.address)?;
        let target = self.address.target.clone().into_list();
        let list = of(&client, &target, &params(&self.address, &self.filters))?;
        let output = context.output(&self.format);
        if self.count {
            return output.object(&list.count()?.into());
        }
        output.rows(list.rows().map(|row| Ok(row?)))
    }
}

/// The parameters behind the address, and those after it.
pub(super) fn params(address: &Address, filters: &[Param]) -> Vec<Param> {
    let behind = address.params.iter().map(|(name, value)| Param(name.clone(), value.clone()));
    behind.chain(filters.iter().cloned()).collect()
}

/// A list with parameters.
pub(super) fn of(
    client: &Client,
    target: &Target,
    params: &[Param],
) -> Result<cumulo_client::List<Blocking, Value>> {
    let mut list = match (target, target.resource(client)) {
        (Target::History(bucket), _) => client.bucket(bucket).history().list().of(),
        (Target::Permissions, _) => client.permissions().of(),
        (_, Some(resource)) => resource.list().of(),
        _ => {
            return Err(Error::Usage(format!(
                "{target} is one object\n  show it with: cumulo get {target}"
            )));
        }
    };
    for Param(name, value) in params {
        list = match name.as_str() {
            "_limit" => list.limit(limit(value)?),
            "_sort" => list.sort(value),
            _ => list.param(name, value),
        };
    }
    Ok(list)
}

pub(super) fn limit(text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::Usage(format!("_limit={text}: expected a number")))
}
