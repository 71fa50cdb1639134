//! What is told of each request: a line of the log, metrics, and a span of a trace.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use cumulo_core::{
    call::{Call, Item},
    metrics::{Label, Metrics},
    reply::{Done, Reply},
    request::REQUEST_ID,
    settings::date,
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use tracing::{Level, enabled, info};

use crate::{
    redact,
    service::Service,
    trace::{Place, Span, TRACEPARENT, TRACERESPONSE},
};

/// The names of the lines are those of Kinto.
const REQUEST: &str = "request.summary";
const BATCH_ITEM: &str = "subrequest.summary";

/// A request that is being answered.
pub(crate) struct Summary {
    begun: Instant,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) id: HeaderValue,
    agent: Option<HeaderValue>,
    language: Option<HeaderValue>,
    /// All headers, where lines tell them.
    headers: Option<String>,
    /// The body, where lines tell it.
    pub(crate) body: Option<redact::Body>,
    place: Option<Place>,
}

impl Summary {
    /// Begins with a request. Gives it a name, which its headers have from then on, and a place in
    /// a trace.
    pub(crate) fn begin(service: &Service, parts: &mut http::request::Parts) -> Self {
        let headers = &mut parts.headers;
        let id = crate::request_id::of(headers);
        let shown = details().then(|| redact::headers(headers));
        headers.insert(REQUEST_ID, id.clone());
        let place = service.tracer.as_ref().map(|tracer| Place::of(headers, &**tracer));
        if let Some(place) = &place {
            headers.insert(TRACEPARENT, place.header());
        }
        Self {
            begun: Instant::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            id,
            agent: headers.get(header::USER_AGENT).cloned(),
            language: headers.get(header::ACCEPT_LANGUAGE).cloned(),
            headers: shown,
            body: None,
            place,
        }
    }

    /// Ends with the answer. `call` is the request as it was understood, if it was.
    pub(crate) fn end(&self, service: &Service, call: Option<&Call>, reply: &mut Reply) {
        let took = self.begun.elapsed();
        reply.headers.insert(REQUEST_ID, self.id.clone());
        if let Some(place) = &self.place {
            reply.headers.insert(TRACERESPONSE, place.header());
        }
        if enabled!(target: REQUEST, Level::INFO) {
            self.log(service, call, reply, took);
        }
        let endpoint = || endpoint(service, call, self.uri.path(), reply.status);
        if let Some(metrics) = &service.api.metrics {
            let done = Done { took, ..Done::of(reply) };
            measure(service, &**metrics, call, &endpoint(), &self.method, done);
            Self::measure_items(service, &**metrics, call, reply);
        }
        if let (Some(tracer), Some(place)) = (&service.tracer, &self.place)
            && place.sampled
        {
            let now = service.api.clock.now();
            let millis = i64::try_from(took.as_millis()).unwrap_or_default();
            tracer.ended(&Span {
                place,
                begun: cumulo_core::object::Timestamp(now.0 - millis),
                took,
                method: &self.method,
                path: self.uri.path(),
                endpoint: &endpoint(),
                status: reply.status,
                errno: reply.errno,
                size: reply.body.len(),
                user: call.and_then(|call| call.user.as_deref()),
                request_id: self.id.to_str().unwrap_or_default(),
                agent: text(self.agent.as_ref()),
            });
        }
    }

    fn log(&self, service: &Service, call: Option<&Call>, reply: &Reply, took: Duration) {
        let (authn_type, uid) = user(call);
        let id = |resource| call.and_then(|call| call.id_in_path(resource));
        let items = call.map_or(&[][..], |call| &call.items);
        let rid = self.id.to_str().unwrap_or_default();
        let response = self.headers.is_some().then(|| redact::headers(&reply.headers));
        // An error, also that of an item, may repeat what was sent, under another name.
        let is_error = reply.status.is_client_error() || !items.is_empty();
        let has_secrets = self.body.as_ref().is_some_and(|body| body.has_secrets);
        let repeats_secret = self.has_secret_query() || (has_secrets && is_error);
        let shows_body = self.headers.is_some() && !repeats_secret;
        let response_body = shows_body.then(|| redact::body(&reply.body).text);
        info!(
            target: REQUEST,
            method = self.method.as_str(),
            path = self.uri.path(),
            querystring = query(self.uri.query().unwrap_or_default()).as_deref(),
            code = reply.status.as_u16(),
            t = millis(took),
            errno = reply.errno,
            rid,
            uid,
            authn_type,
            agent = text(self.agent.as_ref()),
            lang = text(self.language.as_ref()),
            time = date::iso(service.api.clock.now()),
            batch_size = (!items.is_empty()).then_some(items.len()),
            bucket_id = id("bucket"),
            collection_id = id("collection"),
            group_id = id("group"),
            record_id = id("record"),
            trace_id = self.place.as_ref().map(Place::trace_id),
            headers = self.headers,
            body = self.body.as_ref().map(|body| body.text.as_str()),
            response_headers = response,
            response_body,
        );
        for (item, done) in items.iter().zip(&reply.items) {
            log_item(item, *done, rid);
        }
    }

