//! The port's transaction over a session.
//!
//! What work will touch is fetched in the round trip that begins the transaction, and what it
//! writes is kept back until something must be asked, or until the commit: a typical write costs
//! two round trips. Whoever writes to a list holds its lock from before the first look at it until
//! after the commit. So timestamps are given in the order of commits, decisions rest on what is
//! true, and what is written later can't be refused.
//!
//! - here: beginning, asking, keeping back, ending
//! - [`port`]: what work may do; [`stamps`]: which timestamps changes get
//! - [`locks`]: those that were not foreseen; [`marks`]: savepoints; [`outbox`]: queues of messages

mod locks;
mod marks;
mod outbox;
mod port;
mod stamps;

use std::collections::{BTreeSet, HashMap, HashSet};

use cumulo_core::{
    object::{Acl, List, Object},
    resource::uri_of,
    store::{Error, Outlook, Result, Transaction as _},
};

use self::marks::Mark;
use super::{
    Shared,
    command::{Command, Row},
    connection::Connection,
    failure::Failure,
    json::compact,
    known::{Known, ListState},
    statements::{self as statement, Found, Lock, Wish},
};

/// Writes beyond this many bytes are not kept back.
const MAX_KEPT_BACK: usize = 4 << 20;

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Reads what was foreseen and nothing else, without a transaction of the server's.
    Point,
    /// Reads one snapshot.
    Snapshot,
    /// Reads and writes.
    Write,
}

/// Why work must be run again from the start.
#[derive(Debug)]
pub(super) enum Interruption {
    /// The session failed.
    Failed(Failure),
    /// Something was read that can't be relied on without a lock taken first.
    Changed,
    /// More is asked than was foreseen.
    Unforeseen,
}

