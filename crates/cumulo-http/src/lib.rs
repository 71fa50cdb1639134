//! The edge: sockets, limits, and the way from HTTP to the core and back.
//!
//! [`serve`] listens until it is told to stop. Each request is read within the limits of the
//! settings, becomes a plain value, is answered by the core inside one transaction of the store,
//! and is logged.
//!
//! - [`Service`]: what requests are answered with
//! - `connection`: accepting, timeouts, draining
//! - `exchange`: one request and its response
//! - `answer`: between the two, with cache, replica and `transaction`
//! - `prepare`: what must be known before the transaction
//! - `slow`: work that takes long
//! - `body`: reading a request's body within bounds
//! - `heartbeat`: whether what the service depends on works
//! - `cache`: what is asked of the cache before a call, and told after it
//! - `replica`: which reads a replica of the storage answers
//! - `metered`: storage and cache that tell how long they take
//! - `summary`: what is told of each request; `redact`: without its secrets
//! - `request_id`: the name of a request in logs; [`trace`]: where it is in a trace
//! - `refusal`: what is said to what is not HTTP

mod answer;
mod body;
mod cache;
mod connection;
mod exchange;
mod heartbeat;
mod metered;
mod prepare;
mod redact;
mod refusal;
mod replica;
pub mod request_id;
mod service;
mod slow;
mod summary;
pub mod trace;
mod transaction;

pub use connection::serve;
pub use service::Service;