    fn has_secret_query(&self) -> bool {
        self.uri.query().is_some_and(|query| matches!(redact::query(query), Cow::Owned(_)))
    }

    fn measure_items(service: &Service, metrics: &dyn Metrics, call: Option<&Call>, reply: &Reply) {
        let items = call.map_or(&[][..], |call| &call.items);
        for (item, done) in items.iter().zip(&reply.items) {
            let call = item.call.as_deref().ok();
            let endpoint = endpoint(service, call, &item.path, done.status);
            measure(service, metrics, call, &endpoint, &item.method, *done);
        }
    }
}

/// Whether lines tell headers and bodies.
pub(crate) fn details() -> bool {
    enabled!(target: REQUEST, Level::DEBUG)
}

fn log_item(item: &Item, done: Done, rid: &str) {
    let call = item.call.as_deref().ok();
    let (authn_type, uid) = user(call);
    let id = |resource| call.and_then(|call| call.id_in_path(resource));
    info!(
        target: BATCH_ITEM,
        method = item.method.as_str(),
        path = item.path.as_str(),
        querystring = call.and_then(|call| query(&call.request.query)).as_deref(),
        code = done.status.as_u16(),
        t = millis(done.took),
        errno = done.errno,
        rid,
        uid,
        authn_type,
        bucket_id = id("bucket"),
        collection_id = id("collection"),
        group_id = id("group"),
        record_id = id("record"),
    );
}

/// A query string without secrets; none if it is empty.
fn query(query: &str) -> Option<Cow<'_, str>> {
    (!query.is_empty()).then(|| redact::query(query))
}

/// The policy, and the id that the user has there.
fn user(call: Option<&Call>) -> (Option<&str>, Option<&str>) {
    call.and_then(|call| call.user.as_deref()?.split_once(':')).unzip()
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

/// Milliseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "no request takes centuries")]
fn millis(took: Duration) -> f64 {
    took.as_micros() as f64 / 1000.0
}

/// The name of the endpoint in metrics. Paths that lead nowhere have one name together.
fn endpoint(service: &Service, call: Option<&Call>, path: &str, status: StatusCode) -> String {
    let api = &service.api;
    let name = |call: &Call| call.endpoint.name(api, &call.request.path);
    match call {
        Some(call) => name(call),
        None => match api.route(path) {
            Some(endpoint) => endpoint.name(api, path),
            None if status == StatusCode::NOT_FOUND => "unknown".into(),
            None => "unnamed".into(),
        },
    }
}

fn measure(
    service: &Service,
    metrics: &dyn Metrics,
    call: Option<&Call>,
    endpoint: &str,
    method: &Method,
    done: Done,
) {
    // Values that clients make up would never end.
    let call_of_ids = call.filter(|_| done.status.as_u16() < 400);
    let value = |field: &str| {
        field.strip_suffix("_id").and_then(|resource| call_of_ids?.id_in_path(resource))
    };
    let fields = &service.api.settings.metrics_matchdict_fields;
    let ids = fields.iter().map(|field| (field.as_str(), value(field).unwrap_or_default()));
    let mut labels: Vec<Label<'_>> =
        [("method", method_name(method)), ("endpoint", endpoint)].into_iter().chain(ids).collect();
    metrics.timing("request_duration_seconds", done.took, &labels);
    metrics.size("request_size", done.size as u64, &labels);
    labels.push(("status", done.status.as_str()));
    metrics.count("request_summary", &labels);
    if let (Some(policy), Some(user)) = user(call) {
        // StatsD ends a value at a colon.
        metrics.count("users", &[("auth", policy), ("userid", &user.replace(':', "."))]);
        metrics.count("authentication", &[("type", policy)]);
    }
}

/// Clients can make methods up, too.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "other",
    }
}
