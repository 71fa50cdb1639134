//! Brings a parcel to the server, and finds out what became of each item.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::{Counts, OnExisting, parcel::Parcel};
use crate::{
    Error, Failure, Result,
    batch::{self, Part},
    call::Call,
    response::Response,
    transport::{
        Connection,
        retry::{self, Verdict},
    },
};

/// What became of the items of a parcel.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) counts: Counts,
    pub(super) failures: Vec<Failure>,
    pub(super) bytes: u64,
    /// Why the rest of them was not settled.
    pub(super) cause: Option<Error>,
}

/// Some operations of a parcel that are sent together.
struct Section {
    operations: Vec<usize>,
    /// How often the server was not ready for them.
    number: u32,
    /// Whether they may have been done already.
    repeated: bool,
}

/// Sends a parcel, until there is a final answer for each of its items.
pub(super) async fn deliver(
    connection: Connection,
    on_existing: OnExisting,
    mut parcel: Parcel,
) -> Delivered {
    let failures = std::mem::take(&mut parcel.refused);
    let counts = Counts { failed: failures.len() as u64, ..Counts::default() };
    let delivered = Delivered { counts, failures, ..Delivered::default() };
    let mut courier = Courier { connection, on_existing, parcel, delivered };
    courier.delivered.cause = courier.deliver().await.err();
    courier.delivered
}

struct Courier {
    connection: Connection,
    on_existing: OnExisting,
    parcel: Parcel,
    delivered: Delivered,
}

impl Courier {
    async fn deliver(&mut self) -> Result<()> {
        let all = (0..self.parcel.len()).collect();
        let mut open = vec![Section { operations: all, number: 0, repeated: false }];
        while let Some(section) = open.pop() {
            if !section.operations.is_empty() {
                open.extend(self.send(section).await?);
            }
        }
        Ok(())
    }

    /// Sends some operations. Gives those that are open still.
    async fn send(&mut self, section: Section) -> Result<Vec<Section>> {
        let body = self.parcel.body(&section.operations);
        let bytes = body.len() as u64;
        let (response, repeated) = self.connection.insist(&post(body)).await?;
        let section = Section { repeated: section.repeated || repeated, ..section };
        if response.status == StatusCode::PAYLOAD_TOO_LARGE && section.operations.len() > 1 {
            return Ok(section.halves());
        }
        let parts = batch::parts(&response, section.operations.len())?;
        self.delivered.bytes += bytes;
        let is_final = |part: &Part<'_>| retry::verdict(part.status(), None) == Verdict::Final;
        if !parts.iter().all(is_final) {
            return self.send_again(section, parts, &response).await;
        }
        for (index, part) in section.operations.into_iter().zip(parts) {
            self.settle(index, part, &response, section.repeated).await;
        }
        Ok(Vec::new())
    }

    /// What to do when the server could not do some operations for now. Whatever it says of the
    /// others, it may have undone them, as Kinto does where one answers 409: they are sent again too.
    async fn send_again(
        &mut self,
        section: Section,
        parts: Vec<Part<'_>>,
        response: &Response,
    ) -> Result<Vec<Section>> {
        let Section { operations, number, repeated } = section;
        let (mut done, mut undone, mut asked) = (Vec::new(), Vec::new(), None);
        for (index, part) in operations.into_iter().zip(parts) {
            let after = part.retry_after();
            if retry::verdict(part.status(), after) == Verdict::Final {
                done.push(index);
            } else {
                asked = asked.max(after);
                undone.push((index, part));
            }
        }
        let done = Section { operations: done, number, repeated: true };
        let wait = self.connection.config().retry.wait(number, asked, rand::random());
        let Some(wait) = wait else {
            for (index, part) in undone {
                self.settle(index, part, response, repeated).await;
            }
            return Ok(vec![done]);
        };
        self.connection.state().pushed_back(wait);
        sleep(wait).await;
        let operations = undone.into_iter().map(|(index, _)| index).collect();
        Ok(vec![done, Section { operations, number: number + 1, repeated: true }])
    }

    /// Notes what became of an item.
    async fn settle(&mut self, index: usize, part: Part<'_>, response: &Response, repeated: bool) {
        let counts = &mut self.delivered.counts;
        let is_deletion = self.parcel.is_deletion(index);
        match part.status() {
            StatusCode::CREATED => counts.created += 1,
            status if status.is_success() && is_deletion => counts.deleted += 1,
            status if status.is_success() => counts.replaced += 1,
            StatusCode::NOT_FOUND if is_deletion => counts.skipped += 1,
            status => {
                let call = call(self.parcel.operation(index));
                let mut answer = part.into_response(&self.connection, &call, response);
                // It may be kept, without the rest of the batch.
                answer.body = Bytes::copy_from_slice(&answer.body);
                let is_skipped = status == StatusCode::PRECONDITION_FAILED
                    && self.on_existing == OnExisting::Skip;
                match self.connection.settle(&call, answer, repeated).await {
                    Ok(_) => self.delivered.counts.created += 1,
                    Err(_) if is_skipped => self.delivered.counts.skipped += 1,
                    Err(error) => {
                        self.delivered.counts.failed += 1;
                        let index = self.parcel.number(index);
                        self.delivered.failures.push(Failure { index, error });
                    }
                }
            }
        }
    }
}

impl Section {
    fn halves(self) -> Vec<Self> {
        let Self { operations, number, repeated } = self;
        let (left, right) = operations.split_at(operations.len() / 2);
        let half = |it: &[usize]| Self { operations: it.to_vec(), number, repeated };
        vec![half(right), half(left)]
    }
}

fn post(body: Bytes) -> Call {
    let mut call = Call::new(Method::POST, "/batch");
    call.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.body = Some(body);
    // What is created is created once, and an upload that replaces has the last word anyway.
    call.repeatable = Some(true);
    call
}

/// An operation of a batch as a request of its own.
fn call(operation: &[u8]) -> Call {
    #[derive(Deserialize)]
    struct Operation<'a> {
        method: &'a str,
        path: &'a str,
        #[serde(borrow)]
        body: Option<&'a RawValue>,
    }
    let Operation { method, path, body } =
        serde_json::from_slice(operation).expect("it was written here");
    let method = if method == "PUT" { Method::PUT } else { Method::DELETE };
    let mut call = Call::new(method, path);
    call.body = body.map(|json| Bytes::copy_from_slice(json.get().as_bytes()));
    call
}
