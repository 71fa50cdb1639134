//! A store that keeps everything in memory.
//!
//! [`state`] holds what is stored and can undo each change; [`transaction`] and [`outbox`] give it
//! the meaning of the port.

mod outbox;
mod state;
mod transaction;

use std::sync::{Arc, Mutex, PoisonError};

use cumulo_core::{
    clock::Clock,
    store::{Access, BoxFuture, Outcome, Result, Store, Work},
};

use self::{state::State, transaction::Tx};
use crate::run;

/// A store whose content lives as long as it does. One transaction runs at a time.
pub struct Memory(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    /// `None` once the store is closed.
    state: Mutex<Option<State>>,
}

impl Memory {
    /// An empty store whose timestamps come from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock, state: Mutex::new(Some(State::new())) }))
    }
}

impl Store for Memory {
    fn submit(&self, access: Access, mut work: Work) -> BoxFuture<'_, Result<()>> {
        if access == Access::Scan {
            let inner = Arc::clone(&self.0);
            return run::off_thread(move || inner.run(access, &mut work));
        }
        Box::pin(std::future::ready(self.0.run(access, &mut work)))
    }

    fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Inner {
    fn run(&self, access: Access, work: &mut Work) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.as_mut().ok_or_else(run::closed)?;
        let mut tx = Tx::new(state, &*self.clock, access);
        let outcome = run::guarded(work, &mut tx);
        match outcome {
            Ok(Outcome::Commit) => state.commit(),
            Ok(Outcome::Rollback) | Err(_) => state.undo_to(0),
        }
        outcome.map(|_| ())
    }
}
