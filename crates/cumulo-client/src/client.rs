//! The root: what a server has.

use std::fmt;

use serde_json::Value;

use crate::{
    Result,
    batch::{Batch, Queue},
    builder::{Builder, Parts},
    call::Call,
    get::Get,
    list::List,
    permissions::Entry,
    resource::{Bucket, Collection, Kind, Resource},
    response::Response,
    server::{ServerInfo, User},
    transport::{Async, Blocking, Direct, Transport},
    write::Write,
};

/// A [`Root`] whose calls are awaited.
pub type Client = Root<Async>;

/// A server, as somebody sees it: [`Client`], or [`blocking::Client`](crate::blocking::Client).
/// Cheap to clone; clones share connections.
///
/// Calls are made of three parts: where (a scope such as [`Client::bucket`]), what (a verb such as
/// `get`, with options), and `send`, which does it. `send` gives a future here, a result in
/// [`blocking`](crate::blocking), and a [`Ticket`](crate::Ticket) in a [`Batch`].
#[derive(Clone)]
pub struct Root<X> {
    transport: X,
    parts: Parts,
}

/// What holds for calls that say nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) bucket: String,
    pub(crate) collection: Option<String>,
    pub(crate) ignores_batch_refusals: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { bucket: "default".to_owned(), collection: None, ignores_batch_refusals: false }
    }
}

impl Root<Async> {
    /// A client without credentials; `server` is a URL with the version, such as
    /// `http://localhost:8888/v1`.
    pub fn new(server: &str) -> Result<Self> {
        Self::builder(server).build()
    }

    /// How to make a client with credentials, timeouts, headers, …
    pub fn builder(server: &str) -> Builder {
        Builder::new(server)
    }

    /// How to make a client like this one. It shares the connections unless the server, timeouts of
    /// connections, proxy or certificates are changed.
    pub fn to_builder(&self) -> Builder {
        self.parts.builder(&self.transport.0)
    }
}

impl Root<Blocking> {
    /// A client without credentials; `server` is a URL with the version, such as
    /// `http://localhost:8888/v1`.
    pub fn new(server: &str) -> Result<Self> {
        Self::builder(server).build_blocking()
    }

    /// How to make a client with credentials, timeouts, headers, …
    pub fn builder(server: &str) -> Builder {
        Builder::new(server)
    }

    /// How to make a client like this one. It shares the connections unless the server, timeouts of
    /// connections, proxy or certificates are changed.
    pub fn to_builder(&self) -> Builder {
        self.parts.builder(self.transport.connection()).on_thread_of(&self.transport)
    }
}

impl<X: Direct> Root<X> {
    /// Collects operations, to send them in as few requests as possible.
    pub fn batch(&self) -> Batch<X> {
        let client = Root { transport: Queue::default(), parts: self.parts.clone() };
        let batch = Batch::new(client, self.transport.clone());
        if self.defaults().ignores_batch_refusals { batch.ignore_refusals() } else { batch }
    }
}

impl<X: Transport> Root<X> {
    pub(crate) fn of(transport: X, parts: Parts) -> Self {
        Self { transport, parts }
    }

    pub(crate) fn transport(&self) -> &X {
        &self.transport
    }

    fn defaults(&self) -> &Defaults {
        &self.parts.defaults
    }

    /// The bucket of calls that name none.
    pub fn default_bucket(&self) -> &str {
        &self.defaults().bucket
    }

    /// The collection of calls that name none.
    pub fn default_collection(&self) -> Option<&str> {
        self.defaults().collection.as_deref()
    }

    /// All buckets.
    pub fn buckets(&self) -> Resource<X> {
        Resource::new(self.transport.clone(), Kind::Bucket, "")
    }

    /// One bucket.
    pub fn bucket(&self, id: impl AsRef<str>) -> Bucket<X> {
        Bucket::new(self.transport.clone(), id.as_ref())
    }

    /// One collection.
    pub fn collection(&self, bucket: impl AsRef<str>, id: impl AsRef<str>) -> Collection<X> {
        self.bucket(bucket).collection(id)
    }

