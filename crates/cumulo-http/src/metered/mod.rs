//! Storage and cache that tell how long they take. They are put around the real ones only if
//! somebody measures.

mod cache;
mod store;

pub(crate) use self::{cache::MeteredCache, store::MeteredStore};
