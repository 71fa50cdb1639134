//! Log lines for people.

use std::io::Write as _;

use cumulo_core::{object::Timestamp, settings::date};
use tracing::{Event, Level};

use super::lines::{Sink, Value, Values};

/// Writes `2030-01-31T10:00:00.123Z INFO cumulo_http: the message name=value`, and of requests
/// `2030-01-31T10:00:00.123Z INFO request.summary: GET /v1/ 200 (1.234 ms) name=value`.
pub(super) struct Text {
    /// Whether a terminal shows it.
    pub(super) colors: bool,
}

impl Text {
    pub(super) fn write(&self, event: &Event<'_>, now: Timestamp, line: &mut Vec<u8>) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let (dim, color, end) =
            if self.colors { ("\x1b[2m", color(level), "\x1b[0m") } else { ("", "", "") };
        // Vectors take everything.
        let _ = write!(
            line,
            "{dim}{}Z{end} {color}{level:>5}{end} {dim}{target}:{end}",
            date::iso(now)
        );
        let mut pairs = Pairs {
            line,
            dim,
            end,
            is_request: target.ends_with("request.summary"),
            has_rid: false,
        };
        Values::hand(event, &mut pairs);
        if !pairs.has_rid {
            cumulo_http::request_id::with(|id| pairs.take("rid", Value::Text(id)));
        }
        line.push(b'\n');
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Writes the message as it is, and other values with their names.
struct Pairs<'a> {
    line: &'a mut Vec<u8>,
    dim: &'static str,
    end: &'static str,
    is_request: bool,
    has_rid: bool,
}

impl Pairs<'_> {
    fn name(&mut self, name: &str) {
        for part in [" ", self.dim, name, "=", self.end] {
            self.line.extend_from_slice(part.as_bytes());
        }
    }
}

impl Sink for Pairs<'_> {
    fn take(&mut self, name: &'static str, value: Value<'_>) {
        self.has_rid |= name == "rid";
        match (name, value) {
            // The line begins with it.
            ("time", _) => {}
            ("method" | "path", Value::Text(text)) if self.is_request => {
                self.line.push(b' ');
                escape(text, self.line);
            }
            ("querystring", Value::Text(text)) if self.is_request => {
                self.line.push(b'?');
                escape(text, self.line);
            }
            ("code", Value::Plain(shown)) if self.is_request => {
                let _ = write!(self.line, " {shown}");
            }
            ("t", Value::Plain(shown)) if self.is_request => {
                let _ = write!(self.line, " ({shown} ms)");
            }
            ("message", Value::Text(text)) => {
                self.line.push(b' ');
                escape(text, self.line);
            }
            (_, Value::Plain(shown)) => {
                self.name(name);
                let _ = write!(self.line, "{shown}");
            }
            (_, Value::Text(text)) => {
                self.name(name);
                let is_word = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
                if !text.is_empty() && text.chars().all(is_word) {
                    escape(text, self.line);
                } else {
                    self.line.push(b'"');
                    escape(&text.replace('\\', "\\\\").replace('"', "\\\""), self.line);
                    self.line.push(b'"');
                }
            }
        }
    }
}

/// Without characters that begin a line of their own, or move the cursor of a terminal.
fn escape(text: &str, line: &mut Vec<u8>) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            let _ = write!(line, "{c}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_line_of_its_own() {
        let mut line = Vec::new();
        escape("a\nb \u{1b}[31mé", &mut line);
        assert_eq!(String::from_utf8(line).unwrap(), "a\\nb \\u{1b}[31mé");
    }
}
