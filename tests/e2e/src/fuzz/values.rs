//! Values that somebody may have got wrong: in JSON, in addresses and in headers.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

/// One of some.
pub(super) fn pick<'a, T: ?Sized>(random: &mut StdRng, choices: &[&'a T]) -> &'a T {
    choices.choose(random).expect("there are choices")
}

/// JSON, or nearly.
pub(super) fn nearly_json(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..9) {
        0 => pick(random, MALFORMED).to_vec(),
        1 => nested(random, "[", "]"),
        2 => nested(random, "{\"a\":", "}"),
        3 => nested(random, "{\"data\":{\"a\":[", "]}}"),
        4 => number(random).into_bytes(),
        5 => long_string(random).into_bytes(),
        6 => cut(&body(random), random),
        7 => flip(&body(random), random),
        _ => body(random),
    }
}

/// A body with the members that endpoints look at.
fn body(random: &mut StdRng) -> Vec<u8> {
    let value = random_value(random, 3);
    let other = random_value(random, 2);
    let body = match random.random_range(0..8) {
        0 => value,
        1 => json!({ "data": value }),
        2 => json!({ "permissions": value }),
        3 => json!({"data": {"n": 1}, "permissions": {"read": value, "write": other}}),
        4 => json!({"data": {"id": value, "last_modified": other, "schema": value}}),
        5 => json!({ "requests": value }),
        6 => json!({"defaults": other, "requests": [value, {"path": value, "method": other}]}),
        _ => {
            json!([{"op": pick(random, OPERATIONS), "path": value, "from": other, "value": other}])
        }
    };
    body.to_string().into_bytes()
}

/// Sub-requests that are no better than the requests around them.
pub(super) fn batch(random: &mut StdRng, path: &str) -> Vec<u8> {
    let count = random.random_range(0..30);
    let requests = (0..count).map(|_| {
        json!({
            "method": pick(random, &["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "X", ""]),
            "path": path,
            "headers": {"If-Match": random_value(random, 1), "Content-Type": pick(random, CONTENT_TYPES)},
            "body": random_value(random, 3),
        })
    });
    json!({"requests": requests.collect::<Vec<_>>()}).to_string().into_bytes()
}

fn random_value(random: &mut StdRng, depth: u32) -> Value {
    let kinds = if depth == 0 { 7 } else { 9 };
    match random.random_range(0..kinds) {
        0 => Value::Null,
        1 => random.random_bool(0.5).into(),
        2 => random.random::<i64>().into(),
        3 => json!(random.random::<f64>() * 1e300),
        4 | 5 => pick(random, STRINGS).into(),
        6 => pick(random, &["", "a", "fuzz", "items", "r1", "team", "/buckets/fuzz"]).into(),
        7 => {
            let length = random.random_range(0..5);
            (0..length).map(|_| random_value(random, depth - 1)).collect::<Vec<_>>().into()
        }
        _ => {
            let length = random.random_range(0..5);
            let entry = |_| (pick(random, KEYS).to_owned(), random_value(random, depth - 1));
            Value::Object((0..length).map(entry).collect())
        }
    }
}

fn nested(random: &mut StdRng, open: &str, close: &str) -> Vec<u8> {
    let depth = *[10, 100, 127, 128, 129, 1_000, 100_000].choose(random).expect("some");
    let end = if random.random_bool(0.5) { close.repeat(depth) } else { String::new() };
    format!("{{\"data\":{}1{end}}}", open.repeat(depth)).into_bytes()
}

fn number(random: &mut StdRng) -> String {
    let digits = "9".repeat(random.random_range(1..2_000));
    let number = match random.random_range(0..6) {
        0 => digits,
        1 => format!("-{digits}"),
        2 => format!("0.{digits}"),
        3 => format!("1e{}", &digits[..digits.len().min(6)]),
        4 => format!("1e-{}", &digits[..digits.len().min(6)]),
        _ => pick(random, &["-0", "9223372036854775808", "18446744073709551616", "1E400", "0e0"])
            .into(),
    };
    let field = pick(random, &["n", "last_modified", "id", "deleted"]);
    format!("{{\"data\":{{\"{field}\":{number}}}}}")
}

fn long_string(random: &mut StdRng) -> String {
    let length = *[1_000, 70_000, 300_000, 3_000_000].choose(random).expect("some");
    let field = pick(random, &["text", "id"]);
    format!("{{\"data\":{{\"{field}\":\"{}\"}}}}", "é".repeat(length / 2))
}

/// The value of a query parameter, ready to be sent.
pub(super) fn query(random: &mut StdRng) -> String {
    let mut query = String::new();
    for _ in 0..random.random_range(1..5) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query += pick(random, OPERATORS);
        query += pick(random, FIELDS);
        if random.random_bool(0.95) {
            query.push('=');
        }
        query += &match random.random_range(0..8) {
            0 => number_text(random),
            1 => encode(random_value(random, 3).to_string().as_bytes()),
            2 => encode(pick(random, STRINGS).as_bytes()),
            3 => "%ff%fe".to_owned(),
            4 => pick(random, &["%", "%zz", "+", ";", "&&", "=", "%00", ",", ",,a", "*", "**"])
                .into(),
            5 => "a".repeat(random.random_range(1..5_000)),
            _ => pick(random, QUERY_VALUES).to_owned(),
        };
    }
    query
}

fn number_text(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => random.random::<i64>().to_string(),
        1 => "9".repeat(random.random_range(1..400)),
        _ => (random.random::<f64>() * 1e18).to_string(),
    }
}

