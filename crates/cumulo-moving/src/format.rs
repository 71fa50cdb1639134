//! The lines of an export. `docs/moving.md` describes them for users.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, Read as _, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, digest::hex};

/// The name that every export begins with.
pub const NAME: &str = "cumulo-export";

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// No line is longer. The largest object that the service takes is far below.
pub const MAX_LINE_BYTES: u64 = 64 << 20;

/// Permission names and principals.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

/// One line, as a JSON object whose only key is its kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line<'a> {
    /// The first line.
    Header(Header),
    /// What follows is in this list.
    List(List),
    /// An object or a tombstone.
    #[serde(borrow)]
    Object(Object<'a>),
    /// A member of a group.
    Membership(Membership),
    /// The last line.
    Trailer(Trailer),
}

/// What the export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`NAME`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When it was begun, in milliseconds since the Unix epoch.
    pub created: i64,
    /// Name and version of the program that wrote it.
    pub by: String,
}

/// A list of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// URI of what holds it; empty for root lists.
    pub parent: String,
    /// Singular name of what is listed.
    pub resource: String,
    /// The list timestamp.
    pub last_modified: i64,
}

/// An object or a tombstone of the list that was named last.
#[derive(Debug, Serialize, Deserialize)]
pub struct Object<'a> {
    /// Unique in its list.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Unique in its list, and ascending.
    pub last_modified: i64,
    /// Whether this is a tombstone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The object without `id` and `last_modified`, as the store holds it; not for tombstones.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// Its own access control list.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub permissions: Cow<'a, Permissions>,
}

#[expect(clippy::ptr_arg, reason = "what serde calls it with")]
fn is_empty(permissions: &Cow<'_, Permissions>) -> bool {
    permissions.is_empty()
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The principal.
    pub member: String,
    /// URI of the group.
    pub group: String,
}

/// How much the export holds, and the digests to check it by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Lists, empty ones too.
    pub lists: u64,
    /// Live objects.
    pub objects: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Members of groups.
    pub memberships: u64,
    /// The digest of what is stored; see [`crate::digest`].
    pub content: String,
    /// SHA-256 of all bytes before the trailer.
    pub sha256: String,
}

/// Writes lines.
pub struct Writer<W> {
    out: W,
    line: Vec<u8>,
    digest: Sha256,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, which should have a buffer.
    pub fn new(out: W) -> Self {
        Self { out, line: Vec::new(), digest: Sha256::new() }
    }

    /// Writes one line before the trailer.
    pub fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.put(line)?;
        self.digest.update(&self.line);
        Ok(())
    }

    /// Writes the trailer, completed, and everything that waits in buffers.
    pub fn finish(mut self, mut trailer: Trailer) -> io::Result<Trailer> {
        trailer.sha256 = hex(&self.digest.clone().finalize());
        self.put(&Line::Trailer(trailer.clone()))?;
        self.out.flush()?;
        Ok(trailer)
    }

    fn put(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

/// Reads lines.
pub struct Reader<R> {
    input: R,
    text: Vec<u8>,
    number: u64,
    digest: Sha256,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, text: Vec::new(), number: 0, digest: Sha256::new() }
    }

    /// How many lines were read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The length of the last line in bytes.
    pub fn len(&self) -> u64 {
        self.text.len() as u64
    }

    /// Whether nothing was read yet, or nothing is left.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// SHA-256 of all lines so far, without the trailer.
    pub fn digest(&self) -> String {
        hex(&self.digest.clone().finalize())
    }

    /// Reads a line; `None` at the end of the input.
    pub fn read(&mut self) -> Result<Option<Line<'_>>> {
        self.text.clear();
        let mut bounded = self.input.by_ref().take(MAX_LINE_BYTES + 1);
        bounded.read_until(b'\n', &mut self.text).map_err(Error::Read)?;
        if self.text.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.text.len() as u64 > MAX_LINE_BYTES {
            return Err(self.damaged(format!("it is longer than {MAX_LINE_BYTES} bytes")));
        }
        if self.text.last() != Some(&b'\n') {
            return Err(self.damaged("it has no end: the export is cut off"));
        }
        let line = serde_json::from_slice(&self.text);
        let line = line.map_err(|error| self.damaged(format!("it is not understood: {error}")))?;
        if !matches!(line, Line::Trailer(_)) {
            self.digest.update(&self.text);
        }
        Ok(Some(line))
    }

    /// The error of a line that was just read.
    pub fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Damaged { line: self.number, reason: reason.into() }
    }
}
