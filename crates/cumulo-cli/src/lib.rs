//! Commands for people who use a server from a terminal: `cumulo get`, `list`, `upload`, … They work
//! with Cumulo and with Kinto.
//!
//! - [`Command`]: all commands; `commands` has each in a file of its own
//! - [`Address`]: what people name, such as `blog/articles/first`
//! - [`Profiles`]: servers and credentials that are kept
//! - [`Context`]: what commands work with
//! - `input`: what is sent; `output`: how results are written
//! - [`Error`]: what can go wrong, and how the program ends then

pub mod address;
mod commands;
mod context;
mod error;
mod files;
mod input;
mod interrupt;
mod options;
mod output;
mod profiles;
mod rows;

pub use address::{Address, Server, Target};
pub use commands::{Command, run};
pub use context::{Context, Surroundings, Unit};
pub use error::{Error, Result};
pub use options::{Connect, Format, Shape};
pub use output::Output;
pub use profiles::{Credentials, Profile, Profiles};
