//! Cross-origin requests (the Fetch standard's CORS protocol).

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    error::{ApiError, Invalid, Location},
    reply::{Reply, ascii},
    request::Request,
    settings::Settings,
};

/// Which response headers scripts may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// Those of every answer.
    Common,
    /// Those of reading an object.
    Object,
    /// Those of reading a list.
    List,
    /// Those of counting a list.
    Count,
}

impl Exposed {
    /// The names, for `Access-Control-Expose-Headers`.
    pub fn names(self) -> &'static str {
        match self {
            Self::Common => "Alert, Backoff, Content-Length, Content-Type, Retry-After",
            Self::Object => {
                "Alert, Backoff, Content-Length, Content-Type, Retry-After, ETag, Last-Modified, \
                 Cache-Control, Expires, Pragma"
            }
            Self::List => {
                "Alert, Backoff, Content-Length, Content-Type, Retry-After, ETag, Last-Modified, \
                 Cache-Control, Expires, Pragma, Next-Page"
            }
            Self::Count => {
                "Alert, Backoff, Content-Length, Content-Type, Retry-After, ETag, Last-Modified, \
                 Cache-Control, Expires, Pragma, Next-Page, Total-Objects, Total-Records"
            }
        }
    }
}

/// Whether scripts of this origin may read answers; `*` and `?` in the settings stand for any
/// characters and one.
pub fn is_allowed(settings: &Settings, origin: &str) -> bool {
    settings.cors_origins.iter().any(|pattern| wildcard_match(pattern, origin))
}

/// Shell-style matching, case-sensitive.
fn wildcard_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, consumed)) => {
                    p = after_star;
                    t = consumed + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Refuses requests of origins that are not allowed. Where none is, they are answered as if they
/// came from nowhere: browsers withhold the answers.
pub fn problem(settings: &Settings, headers: &HeaderMap) -> Option<Invalid> {
    if settings.cors_origins.is_empty() {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or("?");
    (!is_allowed(settings, origin)).then(|| {
        let problem = format!("Origin in header: {origin} not allowed");
        Invalid::new(Location::Header, "Origin", problem)
    })
}

/// Sets the headers of an answer to `request_headers`.
pub fn decorate(
    settings: &Settings,
    request_headers: &HeaderMap,
    exposed: Exposed,
    headers: &mut HeaderMap,
) {
    let names = HeaderValue::from_static(exposed.names());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
    let Some(origin) = request_headers.get(header::ORIGIN) else { return };
    if settings.cors_origins.iter().any(|pattern| pattern == "*") {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else if origin.to_str().is_ok_and(|origin| is_allowed(settings, origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// Answers a preflight request for a URL with these methods.
pub fn preflight(settings: &Settings, request: &Request, methods: &str, exposed: Exposed) -> Reply {
    if settings.cors_origins.is_empty() {
        return ApiError::method_not_allowed(methods.trim_end_matches(", OPTIONS")).into_reply();
    }
    match checked_preflight(settings, request, methods, exposed) {
        Ok(reply) => reply,
        Err(problems) => ApiError::invalid(problems).into_reply(),
    }
}

fn checked_preflight(
    settings: &Settings,
    request: &Request,
    methods: &str,
    exposed: Exposed,
) -> Result<Reply, Vec<Invalid>> {
    let mut problems: Vec<_> = problem(settings, &request.headers).into_iter().collect();
    let mut invalid = |name, text| problems.push(Invalid::new(Location::Header, name, text));
    if !request.headers.contains_key(header::ORIGIN) {
        invalid("Origin", "this header is mandatory");
    }
    match request.header(header::ACCESS_CONTROL_REQUEST_METHOD) {
        None => invalid("Access-Control-Request-Method", "this header is mandatory"),
        Some(method) if !methods.split(", ").any(|known| known == method) => {
            invalid("Access-Control-Request-Method", "Method not allowed");
        }
        Some(_) => {}
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut reply = Reply::raw_json(StatusCode::OK, b"null".to_vec());
    let mut allowed = exposed.names().to_owned();
    if let Some(requested) = request.header(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in requested.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    reply.headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ascii(allowed));
    reply.headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ascii(methods.to_owned()));
    if let Some(seconds) = settings.cors_max_age_seconds {
        reply.headers.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("*", "https://a.b", true),
            ("https://*.example.org", "https://x.example.org", true),
            ("https://*.example.org", "https://example.org", false),
            ("https://a.?", "https://a.b", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("", "a", false),
        ] {
            assert_eq!(wildcard_match(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn without_allowed_origins_none_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://a.b"));
        let mut settings = Settings { cors_origins: vec![], ..Settings::default() };
        assert_eq!(problem(&settings, &headers), None);
        settings.cors_origins = vec!["https://x.y".to_owned()];
        assert!(problem(&settings, &headers).is_some());
    }
}
