//! What we do to the real program, from the outside: it is started as its users start it, and
//! spoken to over sockets.
//!
//! - [`server`]: a server process on a free port, in a folder of its own
//! - [`http`]: a plain blocking HTTP client, that can also send what no client should
//! - [`crash`]: what was acknowledged survives SIGKILL
//! - [`copies`]: many copies on one PostgreSQL and one Redis keep their word together
//! - [`disk`]: a full disk is no disaster
//! - [`fuzz`]: bad input gets a good answer
//! - [`together`]: Kinto and our program serve one database
//! - [`listeners`]: what is told to webhooks, Redis and the log, whatever is killed
//! - [`replica`]: reads from a standby, and its promotion
//!
//! `cargo xtask` runs the checks built on these.

pub mod copies;
pub mod crash;
pub mod disk;
pub mod fuzz;
pub mod http;
mod journal;
pub mod listeners;
pub mod replica;
pub mod server;
pub mod together;

pub use server::{Program, Server, Storage, check_file};
