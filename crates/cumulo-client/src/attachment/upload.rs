//! Uploads.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{File, Progress, Source, hex, multipart::Form, source::Opened};
use crate::{
    Error, Permissions, Result, Timestamp,
    call::Call,
    response::Response,
    transport::{Body, Connection, Content, Direct, Sending},
};

/// Uploads the file of a record. It is read piece by piece, however large it is.
///
/// Like other writes without a condition, an upload is repeated only if it surely did nothing, and
/// only if its [`Source`] can be read again.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct Upload<X> {
    transport: X,
    call: Call,
    source: Source,
    file_name: Option<String>,
    media_type: Option<String>,
    data: Option<String>,
    permissions: Option<Permissions>,
    progress: Progress,
}

/// What came of an upload.
#[derive(Clone, Debug, PartialEq)]
pub struct Uploaded {
    /// The file, as the record tells of it now.
    pub file: File,
    /// The new timestamp of the record.
    pub last_modified: Timestamp,
    /// Whether the record was created by the upload.
    pub created: bool,
}

impl<X: Direct> Upload<X> {
    pub(super) fn new(transport: X, call: Call, source: Source) -> Self {
        Self {
            transport,
            call,
            source,
            file_name: None,
            media_type: None,
            data: None,
            permissions: None,
            progress: Progress::nobody(),
        }
    }

    /// The name of the file. Needed unless the source is a file.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// The media type; that which the ending of the name stands for if it is not given.
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Fields of the record, written at the same time: anything that becomes a JSON object. Fields
    /// that are not in it stay as they are.
    pub fn data(mut self, data: impl Serialize) -> Self {
        match serde_json::to_string(&data) {
            Ok(json) if json.starts_with('{') => self.data = Some(json),
            Ok(_) => self.call.refuse("the data must be a JSON object"),
            Err(error) => self.call.refuse(format!("the data can't be sent: {error}")),
        }
        self
    }

    /// Who may do what with the record, added to what is granted already.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = Some(permissions);
        self
    }

    /// Only if the record is as it was at this timestamp; otherwise it is a conflict. Some versions
    /// of kinto-attachment don't look at it.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.call.if_match(timestamp);
        self
    }

    /// A header of this request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// Who is told how many bytes of the file were sent, and of how many if that is known. A request
    /// that is repeated begins at 0 again.
    pub fn on_progress(mut self, tell: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.progress = Progress::new(tell);
        self
    }

    /// Does it. Fails with [`Error::Corrupt`] if the server has stored something else.
    pub fn send(mut self) -> X::Sent<Uploaded> {
        let (form, file) = self.form();
        self.call.header(CONTENT_TYPE.as_str(), &form.content_type());
        // Twice is not once: others may have uploaded in between.
        self.call.repeatable = Some(false);
        let Self { transport, call, source, progress, .. } = self;
        transport.run(|connection| async move {
            send(connection, call, form, source, progress, file).await
        })
    }

    /// The form around the file, and what is known of the file.
    fn form(&mut self) -> (Form, File) {
        let name = self.file_name.take().or_else(|| self.source.name()).unwrap_or_default();
        if name.is_empty() {
            self.call.refuse("an attachment needs the name of a file");
        }
        let guessed = || mime_guess::from_path(&name).first_or_octet_stream().to_string();
        let media_type = self.media_type.take().unwrap_or_else(guessed);
        if HeaderValue::try_from(&media_type).is_err() {
            self.call.refuse(format!("{media_type:?} is not a media type"));
        }
        let mut form = Form::new(rand::random());
        if let Some(data) = &self.data {
            form.text("data", data);
        }
        if let Some(permissions) = &self.permissions {
            let text = serde_json::to_string(permissions).expect("texts serialize");
            form.text("permissions", &text);
        }
        form.file("attachment", &name, &media_type);
        let file = File {
            filename: name,
            location: String::new(),
            hash: String::new(),
            mimetype: media_type,
            size: 0,
            other: Map::new(),
        };
        (form, file)
    }
}

async fn send(
    connection: Connection,
    call: Call,
    form: Form,
    source: Source,
    progress: Progress,
    file: File,
) -> Result<Uploaded> {
    let sent = Arc::default();
    let body = Multipart { form, source, progress, sent: Arc::clone(&sent) };
    let response = connection.execute_with(&call, body).await?;
    if connection.config().plan.is_some() {
        return Ok(Uploaded { file, last_modified: Timestamp::default(), created: false });
    }
    let uploaded = read(&response)?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    check(&uploaded.file, &file.filename, sent)?;
    Ok(uploaded)
}

fn read(response: &Response) -> Result<Uploaded> {
    Ok(Uploaded {
        file: response.json()?,
        last_modified: response.timestamp().unwrap_or_default(),
        created: response.status == StatusCode::CREATED,
    })
}

/// Whether the server has stored what was sent. One that compresses files tells of the `original`.
fn check(file: &File, name: &str, sent: Sha256) -> Result<()> {
    let original = file.other.get("original").and_then(|it| it.get("hash"));
    let stored = original.and_then(Value::as_str).unwrap_or(&file.hash);
    let sent = hex(&sent.finalize());
    if stored.eq_ignore_ascii_case(&sent) {
        return Ok(());
    }
    let problem = format!("the server has stored SHA-256 {stored}, but {sent} was sent");
    Err(Error::Corrupt { path: name.to_owned(), problem })
}

/// The body of an upload.
struct Multipart {
    form: Form,
    source: Source,
    progress: Progress,
    /// The digest of what was sent of the file.
    sent: Arc<Mutex<Sha256>>,
}

#[async_trait]
impl Body for Multipart {
    async fn make(&mut self) -> Result<Content> {
        let Opened { length, bytes } = self.source.open().await?;
        let digest = Arc::clone(&self.sent);
        *digest.lock().unwrap_or_else(PoisonError::into_inner) = Sha256::new();
        let progress = self.progress.clone();
        let mut done = 0;
        progress.tell(done, length);
        let bytes = bytes.inspect(move |chunk| {
            let Ok(chunk) = chunk else { return };
            digest.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
            done += chunk.len() as u64;
            progress.tell(done, length);
        });
        let (head, tail) = (self.form.head().to_owned(), self.form.tail());
        let around = (head.len() + tail.len()) as u64;
        let edge = |text: String| stream::iter([Ok(Bytes::from(text))]);
        let (all, sending) = watched(edge(head).chain(bytes).chain(edge(tail)));
        let body = reqwest::Body::wrap_stream(all);
        Ok(Content::Stream { body, length: length.map(|length| length + around), sending })
    }

    fn is_lasting(&self) -> bool {
        self.source.is_lasting()
    }
}

/// A stream, and a view on what it is doing.
fn watched<S: Stream + Send + Unpin + 'static>(
    stream: S,
) -> (impl Stream<Item = S::Item> + Send + 'static, watch::Receiver<Sending>)
where
    S::Item: Send,
{
    let (tell, sending) = watch::channel(Sending::Writing);
    let watched = stream::unfold((stream, tell), |(mut stream, tell)| async move {
        tell.send_replace(Sending::Reading);
        let item = stream.next().await;
        tell.send_replace(Sending::Writing);
        item.map(|item| (item, (stream, tell)))
    });
    (watched, sending)
}
