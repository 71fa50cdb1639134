//! Log lines for programs: Mozilla's format "mozlog" 2.0, one JSON object a line, as Kinto writes
//! it with its JSON formatter.
//!
//! <https://wiki.mozilla.org/Firefox/Services/Logging>

use std::{fs, io::Write as _, process};

use cumulo_core::{object::Timestamp, request::parse_query};
use serde_json::{Map, json};
use tracing::{Event, Level};

use super::lines::{Sink, Value, Values};

pub(super) struct Mozlog {
    /// The pairs that are the same on all lines.
    same: String,
}

impl Mozlog {
    /// Lines of a service with this name.
    pub(super) fn new(service: &str) -> Self {
        let same = json!({
            "Logger": service,
            "Hostname": hostname(),
            "EnvVersion": "2.0",
            "Pid": process::id(),
        });
        let same = same.to_string();
        Self { same: same.trim_matches(['{', '}']).to_owned() }
    }

    pub(super) fn write(&self, event: &Event<'_>, now: Timestamp, line: &mut Vec<u8>) {
        let (same, severity) = (&self.same, severity(*event.metadata().level()));
        // Vectors take everything.
        let _ = write!(line, "{{\"Timestamp\":{}000000,\"Type\":", now.0);
        string(event.metadata().target(), line);
        let _ = write!(line, ",{same},\"Severity\":{severity},\"Fields\":{{");
        let mut fields = Fields { line, is_first: true, has_rid: false };
        Values::hand(event, &mut fields);
        if !fields.has_rid {
            cumulo_http::request_id::with(|id| fields.take("rid", Value::Text(id)));
        }
        line.extend_from_slice(b"}}\n");
    }
}

/// As syslog numbers them (RFC 5424).
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// The name of the machine, where the system says it in a file.
fn hostname() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| fs::read_to_string(file).ok());
    name.map_or_else(|| "localhost".into(), |name| name.trim().to_owned())
}

struct Fields<'a> {
    line: &'a mut Vec<u8>,
    is_first: bool,
    has_rid: bool,
}

impl Sink for Fields<'_> {
    fn take(&mut self, name: &'static str, value: Value<'_>) {
        let name = if name == "message" { "msg" } else { name };
        if matches!((name, &value), ("msg", Value::Text(""))) {
            return;
        }
        self.has_rid |= name == "rid";
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        let _ = write!(self.line, "{comma}\"{name}\":");
        match value {
            Value::Plain(shown) => drop(write!(self.line, "{shown}")),
            Value::Text(query) if name == "querystring" => {
                let pairs = parse_query(query).unwrap_or_default();
                let pairs: Map<_, _> =
                    pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
                // Plain data serializes to memory.
                let _ = serde_json::to_writer(&mut *self.line, &pairs);
            }
            Value::Text(text) => string(text, self.line),
        }
    }
}

fn string(text: &str, line: &mut Vec<u8>) {
    // Text serializes to memory.
    let _ = serde_json::to_writer(line, text);
}
