//! Downloads.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use tokio::io::AsyncWrite;

use super::{
    File, Progress,
    fetch::{self, Beginning, Fetch},
    local::{self, Partial},
};
use crate::{
    Error, Object, Result,
    call::Call,
    response::Request,
    server::ServerInfo,
    transport::{Connection, Direct},
};

/// Downloads the file of a record, piece by piece, however large it is.
///
/// Size and SHA-256 must be those in the record; otherwise it fails with [`Error::Corrupt`]. If the
/// connection breaks, it goes on where it was, as often as the client repeats requests. Headers and
/// credentials of the client are sent only if the file is at the server itself, and not at another
/// one that keeps files for it.
#[derive(Debug)]
#[must_use = "nothing happens without `to_path`, `to_writer` or `to_bytes`"]
pub struct Download<X> {
    transport: X,
    order: Order,
}

/// What is asked for.
#[derive(Debug)]
struct Order {
    /// Reads the record.
    call: Call,
    record: Option<Value>,
    headers: HeaderMap,
    overwrite: bool,
    save_metadata: bool,
    progress: Progress,
}

impl<X: Direct> Download<X> {
    pub(super) fn new(transport: X, call: Call) -> Self {
        let order = Order {
            call,
            record: None,
            headers: HeaderMap::new(),
            overwrite: false,
            save_metadata: false,
            progress: Progress::nobody(),
        };
        Self { transport, order }
    }

    /// The record, if it has been read already: then it is not read again.
    pub fn record(mut self, record: &Object<impl Serialize>) -> Self {
        match serde_json::to_value(&record.data) {
            Ok(data) => self.order.record = Some(data),
            Err(error) => self.order.call.refuse(format!("the record can't be read: {error}")),
        }
        self
    }

    /// A header of the requests for the file, wherever it is.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => _ = self.order.headers.insert(name, value),
            (Err(_), _) => self.order.call.refuse(format!("{name:?} is not the name of a header")),
            (_, Err(_)) => {
                self.order.call.refuse(format!("the value of the header {name} is not valid"));
            }
        }
        self
    }

    /// Downloads even if the same file is there already. One that differs is replaced in any case.
    pub fn overwrite(mut self) -> Self {
        self.order.overwrite = true;
        self
    }

    /// Also writes the record, as JSON, into `<file>.meta.json` beside the file.
    pub fn save_metadata(mut self) -> Self {
        self.order.save_metadata = true;
        self
    }

    /// Who is told how many bytes of the file there are, and of how many.
    pub fn on_progress(mut self, tell: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.order.progress = Progress::new(tell);
        self
    }

    /// Into a file, or, under its own name, into a folder: one that exists, or a path that ends with
    /// a slash. Folders are made as needed. Gives the path of the file.
    ///
    /// The file appears when it is whole. What an interrupted download has left beside it, under a
    /// hidden name that ends in `.part`, is where the next one goes on. A file with the right size
    /// and hash stays as it is.
    pub fn to_path(self, path: impl Into<PathBuf>) -> X::Sent<PathBuf> {
        let (order, path) = (self.order, path.into());
        self.transport.run(|connection| async move { order.save(&connection, &path).await })
    }

    /// Into a writer, which is given back. One that waits is wrapped into
    /// [`blocking::Io`](crate::blocking::Io). What was written is right if this succeeds.
    pub fn to_writer<W>(self, mut writer: W) -> X::Sent<W>
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let order = self.order;
        self.transport.run(|connection| async move {
            order.write(&connection, &mut writer).await?;
            Ok(writer)
        })
    }

    /// Into memory, if it is not larger than answers may be:
    /// [`Builder::max_response_bytes`](crate::Builder::max_response_bytes).
    pub fn to_bytes(self) -> X::Sent<Vec<u8>> {
        let order = self.order;
        self.transport.run(|connection| async move { order.collect(&connection).await })
    }
}

