//! Reads lists: a page, all of it, or one by one.

use std::{fmt, marker::PhantomData, mem};

use futures_util::{Stream, TryStreamExt as _, stream};
use http::{Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    Change, Error, Fresh, Object, Result, Row, Timestamp,
    call::Call,
    progress::Callback,
    query::{Filter, Query},
    response::Response,
    task::Task,
    transport::{Connection, Direct, Transport},
};

/// How many objects a page has where the caller does not care: enough that requests cost little, and
/// few enough that a page needs little memory.
const PAGE_SIZE: usize = 5_000;

/// One answer of a list.
#[derive(Clone, Debug)]
pub struct Page<R> {
    /// What is on it.
    pub rows: Vec<R>,
    /// When an object of the list was changed last.
    pub timestamp: Timestamp,
    /// How many there are on all pages, if the server tells.
    pub total: Option<u64>,
    /// Where the next page is.
    pub next: Option<PageToken>,
}

/// Where a page is. It can be kept, to go on later: [`List::resume`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    pub(crate) fn apply(self, call: &mut Call) {
        call.query = self.0;
    }
}

impl<R: Row> Page<R> {
    pub(crate) fn read(response: &Response) -> Result<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
        }
        if response.status == StatusCode::NOT_MODIFIED {
            return Err(Error::of(response.clone()));
        }
        let read = || -> serde_json::Result<Vec<R>> {
            let Body { data } = serde_json::from_slice(&response.body)?;
            data.into_iter().map(|json| R::from_json(json.get())).collect()
        };
        Ok(Self {
            rows: read().map_err(|error| response.not_understood(error))?,
            timestamp: response.timestamp().unwrap_or_default(),
            total: response.total(),
            // Of the URL, only the query: the credentials stay with the server that they are for.
            next: response
                .header("Next-Page")
                .and_then(|url| url.split_once('?'))
                .map(|(_, query)| PageToken(query.to_owned())),
        })
    }
}

/// Reads a list.
#[derive(Debug)]
#[must_use = "nothing happens without `page`, `all`, `pages` or `rows`"]
pub struct List<X, R> {
    transport: X,
    call: Call,
    query: Query,
    page_size: Option<usize>,
    max_pages: Option<usize>,
    resume: Option<PageToken>,
    on_progress: Callback<ListProgress>,
    rows: PhantomData<fn() -> R>,
}

/// How far the reading of a list is. In words: `5000 of 12000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListProgress {
    /// How many rows came.
    pub rows: u64,
    /// On how many pages.
    pub pages: u64,
    /// How many bytes they were.
    pub bytes: u64,
    /// How many rows there are, if the server tells.
    pub total: Option<u64>,
}

impl fmt::Display for ListProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rows)?;
        self.total.map_or(Ok(()), |total| write!(f, " of {total}"))
    }
}

/// Reads a list if it has changed.
#[derive(Debug)]
#[must_use = "nothing happens without `page` or `all`"]
pub struct ListIfChanged<X, R>(List<X, R>);

impl<X: Transport, R: Row> List<X, R> {
    pub(crate) fn new(transport: X, call: Call) -> Self {
        Self {
            transport,
            call,
            query: Query::default(),
            page_size: None,
            max_pages: None,
            resume: None,
            on_progress: Callback::default(),
            rows: PhantomData,
        }
    }

    /// The same list, with rows of another type: [`Value`](serde_json::Value) takes them as they are.
    pub fn of<S: Row>(self) -> List<X, S> {
        List {
            transport: self.transport,
            call: self.call,
            query: self.query,
            page_size: self.page_size,
            max_pages: self.max_pages,
            resume: self.resume,
            on_progress: self.on_progress,
            rows: PhantomData,
        }
    }

