//! `GET` and `HEAD` of a list.

use std::{ops::ControlFlow, sync::Arc};

use http::{HeaderValue, StatusCode};

use crate::{
    api::Api,
    authorization::Visible,
    call::Call,
    error::{ApiError, Invalid, Location, Result},
    event::{Action, Impact},
    object::{Object, Row},
    paging::Token,
    params::querystring::{self, Known, ListParams},
    query::{Field, Query, Sort},
    render,
    reply::{Reply, ascii},
    request::{PATH, encode_query, parse_query},
    store::Transaction,
};

use super::resource::{Context, check_list, not_modified, require_holder};

/// What a list request asks, checked up to the point where rows are read.
struct Listing {
    params: ListParams,
    /// How many objects were on the pages before.
    offset: u64,
    limit: usize,
    reply: Reply,
}

pub(super) fn get(cx: &Context<'_>, tx: &mut dyn Transaction) -> Result<Reply> {
    let mut listing = match prepare(cx, tx)? {
        Prepared::NotModified(reply) => return Ok(*reply),
        Prepared::Listing(listing) => listing,
    };
    listing.params.query.limit = Some(listing.limit.saturating_add(1));
    let bytes = cx.api.settings.max_response_bytes;
    let secrets = cx.resource().secrets;
    let mut page = Page::new(&listing.params.fields, secrets, listing.limit, bytes);
    if cx.tells(Action::Read) {
        let mut shown = Vec::new();
        cx.list(&listing.params.query, tx, &mut |row| {
            let before = page.count;
            let flow = page.add(row);
            if page.count > before {
                let data = render::masked(row.data, secrets).into_owned();
                let new = Object { data, ..row.to_object() };
                shown.push(Impact { new, old: None, acl: Arc::default() });
            }
            Ok(flow)
        })?;
        cx.tell_all(Action::Read, shown, tx)?;
    } else {
        cx.list(&listing.params.query, tx, &mut |row| Ok(page.add(row)))?;
    }
    let next = page.finish(&mut listing.reply.body);
    if let Some((last, count)) = next {
        let token = Token::after(last.as_row(), &listing.params, listing.offset + count);
        set_next_page(&mut listing.reply, cx.api, cx.call, listing.limit, &token);
    }
    Ok(listing.reply)
}

pub(super) fn head(cx: &Context<'_>, tx: &mut dyn Transaction) -> Result<Reply> {
    let mut listing = match prepare(cx, tx)? {
        Prepared::NotModified(reply) => return Ok(*reply),
        Prepared::Listing(listing) => listing,
    };
    listing.params.query.tombstones = false;
    let count = count(cx, &listing.params.query, tx)?;
    add_totals(&mut listing.reply, count);
    if cx.tells(Action::Read) {
        cx.tell_all(Action::Read, None, tx)?;
    }
    listing.reply.body = b"{\"data\":[]}".to_vec();
    Ok(listing.reply)
}

