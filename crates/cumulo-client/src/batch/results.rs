//! What came of the operations of a batch.

use std::{fmt, sync::Arc};

use http::StatusCode;

use super::{Queue, Ticket};
use crate::{Error, Result, response::Response};

/// What came of the operations of a batch, in their order.
#[derive(Clone, Debug)]
pub struct Results {
    pub(super) outcomes: Vec<Outcome>,
    /// The batch that they belong to.
    pub(super) queue: Option<Queue>,
}

/// What came of one operation.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The answer, if the operation was sent.
    pub(super) response: Option<Response>,
    pub(super) accepted: &'static [StatusCode],
}

impl Outcome {
    pub(super) fn is_open(&self) -> bool {
        self.response.is_none()
    }

    pub(super) fn is_failure_of_server(&self) -> bool {
        self.response.as_ref().is_some_and(|it| it.status.is_server_error())
    }

    pub(super) fn check(&self) -> Result<&Response> {
        let response = self.response.as_ref().ok_or(Error::NotSent)?;
        if response.is_answer(self.accepted) {
            Ok(response)
        } else {
            Err(Error::of(response.clone()))
        }
    }
}

/// An operation that failed.
#[derive(Debug)]
pub struct Failure {
    /// The number of the operation, from 0.
    pub index: usize,
    /// Why it failed, with its request and answer.
    pub error: Error,
}

impl Results {
    /// The result of one operation.
    pub fn get<T>(&self, ticket: &Ticket<T>) -> Result<T> {
        let is_ours = |it: &Queue| Arc::ptr_eq(&it.0, &ticket.queue.0);
        let outcome = self.outcomes.get(ticket.index);
        let Some(outcome) = outcome.filter(|_| self.queue.as_ref().is_some_and(is_ours)) else {
            let problem = "the operation belongs to another batch, or came after it was sent";
            return Err(Error::Argument(problem.to_owned()));
        };
        (ticket.decode)(outcome.check()?)
    }

    /// The answers as they came, in the order of the operations; `None` for what was not sent.
    pub fn responses(&self) -> impl Iterator<Item = Option<&Response>> {
        self.outcomes.iter().map(|outcome| outcome.response.as_ref())
    }

    /// The operations that failed.
    pub fn failures(&self) -> impl Iterator<Item = Failure> {
        let failed = |(index, outcome): (usize, &Outcome)| {
            outcome.check().err().map(|error| Failure { index, error })
        };
        self.outcomes.iter().enumerate().filter_map(failed)
    }

    /// How many operations there were.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

/// A batch of which not everything was done.
#[derive(Debug)]
pub struct Failures {
    /// What came of all operations.
    pub results: Results,
    /// What ended the batch before its end, if it did not come to its end.
    pub cause: Option<Error>,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failures = self.results.failures();
        let first = failures.next();
        let failed = usize::from(first.is_some()) + failures.count();
        write!(f, "{failed} of {} operations failed", self.results.len())?;
        match (&self.cause, first) {
            (Some(cause), _) => write!(f, ": {cause}"),
            (None, Some(first)) => write!(f, "; number {}: {}", first.index, first.error),
            (None, None) => Ok(()),
        }
    }
}
