//! Requests to the server and to providers, before there are credentials.

use std::time::Duration;

use http::{Method, StatusCode, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;

use crate::{Error, Result, response::Request, transport::failed};

/// An answer has at most so many bytes.
const MOST: usize = 1 << 20;

/// What does not stand in a query as it is (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How server and providers are asked.
#[derive(Debug)]
pub(super) struct Web(reqwest::Client);

impl Web {
    pub(super) fn new() -> Result<Self> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("cumulo-client/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(30))
            .redirect(redirect::Policy::none());
        let failed = |error| Error::Argument(format!("can't make a client: {error}"));
        builder.build().map(Self).map_err(failed)
    }

    pub(super) fn over(http: reqwest::Client) -> Self {
        Self(http)
    }

    /// A JSON document.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let (status, body) = send(Method::GET, url, self.0.get(url)).await?;
        if !status.is_success() {
            return Err(Error::Login(format!("{url} answers {status}")));
        }
        read(url, &body)
    }

    /// The answer to a form, whatever its status.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        form: &[(&str, &str)],
    ) -> Result<T> {
        let request = self.0.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, body) = send(Method::POST, url, request.body(query(form))).await?;
        if status.is_server_error() {
            return Err(Error::Login(format!("{url} answers {status}")));
        }
        read(url, &body)
    }
}

async fn send(method: Method, url: &str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
    let asked = || Request::new(method.clone(), url);
    let request = request.header("Accept", "application/json");
    let mut answer = request.send().await.map_err(|error| failed(asked(), error))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(asked(), error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(Error::AnswerTooLarge { request: Box::new(asked()), limit: MOST });
        }
    }
    Ok((answer.status(), body))
}

fn read<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Login(format!("the answer of {url} is not understood: {error}")))
}

/// Values, with names of ours, as in a query string or a form.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, RESERVED);
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Whether tokens may be sent there: with TLS, or on this machine.
pub(super) fn is_private(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_in_private() {
        for (url, expected) in [
            ("https://example.com/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://localhost/token", true),
            ("http://localhost.example.com/token", false),
            ("http://example.com/token", false),
            ("token", false),
        ] {
            assert_eq!(is_private(url), expected, "{url}");
        }
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            query(&[("a", "b c&d"), ("e", "http://é")]),
            "a=b%20c%26d&e=http%3A%2F%2F%C3%A9"
        );
    }
}
