//! The port's transaction over a session.
//!
//! What work will touch is fetched in the round trip that begins the transaction, and what it
//! writes is kept back until something must be asked, or until the commit: a typical write costs
//! two round trips. Whoever writes to a list holds its lock from before the first look at it until
//! after the commit. So timestamps are given in the order of commits, decisions rest on what is
//! true, and what is written later can't be refused.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Object, Row as ObjectRow, TOMBSTONE, Timestamp},
    query::Query,
    resource::uri_of,
    store::{Entry, Error, Grant, Membership, Outlook, Result, Transaction, Visit, VisitEntry},
};

use super::{
    Shared,
    command::{Command, Row},
    connection::Connection,
    failure::Failure,
    json::compact,
    known::{Known, ListState},
    sql,
    statements::{self as statement, Found, Lock, Wish},
};
use crate::run;

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

/// A savepoint that is open.
struct Mark {
    /// Its place among the commands that are kept back.
    place: usize,
    /// How often commands had been sent when it was opened.
    sent: u64,
    /// How many locks were held.
    locks: usize,
    /// How many changes had been made.
    changes: u64,
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
    scratch: String,
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
            scratch: String::new(),
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

    /// Makes sure that nobody else writes to the list until the end, and that what is known of it
    /// is true.
    fn lock_list(&mut self, list: &List) -> Result<()> {
        self.require_write()?;
        let locks = Lock::of_list(list);
        let missing: BTreeSet<_> =
            locks.into_iter().filter(|lock| !self.held.contains(lock)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.take(missing);
        if self.scanned.contains(list) {
            return self.interrupt(Interruption::Changed);
        }
        self.confirm(list)
    }

    /// Takes locks that were not foreseen.
    fn take(&mut self, locks: BTreeSet<Lock>) {
        self.wanted.extend(locks.iter().cloned());
        self.held.extend(locks.iter().cloned());
        self.kept.push(statement::lock(locks));
    }

    /// Fetches again what is known of a list whose lock was taken late, and stops if it was not
    /// true any more.
    fn confirm(&mut self, list: &List) -> Result<()> {
        let before = self.known.objects_of(list);
        let floor = statement::floor();
        let wish = Wish {
            objects: before.keys().map(|id| (list, id.as_str())).collect(),
            lists: BTreeSet::from([list, &floor]),
            ..Wish::default()
        };
        self.fetch(&wish)?;
        let same = |id: &String, old: &Option<Entry>| {
            let new = self.known.object(list, id);
            match (old, new) {
                (Some(old), Some(new)) => old.object == new.object && old.acl == new.acl,
                (old, new) => old.is_none() && new.is_none(),
            }
        };
        if before.iter().all(|(id, old)| same(id, old)) {
            Ok(())
        } else {
            self.interrupt(Interruption::Changed)
        }
    }

    /// Chooses the timestamp of a change to the object `id`.
    fn stamp(&mut self, list: &List, id: &str, asked: Option<Timestamp>) -> Result<Timestamp> {
        let state = self.list_state(list)?;
        let now = self.shared.clock.now();
        let Some(current) = state.timestamp() else {
            let start = self.start()?;
            if let Some(asked) = asked.filter(|asked| *asked < start) {
                self.store_timestamp(list, start)?;
                return Ok(asked);
            }
            return Ok(asked.unwrap_or_else(|| now.max(start)));
        };
        match asked.filter(|asked| *asked != current) {
            None => Ok(now.max(current.next())),
            Some(asked) => {
                self.check_free(list, id, asked)?;
                if asked < current && state.stored < Some(current) {
                    // What is replaced may be the newest: the list must not go back.
                    self.store_timestamp(list, current)?;
                }
                Ok(asked)
            }
        }
    }

    /// The earliest timestamp of a list that begins.
    fn start(&mut self) -> Result<Timestamp> {
        let floor = self.list_state(&statement::floor())?.timestamp();
        Ok(floor.map_or(Timestamp(i64::MIN), Timestamp::next))
    }

    fn store_timestamp(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.keep(statement::store_timestamp(list, timestamp))?;
        let state = self.list_state(list)?;
        let stored = state.stored.max(Some(timestamp));
        self.known.set_list(list, ListState { stored, ..state });
        Ok(())
    }

    /// Fails if another object of the list has this timestamp.
    fn check_free(&mut self, list: &List, id: &str, asked: Timestamp) -> Result<()> {
        if self.known.list(list).is_some_and(|state| state.newest < Some(asked)) {
            return Ok(());
        }
        let mut taken = false;
        self.send(vec![statement::holder_of(list, id, asked)], &mut |_, _| {
            taken = true;
            Ok(())
        })?;
        if taken { Err(Error::TimestampTaken(asked)) } else { Ok(()) }
    }

    /// Notes that a list has a new object or tombstone.
    fn moved(&mut self, list: &List, at: Timestamp) -> Result<()> {
        let state = self.list_state(list)?;
        self.known.set_list(list, ListState { newest: state.newest.max(Some(at)), ..state });
        Ok(())
    }

    /// Notes that the list was looked at as a whole.
    fn scan(&mut self, list: &List) {
        if self.mode == Mode::Write && !self.held.contains(&Lock::List(list.clone())) {
            self.scanned.insert(list.clone());
        }
    }

    /// Requires what only a transaction of the server's can answer.
    fn require_snapshot(&mut self) -> Result<()> {
        if self.mode == Mode::Point { self.interrupt(Interruption::Unforeseen) } else { Ok(()) }
    }

    fn change_groups(&mut self, command: Command) -> Result<()> {
        self.require_write()?;
        self.known.forget_groups();
        self.keep(command)
    }

    /// Shows the rows of a list.
    fn visit(&mut self, command: Command, visit: &mut Visit<'_>) -> Result<()> {
        self.require_snapshot()?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut is_done = false;
        let result = self.send(vec![command], &mut |_, row| {
            if !is_done {
                is_done = visit(borrowed(row, &mut scratch)?)?.is_break();
            }
            Ok(())
        });
        self.scratch = scratch;
        result
    }

    fn texts(&mut self, command: Command) -> Result<Vec<String>> {
        self.require_snapshot()?;
        let mut texts = Vec::new();
        self.send(vec![command], &mut |_, mut row| {
            texts.push(row.owned()?);
            Ok(())
        })?;
        Ok(texts)
    }

    fn push_mark(&mut self) {
        let (place, sent) = (self.kept.len(), self.sent);
        self.marks.push(Mark { place, sent, locks: self.held.len(), changes: self.changes });
        if self.mode == Mode::Write {
            self.kept.push(Command::new(format!("SAVEPOINT s{}", self.marks.len()), Vec::new()));
        }
    }

    /// Ends the innermost mark and keeps what was written since. The server never hears of a mark
    /// within which nothing was sent.
    fn pop_kept(&mut self) {
        let depth = self.marks.len();
        let Some(mark) = self.marks.pop().filter(|_| self.mode == Mode::Write) else { return };
        if mark.sent == self.sent {
            self.kept.remove(mark.place);
        } else {
            self.kept.push(Command::new(format!("RELEASE SAVEPOINT s{depth}"), Vec::new()));
        }
    }

    /// Ends the innermost mark and undoes what was written since.
    fn pop_undone(&mut self) {
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

    fn require_mark(&self) -> Result<()> {
        if self.marks.len() > self.base { Ok(()) } else { Err(run::no_savepoint()) }
    }

    /// Begins one work of several that commit together.
    pub(super) fn begin_one(&mut self) {
        self.push_mark();
        self.base = self.marks.len();
    }

    /// Ends it, whatever marks it left open.
    pub(super) fn end_one(&mut self, keep: bool) {
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

impl Transaction for Tx<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        if let Some(timestamp) = self.list_state(list)?.timestamp() {
            return Ok(timestamp);
        }
        self.lock_list(list)?;
        if let Some(timestamp) = self.list_state(list)?.timestamp() {
            return Ok(timestamp);
        }
        let start = self.start()?.max(self.shared.clock.now());
        self.store_timestamp(list, start)?;
        Ok(start)
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        self.require_object(list, id)?;
        Ok(self.known.object(list, id).cloned())
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        self.require_object(list, id)?;
        Ok(self.known.object(list, id).map(|entry| Arc::clone(&entry.acl)))
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        self.scan(list);
        self.visit(sql::select(list, query), visit)
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.visit(sql::select_all(resource, query), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        self.require_snapshot()?;
        self.scan(list);
        let mut count = 0;
        self.send(vec![sql::count(list, query)], &mut |_, mut row| {
            count = row.int()?.unsigned_abs();
            Ok(())
        })?;
        Ok(count)
    }

    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp> {
        self.lock_list(list)?;
        let at = self.stamp(list, id, last_modified)?;
        let is_known = self.known.knows(list, id);
        let old_acl = self.known.object(list, id).map(|entry| Arc::clone(&entry.acl));
        let row = ObjectRow { id, last_modified: at, deleted: false, data };
        let put = if old_acl.is_some() { statement::replace } else { statement::put };
        self.keep(put(list, row))?;
        match (acl, &old_acl) {
            (Some(acl), Some(old)) if acl == &**old => {}
            (Some(acl), _) => self.keep(statement::set_acl(uri_of(list, id), acl))?,
            // Something else may have left entries behind.
            (None, None) if is_known => self.keep(statement::drop_acl(uri_of(list, id)))?,
            (None, _) => {}
        }
        self.moved(list, at)?;
        let acl = acl.map(|acl| Arc::new(acl.clone())).or(old_acl);
        match acl {
            Some(acl) => {
                let (id, data) = (id.to_owned(), data.to_owned());
                let object = Object { id, last_modified: at, deleted: false, data };
                let id = object.id.clone();
                self.known.set_object(list, &id, Some(Entry { object, acl }));
            }
            None => self.known.forget_object(list, id),
        }
        Ok(at)
    }

    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()> {
        self.require_object(list, id)?;
        if self.known.object(list, id).is_none() {
            return Ok(());
        }
        self.lock_list(list)?;
        self.keep(statement::set_acl(uri_of(list, id), acl))?;
        self.known.set_acl(list, id, acl.clone());
        Ok(())
    }

    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        self.require_object(list, id)?;
        if self.known.object(list, id).is_none() {
            return Ok(None);
        }
        self.lock_list(list)?;
        let at = self.stamp(list, id, last_modified)?;
        let row = ObjectRow { id, last_modified: at, deleted: true, data: TOMBSTONE };
        self.keep(statement::replace(list, row))?;
        self.keep(statement::drop_acl(uri_of(list, id)))?;
        self.moved(list, at)?;
        self.known.set_object(list, id, None);
        Ok(Some(at))
    }

    fn delete_below(&mut self, uri: &str) -> Result<()> {
        self.require_write()?;
        let lock = Lock::Remove(uri.to_owned());
        if !self.held.contains(&lock) {
            self.take(BTreeSet::from([lock]));
        }
        for command in statement::remove_below(uri, self.shared.clock.now()) {
            self.keep(command)?;
        }
        self.known.clear();
        Ok(())
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.require_snapshot()?;
        self.scan(list);
        self.texts(statement::shared(list, principals, permissions))
    }

    fn granted(&mut self, principals: &[String]) -> Result<Vec<Grant>> {
        const CHUNK: usize = 1000;
        let uris = self.texts(statement::granted(principals))?;
        let mut grants = Vec::with_capacity(uris.len());
        for chunk in uris.chunks(CHUNK) {
            let places: Vec<_> = chunk.iter().flat_map(|uri| self.places(uri)).collect();
            let objects = places.iter().map(|(list, id)| (list, id.as_str())).collect();
            self.fetch(&Wish { objects, ..Wish::default() })?;
            for (list, id) in places {
                if let Some(acl) = self.acl(&list, &id)? {
                    grants.push(Grant { list, id, acl });
                }
            }
        }
        Ok(grants)
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        if let Some(groups) = self.known.groups(members) {
            return Ok(Arc::new(groups));
        }
        let members: BTreeSet<_> = members.iter().copied().collect();
        self.fetch(&Wish { members: members.clone(), ..Wish::default() })?;
        let members: Vec<_> = members.into_iter().collect();
        Ok(Arc::new(self.known.groups(&members).unwrap_or_default()))
    }

    fn join(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_groups(statement::join(member, group))
    }

    fn leave(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_groups(statement::leave(member, group))
    }

    fn disband(&mut self, group: &str) -> Result<()> {
        self.change_groups(statement::disband(group))
    }

    fn leave_all(&mut self, member: &str) -> Result<()> {
        self.change_groups(statement::leave_all(member))
    }

    fn flush(&mut self) -> Result<()> {
        self.require_write()?;
        for command in statement::remove_all(self.shared.clock.now()) {
            self.keep(command)?;
        }
        self.known.clear();
        Ok(())
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        self.require_snapshot()?;
        let (mut lists, resources) = (Vec::new(), &self.shared.resources);
        self.send(vec![statement::all_lists(after, limit)], &mut |_, mut row| {
            let (parent, resource) = (row.owned()?, resources.intern(row.text()?));
            lists.push((List::new(parent, resource), row.time()?));
            Ok(())
        })?;
        Ok(lists)
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.require_snapshot()?;
        let (mut scratch, mut is_done) = (String::new(), false);
        self.send(vec![statement::entries(list, after)], &mut |_, mut row| {
            if !is_done {
                let (id, last_modified, deleted) = (row.text()?, row.time()?, row.bool()?);
                compact(row.json()?, &mut scratch);
                let acl = row.optional_json()?.map(parse_acl).transpose()?.unwrap_or_default();
                let row = ObjectRow { id, last_modified, deleted, data: &scratch };
                is_done = visit(row, &acl)?.is_break();
            }
            Ok(())
        })
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        self.require_snapshot()?;
        let mut memberships = Vec::new();
        self.send(vec![statement::memberships(after, limit)], &mut |_, mut row| {
            memberships.push(Membership { member: row.owned()?, group: row.owned()? });
            Ok(())
        })?;
        Ok(memberships)
    }

    fn restore(&mut self, list: &List, row: ObjectRow<'_>, acl: &Acl) -> Result<()> {
        self.lock_list(list)?;
        let at = row.last_modified;
        self.check_free(list, row.id, at)?;
        let before = self.list_state(list)?;
        let least = before.timestamp().map_or_else(|| self.start(), Ok)?;
        if at < least && before.stored < Some(least) {
            // The list must not go back, and not begin before its time.
            self.store_timestamp(list, least)?;
        }
        let data = if row.deleted { TOMBSTONE } else { row.data };
        self.keep(statement::put(list, ObjectRow { data, ..row }))?;
        if before.timestamp() == Some(at) {
            self.keep(statement::redate(list, row.id, at))?;
        }
        let uri = uri_of(list, row.id);
        let is_bare = row.deleted || acl.0.is_empty();
        self.keep(if is_bare { statement::drop_acl(uri) } else { statement::set_acl(uri, acl) })?;
        self.moved(list, at)?;
        self.known.forget_object(list, row.id);
        Ok(())
    }

    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.lock_list(list)?;
        match self.list_state(list)?.timestamp() {
            Some(current) if current >= timestamp => Ok(()),
            Some(_) => self.store_timestamp(list, timestamp),
            None => {
                let start = self.start()?;
                self.store_timestamp(list, timestamp.max(start))
            }
        }
    }

    fn savepoint(&mut self) -> Result<()> {
        self.push_mark();
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.require_mark()?;
        self.pop_kept();
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.require_mark()?;
        self.pop_undone();
        Ok(())
    }
}

impl Tx<'_> {
    /// Where the object with this URI can be: the list and the id. At the root, some kinds of
    /// objects are each in a list of its own, under its own id; see [`uri_of`].
    fn places(&self, uri: &str) -> Vec<(List, String)> {
        let split = || {
            let (list_uri, id) = uri.rsplit_once('/')?;
            let (parent, plural) = list_uri.rsplit_once('/')?;
            Some((parent, self.shared.resources.intern(plural.strip_suffix('s')?), id))
        };
        let Some((parent, resource, id)) = split() else { return Vec::new() };
        let mut parents = vec![parent];
        if parent.is_empty() {
            parents.push(id);
        }
        parents.into_iter().map(|parent| (List::new(parent, resource), id.to_owned())).collect()
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

/// An access control list, out of an object of permissions and principals.
fn parse_acl(text: &str) -> Result<Acl> {
    let acl = serde_json::from_str(text);
    acl.map(Acl).map_err(|_| run::internal("an access control list is not one"))
}

/// A row of a list.
fn borrowed<'a>(mut row: Row<'a>, scratch: &'a mut String) -> Result<ObjectRow<'a>> {
    let (id, last_modified, deleted) = (row.text()?, row.time()?, row.bool()?);
    compact(row.json()?, scratch);
    Ok(ObjectRow { id, last_modified, deleted, data: scratch })
}
