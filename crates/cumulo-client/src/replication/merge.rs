//! Two lists, read side by side.

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};

use super::{difference::Version, fields::Fields};
use crate::{Change, Error, List, Object, Result, transport::Async};

/// What is known of an object on one side.
#[derive(Clone, Debug)]
pub(super) enum Side {
    /// What it is, if it is there.
    Known(Option<Version>),
    /// Nothing: it must be looked up.
    Unknown,
}

/// An object that is on one side, or on both.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) id: String,
    pub(super) source: Side,
    pub(super) destination: Side,
}

/// A list in the order of ids.
pub(super) struct Sorted {
    rows: BoxStream<'static, Result<(String, Side)>>,
    path: String,
    head: Option<(String, Side)>,
    last: String,
}

impl Sorted {
    fn new(path: &str, rows: impl Stream<Item = Result<(String, Side)>> + Send + 'static) -> Self {
        Self { rows: rows.boxed(), path: path.to_owned(), head: None, last: String::new() }
    }

    /// Nothing, as the list of a parent that is not there.
    pub(super) fn empty() -> Self {
        Self::new("", stream::empty())
    }

    /// All objects of a list.
    pub(super) fn all(path: &str, list: List<Async, Object<Fields>>) -> Self {
        let row = |object: Object<Fields>| (object.id.clone(), Side::Known(Some(object.into())));
        Self::new(path, list.sort("id").rows().map_ok(row))
    }

    /// What has happened in a list. What looks like a tombstone may also be an object with a field
    /// `deleted`.
    pub(super) fn changes(path: &str, list: List<Async, Change<Fields>>) -> Self {
        let row = |change: Change<Fields>| match change {
            Change::Changed(object) => (object.id.clone(), Side::Known(Some(object.into()))),
            Change::Deleted(tombstone) => (tombstone.id, Side::Unknown),
        };
        Self::new(path, list.sort("id").rows().map_ok(row))
    }

    /// Reads on unless the next object is read already.
    ///
    /// A server that sorts in another way would make objects seem to be missing, and so have them
    /// deleted.
    async fn fill(&mut self) -> Result<()> {
        if self.head.is_some() {
            return Ok(());
        }
        self.head = self.rows.try_next().await?;
        if let Some((id, _)) = &self.head {
            if *id <= self.last {
                let problem = format!("the list {} does not come in the order of ids", self.path);
                return Err(Error::Replication(problem));
            }
            id.clone_into(&mut self.last);
        }
        Ok(())
    }

    fn id(&self) -> Option<&str> {
        self.head.as_ref().map(|(id, _)| id.as_str())
    }

    /// What is known of the object with this id, which is the next one or not here.
    fn take(&mut self, id: &str, absent: &Side) -> Side {
        if self.id() == Some(id) {
            self.head.take().map_or_else(|| absent.clone(), |(_, side)| side)
        } else {
            absent.clone()
        }
    }
}

/// The objects of both lists, in the order of ids. `absent` is what it means that an object is not
/// in a list.
pub(super) fn merge(
    source: Sorted,
    destination: Sorted,
    absent: Side,
) -> impl Stream<Item = Result<Pair>> + Send {
    stream::try_unfold((source, destination, absent), next)
}

type Lists = (Sorted, Sorted, Side);

async fn next((mut source, mut destination, absent): Lists) -> Result<Option<(Pair, Lists)>> {
    source.fill().await?;
    destination.fill().await?;
    let first = match (source.id(), destination.id()) {
        (Some(a), Some(b)) => a.min(b),
        (Some(id), None) | (None, Some(id)) => id,
        (None, None) => return Ok(None),
    };
    let id = first.to_owned();
    let pair =
        Pair { source: source.take(&id, &absent), destination: destination.take(&id, &absent), id };
    Ok(Some((pair, (source, destination, absent))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &'static [&'static str]) -> Sorted {
        let rows = ids.iter().map(|id| Ok(((*id).to_owned(), Side::Unknown)));
        Sorted::new("/list", stream::iter(rows))
    }

    /// `=` if an object is on both sides, otherwise which.
    async fn merged(
        source: &'static [&'static str],
        destination: &'static [&'static str],
    ) -> Result<Vec<String>> {
        let shown = |pair: Pair| {
            let mark = match (pair.source, pair.destination) {
                (Side::Unknown, Side::Unknown) => "=",
                (Side::Unknown, _) => "<",
                _ => ">",
            };
            format!("{mark}{}", pair.id)
        };
        merge(list(source), list(destination), Side::Known(None)).map_ok(shown).try_collect().await
    }

    #[tokio::test]
    async fn each_object_comes_once_and_in_order() {
        let both = merged(&["a", "c", "d"], &["b", "c", "e", "f"]).await.unwrap();
        assert_eq!(both, ["<a", ">b", "=c", "<d", ">e", ">f"]);
        assert_eq!(merged(&["a"], &[]).await.unwrap(), ["<a"]);
        assert_eq!(merged(&[], &["a"]).await.unwrap(), [">a"]);
    }

    #[tokio::test]
    async fn lists_in_another_order_are_refused() {
        for ids in [&["B", "a", "C"], &["a", "b", "b"]] {
            let error = merged(&["a"], ids).await.unwrap_err().to_string();
            assert_eq!(error, "the list /list does not come in the order of ids");
        }
    }
}
