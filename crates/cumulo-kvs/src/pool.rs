//! A bounded number of connections.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Connections that wait for work, and how many there may be.
pub(crate) struct Pool<C> {
    idle: Mutex<Vec<C>>,
    permits: Semaphore,
}

impl<C> Pool<C> {
    pub(crate) fn new(size: usize) -> Self {
        Self { idle: Mutex::default(), permits: Semaphore::new(size) }
    }

    /// The right to use one connection.
    pub(crate) async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// A connection that is usable, if one waits; the others are closed.
    pub(crate) fn take(&self, is_usable: impl Fn(&C) -> bool) -> Option<C> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if is_usable(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection that has nothing under way.
    pub(crate) fn put(&self, connection: C) {
        self.idle().push(connection);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<C>> {
        self.idle.lock().expect("no panic while connections are moved")
    }
}
