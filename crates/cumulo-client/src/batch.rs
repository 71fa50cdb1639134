//! Many operations in few requests:
//! <https://docs.kinto-storage.org/en/stable/api/1.x/batch.html>

mod aggregate;
mod order;

use std::{
    collections::BTreeMap,
    fmt, mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::sleep;

pub use aggregate::Aggregate;

use crate::{
    Error, Result, Root,
    call::Call,
    response::{Request, Response},
    transport::{
        Connection, Decode, Direct, Transport,
        retry::{self, Verdict},
    },
};

/// No request is larger than this by the operations that are put together in it.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Operations that wait to be sent together. It has the scopes and verbs of a [`Client`](crate::Client); what their
/// `send` gives is a [`Ticket`] for the result.
///
/// ```no_run
/// # async fn run(client: cumulo_client::Client) -> cumulo_client::Result<()> {
/// let batch = client.batch();
/// let articles = batch.bucket("blog").collection("articles").records();
/// let first = articles.get("first").send();
/// let second = articles.create(serde_json::json!({"title": "Second"})).send();
///
/// let results = batch.send().await?;
/// println!("{} {}", results.get(&first)?.data, results.get(&second)?.id);
/// # Ok(())
/// # }
/// ```
///
/// The operations are sent in their order, in as many requests as the server's limit makes of them.
/// The server does each of these requests as a whole, but an operation that it refuses does not undo
/// the others.
#[derive(Debug)]
#[must_use = "nothing is sent without `send`"]
pub struct Batch<X: Direct> {
    client: Root<Queue>,
    direct: X,
    ignores_refusals: bool,
}

/// Where the operations of a batch wait.
#[derive(Clone, Debug, Default)]
pub struct Queue(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    calls: Vec<Call>,
    /// How many were taken out of it to be sent.
    sent: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties it. What comes later is numbered on, and found in no results.
    fn take(&self) -> Vec<Call> {
        let mut waiting = self.waiting();
        waiting.sent += waiting.calls.len();
        mem::take(&mut waiting.calls)
    }
}

/// The place of an operation in a batch, with which its result is found.
#[derive(Debug)]
pub struct Ticket<T> {
    /// The batch that it belongs to.
    queue: Queue,
    index: usize,
    decode: Decode<T>,
}

impl<T> Ticket<T> {
    /// The number of the operation, from 0.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Transport for Queue {
    type Sent<T: Send + 'static> = Ticket<T>;

    fn send<T: Send + 'static>(&self, call: Call, decode: Decode<T>) -> Self::Sent<T> {
        let mut waiting = self.waiting();
        let index = waiting.sent + waiting.calls.len();
        waiting.calls.push(call);
        Ticket { queue: self.clone(), index, decode }
    }
}

impl<X: Direct> Batch<X> {
    pub(crate) fn new(client: Root<Queue>, direct: X) -> Self {
        Self { client, direct, ignores_refusals: false }
    }

    /// Operations that the server refuses (4xx) don't make [`Batch::send`] fail.
    pub fn ignore_refusals(mut self) -> Self {
        self.ignores_refusals = true;
        self
    }

    /// How many operations there are so far.
    pub fn len(&self) -> usize {
        self.client.transport().waiting().calls.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends the operations. If one fails, so does this, with [`Error::Batch`], which has the
    /// results of all.
    pub fn send(self) -> X::Sent<Results> {
        let queue = self.client.transport().clone();
        let calls = queue.take();
        let ignores_refusals = self.ignores_refusals;
        self.direct.run(|connection| async move {
            let (mut results, cause) = send(&connection, calls).await?;
            results.queue = Some(queue);
            let fails = |it: &Failure| !ignores_refusals || !is_refusal(&it.error);
            if cause.is_some() || results.failures().any(|it| fails(&it)) {
                return Err(Error::Batch(Box::new(Failures { results, cause })));
            }
            Ok(results)
        })
    }
}

fn is_refusal(error: &Error) -> bool {
    error.status().is_some_and(|status| status.is_client_error())
}

impl<X: Direct> Deref for Batch<X> {
    type Target = Root<Queue>;

    fn deref(&self) -> &Root<Queue> {
        &self.client
    }
}

/// What came of the operations of a batch, in their order.
#[derive(Clone, Debug)]
pub struct Results {
    outcomes: Vec<Outcome>,
    /// The batch that they belong to.
    queue: Option<Queue>,
}

/// What came of one operation.
#[derive(Clone, Debug)]
struct Outcome {
    /// The answer, if the operation was sent.
    response: Option<Response>,
    accepted: &'static [StatusCode],
}

impl Outcome {
    fn is_open(&self) -> bool {
        self.response.is_none()
    }

    fn is_failure_of_server(&self) -> bool {
        self.response.as_ref().is_some_and(|it| it.status.is_server_error())
    }

