//! The edge: sockets, limits, and the way from HTTP to the core and back.
//!
//! [`serve`] listens until it is told to stop. Each request is read within the limits of the
//! settings, becomes a plain value, is answered by the core inside one transaction of the store,
//! and is logged.
//!
//! - `connection`: accepting, timeouts, draining
//! - `exchange`: one request and its response
//! - `prepare`: what must be known before the transaction
//! - `body`: reading a request's body within bounds
//! - `cache`: what is asked of the cache before a call, and told after it
//! - `replica`: which reads a replica of the storage answers
//! - `throttle`: how often passwords can be tried
//! - `causes`: errors in logs
//! - `refusal`: what is said to what is not HTTP

mod body;
mod cache;
mod causes;
mod connection;
mod exchange;
mod prepare;
mod refusal;
mod replica;
mod throttle;

pub use connection::{Service, serve};
