//! Where the bytes of an upload come from.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _},
};

use crate::{Error, Result};

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// What to upload: a file, bytes in memory, or what a reader or a stream gives.
///
/// A file and bytes can be read again if the server wants a request to be repeated; a reader and a
/// stream can't.
pub struct Source {
    bytes: Origin,
    length: Option<u64>,
}

enum Origin {
    File(PathBuf),
    Memory(Bytes),
    Stream(Option<BoxStream<'static, io::Result<Bytes>>>),
}

/// The bytes of a source, from their beginning.
pub(super) struct Content {
    pub(super) length: Option<u64>,
    pub(super) bytes: BoxStream<'static, io::Result<Bytes>>,
}

impl Source {
    /// A file, which gives its name to the upload.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { bytes: Origin::File(path.into()), length: None }
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: Origin::Memory(bytes.into()), length: None }
    }

    /// What a reader gives until its end. One that waits is wrapped into
    /// [`blocking::Io`](crate::blocking::Io).
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::stream(chunks(reader))
    }

    /// What a stream gives until its end.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { bytes: Origin::Stream(Some(stream.boxed())), length: None }
    }

    /// How many bytes a reader or a stream gives, if that is known. Without it, the request has no
    /// `Content-Length`, which some servers refuse.
    #[must_use]
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// The name of the file, if it is one.
    pub(super) fn name(&self) -> Option<String> {
        match &self.bytes {
            Origin::File(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            _ => None,
        }
    }

    /// Whether it can be read once more.
    pub(super) fn is_lasting(&self) -> bool {
        !matches!(self.bytes, Origin::Stream(_))
    }

    /// Begins to read. A stream can be read once.
    pub(super) async fn open(&mut self) -> Result<Content> {
        match &mut self.bytes {
            Origin::Memory(bytes) => {
                let length = Some(bytes.len() as u64);
                Ok(Content { length, bytes: stream::iter([Ok(bytes.clone())]).boxed() })
            }
            Origin::File(path) => {
                let failed = |source| Error::File { path: path.display().to_string(), source };
                let file = File::open(&*path).await.map_err(failed)?;
                let metadata = file.metadata().await.map_err(failed)?;
                // Of a pipe or a device nobody knows.
                let length = metadata.is_file().then_some(metadata.len());
                Ok(Content { length, bytes: chunks(file).boxed() })
            }
            Origin::Stream(stream) => match stream.take() {
                Some(bytes) => Ok(Content { length: self.length, bytes }),
                None => Err(Error::Argument("the source can't be read again".to_owned())),
            },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bytes {
            Origin::File(path) => f.debug_tuple("File").field(path).finish(),
            Origin::Memory(bytes) => f.debug_tuple("Memory").field(&bytes.len()).finish(),
            Origin::Stream(_) => f.debug_tuple("Stream").field(&self.length).finish(),
        }
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

fn chunks(
    reader: impl AsyncRead + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(Box::pin(reader), |mut reader| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = reader.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), reader)))
    })
    .into_stream()
}