/// A header that somebody may have got wrong. Some are no header at all.
pub(super) fn header(random: &mut StdRng) -> Vec<u8> {
    let name = pick(random, HEADERS);
    let value: Vec<u8> = match random.random_range(0..8) {
        0 => pick(random, STRINGS).bytes().filter(|byte| !b"\r\n\0".contains(byte)).collect(),
        1 => vec![0xff, 0xfe, 0x80],
        2 => vec![b'a'; random.random_range(1..20_000)],
        3 => number_text(random).into_bytes(),
        4 => format!("\"{}\"", number_text(random)).into_bytes(),
        _ => pick(random, HEADER_VALUES).as_bytes().to_vec(),
    };
    [name.as_bytes(), b": ", &value, b"\r\n"].concat()
}

/// Without its end.
pub(super) fn cut(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    bytes[..random.random_range(0..=bytes.len())].to_vec()
}

/// With a few bytes changed, removed or doubled.
pub(super) fn flip(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] = random.random(),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, random.random()),
            _ => {
                let end = (at + random.random_range(1..20)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Percent-encoded as a whole.
fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").expect("a string takes everything");
        text
    })
}

const MALFORMED: &[&[u8]] = &[
    b"",
    b" ",
    b"{",
    b"}",
    b"[",
    b"null",
    b"true",
    b"\"\"",
    b"42",
    b"{]",
    b"{\"data\"}",
    b"{'data': {}}",
    b"{\"data\": {},}",
    b"{\"data\": NaN}",
    b"{\"data\": {\"a\": Infinity}}",
    b"{\"data\": {\"a\": 01}}",
    b"{\"data\": {\"a\": .5}}",
    b"{\"data\": {\"a\": +1}}",
    b"{\"data\": {\"a\": \"\\x\"}}",
    b"// comment\n{}",
    b"{\"data\": {\"a\": \"\\ud800\"}}",
    b"{\"data\": {\"\\udfff\": 1}}",
    b"{\"data\": {\"a\": \"\\u0000\"}}",
    b"{\"data\": {\"\\u0000\": 1}}",
    b"{\"data\": {\"a\": \"\x00\"}}",
    b"{\"data\": {\"a\": \"\xff\xfe\"}}",
    b"\xef\xbb\xbf{\"data\": {}}",
    b"\xff\xfe{\x00}\x00",
    b"{\"data\": {\"a\": 1, \"a\": 2}, \"data\": {}}",
    b"{\"data\": {}} trailing",
    b"{\"data\": {}}{}",
    b"a=1&b=2",
    b"--boundary\r\n\r\n--boundary--",
    b"{\"data\": {\"__proto__\": 1, \"constructor\": {}}}",
    b"{\"\": {\"\": {\"\": []}}}",
];

