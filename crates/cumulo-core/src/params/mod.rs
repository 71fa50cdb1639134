//! What the headers, the query string and the body of a request say, typed.
//!
//! Every parser gathers all problems that it finds, so that one answer names them all.

pub mod batch;
pub mod body;
pub mod headers;
pub mod json;
pub mod querystring;
