//! What a server answers.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::ETAG};
use serde::de::DeserializeOwned;

use crate::{Error, Result, Timestamp, transport::retry};

/// The request that a [`Response`] or an error belongs to.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its URL, with the query. Credentials are never part of it.
    pub url: String,
    /// How often it was sent.
    pub attempts: u32,
}

impl Request {
    /// One that is sent once.
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), attempts: 1 }
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Response {
    /// What was asked.
    pub request: Request,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty for 204, 304 and `HEAD`.
    pub body: Bytes,
}

impl Response {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header as a number or something else that text can mean.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.header(name)?.trim().parse().ok()
    }

    /// The timestamp of the object or list, from `ETag`.
    pub fn timestamp(&self) -> Option<Timestamp> {
        // Proxies that compress make weak tags of those of servers.
        let tag = self.header(ETAG.as_str())?.trim();
        tag.strip_prefix("W/").unwrap_or(tag).parse().ok()
    }

    /// Whether it is a success, or one of the other answers that a call `accepts`.
    pub(crate) fn is_answer(&self, accepts: &[StatusCode]) -> bool {
        let status = self.status;
        status.is_success() || status == StatusCode::NOT_MODIFIED || accepts.contains(&status)
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry::asked(&self.headers)
    }

    /// How many objects a list has on all pages, if the server tells.
    pub fn total(&self) -> Option<u64> {
        self.parsed("Total-Objects").or_else(|| self.parsed("Total-Records"))
    }

    /// The error for a header that is missing, or not what it should be.
    pub(crate) fn lacks(&self, header: &str) -> Error {
        let problem = format!("the header {header} is missing or not valid");
        self.not_understood(serde::de::Error::custom(problem))
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| self.not_understood(error))
    }

    /// The error for a body that is not what it should be.
    pub(crate) fn not_understood(&self, source: serde_json::Error) -> Error {
        Error::Answer { source, response: Box::new(self.clone()) }
    }
}