const STRINGS: &[&str] = &[
    "",
    " ",
    "\0",
    "\n",
    "\t",
    "\\",
    "\"",
    "'",
    "'; DROP TABLE objects; --",
    "%",
    "_",
    "*",
    "../..",
    "/",
    "//",
    "é",
    "日本語",
    "🎉",
    "\u{202e}",
    "\u{feff}",
    "\u{fffd}",
    "null",
    "true",
    "NaN",
    "-1",
    "1e999",
    "[",
    "{}",
    "[1,2]",
    "$(id)",
    "{{7*7}}",
    "<script>",
    "system.Everyone",
    "basicauth:x",
    "/buckets/fuzz/groups/team",
    "(a+)+$",
    "\\u0000",
];

const KEYS: &[&str] = &[
    "id",
    "last_modified",
    "deleted",
    "schema",
    "data",
    "permissions",
    "read",
    "write",
    "members",
    "type",
    "$ref",
    "properties",
    "pattern",
    "path",
    "method",
    "body",
    "headers",
    "op",
    "from",
    "value",
    "",
    "a.b",
    "é",
    "__proto__",
    "record:create",
    "cache_expires",
    "bucket",
    "collection",
];

const OPERATIONS: &[&str] =
    &["add", "remove", "replace", "move", "copy", "test", "", "ADD", "explode"];

const OPERATORS: &[&str] = &[
    "",
    "",
    "lt_",
    "min_",
    "max_",
    "gt_",
    "not_",
    "in_",
    "exclude_",
    "like_",
    "has_",
    "contains_",
    "contains_any_",
    "_",
];

const FIELDS: &[&str] = &[
    "_since",
    "_before",
    "_to",
    "_limit",
    "_sort",
    "_token",
    "_fields",
    "_expected",
    "_unknown",
    "id",
    "last_modified",
    "n",
    "tags",
    "nested",
    "nested.deep",
    "nested.deep.0",
    "deleted",
    "a.b.c.d",
    ".",
    "..",
    "",
    "é",
    "data",
    "has_",
    "'",
];

const QUERY_VALUES: &[&str] = &[
    "",
    "0",
    "-1",
    "1",
    "2",
    "99999999999999999999",
    "\"abc\"",
    "%22abc%22",
    "abc",
    "true",
    "null",
    "[1]",
    "[",
    "{}",
    "id,-id",
    "-",
    "--id",
    "last_modified",
    "id,,id",
    "-last_modified",
    "n.n",
    "%5B%5D",
    "%7B%22a%22%3A1%7D",
    "1e5",
    "eyJ",
    "eyJmb28iOiJiYXIifQ==",
    "bm90IGpzb24=",
    "W10=",
    "MTIz",
    "bnVsbA==",
    "%22123%22",
    "\"123\"",
];

const HEADERS: &[&str] = &[
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Content-Encoding",
    "Expect",
    "Connection",
    "Upgrade",
    "Host",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Forwarded",
    "Cookie",
    "Range",
    "Response-Behavior",
    "X-HTTP-Method-Override",
    "Te",
    "Accept-Language",
    "User-Agent",
    "A",
];

pub(super) const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/merge-patch+json",
    "application/json-patch+json",
    "text/plain",
    "",
    "json",
    "*/*",
    "application/json; charset=utf-16",
    "application/json;;;",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];

const HEADER_VALUES: &[&str] = &[
    "",
    "*",
    "\"*\"",
    "\"123\"",
    "W/\"123\"",
    "123",
    "\"\"",
    "\"abc\"",
    "\"-1\"",
    "'1'",
    "\"1\", \"2\"",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic YWxpY2U=",
    "Basic OnB3",
    "Basic /////w==",
    "Basic YTpi YTpi",
    "Bearer",
    "Bearer abc",
    "Digest a=b",
    "basic YWxpY2U6czNjcjN0",
    "application/json",
    "text/html",
    "*/*",
    "application/*;q=2",
    "null",
    "light",
    "diff",
    "full",
    "chunked",
    "gzip, chunked",
    "identity",
    "100-continue",
    "close",
    "upgrade",
    "h2c",
    "websocket",
    "-1",
    "1, 1",
    "0x10",
    "99999999999999999999",
    "http://example.com",
    "file://",
    "bytes=0-",
    "PUT",
    "a b",
    "a:b:c",
    "[::1",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "localhost:99999",
    "user@host",
    "example.com/path",
];
