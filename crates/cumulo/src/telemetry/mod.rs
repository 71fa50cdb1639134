//! What is sent to systems that watch services: errors to Sentry, traces to OpenTelemetry.
//!
//! Both take JSON over HTTP, so that neither needs a library of its own.
//!
//! - `courier`: the thread that sends; `sentry`, `otlp`: what it sends

mod courier;
mod otlp;
mod sentry;

pub(crate) use self::{otlp::Otlp, sentry::Sentry};
