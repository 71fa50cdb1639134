//! Running work so that whatever it does, the store survives.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cumulo_core::store::{BoxFuture, Error, Outcome, Result, Transaction, Work};

/// Runs `work`; a panic in it becomes [`Error::Internal`].
pub(crate) fn guarded(work: &mut Work, tx: &mut dyn Transaction) -> Result<Outcome> {
    catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|panic| {
        tracing::error!(panic.message = message(&*panic), "a transaction panicked");
        Err(internal(format!("panic in a transaction: {}", message(&*panic))))
    })
}

/// A defect, told in words.
pub(crate) fn internal(message: impl Into<String>) -> Error {
    Error::Internal(message.into().into())
}

/// The error of work that comes after [`close`](cumulo_core::store::Store::close).
pub(crate) fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// The error of an unbalanced `release` or `rollback`.
pub(crate) fn no_savepoint() -> Error {
    internal("no savepoint is open")
}

/// Runs `task` where blocking is allowed, or here if there is no runtime to ask for such a place.
pub(crate) fn off_thread(
    task: impl FnOnce() -> Result<()> + Send + 'static,
) -> BoxFuture<'static, Result<()>> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            let running = runtime.spawn_blocking(task);
            Box::pin(async { running.await.unwrap_or_else(|e| Err(Error::Internal(e.into()))) })
        }
        Err(_) => Box::pin(std::future::ready(task())),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
