//! Many operations in few requests:
//! <https://docs.kinto-storage.org/en/stable/api/1.x/batch.html>

use std::{
    collections::BTreeMap,
    fmt, mem,
    ops::{Deref, Range},
    sync::{Arc, Mutex, PoisonError},
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
pub struct Queue(Arc<Mutex<Vec<Call>>>);

/// The place of an operation in a batch.
#[derive(Debug)]
#[must_use = "the result of the operation is found with it"]
pub struct Ticket<T> {
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
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
        Ticket { index: calls.len() - 1, decode }
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
        self.client.transport().0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends the operations. If one fails, so does this, with [`Error::Batch`], which has the
    /// results of all.
    pub fn send(self) -> X::Sent<Results> {
        let queue = &self.client.transport().0;
        let calls = mem::take(&mut *queue.lock().unwrap_or_else(PoisonError::into_inner));
        let ignores_refusals = self.ignores_refusals;
        self.direct.run(|connection| async move {
            let (results, cause) = send(&connection, calls).await?;
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
pub struct Results(Vec<Outcome>);

/// What came of one operation.
#[derive(Clone, Debug)]
struct Outcome {
    /// The answer, if the operation was sent.
    response: Option<Response>,
    accepted: &'static [StatusCode],
}

impl Outcome {
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
        let Some(outcome) = self.0.get(ticket.index) else {
            return Err(Error::Argument("the operation belongs to another batch".to_owned()));
        };
        (ticket.decode)(outcome.check()?)
    }

    /// The answers as they came, in the order of the operations; `None` for what was not sent.
    pub fn responses(&self) -> impl Iterator<Item = Option<&Response>> {
        self.0.iter().map(|outcome| outcome.response.as_ref())
    }

    /// The operations that failed.
    pub fn failures(&self) -> impl Iterator<Item = Failure> {
        let failed = |(index, outcome): (usize, &Outcome)| {
            outcome.check().err().map(|error| Failure { index, error })
        };
        self.0.iter().enumerate().filter_map(failed)
    }

    /// How many operations there were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    let mut results = Results(outcomes.collect());
    if calls.is_empty() {
        return Ok((results, None));
    }
    let limit = connection.batch_limit().await?;
    for chunk in chunks(&calls, limit) {
        match send_chunk(connection, &calls[chunk.clone()]).await {
            Ok(responses) => {
                let failed = responses.iter().any(|it| it.status.is_server_error());
                for (outcome, response) in results.0[chunk].iter_mut().zip(responses) {
                    outcome.response = Some(response);
                }
                if failed {
                    break;
                }
            }
            Err(error) if chunk.start == 0 => return Err(error),
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

/// The operations of each request.
fn chunks(calls: &[Call], limit: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, call) in calls.iter().enumerate() {
        let size = call.path.len() + call.body.as_ref().map_or(0, Bytes::len) + 100;
        if index > start && (index - start == limit || bytes + size > MAX_BYTES) {
            chunks.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < calls.len() {
        chunks.push(start..calls.len());
    }
    chunks
}

/// Sends operations in one request, those again that the server could not do at first.
async fn send_chunk(connection: &Connection, calls: &[Call]) -> Result<Vec<Response>> {
    let mut responses: Vec<Option<Response>> = vec![None; calls.len()];
    let mut open: Vec<usize> = (0..calls.len()).collect();
    let mut number = 0;
    loop {
        let sent: Vec<&Call> = open.iter().map(|index| &calls[*index]).collect();
        let (answers, repeated) = post(connection, &sent).await?;
        let mut asked = None;
        let mut again = Vec::new();
        for (index, response) in open.into_iter().zip(answers) {
            let call = &calls[index];
            let after = response.header("Retry-After").and_then(retry::delay);
            let may_repeat = match retry::verdict(response.status, after) {
                Verdict::Final => false,
                Verdict::Undone => true,
                Verdict::Unknown => call.is_repeatable(),
            };
            if may_repeat {
                again.push(index);
                asked = asked.max(after);
            }
            let response = if response.status == StatusCode::PRECONDITION_FAILED {
                match connection.settle(call, response, repeated || number > 0).await {
                    Ok(response) => response,
                    Err(error) => error.response().cloned().ok_or(error)?,
                }
            } else {
                response
            };
            responses[index] = Some(response);
        }
        let wait = connection.config().retry.wait(number, asked, rand::random());
        let (false, Some(wait)) = (again.is_empty(), wait) else {
            return Ok(responses.into_iter().flatten().collect());
        };
        sleep(wait).await;
        open = again;
        number += 1;
    }
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
        let request = Request { method: call.method.clone(), url: connection.url(call) };
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
        assert_eq!(chunks(&calls(5, 1), 2), [0..2, 2..4, 4..5]);
        assert_eq!(chunks(&calls(2, 1), usize::MAX).len(), 1);
        assert_eq!(chunks(&calls(3, MAX_BYTES / 2), usize::MAX), [0..1, 1..2, 2..3]);
        assert_eq!(chunks(&[], 2), []);
    }
}
