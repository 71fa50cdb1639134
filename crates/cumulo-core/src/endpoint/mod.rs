//! What answers requests: one file per endpoint, and one per verb of a resource.

pub(crate) mod batch;
pub(crate) mod contribute;
mod create;
mod delete;
mod effects;
mod get;
pub(crate) mod heartbeat;
pub(crate) mod hello;
mod list;
pub(crate) mod openapi;
pub(crate) mod patch;
pub(crate) mod permissions;
mod put;
pub mod resource;
pub(crate) mod user_data;
pub(crate) mod version;
pub(crate) mod write;