    /// Only objects that pass; several filters must all be passed.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.query.filter(filter);
        self
    }

    /// In the order of these fields, separated by commas; `-` before one turns it around.
    pub fn sort(mut self, fields: &str) -> Self {
        self.sort_by(fields);
        self
    }

    pub(crate) fn sort_by(&mut self, fields: &str) {
        self.query.set("_sort", fields);
    }

    /// Only these fields, and id and timestamp; those in a field in dots: `author.name`.
    pub fn fields<I: AsRef<str>>(mut self, fields: impl IntoIterator<Item = I>) -> Self {
        let fields: Vec<_> = fields.into_iter().map(|it| it.as_ref().to_owned()).collect();
        self.query.set("_fields", fields.join(","));
        self
    }

    /// Those that were changed before this timestamp.
    pub fn before(mut self, timestamp: Timestamp) -> Self {
        self.query.set("_before", timestamp.to_string());
        self
    }

    /// A parameter of the URL, as it is.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.query.add(name, value);
        self
    }

    /// A header of these requests.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// At most so many, on as many pages as that takes.
    pub fn limit(mut self, limit: usize) -> Self {
        self.query.limit = Some(limit);
        self
    }

    /// So many on a page; the server may have a limit of its own.
    pub fn page_size(mut self, size: usize) -> Self {
        self.page_size = Some(size);
        self
    }

    /// No more pages than this.
    pub fn max_pages(mut self, pages: usize) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Goes on where an earlier list ended, with the parameters of that one.
    pub fn resume(mut self, token: PageToken) -> Self {
        self.resume = Some(token);
        self
    }

    /// Is told after each page of `all`, `pages` and `rows` how far they are.
    pub fn on_progress(mut self, tell: impl FnMut(&ListProgress) + Send + 'static) -> Self {
        self.on_progress = Callback::new(tell);
        self
    }

    /// Only if an object of the list was changed since this timestamp.
    pub fn if_none_match(mut self, timestamp: Timestamp) -> ListIfChanged<X, R> {
        self.call.if_none_match(timestamp);
        ListIfChanged(self)
    }

    /// Only if no object of the list was changed since this timestamp; otherwise it is a conflict.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.call.if_match(timestamp);
        self
    }

    /// How many there are on all pages.
    pub fn count(mut self) -> X::Sent<u64> {
        self.call.method = Method::HEAD;
        let transport = self.transport.clone();
        transport.send(self.into_call(None), |response| {
            response.total().ok_or_else(|| response.lacks("Total-Objects"))
        })
    }

    /// Only the headers, which tell how many there are on all pages, and when one was changed last:
    /// [`Response::total`] and [`Response::timestamp`].
    pub fn head(mut self) -> X::Sent<Response> {
        self.call.method = Method::HEAD;
        let transport = self.transport.clone();
        transport.send(self.into_call(None), |response| Ok(response.clone()))
    }

    /// The call for the first page.
    pub(crate) fn into_page_call(self) -> Call {
        let size = self.page_size.into_iter().chain(self.query.limit).min();
        self.into_call(size)
    }

    /// The first page: as many as the server gives at once, unless there is a limit.
    pub fn page(self) -> X::Sent<Page<R>> {
        let transport = self.transport.clone();
        transport.send(self.into_page_call(), Page::read)
    }

    /// The first page, as it came.
    pub fn response(self) -> X::Sent<Response> {
        let transport = self.transport.clone();
        transport.send(self.into_page_call(), |response| Ok(response.clone()))
    }

    fn into_call(mut self, page_size: Option<usize>) -> Call {
        match self.resume.take() {
            Some(token) => token.apply(&mut self.call),
            None => self.query.write(&mut self.call, page_size),
        }
        self.call
    }
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> List<X, Object<T>> {
    /// What has happened since this timestamp: also deletions.
    pub fn since(mut self, timestamp: Timestamp) -> List<X, Change<T>> {
        self.query.set("_since", timestamp.etag());
        self.of()
    }
}

impl<X: Direct, R: Row> List<X, R> {
    /// All of it.
    pub fn all(self) -> X::Sent<Vec<R>> {
        let transport = self.transport.clone();
        transport.run(|connection| async {
            let pages = self.on_pages(connection);
            pages.map_ok(|page| page.rows).try_concat().await
        })
    }

    /// Page by page. The next one is on its way while the caller looks at one.
    pub fn pages(self) -> X::Stream<Page<R>> {
        let transport = self.transport.clone();
        transport.stream(|connection| self.on_pages(connection))
    }

