//! Deletes objects.

use http::StatusCode;

use crate::{
    Result, Timestamp, Tombstone,
    call::Call,
    list::Page,
    object,
    query::{Filter, Query},
    response::Response,
    transport::{Direct, Transport},
};

/// Deletes one object. Gives what is left of it.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct Delete<X> {
    transport: X,
    call: Call,
    is_bucket: bool,
}

/// Deletes one object if it is there.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct DeleteIfExists<X>(Delete<X>);

impl<X: Transport> Delete<X> {
    pub(crate) fn new(transport: X, call: Call, is_bucket: bool) -> Self {
        Self { transport, call, is_bucket }
    }

    /// Only if the object is as it was at this timestamp; otherwise it is a conflict.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.call.if_match(timestamp);
        self
    }

    /// An object that does not exist is no error. To those who may not list buckets, servers answer
    /// 403 for a bucket that does not exist, so that this is no error either.
    pub fn if_exists(mut self) -> DeleteIfExists<X> {
        self.call.accepted = if self.is_bucket {
            &[StatusCode::NOT_FOUND, StatusCode::FORBIDDEN]
        } else {
            &[StatusCode::NOT_FOUND]
        };
        DeleteIfExists(self)
    }

    /// A header of this request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// Does it.
    pub fn send(self) -> X::Sent<Tombstone> {
        self.transport.send(self.call, object::tombstone)
    }

    /// Does it, and gives the answer as it came.
    pub fn response(self) -> X::Sent<Response> {
        self.transport.send(self.call, |response| Ok(response.clone()))
    }
}

impl<X: Transport> DeleteIfExists<X> {
    /// Does it. `None` if the object did not exist.
    pub fn send(self) -> X::Sent<Option<Tombstone>> {
        self.0.transport.send(self.0.call, |response| {
            if response.status.is_success() {
                object::tombstone(response).map(Some)
            } else {
                Ok(None)
            }
        })
    }
}

/// Deletes all objects of a list, or those that pass the filters. Gives what is left of them.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct DeleteMany<X> {
    transport: X,
    call: Call,
    query: Query,
}

impl<X: Transport> DeleteMany<X> {
    pub(crate) fn new(transport: X, call: Call) -> Self {
        Self { transport, call, query: Query::default() }
    }

    /// Only objects that pass; several filters must all be passed.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.query.filter(filter);
        self
    }

    /// Those that were changed before this timestamp.
    pub fn before(mut self, timestamp: Timestamp) -> Self {
        self.query.set("_before", timestamp.to_string());
        self
    }

    /// In this order, which counts with [`DeleteMany::limit`].
    pub fn sort(mut self, fields: &str) -> Self {
        self.query.set("_sort", fields);
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: usize) -> Self {
        self.query.limit = Some(limit);
        self
    }

    /// A parameter of the URL, as it is.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.query.add(name, value);
        self
    }

    /// Only if no object of the list was changed since this timestamp; otherwise it is a conflict.
    /// Where the server deletes in several pages, this is about the first one: it changes the list.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.call.if_match(timestamp);
        self
    }

    /// A header of this request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// One request: as many as the server deletes at once.
    pub fn page(mut self) -> X::Sent<Page<Tombstone>> {
        self.query.write(&mut self.call, self.query.limit);
        self.transport.send(self.call, Page::read)
    }
}

impl<X: Direct> DeleteMany<X> {
    /// Does it, in as many requests as it takes.
    pub fn send(self) -> X::Sent<Vec<Tombstone>> {
        let Self { transport, mut call, query } = self;
        transport.run(|connection| async move {
            query.write(&mut call, query.limit);
            let mut deleted = Vec::new();
            loop {
                let page = Page::read(&connection.execute(&call).await?)?;
                deleted.extend(page.rows);
                let Some(next) = page.next else { return Result::Ok(deleted) };
                let rest = query.limit.map(|limit| limit.saturating_sub(deleted.len()));
                if rest == Some(0) {
                    return Ok(deleted);
                }
                // The list has another timestamp by our own deletion.
                call.headers.remove(http::header::IF_MATCH);
                next.apply(&mut call);
                if let Some(rest) = rest {
                    call.set_param("_limit", &rest.to_string());
                }
            }
        })
    }
}
