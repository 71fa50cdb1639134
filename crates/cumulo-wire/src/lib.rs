//! What server and clients of the protocol must agree on: [`Errno`], [`Timestamp`], [`is_name`].

mod errno;
mod name;
mod timestamp;

pub use errno::Errno;
pub use name::is_name;
pub use timestamp::{NotATimestamp, Timestamp};
