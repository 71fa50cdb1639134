//! The snippets of `docs/client.md`, compiled as tests of documentation: `cargo test -p guide-tests`.
//!
//! The page shows nothing but what matters. `build.rs` makes each snippet a function with a client,
//! on the same line.

#![doc(test(attr(deny(unused_must_use))))]

/// The page.
#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/client.md"))]
pub struct Guide;
