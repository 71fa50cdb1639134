//! Tells callers how far something is.

use std::fmt;

/// A function of the caller that is told of something, if there is one.
pub(crate) struct Callback<T>(Option<Tell<T>>);

type Tell<T> = Box<dyn FnMut(&T) + Send>;

impl<T> Default for Callback<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Callback<T> {
    pub(crate) fn new(tell: impl FnMut(&T) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    pub(crate) fn tell(&mut self, what: &T) {
        if let Some(tell) = &mut self.0 {
            tell(what);
        }
    }
}

impl<T> fmt::Debug for Callback<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}
