//! A collection as it once was.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Change, Error, Object, Result, Row, Timestamp,
    call::Call,
    field, history,
    list::List,
    resource::{Bucket, Collection},
    transport::{Async, Direct},
};

impl<X: Direct> Collection<X> {
    /// The records as they were at a moment, newest first, where the plugin `history` is on.
    ///
    /// A server that has an endpoint for that is asked for them. From others, and where there are
    /// none by it, they are rebuilt: the history of the collection must have its creation, or the
    /// call fails with [`Error::IncompleteHistory`]. All of it is read, and the versions of that
    /// moment are kept in memory. Of records that were deleted without an entry, tombstones tell
    /// when.
    ///
    /// ```no_run
    /// # use cumulo_client::{Client, Result, Timestamp};
    /// # async fn run(client: Client) -> Result<()> {
    /// let posts = client.collection("blog", "posts");
    /// let before = posts.list_at::<serde_json::Value>(Timestamp(1_795_282_694_493)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_at<T: DeserializeOwned + Send + 'static>(
        &self,
        at: Timestamp,
    ) -> X::Sent<Vec<Object<T>>> {
        let bucket = self.path().split('/').nth(2).unwrap_or_default().to_owned();
        let (collection, problem) = (self.id().to_owned(), self.problem().cloned());
        self.transport().run(move |connection| async move {
            let path = format!("/buckets/{bucket}/snapshot/collections/{collection}@{at}");
            let call = Call { problem, ..Call::get(path) };
            let known = List::new(Async(connection.clone()), call).all().await;
            let bucket = Bucket::new(Async(connection), &bucket);
            match known {
                Err(Error::NotFound(_)) => rebuild(&bucket, &collection, at).await,
                // Kinto forgets what was in a collection that is deleted meanwhile.
                Ok(known) if known.is_empty() => match rebuild(&bucket, &collection, at).await {
                    Err(Error::IncompleteHistory { .. }) => Ok(known),
                    rebuilt => rebuilt,
                },
                known => known,
            }
        })
    }
}

async fn rebuild<T: DeserializeOwned + Send + 'static>(
    bucket: &Bucket<Async>,
    collection: &str,
    at: Timestamp,
) -> Result<Vec<Object<T>>> {
    if !bucket.history().is_complete(collection).await? {
        return Err(Error::IncompleteHistory { collection: collection.to_owned() });
    }
    let mut records = latest(bucket, collection, at).await?;
    for tombstone in tombstones(bucket, collection).await? {
        let deleted = tombstone.last_modified();
        let was_there = |it: &Object| deleted > at || deleted < it.last_modified;
        if !records.get(tombstone.id()).is_none_or(was_there) {
            records.remove(tombstone.id());
        }
    }
    let mut records: Vec<_> = records.into_values().collect();
    records.sort_by_key(|it| std::cmp::Reverse(it.last_modified));
    records.iter().map(typed).collect()
}

/// Of each record the latest version up to the moment, unless that was its end, or the end of its
/// collection.
async fn latest(
    bucket: &Bucket<Async>,
    collection: &str,
    at: Timestamp,
) -> Result<HashMap<String, Object>> {
    let end = last_deletion(bucket, collection, at).await?;
    let mut records = HashMap::new();
    let entries = bucket.history().of_collection("record", collection);
    let mut entries = entries.sort("last_modified").rows();
    while let Some(entry) = entries.try_next().await? {
        let Some(object) = Object::from_value(entry.target.data) else { continue };
        if object.last_modified > at || end.is_some_and(|end| entry.last_modified <= end) {
            continue;
        }
        if entry.action == "delete" {
            records.remove(&object.id);
        } else {
            records.insert(object.id.clone(), object);
        }
    }
    Ok(records)
}

/// When the collection was last deleted up to the moment: its records went without entries.
async fn last_deletion(
    bucket: &Bucket<Async>,
    collection: &str,
    at: Timestamp,
) -> Result<Option<Timestamp>> {
    let entries = bucket.history().of_collection("collection", collection);
    let deletions = entries.filter(field("action").is("delete")).all().await?;
    let was_before = |it: &&history::Change| {
        let stamp = it.target.data["last_modified"].as_i64();
        stamp.is_some_and(|stamp| Timestamp(stamp) <= at)
    };
    Ok(deletions.iter().filter(was_before).map(|it| it.last_modified).max())
}

/// What was deleted in the collection, as long as it exists.
async fn tombstones(bucket: &Bucket<Async>, collection: &str) -> Result<Vec<Change>> {
    let changes = bucket.collection(collection).records().list().since(Timestamp(0));
    match changes.filter(field("deleted").is(true)).all().await {
        Err(Error::NotFound(_) | Error::Forbidden(_)) => Ok(Vec::new()),
        changes => changes,
    }
}

fn typed<T: DeserializeOwned + Send + 'static>(record: &Object<Value>) -> Result<Object<T>> {
    Object::from_json(&record.data.to_string()).map_err(|error| {
        Error::Argument(format!("the record {} is not of the type asked for: {error}", record.id))
    })
}
