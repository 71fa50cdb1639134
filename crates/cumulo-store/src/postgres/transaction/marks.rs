//! Savepoints, of which the server hears only if something is sent within them.

use cumulo_core::store::Result;

use super::{Mode, Tx};
use crate::{postgres::command::Command, run};

/// A savepoint that is open.
pub(super) struct Mark {
    /// Its place among the commands that are kept back.
    place: usize,
    /// How often commands had been sent when it was opened.
    sent: u64,
    /// How many locks were held.
    locks: usize,
    /// How many changes had been made.
    changes: u64,
}

impl Tx<'_> {
    pub(super) fn push_mark(&mut self) {
        let (place, sent) = (self.kept.len(), self.sent);
        self.marks.push(Mark { place, sent, locks: self.held.len(), changes: self.changes });
        if self.mode == Mode::Write {
            self.kept.push(Command::new(format!("SAVEPOINT s{}", self.marks.len()), Vec::new()));
        }
    }

    /// Ends the innermost mark and keeps what was written since. The server never hears of a mark
    /// within which nothing was sent.
    pub(super) fn pop_kept(&mut self) {
        let depth = self.marks.len();
        let Some(mark) = self.marks.pop().filter(|_| self.mode == Mode::Write) else { return };
        if mark.sent == self.sent {
            self.kept.remove(mark.place);
        } else {
            self.kept.push(Command::new(format!("RELEASE SAVEPOINT s{depth}"), Vec::new()));
        }
    }

    /// Ends the innermost mark and undoes what was written since.
    pub(super) fn pop_undone(&mut self) {
        let depth = self.marks.len();
        let Some(mark) = self.marks.pop().filter(|_| self.mode == Mode::Write) else { return };
        if mark.sent == self.sent {
            self.kept.truncate(mark.place);
        } else {
            self.kept.clear();
            for verb in ["ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT"] {
                self.kept.push(Command::new(format!("{verb} s{depth}"), Vec::new()));
            }
        }
        // Locks that were taken since then are gone with it.
        self.held.truncate(mark.locks);
        if mark.changes != self.changes {
            self.known.clear();
        }
    }

    pub(super) fn require_mark(&self) -> Result<()> {
        if self.marks.len() > self.base { Ok(()) } else { Err(run::no_savepoint()) }
    }

    /// Begins one work of several that commit together.
    pub(in crate::postgres) fn begin_one(&mut self) {
        self.push_mark();
        self.base = self.marks.len();
    }

    /// Ends it, whatever marks it left open.
    pub(in crate::postgres) fn end_one(&mut self, keep: bool) {
        while self.marks.len() > self.base {
            self.pop_undone();
        }
        self.base = 0;
        if keep {
            self.pop_kept();
        } else {
            self.pop_undone();
        }
    }
}