impl Order {
    async fn save(mut self, connection: &Connection, path: &Path) -> Result<PathBuf> {
        let Some((record, file)) = self.look(connection).await? else { return Ok(path.to_owned()) };
        let path = local::place(path, &file)?;
        if self.overwrite || !local::is_same(&path, &file).await? {
            let fetch = self.fetch(connection, &file, path.display().to_string()).await?;
            download(&fetch, &path).await?;
        }
        if self.save_metadata {
            local::write_json(&local::metadata_path(&path), &record).await?;
        }
        Ok(path)
    }

    async fn write(
        mut self,
        connection: &Connection,
        writer: &mut (impl AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let Some((_, file)) = self.look(connection).await? else { return Ok(()) };
        let fetch = self.fetch(connection, &file, file.filename.clone()).await?;
        fetch.run(writer, &mut Beginning::default()).await
    }

    async fn collect(mut self, connection: &Connection) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some((_, file)) = self.look(connection).await? else { return Ok(bytes) };
        let fetch = self.fetch(connection, &file, file.filename.clone()).await?;
        let limit = connection.config().max_response_bytes;
        if usize::try_from(file.size).map_or(true, |size| size > limit) {
            let request = Request::new(Method::GET, fetch.url.as_str());
            return Err(Error::AnswerTooLarge { request: Box::new(request), limit });
        }
        fetch.run(&mut bytes, &mut Beginning::default()).await?;
        Ok(bytes)
    }

    /// The record, and what it tells about its file. Nothing in dry mode.
    async fn look(&mut self, connection: &Connection) -> Result<Option<(Value, File)>> {
        self.call.check()?;
        let record = match self.record.take() {
            Some(record) => record,
            None => connection.execute(&self.call).await?.json::<Value>()?["data"].take(),
        };
        if connection.config().plan.is_some() {
            return Ok(None);
        }
        let path = &self.call.path;
        let file = match &record["attachment"] {
            Value::Null => return Err(Error::Missing(format!("{path} has no attachment"))),
            described => File::deserialize(described).map_err(|error| {
                Error::Missing(format!("{path} has an attachment that is no file: {error}"))
            })?,
        };
        Ok(Some((record, file)))
    }

    async fn fetch<'a>(
        &self,
        connection: &'a Connection,
        file: &'a File,
        name: String,
    ) -> Result<Fetch<'a>> {
        let base = if fetch::is_absolute(&file.location) {
            None
        } else {
            Some(connection.attachments_url().await?)
        };
        let url = fetch::url(&connection.config().server, base, &file.location)?;
        let (headers, progress) = (self.headers.clone(), self.progress.clone());
        Ok(Fetch { connection, url, headers, file, name, progress })
    }
}

/// Downloads into a file, from where an earlier download has come to.
async fn download(fetch: &Fetch<'_>, path: &Path) -> Result<()> {
    let mut partial = Partial::open(path, fetch.file).await?;
    let resumed = partial.beginning.bytes > 0;
    let mut result = fetch.run(&mut partial.file, &mut partial.beginning).await;
    if resumed && matches!(result, Err(Error::Corrupt { .. })) {
        // The old part may be to blame.
        partial.clear().await?;
        result = fetch.run(&mut partial.file, &mut partial.beginning).await;
    }
    match result {
        Ok(()) => partial.finish(path).await,
        Err(error) => {
            partial.leave(matches!(error, Error::Corrupt { .. })).await;
            Err(error)
        }
    }
}

impl Connection {
    /// Where the server keeps its attachments, asked for once.
    async fn attachments_url(&self) -> Result<&str> {
        let ask = || async {
            let info = ServerInfo::read(&self.execute(&Call::get("/")).await?)?;
            let Some(capability) = info.capabilities.get("attachments") else {
                let problem = "the server has not the capability 'attachments'";
                return Err(Error::Missing(problem.to_owned()));
            };
            let url = capability.get("base_url").and_then(Value::as_str);
            Ok(url.unwrap_or_default().to_owned())
        };
        self.state().attachments_url.get_or_try_init(ask).await.map(String::as_str)
    }
}
