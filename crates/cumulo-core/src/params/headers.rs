//! Preconditions, content types and other request headers.

use http::{HeaderMap, Method, StatusCode, header};

use crate::{
    error::{ApiError, Invalid, Location, Result},
    object::Timestamp,
    request::Request,
};

/// What `If-Match` or `If-None-Match` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `*`: anything that exists.
    Any,
    /// A quoted timestamp.
    At(Timestamp),
}

/// The preconditions of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// `If-Match`.
    pub if_match: Option<Tag>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tag>,
}

impl Preconditions {
    /// Reads the headers.
    pub fn parse(headers: &HeaderMap, problems: &mut Vec<Invalid>) -> Self {
        Self {
            if_match: parse_tag(headers, &header::IF_MATCH, "If-Match", problems),
            if_none_match: parse_tag(headers, &header::IF_NONE_MATCH, "If-None-Match", problems),
        }
    }

    /// Whether a client that asks with these has this state already.
    pub fn is_not_modified(&self, current: Timestamp) -> bool {
        self.if_none_match == Some(Tag::At(current))
    }

    /// Whether the request must not go on, given the timestamp of what exists.
    pub fn fails(&self, current: Option<Timestamp>) -> bool {
        match (self.if_none_match, self.if_match, current) {
            (Some(Tag::Any), _, Some(_)) | (_, Some(_), None) => true,
            (_, Some(Tag::At(expected)), Some(current)) => expected != current,
            _ => false,
        }
    }
}

fn parse_tag(
    headers: &HeaderMap,
    header: &header::HeaderName,
    name: &str,
    problems: &mut Vec<Invalid>,
) -> Option<Tag> {
    let value = headers.get(header)?;
    let text = value.to_str().unwrap_or("").trim();
    match text {
        "" => return None,
        "*" => return Some(Tag::Any),
        _ => {}
    }
    // Proxies that compress make weak tags of ours. To ask for news they are as good; to change
    // something they are not (RFC 9110, 13.1).
    let is_weak_enough = *header == http::header::IF_NONE_MATCH;
    let text = text.strip_prefix("W/").filter(|_| is_weak_enough).unwrap_or(text);
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_number =
        |digits: &&str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.filter(is_number).map(str::parse::<i64>) {
        Some(Ok(0)) => None,
        Some(Ok(number)) => Some(Tag::At(Timestamp(number))),
        // More digits than any timestamp has: it equals none.
        Some(Err(_)) => Some(Tag::At(Timestamp(i64::MIN))),
        None => {
            let problem = "The value should be integer between double quotes.";
            problems.push(Invalid::new(Location::Header, name, problem));
            None
        }
    }
}

/// How much of a patched object the client wants back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// All of it.
    #[default]
    Full,
    /// What changed.
    Light,
    /// What is different from what was sent.
    Diff,
}

impl Behavior {
    /// Reads `Response-Behavior`.
    pub fn parse(headers: &HeaderMap, problems: &mut Vec<Invalid>) -> Self {
        let Some(value) = headers.get("Response-Behavior") else { return Self::Full };
        match value.as_bytes() {
            b"full" => Self::Full,
            b"light" => Self::Light,
            b"diff" => Self::Diff,
            other => {
                let text = String::from_utf8_lossy(other);
                let problem = format!("\"{text}\" is not one of full, light, diff");
                problems.push(Invalid::new(Location::Header, "Response-Behavior", problem));
                Self::Full
            }
        }
    }
}

/// What kind of document the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Plain JSON.
    Json,
    /// RFC 7396.
    MergePatch,
    /// RFC 6902.
    JsonPatch,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

impl ContentType {
    /// Reads `Content-Type`; a missing one counts as JSON.
    pub fn parse(request: &Request) -> Result<Self> {
        let media_type = match request.headers.get(header::CONTENT_TYPE) {
            None => return Ok(Self::Json),
            Some(value) => value.to_str().unwrap_or("?").split(';').next().unwrap_or("").trim(),
        };
        let patch = request.method == Method::PATCH;
        if media_type.is_empty() || media_type.eq_ignore_ascii_case(JSON) {
            Ok(Self::Json)
        } else if patch && media_type.eq_ignore_ascii_case(MERGE_PATCH) {
            Ok(Self::MergePatch)
        } else if patch && media_type.eq_ignore_ascii_case(JSON_PATCH) {
            Ok(Self::JsonPatch)
        } else {
            let accepted = if patch {
                format!("['{JSON}', '{MERGE_PATCH}', '{JSON_PATCH}']")
            } else {
                format!("['{JSON}']")
            };
            let problem = format!("Content-Type header should be one of {accepted}");
            Err(ApiError::invalid_as(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Invalid::new(Location::Header, "Content-Type", problem),
            ))
        }
    }
}