fn count(cx: &Context<'_>, query: &Query, tx: &mut dyn Transaction) -> Result<u64> {
    if !cx.target.everywhere {
        return Ok(tx.count(&cx.target.list, query)?);
    }
    let mut count = 0;
    cx.list(query, tx, &mut |_| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

/// Tells how many objects there are.
pub(super) fn add_totals(reply: &mut Reply, count: u64) {
    reply.headers.insert("Total-Objects", count.into());
    reply.headers.insert("Total-Records", count.into());
}

enum Prepared {
    NotModified(Box<Reply>),
    Listing(Box<Listing>),
}

fn prepare(cx: &Context<'_>, tx: &mut dyn Transaction) -> Result<Prepared> {
    let visible = cx.authorizer().visible(cx.target, "read", tx)?;
    require_holder(cx.target, tx)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    let mut params = parameters(cx, problems)?;
    let timestamp = cx.list_timestamp(tx)?;
    // Of many lists, the newest timestamp does not tell whether another one has changed.
    if !cx.target.everywhere && preconditions.is_not_modified(timestamp) {
        return Ok(Prepared::NotModified(Box::new(not_modified(timestamp))));
    }
    check_list(preconditions, timestamp)?;
    let mut offset = 0;
    if let Some(token) = &params.token {
        let token = Token::decode(token, &params)?;
        offset = token.offset;
        params.query.page = token.page(&params);
    }
    if let Visible::Shared(ids) = visible {
        params.query.ids = Some(ids);
    }
    let mut reply = Reply::raw_json(StatusCode::OK, Vec::new());
    reply.set_timestamp(timestamp);
    cx.set_caching(&mut reply, tx)?;
    if params.used_to {
        reply.headers.insert("Alert", deprecated_to(cx.api));
    }
    let limit = effective_limit(cx.api, &params);
    Ok(Prepared::Listing(Box::new(Listing { params, offset, limit, reply })))
}

fn deprecated_to(api: &Api) -> HeaderValue {
    let message = "_to is now deprecated, you should use _before instead";
    let url = "https://kinto.readthedocs.io/en/2.4.0/api/resource.html\
               #list-of-available-url-parameters";
    api.alert("soft-eol", Some(message), Some(url))
}

/// The parameters of a request to a list; `problems` are those found before.
pub(super) fn parameters(cx: &Context<'_>, problems: Vec<Invalid>) -> Result<ListParams> {
    let resource = cx.resource();
    let known = resource.fields.map_or(Known::AllBut(resource.secrets), Known::Only);
    let mut params = parse_parameters(cx.api, cx.call, known, problems)?;
    params.query.compare_as_text(resource.texts);
    if cx.target.everywhere {
        // Objects of several lists may have the same timestamp.
        params.query.sort.push(Sort { field: Field::Id, descending: false });
        params.sort_names.push("id".to_owned());
    }
    Ok(params)
}

/// The parameters of a list request.
pub(super) fn parse_parameters(
    api: &Api,
    call: &Call,
    known: Known,
    problems: Vec<Invalid>,
) -> Result<ListParams> {
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    let pairs = parse_query(&call.request.query)
        .ok_or_else(|| Invalid::unnamed(Location::Querystring, "The text must be UTF-8."))?;
    querystring::parse(&pairs, known, api.clock.now())
}

/// How many objects a page has: what the client asks for, within the bounds of the settings.
pub(super) fn effective_limit(api: &Api, params: &ListParams) -> usize {
    let bound = api.settings.paginate_by.unwrap_or(usize::MAX);
    let bound = bound.min(api.settings.storage_max_fetch_size);
    params.limit.unwrap_or(bound).min(bound)
}

/// Tells where the page is that a token leads to.
pub(super) fn set_next_page(
    reply: &mut Reply,
    api: &Api,
    call: &Call,
    limit: usize,
    token: &Token,
) {
    let url = next_page_url(api, call, limit, token);
    reply.headers.insert("Next-Page", ascii(url));
}

fn next_page_url(api: &Api, call: &Call, limit: usize, token: &Token) -> String {
    let pairs = parse_query(&call.request.query).unwrap_or_default();
    let limit = limit.to_string();
    let token = token.encode();
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &pairs {
        if name != "_limit" && name != "_token" {
            kept.retain(|(other, _)| other != name);
            kept.push((name, value));
        }
    }
    kept.push(("_limit", &limit));
    kept.push(("_token", &token));
    let path = percent_encoding::utf8_percent_encode(&call.request.path, PATH);
    format!("{}{path}?{}", api.origin(&call.request), encode_query(kept))
}

/// Rows on their way into the body of an answer.
struct Page<'a> {
    body: Vec<u8>,
    fields: &'a [Vec<String>],
    secrets: &'static [&'static str],
    limit: usize,
    max_bytes: usize,
    count: usize,
    last: Option<Object>,
    more: bool,
}

impl<'a> Page<'a> {
    fn new(
        fields: &'a [Vec<String>],
        secrets: &'static [&'static str],
        limit: usize,
        max_bytes: usize,
    ) -> Self {
        let body = Vec::new();
        Self { body, fields, secrets, limit, max_bytes, count: 0, last: None, more: false }
    }

    /// Takes a row; the one beyond the limits only shows that there are more.
    fn add(&mut self, row: Row<'_>) -> ControlFlow<()> {
        if self.last.is_some() {
            self.more = true;
            return ControlFlow::Break(());
        }
        let data = render::masked(row.data, self.secrets);
        let row = Row { data: &data, ..row };
        self.body.extend_from_slice(if self.count == 0 { b"{\"data\":[" } else { b"," });
        if self.fields.is_empty() {
            render::write_row(row, &mut self.body);
        } else {
            let kept = render::project(&render::to_map(row), self.fields);
            serde_json::to_writer(&mut self.body, &kept).expect("memory takes all");
        }
        self.count += 1;
        if self.count == self.limit || self.body.len() >= self.max_bytes {
            self.last = Some(row.to_object());
        }
        ControlFlow::Continue(())
    }

    /// Ends the body. If there are more rows: the last of this page, and how many it has.
    fn finish(mut self, body: &mut Vec<u8>) -> Option<(Object, u64)> {
        if self.count == 0 {
            self.body.extend_from_slice(b"{\"data\":[");
        }
        self.body.extend_from_slice(b"]}");
        *body = self.body;
        self.last.filter(|_| self.more).map(|last| (last, self.count as u64))
    }
}
