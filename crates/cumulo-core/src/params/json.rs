//! The body of a request as JSON.

use serde_json::{Map, Value};

use crate::error::{Invalid, Location};

/// Parses a body; an empty one is an empty object. `max_depth` bounds how deep values may nest.
pub fn parse(body: &[u8], max_depth: usize) -> Result<Value, Invalid> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    if depth(body) > max_depth {
        return Err(invalid(&format!("Nested deeper than {max_depth} levels.")));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let (offset, reason) = explain(body, &error);
        invalid(&format!("Parse error at offset {offset}: {reason}"))
    })?;
    if !value.is_object() && !value.is_array() {
        return Err(Invalid::new(Location::Body, "", "Should be a JSON object or an array"));
    }
    if has_nul_escape(body) && holds_nul(&value) {
        return Err(invalid("Invalid character 0x00"));
    }
    Ok(value)
}

fn invalid(reason: &str) -> Invalid {
    Invalid::new(Location::Body, "", format!("Invalid JSON: {reason}"))
}

/// Where and why parsing failed, in the words that clients of the reference server know.
fn explain(body: &[u8], error: &serde_json::Error) -> (usize, String) {
    let line_start: usize = body
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().max(1) - 1)
        .map(<[u8]>::len)
        .sum();
    let offset = (line_start + error.column().saturating_sub(1)).min(body.len());
    let last =
        |wanted: u8| body[..offset].iter().rposition(|byte| *byte == wanted).unwrap_or(offset);
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let (offset, reason) = match text {
        "key must be a string" | "EOF while parsing an object" | "trailing comma" => {
            (offset, "Missing a name for object member.")
        }
        "expected `:`" => (offset, "Missing a colon after a name of object member."),
        "expected `,` or `}`" => (offset, "Missing a comma or } after an object member."),
        "expected `,` or `]`" | "EOF while parsing a list" => {
            (offset, "Missing a comma or ] after an array element.")
        }
        "EOF while parsing a string" => (last(b'"'), "Missing a closing quotation mark in string."),
        "invalid escape" if body.get(last(b'\\') + 1) == Some(&b'u') => {
            (last(b'\\'), "Incorrect hex digit after \\u escape in string.")
        }
        "invalid escape" => (last(b'\\'), "Invalid escape character in string."),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            (last(b'\\'), "The surrogate pair in string is invalid.")
        }
        "invalid unicode code point" => (offset, "Invalid encoding in string."),
        "number out of range" => (offset, "Number too big to be stored in double."),
        "trailing characters" => {
            (offset, "The document root must not be followed by other values.")
        }
        "expected value" | "expected ident" | "invalid number" => (offset, "Invalid value."),
        other => (offset, other),
    };
    (offset, reason.to_owned())
}

/// Whether the text may hold an escaped NUL; raw ones are refused by the parser.
fn has_nul_escape(body: &[u8]) -> bool {
    body.contains(&b'\\') && body.windows(6).any(|window| window == b"\\u0000")
}

/// Whether a NUL character is in any string or name: databases can't keep them.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(map) => {
            map.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

/// How deep the brackets outside of strings nest.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_must_be_json_objects_or_arrays() {
        assert_eq!(parse(b"", 10), Ok(json!({})));
        assert_eq!(parse(b"[1]", 10), Ok(json!([1])));
        for bad in [&b"{"[..], b"1", b"NaN", b"\xff", b"{\"a\":1,}", b"\"\\ud800\"", b"[1e999]"] {
            assert!(parse(bad, 10).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nesting_and_nul_are_bounded() {
        assert!(parse(b"[[[]]]", 3).is_ok());
        assert!(parse(b"[[[[]]]]", 3).is_err());
        assert!(parse(br#"["[[[[\"[["]"#, 3).is_ok());
        assert!(parse(br#"{"a":"\u0000"}"#, 3).is_err());
        assert!(parse(br#"{"a":"\\u0000"}"#, 3).is_ok());
    }

    #[test]
    fn problems_are_located() {
        let problem = |body: &str| parse(body.as_bytes(), 10).unwrap_err().description;
        for (body, expected) in [
            ("{'a", "offset 1: Missing a name for object member."),
            (r#"{"foo": "\u0d1"}"#, "offset 9: Incorrect hex digit after \\u escape in string."),
            ("{\n\"a\" 1}", "offset 6: Missing a colon after a name of object member."),
            ("{} {}", "offset 3: The document root must not be followed by other values."),
            ("[1 2]", "offset 3: Missing a comma or ] after an array element."),
        ] {
            let problem = problem(body);
            assert_eq!(problem, format!("Invalid JSON: Parse error at {expected}"), "{body}");
        }
    }
}
