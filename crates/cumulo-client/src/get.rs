//! Reads one object.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Fresh, Object, Timestamp,
    call::Call,
    object,
    response::Response,
    transport::{Decode, Transport},
};

/// Reads one object, or something else that has a URL.
#[derive(Debug)]
#[must_use = "nothing happens without `send`"]
pub struct Get<X, T = Value, R = Object<T>> {
    transport: X,
    call: Call,
    decode: Decode<R>,
    data: PhantomData<fn() -> T>,
}

impl<X: Transport, T, R: Send + 'static> Get<X, T, R> {
    pub(crate) fn new(transport: X, call: Call, decode: Decode<R>) -> Self {
        Self { transport, call, decode, data: PhantomData }
    }

    /// A parameter of the URL, as it is. The name of a field finds the object only if the field has
    /// this value.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.call.param(name, value);
        self
    }

    /// A header of this request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// Does it.
    pub fn send(self) -> X::Sent<R> {
        self.transport.send(self.call, self.decode)
    }

    /// Does it, and gives the answer as it came.
    pub fn response(self) -> X::Sent<Response> {
        self.transport.send(self.call, |response| Ok(response.clone()))
    }
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> Get<X, T, Object<T>> {
    /// Only these fields; those of a field in dots: `author.name`.
    pub fn fields<I: AsRef<str>>(mut self, fields: impl IntoIterator<Item = I>) -> Self {
        let fields: Vec<_> = fields.into_iter().map(|it| it.as_ref().to_owned()).collect();
        self.call.param("_fields", &fields.join(","));
        self
    }

    /// Only if it has changed since it was at this timestamp.
    pub fn if_none_match(mut self, timestamp: Timestamp) -> Get<X, T, Fresh<Object<T>>> {
        self.call.if_none_match(timestamp);
        Get::new(self.transport, self.call, |response| {
            if response.status == http::StatusCode::NOT_MODIFIED {
                Ok(Fresh::NotModified)
            } else {
                object::one(response).map(Fresh::Modified)
            }
        })
    }

    /// Only if it is as it was at this timestamp; otherwise it is a conflict.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.call.if_match(timestamp);
        self
    }
}
