//! The protocol of Cumulo, free of IO: resources, permissions, queries, paging, patches, batch.
//!
//! A request becomes a plain value and [`Api::handle`](api::Api::handle) answers it inside one
//! transaction of a [`Store`](store::Store). No futures, no HTTP library beyond the `http` types,
//! no SQL: what must wait happens at the edge, before or after.
//!
//! - [`object`], [`query`], [`store`]: what is stored, how it is asked for, and the port to it
//! - [`clock`]: where time comes from
//! - [`settings`]: what can be chosen at start

pub mod clock;
pub mod object;
pub mod query;
pub mod settings;
pub mod store;
