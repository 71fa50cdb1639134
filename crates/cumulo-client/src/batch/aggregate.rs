//! What came of a batch, by kind.

use http::StatusCode;

use super::{Failure, Results};
use crate::{Error, Response};

/// What came of the operations of a batch, by kind: [`Results::aggregate`].
#[derive(Debug)]
pub struct Aggregate<'a> {
    /// What was done, or read: the numbers of the operations, from 0, and their answers.
    pub published: Vec<(usize, &'a Response)>,
    /// What somebody else has changed or created; [`Error::existing`] is what is there.
    pub conflicts: Vec<Failure>,
    /// What is about objects that do not exist.
    pub skipped: Vec<Failure>,
    /// What failed otherwise, or was not sent.
    pub errors: Vec<Failure>,
}

impl Results {
    /// What came of the operations, by kind.
    ///
    /// ```no_run
    /// # use cumulo_client::{Batch, Direct, Error};
    /// # async fn run(client: cumulo_client::Client) -> cumulo_client::Result<()> {
    /// let batch = client.batch().ignore_refusals();
    /// // …
    /// let results = batch.send().await?;
    /// for conflict in results.aggregate().conflicts {
    ///     println!("number {} is on the server as {:?}", conflict.index, conflict.error.existing());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate(&self) -> Aggregate<'_> {
        let mut aggregate =
            Aggregate { published: vec![], conflicts: vec![], skipped: vec![], errors: vec![] };
        for (index, outcome) in self.outcomes.iter().enumerate() {
            let error = match outcome.check() {
                Ok(response) => {
                    aggregate.published.push((index, response));
                    continue;
                }
                Err(error) => error,
            };
            let kind = match &error {
                Error::NotFound(_) => &mut aggregate.skipped,
                // 409 is not a matter of who was first.
                _ if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                    &mut aggregate.conflicts
                }
                _ => &mut aggregate.errors,
            };
            kind.push(Failure { index, error });
        }
        aggregate
    }
}
