//! Sends operations, those again that the server could not do at first.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::time::sleep;

use super::{
    order,
    results::{Outcome, Results},
    wire::post,
};
use crate::{
    Error, Result,
    call::Call,
    response::Response,
    transport::{Connection, retry::Verdict},
};

/// No request is larger than this by the operations that are put together in it.
pub(crate) const MAX_BYTES: usize = 4 << 20;

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
        let conflict = last_conflict(&answers).map(|place| (place, answers[place].clone()));
        for (place, (index, mut response)) in open.into_iter().zip(answers).enumerate() {
            let before = outcomes[index].response.as_ref();
            response.request.attempts += before.map_or(0, |before| before.request.attempts);
            unclear[index] |= repeated;
            if let Some((last, conflict)) = &conflict
                && place < *last
                && !calls[index].method.is_safe()
                && response.status.is_success()
            {
                let request = response.request;
                response = Response { request, ..conflict.clone() };
                unclear[index] = true;
            }
            let response = settle(connection, &calls[index], response, unclear[index]).await;
            unclear[index] |= verdict(&calls[index], &response) == Verdict::Unknown;
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

fn verdict(call: &Call, response: &Response) -> Verdict {
    call.verdict(response.status, response.retry_after())
}

/// The place of the last operation that got in the way of others. Kinto then undoes what it did
/// before in the same batch, whatever it has answered to that.
fn last_conflict(answers: &[Response]) -> Option<usize> {
    answers.iter().rposition(|answer| answer.status == StatusCode::CONFLICT)
}

/// The places of the operations that are sent again, and how long the server wants to be left alone
/// before. An operation is not done after a later one on the same object, or what is above or below:
/// it would undo that.
fn to_repeat(calls: &[&Call], answers: &[Response]) -> (Vec<usize>, Option<Duration>) {
    let conflict = last_conflict(answers).unwrap_or_default();
    let may_repeat = |place: usize| match verdict(calls[place], &answers[place]) {
        Verdict::Final if answers[place].status.is_success() && place < conflict => {
            calls[place].is_repeatable()
        }
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
    let asked = again.iter().filter_map(|place| answers[*place].retry_after()).max();
    (again, asked)
}

#[cfg(test)]
mod tests {
    use http::Method;

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