    /// The records of the default collection in the default bucket: [`Builder::bucket`] and
    /// [`Builder::collection`].
    pub fn records(&self) -> Resource<X> {
        let bucket = self.bucket(&self.defaults().bucket);
        match &self.defaults().collection {
            Some(collection) => bucket.collection(collection).records(),
            None => Resource::impossible(
                self.transport.clone(),
                Kind::Record,
                "no collection is given, and the client has none by default",
            ),
        }
    }

    /// All accounts, which only administrators see.
    pub fn accounts(&self) -> Resource<X> {
        Resource::new(self.transport.clone(), Kind::Account, "")
    }

    /// Makes an account, where the plugin `accounts` is on. Nothing happens to one that is there
    /// already: the call fails with [`Error::Conflict`](crate::Error::Conflict).
    ///
    /// ```no_run
    /// # use cumulo_client::{Basic, Client, Result};
    /// # async fn run(client: Client) -> Result<()> {
    /// client.create_account("ann", "s3cret").send().await?;
    /// let ann = client.to_builder().auth(Basic::new("ann", "s3cret")).build()?;
    /// assert_eq!(ann.user().await?.map(|it| it.id).as_deref(), Some("account:ann"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_account(&self, name: impl AsRef<str>, password: &str) -> Write<X> {
        self.accounts().one(name).create().data(serde_json::json!({"password": password}))
    }

    /// Reads what has this path below the URL of the server, escaped as in a URL: the way to what
    /// the other calls don't reach.
    pub fn get(&self, path: impl AsRef<str>) -> Get<X, Value, Value> {
        Get::new(self.transport.clone(), Call::get_foreign(path.as_ref()), Response::json)
    }

    /// Reads the list that has this path below the URL of the server, escaped as in a URL.
    /// [`List::of`] takes its rows as something else.
    pub fn list(&self, path: impl AsRef<str>) -> List<X, Value> {
        List::new(self.transport.clone(), Call::get_foreign(path.as_ref()))
    }

    /// What the user may do with each object that they can reach, of the plugin that the capability
    /// `permissions_endpoint` tells of.
    pub fn permissions(&self) -> List<X, Entry> {
        let capability = Some("permissions_endpoint");
        let call = Call { capability, ..Call::get("/permissions") };
        let mut list = List::new(self.transport.clone(), call);
        list.sort_by("id");
        list
    }

    /// What the server tells about itself and about the user. It is asked each time.
    pub fn server_info(&self) -> X::Sent<ServerInfo> {
        self.transport.send(Call::get("/"), ServerInfo::read)
    }

    /// Who the user is, if they are logged in.
    pub fn user(&self) -> X::Sent<Option<User>> {
        self.transport.send(Call::get("/"), |response| Ok(ServerInfo::read(response)?.user))
    }

    /// How well the parts of the server are. A part that is not well is no error.
    pub fn heartbeat(&self) -> X::Sent<Value> {
        let mut call = Call::get("/__heartbeat__");
        call.accepted = &[http::StatusCode::SERVICE_UNAVAILABLE];
        self.transport.send(call, Response::json)
    }

    /// Removes everything, where the plugin `flush` allows it.
    pub fn flush(&self) -> X::Sent<()> {
        let call = Call::new(http::Method::POST, "/__flush__");
        let call = Call { capability: Some("flush_endpoint"), ..call };
        self.transport.send(call, |_| Ok(()))
    }
}

impl<X: fmt::Debug> fmt::Debug for Root<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("transport", &self.transport)
            .field("defaults", &self.parts.defaults)
            .finish()
    }
}

/// Everybody, in [`Permissions`](crate::Permissions).
pub const EVERYONE: &str = "system.Everyone";
/// Everybody who is logged in, in [`Permissions`](crate::Permissions).
pub const AUTHENTICATED: &str = "system.Authenticated";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_take_over_what_the_client_is_set_to() {
        let ignores = |client: &Client| {
            let batch = format!("{:?}", client.batch());
            batch.contains("ignores_refusals: true")
        };
        let client = Client::new("http://localhost:8888/v1").unwrap();
        assert!(!ignores(&client));
        let client = client.to_builder().ignore_batch_refusals().build().unwrap();
        assert!(ignores(&client));
        assert!(ignores(&client.to_builder().bucket("blog").build().unwrap()));
    }
}
