//! What a scenario works with.

use std::cell::RefCell;

use anyhow::{Result, bail};
use cumulo_client::{Basic, Collection, Error, Resource, Root};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::face::Face;
use crate::transcript::{Shown, Transcript};

/// A server with nothing in it, and clients of it.
pub(crate) struct Test<F: Face> {
    /// As ann, who is [`Test::user`] too.
    pub(crate) client: Root<F>,
    server: String,
    transcript: RefCell<Transcript>,
}

impl<F: Face> Test<F> {
    /// `client` is of nobody; its connections are used.
    pub(crate) fn new(server: &str, client: &Root<F>) -> Result<Self> {
        let client = F::build(F::builder(client).auth(login("ann")))?;
        Ok(Self { client, server: server.to_owned(), transcript: RefCell::default() })
    }

    pub(crate) fn into_transcript(self) -> Transcript {
        self.transcript.into_inner()
    }

    /// The URL of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// A client of somebody, who needs no account.
    pub(crate) fn user(&self, name: &str) -> Result<Root<F>> {
        Ok(F::build(F::builder(&self.client).auth(login(name)))?)
    }

    /// A client of nobody.
    pub(crate) fn nobody(&self) -> Result<Root<F>> {
        Ok(F::build(F::builder(&self.client).shared_auth(None))?)
    }

    /// The collection `receipts` in the bucket `shop`, made for the test.
    pub(crate) async fn receipts(&self) -> Result<Collection<F>> {
        F::done(self.client.bucket("shop").create().send()).await?;
        let receipts = self.client.collection("shop", "receipts");
        F::done(receipts.create().send()).await?;
        Ok(receipts)
    }

    /// Its records, after these were created in their order.
    pub(crate) async fn receipts_of(
        &self,
        records: impl IntoIterator<Item = Value>,
    ) -> Result<Resource<F>> {
        let receipts = self.receipts().await?;
        let batch = self.client.batch();
        let of_batch = batch.collection("shop", "receipts").records();
        for record in records {
            let _ = of_batch.create(record).send();
        }
        F::done(batch.send()).await?;
        Ok(receipts.records())
    }

    /// The principal of the user of a client.
    pub(crate) async fn principal(&self, client: &Root<F>) -> Result<String> {
        let info = F::done(client.server_info()).await?;
        Ok(info.user.map(|user| user.id).unwrap_or_default())
    }

    /// The result of what was sent, which is also told to the transcript.
    pub(crate) async fn done<T: Shown>(&self, sent: F::Sent<T>) -> cumulo_client::Result<T> {
        let result = F::done(sent).await;
        self.transcript.borrow_mut().add(&result);
        result
    }

    /// All that comes one by one.
    pub(crate) async fn collect<T: Shown>(
        &self,
        stream: F::Stream<T>,
    ) -> cumulo_client::Result<Vec<T>> {
        let result = F::each(stream).try_collect().await;
        self.transcript.borrow_mut().add(&result);
        result
    }

    /// The error of what must fail.
    pub(crate) async fn fails<T: Shown>(&self, sent: F::Sent<T>) -> Result<Error> {
        match self.done(sent).await {
            Ok(value) => bail!("this must fail, but gives {}", value.shown()),
            Err(error) => Ok(error),
        }
    }
}

/// No account can have such a name, so that the password is not looked up there: that takes long.
fn login(name: &str) -> Basic {
    Basic::new(&format!("{name}!"), "secret")
}
