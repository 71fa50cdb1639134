//! Removes a collection, or gives it another name. Each is one transaction: others see all of it or
//! nothing.

use std::{fmt, sync::Arc};

use cumulo_core::{
    cascade,
    object::{List, Timestamp},
    query::Query,
    resource::{Target, uri_of},
    store::{self, Access, Outcome, Store, Transaction},
};

use crate::{Error, PAGE, Result};

/// Names a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Id of the bucket.
    pub bucket: String,
    /// Its id there.
    pub id: String,
}

/// How much a collection holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Live records.
    pub records: u64,
    /// Tombstones of records.
    pub tombstones: u64,
}

impl Collection {
    /// By a URI such as `/buckets/blog/collections/posts`.
    pub fn parse(uri: &str) -> Option<Self> {
        let target = Target::parse(uri)?;
        let bucket = target.ancestor_id("bucket")?.to_owned();
        let id = target.id.filter(|_| target.resource.name == "collection")?;
        Some(Self { bucket, id })
    }

    /// The URI, without version prefix.
    pub fn uri(&self) -> String {
        uri_of(&self.list(), &self.id)
    }

    /// The collections of its bucket.
    fn list(&self) -> List {
        List::new(uri_of(&buckets(), &self.bucket), "collection")
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri())
    }
}

fn buckets() -> List {
    List::new("", "bucket")
}

/// What happens in a transaction: outside, the store fails; inside, something is not as it must be.
type Work<T> = store::Result<Result<T>>;

/// Returns from the function unless all is well.
macro_rules! check {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

/// Runs work that is undone if it fails in either way.
async fn transact<T: Send + 'static>(
    store: &Arc<dyn Store>,
    access: Access,
    mut work: impl FnMut(&mut dyn Transaction) -> Work<T> + Send + 'static,
) -> Result<T> {
    let work = move |tx: &mut dyn Transaction| {
        let done = work(tx)?;
        Ok((if done.is_ok() { Outcome::Commit } else { Outcome::Rollback }, done))
    };
    store.transact(access, work).await?
}

/// Tells what a collection holds. Fails if it is not there.
pub async fn content(store: &Arc<dyn Store>, collection: &Collection) -> Result<Content> {
    let collection = collection.clone();
    transact(store, Access::Scan, move |tx| {
        check!(require(tx, &collection)?);
        let records = List::new(collection.uri(), "record");
        let tombstones = tx.tombstones(&records, 0, None)?.map_or(0, |found| found.count);
        Ok(Ok(Content { records: tx.count(&records, &Query::default())?, tombstones }))
    })
    .await
}

/// Removes a collection with all that is in it, as a request does: what is left is its tombstone.
pub async fn delete(store: &Arc<dyn Store>, collection: &Collection) -> Result<()> {
    let collection = collection.clone();
    transact(store, Access::Write, move |tx| {
        check!(require(tx, &collection)?);
        remove(tx, &collection)?;
        Ok(Ok(()))
    })
    .await
}

/// Gives a collection another name, in its bucket or another, with permissions, records and
/// tombstones; these keep their timestamps. The collection itself gets a new one, and leaves a
/// tombstone. Returns it.
pub async fn rename(
    store: &Arc<dyn Store>,
    from: &Collection,
    to: &Collection,
) -> Result<Timestamp> {
    let (from, to) = (from.clone(), to.clone());
    transact(store, Access::Write, move |tx| {
        check!(require(tx, &from)?);
        check!(require_free(tx, &to)?);
        let Some(entry) = tx.get(&from.list(), &from.id)? else {
            return Ok(Err(Error::NoCollection(from.uri())));
        };
        tx.move_below(&from.uri(), &to.uri())?;
        let data = &entry.object.data;
        let timestamp = tx.put(&to.list(), &to.id, None, data, Some(&entry.acl))?;
        remove(tx, &from)?;
        Ok(Ok(timestamp))
    })
    .await
}

/// Tells what keeps a collection from getting this name.
pub async fn free(store: &Arc<dyn Store>, collection: &Collection) -> Result<()> {
    let collection = collection.clone();
    transact(store, Access::Scan, move |tx| require_free(tx, &collection)).await
}

fn remove(tx: &mut dyn Transaction, collection: &Collection) -> store::Result<()> {
    // What takes long comes first: who creates other collections then waits for a moment only.
    cascade::after_delete("collection", &collection.uri(), tx)?;
    tx.delete(&collection.list(), &collection.id, None).map(drop)
}

fn require(tx: &mut dyn Transaction, collection: &Collection) -> Work<()> {
    check!(require_bucket(tx, collection)?);
    let there = tx.acl(&collection.list(), &collection.id)?.is_some();
    Ok(if there { Ok(()) } else { Err(Error::NoCollection(collection.uri())) })
}

fn require_bucket(tx: &mut dyn Transaction, collection: &Collection) -> Work<()> {
    let there = tx.acl(&buckets(), &collection.bucket)?.is_some();
    Ok(if there { Ok(()) } else { Err(Error::NoBucket(collection.bucket.clone())) })
}

fn require_free(tx: &mut dyn Transaction, collection: &Collection) -> Work<()> {
    check!(require_bucket(tx, collection)?);
    let uri = collection.uri();
    if tx.acl(&collection.list(), &collection.id)?.is_some() {
        return Ok(Err(Error::Taken(uri)));
    }
    Ok(if holds_anything(tx, &uri)? { Err(Error::Leftovers(uri)) } else { Ok(()) })
}

/// Whether there is an object or a tombstone at or below a URI.
fn holds_anything(tx: &mut dyn Transaction, uri: &str) -> store::Result<bool> {
    let below = format!("{uri}/");
    let mut after = List::new(uri, "");
    loop {
        let page = tx.lists(Some(&after), PAGE)?;
        for (list, _) in &page {
            if !list.parent.starts_with(uri) {
                return Ok(false);
            }
            let is_below = list.parent == uri || list.parent.starts_with(&below);
            if is_below
                && (tx.count(list, &Query::default())? > 0
                    || tx.tombstones(list, 0, None)?.is_some())
            {
                return Ok(true);
            }
        }
        let Some((last, _)) = page.into_iter().last() else { return Ok(false) };
        after = last;
    }
}