    fn check(&self) -> Result<&Response> {
        let response = self.response.as_ref().ok_or(Error::NotSent)?;
        let status = response.status;
        if status.is_success()
            || status == StatusCode::NOT_MODIFIED
            || self.accepted.contains(&status)
        {
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

/// Sends operations. The error is for when nothing was done at all; what ends the batch after it has
/// begun comes with the results so far.
pub(crate) async fn send(
    connection: &Connection,
    calls: Vec<Call>,
) -> Result<(Results, Option<Error>)> {
    calls.iter().try_for_each(check)?;
    let outcomes = calls.iter().map(|call| Outcome { response: None, accepted: call.accepted });
    let mut results = Results { outcomes: outcomes.collect(), queue: None };
    if calls.is_empty() {
        return Ok((results, None));
    }
    let limit = connection.batch_limit().await?;
    let mut max_bytes = connection.state().batch_bytes().unwrap_or(MAX_BYTES);
    let mut start = 0;
    while start < calls.len() {
        let (count, bytes) = fitting(&calls[start..], limit, max_bytes);
        let chunk = start..start + count;
        let outcomes = &mut results.outcomes[chunk.clone()];
        match send_chunk(connection, &calls[chunk.clone()], outcomes).await {
            Ok(()) if outcomes.iter().any(Outcome::is_failure_of_server) => break,
            Ok(()) => start = chunk.end,
            // Servers behind others do with less than they say themselves.
            Err(Error::TooLarge(_)) if count > 1 && outcomes.iter().all(Outcome::is_open) => {
                max_bytes = bytes / 2;
                connection.state().set_batch_bytes(max_bytes);
            }
            Err(error) if results.outcomes.iter().all(Outcome::is_open) => return Err(error),
            Err(error) => return Ok((results, Some(error))),
        }
    }
    Ok((results, None))
}

fn check(call: &Call) -> Result<()> {
    call.check()?;
    let media_type = call.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    if call.body.is_some() && media_type != Some("application/json") {
        // Servers read them as plain JSON, whatever their headers say.
        let problem = "JSON patches and merge patches can't be part of a batch";
        return Err(Error::Argument(problem.to_owned()));
    }
    Ok(())
}

/// How many operations go into the next request, and how many bytes they are.
fn fitting(calls: &[Call], limit: usize, max_bytes: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for call in calls {
        let body = call.body.as_ref().map_or(0, Bytes::len);
        let size = call.path.len() + call.query.len() + body + 100;
        if count > 0 && (count == limit || bytes + size > max_bytes) {
            break;
        }
        count += 1;
        bytes += size;
    }
    (count, bytes)
}

/// Sends operations in one request, those again that the server could not do at first.
async fn send_chunk(
    connection: &Connection,
    calls: &[Call],
    outcomes: &mut [Outcome],
) -> Result<()> {
    let mut open: Vec<usize> = (0..calls.len()).collect();
    // Which may have been carried out before they are sent again.
    let mut unclear = vec![false; calls.len()];
    let mut number = 0;
    loop {
        let sent: Vec<&Call> = open.iter().map(|index| &calls[*index]).collect();
        let (answers, repeated) = post(connection, &sent).await?;
        let (again, asked) = to_repeat(&sent, &answers);
        let again: Vec<usize> = again.into_iter().map(|place| open[place]).collect();
        for (index, mut response) in open.into_iter().zip(answers) {
            let before = outcomes[index].response.as_ref();
            response.request.attempts += before.map_or(0, |before| before.request.attempts);
            unclear[index] |= repeated;
            let response = settle(connection, &calls[index], response, unclear[index]).await;
            unclear[index] |= verdict(&response) == Verdict::Unknown;
            outcomes[index].response = Some(response);
        }
        let wait = connection.config().retry.wait(number, asked, rand::random());
        let (false, Some(wait)) = (again.is_empty(), wait) else { return Ok(()) };
        sleep(wait).await;
        open = again;
        number += 1;
    }
}

/// What an answer means to its operation. If it can't be found out, it is what it was.
async fn settle(
    connection: &Connection,
    call: &Call,
    response: Response,
    unclear: bool,
) -> Response {
    if response.status != StatusCode::PRECONDITION_FAILED {
        return response;
    }
    connection.settle(call, response.clone(), unclear).await.unwrap_or(response)
}

fn verdict(response: &Response) -> Verdict {
    retry::verdict(response.status, retry_after(response))
}

fn retry_after(response: &Response) -> Option<Duration> {
    response.header("Retry-After").and_then(retry::delay)
}

/// The places of the operations that are sent again, and how long the server wants to be left alone
/// before. An operation is not done after a later one on the same object, or what is above or below:
/// it would undo that.
fn to_repeat(calls: &[&Call], answers: &[Response]) -> (Vec<usize>, Option<Duration>) {
    let may_repeat = |place: usize| match verdict(&answers[place]) {
        Verdict::Final => false,
        Verdict::Undone => true,
        Verdict::Unknown => calls[place].is_repeatable(),
    };
    if !(0..calls.len()).any(may_repeat) {
        return (Vec::new(), None);
    }
    let mut done = order::Done::default();
    let mut again = Vec::new();
    for place in (0..calls.len()).rev() {
        let path = calls[place].path.as_str();
        if may_repeat(place) && !done.concern(path) {
            again.push(place);
        } else {
            done.add(path);
        }
    }
    again.reverse();
    let asked = again.iter().filter_map(|place| retry_after(&answers[*place])).max();
    (again, asked)
}

/// The body of a batch.
#[derive(Serialize)]
struct Whole<'a> {
    requests: Vec<Operation<'a>>,
}

/// One operation, as a batch has it.
#[derive(Serialize)]
struct Operation<'a> {
    method: &'a str,
    path: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

impl<'a> Operation<'a> {
    fn new(call: &'a Call) -> Self {
        let text = |body: &'a Bytes| serde_json::from_slice(body).expect("bodies are JSON");
        let headers = call.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        Self {
            method: call.method.as_str(),
            path: call.target(),
            headers: headers.filter_map(|(n, v)| Some((n.as_str(), v.to_str().ok()?))).collect(),
            body: call.body.as_ref().map(text),
        }
    }
}

/// What a server answers to a batch.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    responses: Vec<Part<'a>>,
}

/// The answer to one operation.
#[derive(Deserialize)]
pub(crate) struct Part<'a> {
    status: u16,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

async fn post(connection: &Connection, calls: &[&Call]) -> Result<(Vec<Response>, bool)> {
    let operations: Vec<_> = calls.iter().map(|call| Operation::new(call)).collect();
    let mut call = Call::new(Method::POST, "/batch");
    let body = Whole { requests: operations };
    let body = serde_json::to_string(&body).expect("texts serialize");
    call.body("application/json", body);
    call.repeatable = Some(calls.iter().all(|call| call.is_repeatable()));
    let (response, repeated) = connection.insist(&call).await?;
    let parts = calls.iter().zip(parts(&response, calls.len())?);
    Ok((
        parts.map(|(call, part)| part.into_response(connection, call, &response)).collect(),
        repeated,
    ))
}

/// The answers to so many operations.
pub(crate) fn parts(response: &Response, operations: usize) -> Result<Vec<Part<'_>>> {
    if !response.status.is_success() {
        return Err(Error::of(response.clone()));
    }
    let Answer { responses } =
        serde_json::from_slice(&response.body).map_err(|error| response.not_understood(error))?;
    if responses.len() != operations {
        let problem = format!("{} answers to {operations} operations", responses.len());
        let error = <serde_json::Error as serde::de::Error>::custom(problem);
        return Err(response.not_understood(error));
    }
    Ok(responses)
}

impl Part<'_> {
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let headers = read_headers(self.headers?);
        retry::delay(headers.get(RETRY_AFTER)?.to_str().ok()?)
    }

    /// The same answer as if the operation had been sent alone.
    pub(crate) fn into_response(
        self,
        connection: &Connection,
        call: &Call,
        whole: &Response,
    ) -> Response {
        let attempts = whole.request.attempts;
        let request = Request { method: call.method.clone(), url: connection.url(call), attempts };
        let body = match self.body {
            // An empty text stands for no body.
            None => Bytes::new(),
            Some(body) if body.get() == "\"\"" => Bytes::new(),
            Some(body) => whole.body.slice_ref(body.get().as_bytes()),
        };
        Response {
            request,
            status: self.status(),
            headers: self.headers.map(read_headers).unwrap_or_default(),
            body,
        }
    }
}

fn read_headers(json: &RawValue) -> HeaderMap {
    let headers: BTreeMap<String, String> = serde_json::from_str(json.get()).unwrap_or_default();
    let valid = |(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.into_iter().filter_map(valid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(count: usize, bytes: usize) -> Vec<Call> {
        let mut call = Call::new(Method::PUT, "/");
        call.body("application/json", "x".repeat(bytes));
        vec![call; count]
    }

    #[test]
    fn requests_keep_to_the_limits() {
        let count = |calls: &[Call], limit| fitting(calls, limit, MAX_BYTES).0;
        assert_eq!(count(&calls(5, 1), 2), 2);
        assert_eq!(count(&calls(2, 1), usize::MAX), 2);
        assert_eq!(count(&calls(3, MAX_BYTES / 2), usize::MAX), 1);
        assert_eq!(count(&calls(2, 2 * MAX_BYTES), usize::MAX), 1);
    }
}