/// Refuses clients that don't take JSON (RFC 9110, section 12.5.1).
pub fn require_json_accepted(headers: &HeaderMap) -> Result<()> {
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return Ok(());
    }
    let ranges = accepts.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let ranges: Vec<_> = ranges.filter(|range| !range.trim().is_empty()).collect();
    // A header that is none counts as absent.
    let is_header = !ranges.is_empty() && ranges.iter().all(|range| range.contains('/'));
    if !is_header || ranges.into_iter().any(accepts_json) {
        return Ok(());
    }
    let problem = format!("Accept header should be one of ['{JSON}']");
    Err(ApiError::invalid_as(
        StatusCode::NOT_ACCEPTABLE,
        Invalid::new(Location::Header, "Accept", problem),
    ))
}

fn accepts_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media_range = parts.next().unwrap_or("").to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        parameter
            .strip_prefix("q=")
            .and_then(|weight| weight.trim().parse::<f32>().ok())
            .is_some_and(|weight| weight <= 0.0)
    });
    matches!(media_range.as_str(), "*/*" | "application/*" | JSON) && !refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn preconditions(name: &'static str, value: &str) -> (Preconditions, usize) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let mut problems = Vec::new();
        (Preconditions::parse(&headers, &mut problems), problems.len())
    }

    #[test]
    fn tags_are_quoted_integers_or_a_star() {
        let at = |n| Some(Tag::At(Timestamp(n)));
        assert_eq!(preconditions("if-match", "\"12\"").0.if_match, at(12));
        assert_eq!(preconditions("if-match", "*").0.if_match, Some(Tag::Any));
        assert_eq!(preconditions("if-match", "\"0\""), (Preconditions::default(), 0));
        assert_eq!(preconditions("if-match", ""), (Preconditions::default(), 0));
        assert_eq!(preconditions("if-match", "\"99999999999999999999\"").0.if_match, at(i64::MIN));
        for bad in ["12", "\"a\"", "\"\"", "*abc", "W/\"12\"", "\"1\", \"2\"", "\"-1\""] {
            assert_eq!(preconditions("if-match", bad).1, 1, "{bad}");
        }
    }

    #[test]
    fn weak_tags_are_good_enough_to_ask_for_news() {
        assert!(preconditions("if-none-match", "W/\"1\"").0.is_not_modified(Timestamp(1)));
        assert_eq!(preconditions("if-none-match", "W/1").1, 1);
        assert_eq!(preconditions("if-match", "W/\"1\"").1, 1);
    }

    #[test]
    fn preconditions_compare_for_equality() {
        let old = Some(Timestamp(1));
        assert!(!preconditions("if-match", "\"1\"").0.fails(old));
        assert!(preconditions("if-match", "\"2\"").0.fails(old));
        assert!(preconditions("if-match", "\"2\"").0.fails(None));
        assert!(preconditions("if-match", "*").0.fails(None));
        assert!(!preconditions("if-match", "*").0.fails(old));
        assert!(preconditions("if-none-match", "*").0.fails(old));
        assert!(!preconditions("if-none-match", "*").0.fails(None));
        assert!(!preconditions("if-none-match", "\"1\"").0.fails(old));
        assert!(preconditions("if-none-match", "\"1\"").0.is_not_modified(Timestamp(1)));
    }

    #[test]
    fn accept_headers_must_allow_json() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            require_json_accepted(&headers).is_ok()
        };
        assert!(check("*/*"));
        assert!(check("text/html, application/json;q=0.5"));
        assert!(check(""));
        assert!(check("garbage"));
        assert!(!check("text/html"));
        assert!(!check("application/json;q=0"));
    }
}
