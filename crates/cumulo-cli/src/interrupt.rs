//! Ctrl-C where something has to be put in order first.

use std::{
    future::{Future as _, poll_fn},
    io,
    task::Poll,
    thread,
};

use tokio::{runtime::Builder, signal::ctrl_c};

/// The status of programs that were interrupted, as shells have it.
pub(crate) const INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C does not end the program, but `act` is called once, on another thread.
pub(crate) fn on_interrupt(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut interrupt = Box::pin(ctrl_c());
    // It counts from when it is first asked for.
    let first = runtime.block_on(poll_fn(|cx| Poll::Ready(interrupt.as_mut().poll(cx))));
    if let Poll::Ready(Err(error)) = first {
        return Err(error);
    }
    thread::spawn(move || {
        if runtime.block_on(interrupt).is_ok() {
            act();
        }
    });
    Ok(())
}
