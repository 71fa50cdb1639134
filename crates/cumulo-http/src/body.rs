//! Reads request bodies within bounds: size, time, and memory of all together.

use std::time::Duration;

use cumulo_core::{
    error::{ApiError, Errno, Invalid, Location},
    settings::Settings,
};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Bodies up to this size are not counted against the memory of all.
const SMALL: usize = 64 * 1024;
/// What one permit of the budget stands for.
const UNIT: usize = 1024;

/// Reads bodies.
pub(crate) struct BodyReader {
    max: usize,
    time: Duration,
    budget: Semaphore,
}

/// A body, and its share of the memory of all bodies while it is held.
pub(crate) struct HeldBody<'a> {
    pub(crate) bytes: Vec<u8>,
    _share: Option<SemaphorePermit<'a>>,
}

impl BodyReader {
    pub(crate) fn new(settings: &Settings) -> Self {
        let total = settings.max_bodies_bytes.max(settings.max_body_bytes);
        Self {
            max: settings.max_body_bytes,
            time: Duration::from_secs(settings.request_timeout_seconds.into()),
            budget: Semaphore::new((total / UNIT + 1).min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Reads the whole body; refuses what is too large, too slow or cut off.
    pub(crate) async fn read(&self, body: Incoming) -> Result<HeldBody<'_>, ApiError> {
        if body.is_end_stream() {
            return Ok(HeldBody { bytes: Vec::new(), _share: None });
        }
        match timeout(self.time, self.read_all(body)).await {
            Ok(read) => read,
            Err(_) => Err(ApiError::invalid_as(
                StatusCode::REQUEST_TIMEOUT,
                Invalid::new(Location::Body, "", "The body did not arrive in time."),
            )),
        }
    }

    async fn read_all(&self, mut body: Incoming) -> Result<HeldBody<'_>, ApiError> {
        let expected = body
            .size_hint()
            .upper()
            .map_or(self.max, |size| usize::try_from(size).unwrap_or(usize::MAX));
        if expected > self.max {
            return Err(self.too_large());
        }
        let mut share = None;
        if expected > SMALL {
            let permits = u32::try_from(expected / UNIT + 1).unwrap_or(u32::MAX);
            let permit = self.budget.acquire_many(permits).await;
            share = Some(permit.expect("it is never closed"));
        }
        let mut bytes = Vec::with_capacity(expected.min(SMALL));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                let problem = "The body was cut off.";
                ApiError::from(Invalid::new(Location::Body, "", problem))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.max {
                return Err(self.too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(HeldBody { bytes, _share: share })
    }

    fn too_large(&self) -> ApiError {
        let message = format!("The body is larger than {} bytes (max_body_bytes).", self.max);
        ApiError::new(Errno::RequestTooLarge).with_message(message)
    }
}
