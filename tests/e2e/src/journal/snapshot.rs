//! A collection as it is found.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::changes::content;
use super::{State, records_path};
use crate::http::{Connection, Response};

/// All records and tombstones of a collection.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) timestamp: u64,
    pub(crate) objects: BTreeMap<String, Object>,
}

/// A record or a tombstone that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    modified: u64,
    deleted: bool,
    /// Without id and timestamp.
    data: Value,
}

impl Snapshot {
    /// Read a collection that nobody writes to, page by page.
    pub(crate) fn read(connection: &mut Connection, index: usize) -> Result<Self> {
        let head = connection.json("HEAD", &records_path(index), None)?.succeeded()?;
        let mut snapshot = Self { timestamp: etag(&head)?, ..Self::default() };
        let mut next = Some(format!("{}?_since=0&_sort=last_modified", records_path(index)));
        while let Some(path) = next {
            let page = connection.json("GET", &path, None)?.succeeded()?;
            for object in rows(&page)? {
                let known = snapshot.add(object)?;
                ensure!(known.is_none(), "{known:?} is listed twice");
            }
            next = next_page(&page);
        }
        let (newest, timestamp) = (snapshot.newest(), snapshot.timestamp);
        ensure!(newest <= timestamp, "{newest} is newer than the collection, {timestamp}");
        let timestamps: HashSet<u64> = snapshot.objects.values().map(|it| it.modified).collect();
        let count = snapshot.objects.len();
        ensure!(timestamps.len() == count, "{} timestamps, {count} objects", timestamps.len());
        Ok(snapshot)
    }

    fn newest(&self) -> u64 {
        self.objects.values().map(|it| it.modified).max().unwrap_or_default()
    }

    /// Add a record or a tombstone, and return what was known under its id.
    pub(crate) fn add(&mut self, mut data: Value) -> Result<Option<Object>> {
        let fields = data.as_object_mut().context("not an object")?;
        let id = fields.remove("id").context("no id")?;
        let id = id.as_str().context("id is no string")?.to_owned();
        let modified = fields.remove("last_modified").and_then(|it| it.as_u64());
        let modified = modified.with_context(|| format!("{id} has no timestamp"))?;
        let deleted = fields.contains_key("deleted");
        Ok(self.objects.insert(id, Object { modified, deleted, data }))
    }
}

impl Object {
    pub(crate) fn modified(&self) -> u64 {
        self.modified
    }

    /// What a writer knows of it, if it is what the writer has written.
    pub(super) fn state(&self, writer: usize) -> Option<State> {
        if self.deleted {
            return Some(State::Deleted { modified: self.modified });
        }
        let token = self.data["token"].as_u64()?;
        (self.data == content(writer, token))
            .then_some(State::Present { token, modified: self.modified })
    }
}

/// The timestamp in the `ETag`.
pub(crate) fn etag(response: &Response) -> Result<u64> {
    let etag = response.header("etag").context("no ETag")?;
    etag.trim_matches('"').parse().with_context(|| format!("ETag {etag}"))
}

/// The objects of a page.
pub(crate) fn rows(response: &Response) -> Result<Vec<Value>> {
    let Value::Array(objects) = response.json()?["data"].take() else { bail!("no list of data") };
    Ok(objects)
}

/// Path and query of the next page.
pub(crate) fn next_page(response: &Response) -> Option<String> {
    let url = response.header("next-page");
    url.map(|url| url[url.find("/v1").unwrap_or_default()..].to_owned())
}
