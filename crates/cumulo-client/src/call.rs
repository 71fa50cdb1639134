//! A request before it is sent.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, IF_MATCH, IF_NONE_MATCH, PROXY_AUTHORIZATION},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    Error, Timestamp,
    transport::retry::{self, Verdict},
};

/// What stands as it is in a query string.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b',').remove(b':');

/// A request before it is sent, relative to a server.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    /// Below the URL of the server, without the query.
    pub(crate) path: String,
    /// As in a URL, without `?`.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Which failures are answers.
    pub(crate) accepted: &'static [StatusCode],
    /// Whether the object that is there already is as good as a new one.
    pub(crate) or_existing: bool,
    /// Whether it can be done twice, if that does not follow from method and headers.
    pub(crate) repeatable: Option<bool>,
    /// Whether it brings a timestamp of its own: a conflict (409) is then that another object of the
    /// list has it, and stays one.
    pub(crate) has_timestamp: bool,
    /// What a server must be able to do for this, if not every one is.
    pub(crate) capability: Option<&'static str>,
    /// Why this can't be sent.
    pub(crate) problem: Option<String>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: None,
            accepted: &[],
            or_existing: false,
            repeatable: None,
            has_timestamp: false,
            capability: None,
            problem: None,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call to a path that somebody else made.
    pub(crate) fn get_foreign(path: &str) -> Self {
        let mut call = Self::get(path);
        // Anything else could change the host, to which the credentials go.
        if !path.starts_with('/') || path.contains(['?', '#']) {
            call.refuse(format!("{path:?} is not a path: it begins with '/' and has no query"));
        }
        call
    }

    /// Reads what this would write, as the same user.
    pub(crate) fn look(&self) -> Self {
        let mut look = Self::get(self.path.clone());
        look.headers = self.headers.clone();
        for name in [CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH] {
            look.headers.remove(name);
        }
        look
    }

    /// Keeps the first reason why this can't be sent.
    pub(crate) fn refuse(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert_with(|| problem.into());
    }

    /// Whether this can be sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.problem {
            Some(problem) => Err(Error::Argument(problem.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn param(&mut self, name: &str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.extend(utf8_percent_encode(name, QUERY));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, QUERY));
    }

    /// A parameter in place of those that have its name.
    pub(crate) fn set_param(&mut self, name: &str, value: &str) {
        let is_other = |param: &&str| param.split('=').next() != Some(name);
        self.query = self.query.split('&').filter(is_other).collect::<Vec<_>>().join("&");
        self.param(name, value);
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                hide(&name, &mut value);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.refuse(format!("{name:?} is not the name of a header")),
            (_, Err(_)) => self.refuse(format!("the value of the header {name} is not valid")),
        }
    }

    pub(crate) fn if_match(&mut self, timestamp: Timestamp) {
        self.headers.insert(IF_MATCH, etag(timestamp));
    }

    pub(crate) fn if_none_match(&mut self, timestamp: Timestamp) {
        self.headers.insert(IF_NONE_MATCH, etag(timestamp));
    }

    pub(crate) fn if_absent(&mut self) {
        self.headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    }

    pub(crate) fn body(&mut self, media_type: &'static str, text: String) {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.body = Some(text.into());
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// Whether doing this twice has the effect of doing it once, even if others change the same
    /// objects in between.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable.unwrap_or_else(|| {
            self.method.is_safe()
                || self.headers.contains_key(IF_MATCH)
                || self.headers.contains_key(IF_NONE_MATCH)
        })
    }

    /// What an answer means for a repetition.
    pub(crate) fn verdict(&self, status: StatusCode, retry_after: Option<Duration>) -> Verdict {
        if self.has_timestamp && status == StatusCode::CONFLICT {
            return Verdict::Final;
        }
        retry::verdict(status, retry_after)
    }
}

/// Keeps the value of a header out of `Debug` if it is a secret by its name.
pub(crate) fn hide(name: &HeaderName, value: &mut HeaderValue) {
    if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name) {
        value.set_sensitive(true);
    }
}

/// Without the body, which may have passwords.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("target", &self.target())
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

fn etag(timestamp: Timestamp) -> HeaderValue {
    HeaderValue::try_from(timestamp.etag()).expect("digits in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let mut call = Call::get("/buckets");
        call.param("title", "a b&c=é");
        call.param("in_id", "a,b");
        assert_eq!(call.target(), "/buckets?title=a%20b%26c%3D%C3%A9&in_id=a,b");
    }

    #[test]
    fn a_parameter_takes_the_place_of_others() {
        let mut call = Call::get("/buckets");
        call.set_param("_limit", "1");
        assert_eq!(call.query, "_limit=1");
        call.query = "_limit=5&_limit_not=2&_token=abc".to_owned();
        call.set_param("_limit", "2");
        assert_eq!(call.query, "_limit_not=2&_token=abc&_limit=2");
    }

    #[test]
    fn a_timestamp_that_is_taken_stays_so() {
        let mut call = Call::new(Method::PUT, "/buckets/blog");
        assert_eq!(call.verdict(StatusCode::CONFLICT, None), Verdict::Undone);
        call.has_timestamp = true;
        assert_eq!(call.verdict(StatusCode::CONFLICT, None), Verdict::Final);
        assert_eq!(call.verdict(StatusCode::TOO_MANY_REQUESTS, None), Verdict::Undone);
    }

    #[test]
    fn the_first_problem_counts() {
        let mut call = Call::get("/");
        call.header("a b", "c");
        call.refuse("something else");
        let error = call.check().unwrap_err().to_string();
        assert_eq!(error, "\"a b\" is not the name of a header");
    }

    #[test]
    fn writes_are_repeatable_under_a_condition() {
        assert!(Call::get("/").is_repeatable());
        let mut call = Call::new(Method::PUT, "/buckets/a");
        assert!(!call.is_repeatable());
        call.if_absent();
        assert!(call.is_repeatable());
        let mut call = Call::new(Method::DELETE, "/buckets/a");
        call.if_match(Timestamp(7));
        assert!(call.is_repeatable());
    }
}
