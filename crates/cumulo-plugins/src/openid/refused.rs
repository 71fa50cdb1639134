//! Tokens that a provider has refused: who sends random ones must not make us ask it all the time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cumulo_core::object::Timestamp;

/// How many tokens are remembered at the most.
const CAPACITY: usize = 10_000;
/// How long a token is not asked about again, in milliseconds.
const MEMORY: i64 = 60_000;
/// In so many milliseconds...
const WINDOW: i64 = 10_000;
/// ... a provider may refuse so many tokens before we ask it no more.
const MOST: u32 = 200;

/// What a provider has refused lately.
#[derive(Default)]
pub(super) struct Refused(Mutex<State>);

#[derive(Default)]
struct State {
    /// When tokens are forgotten, by key.
    until: HashMap<String, Timestamp>,
    window_ends: i64,
    in_window: u32,
}

impl Refused {
    /// Whether this token was refused lately.
    pub(super) fn knows(&self, key: &str, now: Timestamp) -> bool {
        self.state().until.get(key).is_some_and(|until| *until > now)
    }

    /// Whether there were so many that the provider should be left alone.
    pub(super) fn are_too_many(&self, now: Timestamp) -> bool {
        let state = self.state();
        state.in_window >= MOST && now.0 < state.window_ends
    }

    /// Remembers that a token was refused.
    pub(super) fn remember(&self, key: String, now: Timestamp) {
        let mut state = self.state();
        if now.0 >= state.window_ends {
            state.window_ends = now.0 + WINDOW;
            state.in_window = 0;
        }
        state.in_window = state.in_window.saturating_add(1);
        if state.until.len() >= CAPACITY {
            state.until.retain(|_, until| *until > now);
        }
        if state.until.len() >= CAPACITY {
            state.until.clear();
        }
        state.until.insert(key, Timestamp(now.0 + MEMORY));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_is_not_asked_about_for_a_while() {
        let refused = Refused::default();
        refused.remember("a".into(), Timestamp(0));
        assert!(refused.knows("a", Timestamp(MEMORY - 1)));
        assert!(!refused.knows("a", Timestamp(MEMORY)));
        assert!(!refused.knows("b", Timestamp(0)));
    }

    #[test]
    fn many_random_tokens_leave_the_provider_alone() {
        let refused = Refused::default();
        for n in 0..MOST {
            assert!(!refused.are_too_many(Timestamp(1)));
            refused.remember(n.to_string(), Timestamp(0));
        }
        assert!(refused.are_too_many(Timestamp(WINDOW - 1)));
        assert!(!refused.are_too_many(Timestamp(WINDOW)));
        refused.remember("one more".into(), Timestamp(WINDOW));
        assert!(!refused.are_too_many(Timestamp(WINDOW)));
    }

    #[test]
    fn their_number_is_bounded() {
        let refused = Refused::default();
        for n in 0..2 * CAPACITY {
            refused.remember(n.to_string(), Timestamp(0));
        }
        assert!(refused.state().until.len() <= CAPACITY);
    }
}