    /// One by one; pages are asked for as they are needed.
    pub fn rows(self) -> X::Stream<R> {
        let transport = self.transport.clone();
        transport.stream(|connection| {
            let pages = self.on_pages(connection);
            pages.map_ok(|page| stream::iter(page.rows.into_iter().map(Ok))).try_flatten()
        })
    }

    fn on_pages(
        mut self,
        connection: Connection,
    ) -> impl Stream<Item = Result<Page<R>>> + Send + 'static {
        let wanted = self.query.limit.unwrap_or(usize::MAX);
        let pages = self.max_pages.unwrap_or(usize::MAX);
        let size = self.page_size.unwrap_or(PAGE_SIZE).min(wanted);
        let on_progress = mem::take(&mut self.on_progress);
        let call = self.into_call(Some(size));
        let progress = ListProgress::default();
        let reader = Reader { connection, call, wanted, pages, ahead: None, progress, on_progress };
        stream::try_unfold(reader, Reader::next)
    }
}

/// Reads one page after the other.
struct Reader<R> {
    connection: Connection,
    call: Call,
    /// How many rows may still come.
    wanted: usize,
    /// How many pages may still come.
    pages: usize,
    /// The page that is on its way.
    ahead: Option<Task<Result<Weighed<R>>>>,
    progress: ListProgress,
    on_progress: Callback<ListProgress>,
}

/// A page and how many bytes it had.
type Weighed<R> = (Page<R>, usize);

impl<R: Row> Reader<R> {
    async fn next(mut self) -> Result<Option<(Page<R>, Self)>> {
        if self.wanted == 0 || self.pages == 0 {
            return Ok(None);
        }
        let (mut page, bytes) = match self.ahead.take() {
            Some(task) => task.await,
            None => Self::read(self.connection.clone(), self.call.clone()).await,
        }?;
        page.rows.truncate(self.wanted);
        self.wanted -= page.rows.len();
        self.pages -= 1;
        self.progress.rows += page.rows.len() as u64;
        self.progress.pages += 1;
        self.progress.bytes += bytes as u64;
        self.progress.total = page.total.or(self.progress.total);
        match page.next.clone() {
            Some(next) if self.wanted > 0 && self.pages > 0 => {
                next.apply(&mut self.call);
                // Later pages are pages of the list as it was when it was found changed.
                self.call.headers.remove(header::IF_NONE_MATCH);
                self.call.headers.remove(header::IF_MATCH);
                let read = Self::read(self.connection.clone(), self.call.clone());
                self.ahead = Some(Task::spawn(read));
            }
            _ => self.pages = 0,
        }
        self.on_progress.tell(&self.progress);
        Ok(Some((page, self)))
    }

    async fn read(connection: Connection, call: Call) -> Result<Weighed<R>> {
        let response = connection.execute(&call).await?;
        Ok((Page::read(&response)?, response.body.len()))
    }
}

impl<X: Transport, R: Row> ListIfChanged<X, R> {
    /// The first page, if the list has changed.
    pub fn page(self) -> X::Sent<Fresh<Page<R>>> {
        let transport = self.0.transport.clone();
        transport.send(self.0.into_page_call(), |response| {
            if response.status == StatusCode::NOT_MODIFIED {
                Ok(Fresh::NotModified)
            } else {
                Page::read(response).map(Fresh::Modified)
            }
        })
    }
}

impl<X: Direct, R: Row> ListIfChanged<X, R> {
    /// All of the list, if it has changed.
    pub fn all(self) -> X::Sent<Fresh<Vec<R>>> {
        let transport = self.0.transport.clone();
        transport.run(|connection| async {
            let pages = self.0.on_pages(connection);
            let rows: Result<Vec<R>> = pages.map_ok(|page| page.rows).try_concat().await;
            match rows {
                Err(error) if error.status() == Some(StatusCode::NOT_MODIFIED) => {
                    Ok(Fresh::NotModified)
                }
                rows => rows.map(Fresh::Modified),
            }
        })
    }
}
