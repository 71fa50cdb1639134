//! Moves everything that a store holds into another store: objects, tombstones, timestamps,
//! permissions, group memberships, accounts, and whatever else is kept in lists.
//!
//! - [`mod@format`]: the lines of an export; [`digest`]: what makes two stores equal
//! - [`export`]: from a store into a stream of lines; [`import`]: from such a stream into a store
//! - [`kinto`]: from a Kinto server, over HTTP, into a store
//! - `step`: what both ways in do to the store; `mark`: how far they have come
//!
//! Memory is bounded whatever the size: rows pass one by one on the way out, and in transactions of
//! bounded size on the way in.

pub mod digest;
mod error;
pub mod export;
pub mod format;
pub mod import;
pub mod kinto;
mod mark;
mod names;
mod step;

pub use error::{Error, Result};
pub use step::Counts;

/// Is told how far a move has come.
pub trait Watch: Send + Sync {
    /// How much there is to do, in objects or in bytes, as soon as that is known.
    fn expect(&self, total: u64);
    /// That much more is done.
    fn advance(&self, done: u64);
    /// Something that the user should know.
    fn say(&self, text: &str);
}

/// Watches nothing.
pub struct Unwatched;

impl Watch for Unwatched {
    fn expect(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn say(&self, _: &str) {}
}
