//! Errors for Sentry: log lines from a level on, each with the lines of its request before it.
//!
//! <https://develop.sentry.dev/sdk/data-model/envelopes/>

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use cumulo_core::{
    clock::{Clock as _, SystemClock},
    settings::Settings,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::courier::{Courier, Route, is_courier};
use crate::logging::lines::{self, Sink, Values};

/// How many lines are kept to go with an error.
const MOST_LINES: usize = 100;
/// Too long for a report, whatever they say.
const LEFT_OUT: [&str; 4] = ["headers", "body", "response_headers", "response_body"];

/// Sends errors.
#[derive(Clone)]
pub(crate) struct Sentry(Arc<Inner>);

struct Inner {
    courier: Courier,
    /// What all reports say.
    about: Value,
    /// From which levels on lines are kept, and sent; as Python numbers them.
    kept_from: u32,
    sent_from: u32,
    lines: Mutex<VecDeque<Line>>,
    clock: SystemClock,
}

/// A line of the log.
struct Line {
    rid: Option<String>,
    breadcrumb: Value,
}

/// Where a project of Sentry is.
#[derive(Debug, PartialEq)]
struct Dsn {
    url: String,
    key: String,
}

impl Sentry {
    /// The sender that the settings ask for, if they do.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let dsn = settings.sentry_dsn.expose_secret();
        if dsn.is_empty() {
            return Ok(None);
        }
        // It is not repeated: it holds a key.
        let dsn = parse(dsn).context("sentry_dsn: expected https://key@host/project")?;
        let client = concat!("cumulo/", env!("CARGO_PKG_VERSION"));
        let auth =
            format!("Sentry sentry_version=7, sentry_client={client}, sentry_key={}", dsn.key);
        let mut auth = HeaderValue::try_from(auth).context("sentry_dsn: its key is none")?;
        auth.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-sentry-auth", auth);
        let kind = HeaderValue::from_static("application/x-sentry-envelope");
        headers.insert(CONTENT_TYPE, kind);
        let courier = Courier::start(Route {
            name: "Sentry",
            url: dsn.url,
            headers,
            most: 1,
            pause: Duration::ZERO,
            pack: Box::new(<[String]>::concat),
        })?;
        let about = json!({
            "platform": "native",
            "release": format!("{}@{}", settings.project_name, settings.project_version),
            "environment": settings.sentry_env.as_deref().unwrap_or("production"),
            "sdk": {"name": "cumulo", "version": env!("CARGO_PKG_VERSION")},
        });
        Ok(Some(Self(Arc::new(Inner {
            courier,
            about,
            kept_from: settings.sentry_breadcrumbs_min_level,
            sent_from: settings.sentry_events_min_level,
            lines: Mutex::default(),
            clock: SystemClock::default(),
        }))))
    }

    /// Sends a message that is no error.
    pub(crate) fn tell(&self, message: &str) {
        self.0.send("info", json!({"logentry": {"formatted": message}}));
    }
}

impl Inner {
    fn send(&self, level: &str, mut report: Value) {
        let id = format!("{:032x}", rand::random::<u128>());
        report["event_id"] = id.as_str().into();
        report["timestamp"] = self.now();
        report["level"] = level.into();
        for (name, value) in self.about.as_object().into_iter().flatten() {
            report[name] = value.clone();
        }
        let header = json!({"event_id": id});
        self.courier.add(format!("{header}\n{{\"type\":\"event\"}}\n{report}\n"));
    }

    /// Seconds since the epoch.
    #[expect(clippy::cast_precision_loss, reason = "it fits until the year 287396")]
    fn now(&self) -> Value {
        (self.clock.now().0 as f64 / 1000.0).into()
    }

    /// Keeps a line for the next error.
    fn keep(&self, line: Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines before an error: of the same request, or of none.
    fn before(&self, rid: Option<&str>) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let belongs = |line: &&Line| line.rid.is_none() || line.rid.as_deref() == rid;
        lines.iter().filter(belongs).map(|line| line.breadcrumb.clone()).collect()
    }
}

impl<S: Subscriber> Layer<S> for Sentry {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let number = number(level);
        if number < self.0.kept_from.min(self.0.sent_from) || is_courier() {
            return;
        }
        let mut fields = Fields::default();
        Values::hand(event, &mut fields);
        let Fields { message, mut data } = fields;
        if !data.contains_key("rid") {
            cumulo_http::request_id::with(|id| drop(data.insert("rid".into(), id.into())));
        }
        let rid = data.get("rid").and_then(Value::as_str).map(str::to_owned);
        if number >= self.0.sent_from {
            let mut report = json!({
                "logger": target,
                "logentry": {"formatted": message},
                "extra": data,
                "breadcrumbs": {"values": self.0.before(rid.as_deref())},
            });
            if let Some(rid) = &rid {
                report["tags"] = json!({"request_id": rid});
            }
            self.0.send(name(level), report);
        }
        if number >= self.0.kept_from {
            let breadcrumb = json!({
                "timestamp": self.0.now(),
                "category": target,
                "level": name(level),
                "message": message,
                "data": data,
            });
            self.0.keep(Line { rid, breadcrumb });
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    data: Map<String, Value>,
}

impl Sink for Fields {
    fn take(&mut self, name: &'static str, value: lines::Value<'_>) {
        match value {
            lines::Value::Text(text) if name == "message" => text.clone_into(&mut self.message),
            _ if LEFT_OUT.contains(&name) => {}
            lines::Value::Text(text) => drop(self.data.insert(name.into(), text.into())),
            lines::Value::Plain(shown) => {
                let shown = shown.to_string();
                let value = serde_json::from_str(&shown).unwrap_or(Value::String(shown));
                self.data.insert(name.into(), value);
            }
        }
    }
}

/// The number of a level in Python, in which the settings are.
fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 0,
    }
}

/// The name of a level in Sentry.
fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// Reads `https://key@host/path/project`.
fn parse(dsn: &str) -> Option<Dsn> {
    let mut url = reqwest::Url::parse(dsn).ok()?;
    let key = url.username().to_owned();
    let (path, project) = url.path().trim_end_matches('/').rsplit_once('/')?;
    if key.is_empty() || project.is_empty() || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let path = format!("{path}/api/{project}/envelope/");
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_path(&path);
    Some(Dsn { url: url.into(), key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_projects_are_read() {
        let dsn = parse("https://abc@sentry.example.org/7").unwrap();
        assert_eq!(dsn.url, "https://sentry.example.org/api/7/envelope/");
        assert_eq!(dsn.key, "abc");
        let dsn = parse("http://abc:old@host:9000/sub/path/7").unwrap();
        assert_eq!(dsn.url, "http://host:9000/sub/path/api/7/envelope/");
        for bad in ["", "abc", "https://host/7", "https://abc@host/", "ftp://abc@host/7"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