/// A transaction under way.
pub(super) struct Tx<'a> {
    shared: &'a Shared,
    connection: &'a mut Connection,
    mode: Mode,
    known: Known,
    /// Commands that are kept back, and their bytes.
    kept: Vec<Command>,
    kept_bytes: usize,
    /// How often commands were sent.
    sent: u64,
    changes: u64,
    marks: Vec<Mark>,
    /// How many of the marks are not the work's own.
    base: usize,
    /// In the order in which they were taken.
    held: Vec<Lock>,
    /// Lists that were looked at as a whole without holding their locks.
    scanned: HashSet<List>,
    /// Why the work can't go on, whatever it makes of the error.
    pub(super) interruption: Option<Interruption>,
    /// All locks that the transaction asked for.
    pub(super) wanted: BTreeSet<Lock>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(shared: &'a Shared, connection: &'a mut Connection, mode: Mode) -> Self {
        let begin = match mode {
            Mode::Point => None,
            Mode::Snapshot => Some(statement::BEGIN_READ),
            Mode::Write => Some(statement::BEGIN_WRITE),
        };
        Self {
            shared,
            connection,
            mode,
            known: Known::default(),
            kept: begin.into_iter().map(|sql| Command::new(sql, Vec::new())).collect(),
            kept_bytes: 0,
            sent: 0,
            changes: 0,
            marks: Vec::new(),
            base: 0,
            held: Vec::new(),
            scanned: HashSet::new(),
            interruption: None,
            wanted: BTreeSet::new(),
        }
    }

    /// Takes locks and fetches what work will need, in one round trip.
    pub(super) fn prepare(&mut self, outlooks: &[&Outlook], locks: &BTreeSet<Lock>) -> Result<()> {
        let mut wish = Wish::default();
        let mut all_locks = locks.clone();
        for outlook in outlooks {
            wish.objects.extend(outlook.objects.iter().map(|(list, id)| (list, id.as_str())));
            wish.members.extend(outlook.members.iter().map(String::as_str));
            wish.lists.extend(&outlook.reads);
            wish.lists.extend(&outlook.writes);
            all_locks.extend(outlook.writes.iter().flat_map(Lock::of_list));
        }
        let is_write = self.mode == Mode::Write;
        if is_write && !all_locks.is_empty() {
            self.wanted.clone_from(&all_locks);
            self.held = all_locks.iter().cloned().collect();
            self.kept.push(statement::lock(all_locks));
        }
        let floor = statement::floor();
        if is_write && !wish.lists.is_empty() {
            wish.lists.insert(&floor);
        }
        let is_empty = wish.objects.is_empty() && wish.lists.is_empty() && wish.members.is_empty();
        if is_empty { Ok(()) } else { self.fetch(&wish) }
    }

    /// Fails if whoever asks has seen what is not here yet.
    pub(super) fn require_seen(&mut self, outlook: &Outlook) -> Result<()> {
        let Some(seen) = &outlook.seen else { return Ok(()) };
        let here = match &seen.id {
            Some(id) => self.get(&seen.list, id)?.map(|entry| entry.object.last_modified),
            None => self.list_state(&seen.list)?.timestamp(),
        };
        if here < Some(seen.at) { Err(Error::Behind) } else { Ok(()) }
    }

    /// Ends the transaction; when this returns, what was written is durable.
    pub(super) fn commit(mut self) -> std::result::Result<(), (Failure, bool)> {
        if self.changes == 0 {
            return self.connection.finish().map_err(|failure| (failure, false));
        }
        self.kept.push(Command::new("COMMIT", Vec::new()));
        let kept = std::mem::take(&mut self.kept);
        let result = self.connection.run(&kept, &self.shared.trips, &mut |_, _| Ok(()));
        result.map_err(|failure| {
            // A statement that was refused comes before the commit.
            let is_unknown = matches!(failure, Failure::Lost(_));
            (failure, is_unknown)
        })
    }

    /// Ends the transaction and undoes what was written.
    pub(super) fn abandon(self) -> std::result::Result<(), Failure> {
        self.connection.finish()
    }

    /// Notes why work can't go on; the error is for the work.
    fn interrupt<T>(&mut self, interruption: Interruption) -> Result<T> {
        let error = match &interruption {
            Interruption::Failed(failure) => Error::Unavailable(failure.to_string().into()),
            _ => Error::Unavailable("the transaction is run again".into()),
        };
        self.interruption.get_or_insert(interruption);
        Err(error)
    }

    /// Sends what was kept back, and these commands, whose rows `on_row` gets with their place
    /// among `commands`.
    fn send(
        &mut self,
        commands: Vec<Command>,
        on_row: &mut dyn FnMut(usize, Row<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.interruption.is_some() {
            return Err(Error::Unavailable("the transaction has failed".into()));
        }
        let before = self.kept.len();
        self.kept.extend(commands);
        let all = std::mem::take(&mut self.kept);
        self.kept_bytes = 0;
        self.sent += 1;
        let result = self.connection.run(&all, &self.shared.trips, &mut |place, row| {
            if place < before { Ok(()) } else { on_row(place - before, row) }
        });
        match result {
            Ok(()) => Ok(()),
            Err(Failure::Store(error)) => Err(error),
            Err(failure) => self.interrupt(Interruption::Failed(failure)),
        }
    }

    /// Keeps a change back until something is asked.
    fn keep(&mut self, command: Command) -> Result<()> {
        self.changes += 1;
        self.kept_bytes += command.size();
        self.kept.push(command);
        if self.kept_bytes > MAX_KEPT_BACK {
            self.send(Vec::new(), &mut |_, _| Ok(()))
        } else {
            Ok(())
        }
    }

    /// Asks for things that are not known.
    fn fetch(&mut self, wish: &Wish<'_>) -> Result<()> {
        if self.mode == Mode::Point && self.sent > 0 {
            return self.interrupt(Interruption::Unforeseen);
        }
        let uris = wish.objects.iter().map(|(list, id)| uri_of(list, id));
        let command = statement::fetch(wish, uris.collect());
        let mut found = Known::asked(wish);
        let mut acls: HashMap<String, Acl> = HashMap::new();
        let resources = &self.shared.resources;
        self.send(vec![command], &mut |_, mut row| {
            match Found::kind(row.int()?) {
                Found::Group => found.add_group(row.text()?, row.owned()?),
                Found::Object => {
                    let (parent, resource) = (row.owned()?, resources.intern(row.text()?));
                    found.add_object(&List::new(parent, resource), object(&mut row)?);
                }
                Found::Entry => {
                    let acl = acls.entry(row.owned()?).or_default();
                    acl.add(row.text()?, row.text()?);
                }
                Found::List => {
                    let (parent, resource) = (row.owned()?, resources.intern(row.text()?));
                    row.skip()?;
                    let (newest, stored) = (row.optional_time()?, row.optional_time()?);
                    found.set_list(&List::new(parent, resource), ListState { newest, stored });
                }
            }
            Ok(())
        })?;
        for &(list, id) in wish.objects.iter().filter(|_| !acls.is_empty()) {
            if let Some(acl) = acls.get(&uri_of(list, id)) {
                found.set_acl(list, id, acl.clone());
            }
        }
        self.known.merge(found);
        Ok(())
    }

    fn require_object(&mut self, list: &List, id: &str) -> Result<()> {
        if self.known.knows(list, id) {
            return Ok(());
        }
        self.fetch(&Wish { objects: vec![(list, id)], ..Wish::default() })
    }

    fn list_state(&mut self, list: &List) -> Result<ListState> {
        if self.known.list(list).is_none() {
            let lists = BTreeSet::from([list]);
            self.fetch(&Wish { lists, ..Wish::default() })?;
        }
        Ok(self.known.list(list).unwrap_or_default())
    }

    fn require_write(&self) -> Result<()> {
        if self.mode == Mode::Write { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Requires what only a transaction of the server's can answer.
    fn require_snapshot(&mut self) -> Result<()> {
        if self.mode == Mode::Point { self.interrupt(Interruption::Unforeseen) } else { Ok(()) }
    }
}

/// A live object, out of its id, timestamp and data.
fn object(row: &mut Row<'_>) -> Result<Object> {
    let (id, last_modified) = (row.owned()?, row.time()?);
    row.skip()?;
    let mut data = String::new();
    compact(row.json()?, &mut data);
    Ok(Object { id, last_modified, deleted: false, data })
}
