//! Traces for an OpenTelemetry collector: OTLP over HTTP, in JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use cumulo_core::settings::Settings;
use cumulo_http::trace::{Span, Tracer, push_hex};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::courier::{Courier, Route};

/// A request that is served, among the kinds of spans.
const SERVER: u8 = 2;
/// A span that failed, among their states.
const ERROR: u8 = 2;

/// Sends traces.
pub(crate) struct Otlp {
    courier: Courier,
    /// The share of traces that are recorded, of those that begin here.
    percentage: u8,
}

impl Otlp {
    /// The sender that the settings ask for, if they do.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(endpoint) = &settings.otel_exporter_otlp_endpoint else { return Ok(None) };
        // It is not repeated: it may hold a password.
        let url = endpoint_url(endpoint)
            .context("otel_exporter_otlp_endpoint: expected http://host:4318")?;
        let headers = headers(settings.otel_exporter_otlp_headers.expose_secret())
            .context("otel_exporter_otlp_headers")?;
        let resource = resource(settings);
        let courier = Courier::start(Route {
            name: "OpenTelemetry",
            url,
            headers,
            most: 512,
            pause: Duration::from_secs(1),
            pack: Box::new(move |spans| pack(&resource, spans)),
        })?;
        Ok(Some(Arc::new(Self { courier, percentage: settings.otel_traces_percentage })))
    }
}

fn endpoint_url(endpoint: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(endpoint)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        bail!("it is not the address of an HTTP server");
    }
    Ok(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
}

/// Reads `name=value,name=value`.
fn headers(text: &str) -> anyhow::Result<HeaderMap> {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The value is not repeated: it may be a key.
        let (name, value) = pair.split_once('=').context("expected name=value,name=value")?;
        let name = HeaderName::try_from(name.trim()).context("a name is not that of a header")?;
        let mut value =
            HeaderValue::try_from(value.trim()).context("a value has bad characters")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Who sends.
fn resource(settings: &Settings) -> Value {
    let name = settings.otel_service_name.as_ref().unwrap_or(&settings.project_name);
    json!({"attributes": [
        text("service.name", name),
        text("service.version", env!("CARGO_PKG_VERSION")),
    ]})
}

fn pack(resource: &Value, spans: &[String]) -> String {
    let scope = json!({"name": "cumulo", "version": env!("CARGO_PKG_VERSION")});
    format!(
        "{{\"resourceSpans\":[{{\"resource\":{resource},\"scopeSpans\":[{{\"scope\":{scope},\
         \"spans\":[{}]}}]}}]}}",
        spans.join(",")
    )
}

impl Tracer for Otlp {
    fn records_new(&self) -> bool {
        rand::random_range(0..100) < self.percentage
    }

    fn ended(&self, span: &Span<'_>) {
        self.courier.add(report(span).to_string());
    }
}

fn report(span: &Span<'_>) -> Value {
    let begun = i128::from(span.begun.0) * 1_000_000;
    let ended = begun + i128::try_from(span.took.as_nanos()).unwrap_or_default();
    let attributes: Vec<_> = [
        Some(text("http.request.method", span.method.as_str())),
        Some(text("url.path", span.path)),
        Some(text("http.route", span.endpoint)),
        Some(number("http.response.status_code", span.status.as_u16().into())),
        Some(number("http.response.body.size", span.size)),
        (span.errno > 0).then(|| number("kinto.errno", span.errno.into())),
        Some(text("http.request.header.x-request-id", span.request_id)),
        span.user.map(|user| text("enduser.id", user)),
        span.agent.map(|agent| text("user_agent.original", agent)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let status = if span.status.is_server_error() { json!({"code": ERROR}) } else { json!({}) };
    json!({
        "traceId": hex(&span.place.trace),
        "spanId": hex(&span.place.span),
        "parentSpanId": span.place.parent.map(|parent| hex(&parent)).unwrap_or_default(),
        "name": format!("{} {}", span.method, span.endpoint),
        "kind": SERVER,
        "startTimeUnixNano": begun.to_string(),
        "endTimeUnixNano": ended.to_string(),
        "attributes": attributes,
        "status": status,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Whole numbers are texts in this JSON.
fn number(key: &str, value: usize) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let headers = headers("api-key=abc=, x-team = a ,").unwrap();
        assert_eq!(
            (&headers["api-key"], &headers["x-team"]),
            (&"abc=".parse().unwrap(), &"a".parse().unwrap())
        );
        let problem = super::headers("s3cret").unwrap_err().to_string();
        assert!(!problem.contains("s3cret"), "{problem}");
    }

    #[test]
    fn endpoints_are_addresses_of_http_servers() {
        assert_eq!(endpoint_url("http://a:4318/").unwrap(), "http://a:4318/v1/traces");
        for bad in ["localhost:4318", "ftp://a", "a b"] {
            assert!(endpoint_url(bad).is_err(), "{bad}");
        }
    }
}
