//! Keeps a store in order: what the commands of the program do, beside serving and moving.
//!
//! - [`purge`]: tombstones that nobody needs
//! - [`collection`]: removing one, or giving it another name
//! - [`user`]: removing one, with or without what they own
//! - [`counts`]: counting anew
//! - [`check`]: whether all is as it must be
//!
//! Long work is done in transactions of bounded size, so that a service that runs beside it is not
//! held up; what must be whole is one transaction. Memory is bounded whatever the size.

pub mod check;
pub mod collection;
pub mod counts;
mod error;
pub mod purge;
pub mod user;

pub use error::{Error, Result};

/// Is told how many objects, tombstones or lists more are done.
pub type Advance<'a> = &'a (dyn Fn(u64) + Sync);

/// How many lists are asked for at once.
const PAGE: usize = 500;

/// How many objects or tombstones one transaction changes.
const CHUNK: usize = 1000;
