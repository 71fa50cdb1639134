//! The protocol of Cumulo, free of IO: resources, permissions, queries, paging, patches, batch.
//!
//! A request becomes a plain value and [`Api::answer`](api::Api::answer) answers it inside one
//! transaction of a [`Store`](store::Store). No futures, no HTTP library beyond the `http` types,
//! no SQL: what must wait happens at the edge, before or after.
//!
//! - [`request`], [`call`], [`api`], [`reply`]: the way of a request, in this order
//! - [`params`]: what headers, query string and body say, typed
//! - [`resource`], [`endpoint`]: what there is at which URL, and what it does
//! - [`authentication`], [`authorization`]: who asks, and whether they may
//! - [`object`], [`query`], [`store`]: what is stored, how it is asked for, and the port to it
//! - [`cascade`]: what a change does to other objects
//! - [`event`]: what a request did, for whoever wants to be told; [`outbox`]: what must reach others
//! - [`plugin`], [`host`]: how features are added, and what they can use
//! - [`metrics`]: the port to what watches the service
//! - [`openapi`]: what there is, in words
//! - [`settings`]: what can be chosen at start

pub mod api;
pub mod authentication;
pub mod authorization;
pub mod caching;
pub mod call;
pub mod cascade;
pub mod causes;
pub mod clock;
pub mod cors;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod host;
pub mod html;
pub mod id;
pub mod metrics;
pub mod object;
pub mod openapi;
pub mod outbox;
mod outlook;
pub mod paging;
pub mod params;
pub mod patch;
pub mod plugin;
pub mod query;
pub mod render;
pub mod reply;
pub mod request;
pub mod resource;
mod route;
pub mod schema;
pub mod settings;
pub mod store;
