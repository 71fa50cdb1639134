//! Files of records: <https://github.com/Kinto/kinto-attachment>
//!
//! ```no_run
//! use cumulo_client::{Client, attachment::Source};
//! use serde_json::json;
//!
//! # async fn run(client: Client) -> cumulo_client::Result<()> {
//! let attachment = client.collection("blog", "photos").record("sunset").attachment();
//! let uploaded = attachment
//!     .upload(Source::file("sunset.jpg"))
//!     .data(json!({"title": "Sunset"}))
//!     .on_progress(|sent, total| println!("{sent} of {total:?} bytes"))
//!     .send()
//!     .await?;
//! println!("{} bytes at {}", uploaded.file.size, uploaded.file.location);
//!
//! let path = attachment.download().to_path("photos/").await?; // photos/sunset.jpg
//! attachment.delete().if_match(uploaded.last_modified).send().await?;
//! # Ok(())
//! # }
//! ```

mod download;
mod fetch;
mod local;
mod multipart;
mod source;
mod upload;

use std::{fmt, sync::Arc};

use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{
    download::Download,
    source::Source,
    upload::{Upload, Uploaded},
};
use crate::{
    One, Timestamp,
    call::Call,
    resource::Kind,
    transport::{Direct, Transport},
};

/// What a record tells about its file, in the field `attachment`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// The name that it had where it was uploaded from.
    pub filename: String,
    /// Its URL, or where it is below the `base_url` of the server's capability `attachments`.
    pub location: String,
    /// Its SHA-256, as 64 hexadecimal digits in lower case.
    pub hash: String,
    /// Its media type.
    pub mimetype: String,
    /// Its size in bytes.
    pub size: u64,
    /// What else the server tells.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The file of a record: [`One::attachment`].
#[derive(Clone, Debug)]
pub struct Attachment<X>(One<X>);

impl<X: Transport, T: DeserializeOwned + Send + 'static> One<X, T> {
    /// The file of this record.
    pub fn attachment(&self) -> Attachment<X> {
        Attachment(self.of())
    }
}

impl<X: Transport> Attachment<X> {
    /// Its path below the URL of the server, such as
    /// `/buckets/blog/collections/photos/records/sunset/attachment`.
    pub fn path(&self) -> String {
        self.call(Method::GET).path
    }

    fn call(&self, method: Method) -> Call {
        let mut call = self.0.call(method, "/attachment");
        if self.0.kind() != Kind::Record {
            call.refuse("only records have attachments");
        }
        call
    }

    /// Removes the file. The record stays, with `null` as its `attachment`.
    pub fn delete(&self) -> Delete<X> {
        Delete { transport: self.0.transport().clone(), call: self.call(Method::DELETE) }
    }
}

impl<X: Direct> Attachment<X> {
    /// Uploads a file, in place of the one that is there. If the record does not exist, it is
    /// created.
    pub fn upload(&self, source: impl Into<Source>) -> Upload<X> {
        Upload::new(self.0.transport().clone(), self.call(Method::POST), source.into())
    }

    /// Downloads the file.
    pub fn download(&self) -> Download<X> {
        let mut call = self.0.call(Method::GET, "");
        call.problem = self.call(Method::GET).problem;
        Download::new(self.0.transport().clone(), call)
    }
}

/// Removes the file of a record.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct Delete<X> {
    transport: X,
    call: Call,
}

impl<X: Transport> Delete<X> {
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

    /// Does it. Gives the new timestamp of the record.
    pub fn send(self) -> X::Sent<Timestamp> {
        self.transport.send(self.call, |response| Ok(response.timestamp().unwrap_or_default()))
    }
}

/// Who is told how many bytes there were, and of how many if that is known.
#[derive(Clone)]
struct Progress(Arc<dyn Fn(u64, Option<u64>) + Send + Sync>);

impl Progress {
    fn new(tell: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    fn nobody() -> Self {
        Self::new(|_, _| {})
    }

    fn tell(&self, bytes: u64, total: Option<u64>) {
        (self.0)(bytes, total);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("a half is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
