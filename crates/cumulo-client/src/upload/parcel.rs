//! Puts items together in the bodies of batches.

use std::{mem, ops::Range};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use serde::Deserialize;
use uuid::Uuid;

use super::item::{Item, Operation};
use crate::{
    Error, Permissions, Result,
    batch::{Failure, MAX_BYTES},
    resource::Kind,
};

const OPENING: &[u8] = br#"{"requests":["#;
const CLOSING: &[u8] = b"]}";
const DELETION: &[u8] = br#"{"method":"DELETE","#;
const PUT: &[u8] = br#"{"method":"PUT","#;
const IF_ABSENT: &[u8] = br#""headers":{"If-None-Match":"*"},"#;

/// Some operations, as the body of a batch.
#[derive(Debug)]
pub(super) struct Parcel {
    body: Bytes,
    operations: Vec<Placed>,
    /// Items that can't be sent at all.
    pub(super) refused: Vec<Failure>,
}

/// Where an operation stands in the body.
#[derive(Debug)]
struct Placed {
    /// The number of the item.
    number: usize,
    place: Range<usize>,
}

impl Parcel {
    /// How many operations there are.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// The number of an operation's item.
    pub(super) fn number(&self, index: usize) -> usize {
        self.operations[index].number
    }

    /// An operation as JSON.
    pub(super) fn operation(&self, index: usize) -> &[u8] {
        &self.body[self.operations[index].place.clone()]
    }

    pub(super) fn is_deletion(&self, index: usize) -> bool {
        self.operation(index).starts_with(DELETION)
    }

    /// The body of a batch with some of the operations, or with all.
    pub(super) fn body(&self, which: &[usize]) -> Bytes {
        if which.len() == self.len() {
            return self.body.clone();
        }
        let which: Vec<_> = which.iter().map(|index| self.operation(*index)).collect();
        [OPENING, &which.join(&b','), CLOSING].concat().into()
    }
}

/// How items become operations.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) kind: Kind,
    /// The path of the list.
    pub(super) path: String,
    pub(super) only_if_absent: bool,
    /// Of items that bring none.
    pub(super) permissions: Option<Permissions>,
}

impl Encoder {
    /// Writes an item at the end of `out`.
    fn write(&self, item: &impl Item, out: &mut Vec<u8>) -> Result<()> {
        match item.operation() {
            Operation::Delete { id } => {
                out.extend_from_slice(DELETION);
                self.write_path(id, out)?;
            }
            Operation::Put { id, data, permissions } => {
                out.extend_from_slice(PUT);
                if self.only_if_absent {
                    out.extend_from_slice(IF_ABSENT);
                }
                out.extend_from_slice(br#""body":{"data":"#);
                let begin = out.len();
                write_json(data, out)?;
                let data = begin..out.len();
                if let Some(permissions) = permissions.or(self.permissions.as_ref()) {
                    out.extend_from_slice(br#","permissions":"#);
                    write_json(permissions, out)?;
                }
                out.extend_from_slice(b"},");
                match id {
                    Some(id) => self.write_path(id, out)?,
                    None => match told_id(&out[data])?.map(str::to_owned) {
                        Some(id) => self.write_path(&id, out)?,
                        None => self.write_path(new_id().encode_lower(&mut [0; 36]), out)?,
                    },
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn write_path(&self, id: &str, out: &mut Vec<u8>) -> Result<()> {
        self.kind.check(id).map_err(Error::Argument)?;
        for part in [r#""path":""#, &self.path, "/", id, "\""] {
            out.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }
}

fn write_json(data: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
    let failed = |error| Error::Argument(format!("the data can't be sent: {error}"));
    serde_json::to_writer(out, data).map_err(failed)
}

/// The id in the data of an object.
fn told_id(data: &[u8]) -> Result<Option<&str>> {
    #[derive(Deserialize)]
    struct Told<'a> {
        id: Option<&'a str>,
    }
    if data.first() != Some(&b'{') {
        return Err(Error::Argument("the data must be a JSON object".to_owned()));
    }
    let failed = |_| Error::Argument("the id in the data is not valid".to_owned());
    serde_json::from_slice::<Told<'_>>(data).map(|it| it.id).map_err(failed)
}

fn new_id() -> uuid::fmt::Hyphenated {
    Uuid::now_v7().hyphenated()
}

/// Takes items from their source, and puts them together.
pub(super) struct Packer<I> {
    source: BoxStream<'static, Result<I>>,
    encoder: Encoder,
    /// How many operations a parcel has.
    size: usize,
    /// The parcel that is being filled; dropping [`Self::next`] loses nothing of it.
    body: Vec<u8>,
    operations: Vec<Placed>,
    refused: Vec<Failure>,
    /// How many items were taken.
    pub(super) taken: usize,
    /// How many there are, if the source knows.
    pub(super) total: Option<usize>,
}

impl<I: Item> Packer<I> {
    pub(super) fn new(
        source: BoxStream<'static, Result<I>>,
        encoder: Encoder,
        size: usize,
    ) -> Self {
        let (least, most) = source.size_hint();
        Self {
            source,
            encoder,
            size,
            body: OPENING.to_vec(),
            operations: Vec::new(),
            refused: Vec::new(),
            taken: 0,
            total: most.filter(|most| *most == least),
        }
    }

    /// The next parcel; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Parcel>> {
        while self.operations.len() < self.size
            && self.body.len() < MAX_BYTES
            && self.refused.len() < self.size
        {
            match self.source.next().await {
                Some(item) => self.add(&item?),
                None => return Ok(self.close()),
            }
        }
        Ok(self.close())
    }

    fn add(&mut self, item: &I) {
        let begin = self.body.len();
        let number = self.taken;
        self.taken += 1;
        match self.encoder.write(item, &mut self.body) {
            Ok(()) => {
                self.operations.push(Placed { number, place: begin..self.body.len() });
                self.body.push(b',');
            }
            Err(error) => {
                self.body.truncate(begin);
                self.refused.push(Failure { index: number, error });
            }
        }
    }

    fn close(&mut self) -> Option<Parcel> {
        if self.operations.is_empty() && self.refused.is_empty() {
            return None;
        }
        let next = Vec::with_capacity(self.body.len() + self.body.len() / 8);
        let mut body = mem::replace(&mut self.body, next);
        self.body.extend_from_slice(OPENING);
        if body.ends_with(b",") {
            body.pop();
        }
        body.extend_from_slice(CLOSING);
        Some(Parcel {
            body: body.into(),
            operations: mem::take(&mut self.operations),
            refused: mem::take(&mut self.refused),
        })
    }
}
