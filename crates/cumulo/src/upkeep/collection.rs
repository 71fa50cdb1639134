//! `cumulo delete-collection` and `cumulo rename-collection`.

use anyhow::{bail, ensure};
use cumulo_upkeep::collection::{self, Collection, Content};

use super::{block_on, configure, confirm, count, tell, with_store};
use crate::{args, config::Env, wiring};

/// Runs `delete-collection`.
pub(crate) fn delete(args: &args::DeleteCollection, env: &Env) -> anyhow::Result<()> {
    let change = &args.change;
    let (config, _logs) = configure(change, env)?;
    let collection = Collection { bucket: args.bucket.clone(), id: args.collection.clone() };
    with_store(&config, |store| {
        let content = block_on(collection::content(store, &collection))?;
        let what = format!("{collection} with {}", told(content));
        if change.dry_run {
            return tell(&change.stored.common, &format!("{what} would be removed."));
        }
        confirm(change.yes, &format!("Remove {what}?"))?;
        block_on(collection::delete(store, &collection))?;
        tell(&change.stored.common, &format!("{what} is removed."))
    })
}

/// Runs `rename-collection`.
pub(crate) fn rename(args: &args::RenameCollection, env: &Env) -> anyhow::Result<()> {
    let change = &args.change;
    let (config, _logs) = configure(change, env)?;
    let (from, to) = names(&args.names)?;
    ensure!(from != to, "{from} has this name already");
    let accepts_id = wiring::accepts_id(&config);
    ensure!(accepts_id("collection", &to.id), "'{}' can't be the id of a collection", to.id);
    with_store(&config, |store| {
        let content = block_on(collection::content(store, &from))?;
        block_on(collection::free(store, &to))?;
        let what = format!("{from} with {}", told(content));
        if change.dry_run {
            return tell(&change.stored.common, &format!("{what} would become {to}."));
        }
        confirm(change.yes, &format!("Move {what} to {to}?"))?;
        block_on(collection::rename(store, &from, &to))?;
        tell(&change.stored.common, &format!("{what} is now {to}."))
    })
}

/// The old and the new name.
fn names(names: &[String]) -> anyhow::Result<(Collection, Collection)> {
    let of = |bucket: &String, id: &String| Collection { bucket: bucket.clone(), id: id.clone() };
    if let [bucket, old, new] = names {
        return Ok((of(bucket, old), of(bucket, new)));
    }
    let both: Option<Vec<_>> = names.iter().map(|uri| Collection::parse(uri)).collect();
    match both.as_deref() {
        Some([from, to]) => Ok((from.clone(), to.clone())),
        _ => bail!("expected BUCKET OLD NEW, or two URIs such as /buckets/blog/collections/posts"),
    }
}

fn told(content: Content) -> String {
    let records = count(content.records, "record", "records");
    format!("{records} and {}", count(content.tombstones, "tombstone", "tombstones"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<String> {
        let line: Vec<_> = line.split(' ').map(str::to_owned).collect();
        names(&line).ok().map(|(from, to)| format!("{from} {to}"))
    }

    #[test]
    fn collections_are_named_by_ids_or_uris() {
        let uris = "/buckets/b/collections/c /buckets/x/collections/y";
        assert_eq!(parse(uris).as_deref(), Some(uris));
        let same = "/buckets/b/collections/c /buckets/b/collections/y";
        assert_eq!(parse("b c y").as_deref(), Some(same));
        for line in ["b c", "/buckets/b /buckets/c", "/buckets/b/collections/c c"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
