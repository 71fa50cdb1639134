//! The statements that don't depend on what a client asks.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeSet,
};

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    resource::uri_of,
    store::Membership,
};

use super::command::{Command, Param};

pub(super) const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The pseudo list whose stored timestamp all lists begin after, so that a list that was removed
/// and is made anew goes on later than it ended, whatever the clock says.
pub(super) fn floor() -> List {
    List::new("", "__floor__")
}

/// Takes locks in the order given, until the end of the transaction: exclusive ones on lists, and
/// shared or exclusive ones on what lies above them.
///
/// A list is locked by everybody who writes to it: by this program here, and by any other in the
/// trigger `cumulo_commit_order`, which takes the same lock.
pub(super) fn lock(locks: impl IntoIterator<Item = Lock>) -> Command {
    const SQL: &str = "SELECT CASE kind \
        WHEN 'list' THEN pg_advisory_xact_lock(hashtextextended(name, 0)) \
        WHEN 'tree' THEN pg_advisory_xact_lock(hashtextextended(name, 1)) \
        ELSE pg_advisory_xact_lock_shared(hashtextextended(name, 1)) END \
        FROM unnest($1, $2) AS lock(kind, name)";
    let (kinds, names) = locks.into_iter().map(Lock::into_parts).unzip();
    Command::new(SQL, vec![Param::Texts(kinds), Param::Texts(names)])
}

/// Something that a transaction can lock. The order is that in which locks are taken: of lists, the
/// lower ones first, and those below one object by their names. Kinto takes them so too, when it
/// writes an object and then its entry in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Nobody removes what lies below this URI meanwhile.
    Keep(String),
    /// Nobody writes below this URI meanwhile.
    Remove(String),
    /// Nobody writes to this list meanwhile.
    List(List),
}

impl Ord for Lock {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for Lock {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Lock {
    /// Where it is in the order.
    fn place(&self) -> (u8, &str, Reverse<&str>, &str) {
        match self {
            Self::Keep(uri) => (0, uri, Reverse(""), ""),
            Self::Remove(uri) => (1, uri, Reverse(""), ""),
            Self::List(list) => (2, "", Reverse(&list.parent), list.resource),
        }
    }

    fn into_parts(self) -> (String, String) {
        match self {
            Self::Keep(uri) => ("above".to_owned(), uri),
            Self::Remove(uri) => ("tree".to_owned(), uri),
            Self::List(list) => ("list".to_owned(), format!("{}\n{}", list.parent, list.resource)),
        }
    }

    /// The locks for writing to a list: itself, and the objects above it.
    pub(super) fn of_list(list: &List) -> Vec<Self> {
        let mut locks = Vec::with_capacity(3);
        let above = list.parent.match_indices('/').skip(2).step_by(2).map(|(place, _)| place);
        for end in above.chain([list.parent.len()]).filter(|end| *end > 0) {
            locks.push(Self::Keep(list.parent[..end].to_owned()));
        }
        locks.push(Self::List(list.clone()));
        locks
    }
}

/// What to ask for at once.
#[derive(Default)]
pub(super) struct Wish<'a> {
    pub(super) objects: Vec<(&'a List, &'a str)>,
    pub(super) lists: BTreeSet<&'a List>,
    pub(super) members: BTreeSet<&'a str>,
}

/// What a row of the answer to a [`Wish`] is about.
pub(super) enum Found {
    /// member, group
    Group,
    /// parent, resource, id, timestamp, data
    Object,
    /// URI, permission, principal
    Entry,
    /// parent, resource, newest timestamp, stored timestamp
    List,
}

impl Found {
    /// By the first column.
    pub(super) fn kind(number: i64) -> Self {
        match number {
            1 => Self::Group,
            2 => Self::Object,
            3 => Self::Entry,
            _ => Self::List,
        }
    }
}

/// Asks for groups of members, live objects, their access control entries, and states of lists, in
/// one statement, so that all are of the same moment. Columns: kind, three texts, two timestamps,
/// data.
pub(super) fn fetch(wish: &Wish<'_>, uris: Vec<String>) -> Command {
    const SQL: &str = "SELECT 1::bigint, user_id, principal, NULL::text, \
        NULL::timestamp, NULL::timestamp, NULL::jsonb \
        FROM user_principals WHERE user_id = ANY($1) \
        UNION ALL SELECT 2, o.parent_id, o.resource_name, o.id, o.last_modified, NULL, o.data \
        FROM unnest($2, $3, $4) AS key(parent_id, resource_name, id) \
        JOIN objects o USING (parent_id, resource_name, id) WHERE NOT o.deleted \
        UNION ALL SELECT 3, object_id, permission, principal, NULL, NULL, NULL \
        FROM access_control_entries WHERE object_id = ANY($5) \
        UNION ALL SELECT 4, key.parent_id, key.resource_name, NULL, \
        (SELECT o.last_modified FROM objects o WHERE o.parent_id = key.parent_id \
        AND o.resource_name = key.resource_name ORDER BY o.last_modified DESC LIMIT 1), \
        t.last_modified, NULL \
        FROM unnest($6, $7) AS key(parent_id, resource_name) \
        LEFT JOIN timestamps t USING (parent_id, resource_name)";
    let mut keys = [const { Vec::new() }; 3];
    for (list, id) in &wish.objects {
        keys[0].push(list.parent.clone());
        keys[1].push(list.resource.to_owned());
        keys[2].push((*id).to_owned());
    }
    let names = wish.lists.iter().map(|list| (list.parent.clone(), list.resource.to_owned()));
    let (parents, resources) = names.unzip();
    let members = wish.members.iter().map(|&member| member.to_owned()).collect();
    let params = [members].into_iter().chain(keys).chain([uris, parents, resources]);
    Command::new(SQL, params.map(Param::Texts).collect())
}

/// Stores the timestamp of a list; only moves it forward.
pub(super) fn store_timestamp(list: &List, timestamp: Timestamp) -> Command {
    const SQL: &str = "INSERT INTO timestamps AS t (parent_id, resource_name, last_modified) \
        VALUES ($1, $2, $3) ON CONFLICT (parent_id, resource_name) \
        DO UPDATE SET last_modified = EXCLUDED.last_modified \
        WHERE t.last_modified < EXCLUDED.last_modified";
    let [parent, resource] = names(list);
    Command::new(SQL, vec![parent, resource, Param::Time(timestamp)])
}

/// Creates or replaces an object, or a tombstone.
pub(super) fn put(list: &List, row: Row<'_>) -> Command {
    const SQL: &str = "INSERT INTO objects \
        (parent_id, resource_name, id, last_modified, data, deleted) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id, parent_id, resource_name) \
        DO UPDATE SET last_modified = EXCLUDED.last_modified, data = EXCLUDED.data, \
        deleted = EXCLUDED.deleted";
    let [parent, resource] = names(list);
    let (id, at) = (Param::from(row.id), Param::Time(row.last_modified));
    let data = Param::Json(row.data.to_owned());
    Command::new(SQL, vec![parent, resource, id, at, data, Param::Bool(row.deleted)])
}

/// Replaces an object that is there by another, or by a tombstone.
pub(super) fn replace(list: &List, row: Row<'_>) -> Command {
    const SQL: &str = "UPDATE objects SET last_modified = $4, data = $5, deleted = $6 \
        WHERE parent_id = $1 AND resource_name = $2 AND id = $3";
    Command { sql: SQL.into(), ..put(list, row) }
}

/// The other objects of a list that have a timestamp: one row if there is one.
pub(super) fn holder_of(list: &List, id: &str, at: Timestamp) -> Command {
    const SQL: &str = "SELECT id FROM objects \
        WHERE parent_id = $1 AND resource_name = $2 AND last_modified = $3 AND id <> $4";
    let [parent, resource] = names(list);
    Command::new(SQL, vec![parent, resource, Param::Time(at), Param::from(id)])
}

/// Makes the access control list of an object be exactly this.
pub(super) fn set_acl(uri: String, acl: &Acl) -> Command {
    const SQL: &str = "WITH entry AS (SELECT * FROM unnest($2, $3) AS e(permission, principal)), \
        gone AS (DELETE FROM access_control_entries WHERE object_id = $1 \
        AND (permission, principal) NOT IN (SELECT permission, principal FROM entry)) \
        INSERT INTO access_control_entries (object_id, permission, principal) \
        SELECT $1, permission, principal FROM entry ON CONFLICT DO NOTHING";
    let entries = acl.0.iter().flat_map(|(permission, principals)| {
        principals.iter().map(move |principal| (permission.clone(), principal.clone()))
    });
    let (permissions, principals) = entries.unzip();
    Command::new(SQL, vec![Param::Text(uri), Param::Texts(permissions), Param::Texts(principals)])
}

/// Removes the access control list of an object.
pub(super) fn drop_acl(uri: String) -> Command {
    const SQL: &str = "DELETE FROM access_control_entries WHERE object_id = $1";
    Command::new(SQL, vec![Param::Text(uri)])
}

/// What lies at or below a URI, of any kind.
const BELOW: &str = "(parent_id = $1 OR (parent_id >= $1 || '/' AND parent_id < $1 || '0')) \
    AND resource_name <> '__floor__'";

/// The last timestamps of the lists at or below a URI.
const ENDS_BELOW: &str = "(SELECT parent_id, resource_name, max(last_modified) AS last FROM ( \
    SELECT parent_id, resource_name, last_modified FROM objects WHERE BELOW UNION ALL \
    SELECT parent_id, resource_name, last_modified FROM timestamps WHERE BELOW) AS all_below \
    GROUP BY parent_id, resource_name) AS ended";
/// How many objects and tombstones there are of each kind. The tables keep no counts, so all rows
/// are counted.
pub(super) fn totals() -> Command {
    const SQL: &str = "SELECT resource_name, count(*) FILTER (WHERE NOT deleted), \
        count(*) FILTER (WHERE deleted) FROM objects GROUP BY resource_name \
        ORDER BY resource_name COLLATE \"C\"";
    Command::new(SQL, Vec::new())
}

/// Removes live objects of a list, and their access control lists.
pub(super) fn erase(list: &List, ids: &[String]) -> [Command; 2] {
    const ENTRIES: &str = "DELETE FROM access_control_entries e USING objects o \
        WHERE o.parent_id = $1 AND o.resource_name = $2 AND o.id = ANY($3) AND NOT o.deleted \
        AND e.object_id = $4 || o.id";
    const OBJECTS: &str = "DELETE FROM objects \
        WHERE parent_id = $1 AND resource_name = $2 AND id = ANY($3) AND NOT deleted";
    let [parent, resource] = names(list);
    let params = vec![parent, resource, Param::Texts(ids.to_vec())];
    let mut with_prefix = params.clone();
    with_prefix.push(Param::Text(uri_of(list, "")));
    [Command::new(ENTRIES, with_prefix), Command::new(OBJECTS, params)]
}

/// Removes all that lies below a URI; lists whose timestamps are ahead of `now` keep them, and
/// the others move the floor.
pub(super) fn remove_below(uri: &str, now: Timestamp) -> Vec<Command> {
    let text = || Param::from(uri);
    let mut commands = leave_ends(ENDS_BELOW, BELOW, vec![text()], now);
    commands.extend([
        Command::new(format!("DELETE FROM objects WHERE {BELOW}"), vec![text()]),
        Command::new(
            "DELETE FROM access_control_entries \
             WHERE object_id >= $1 || '/' AND object_id < $1 || '0'",
            vec![text()],
        ),
        Command::new(
            "DELETE FROM user_principals \
             WHERE principal COLLATE \"C\" >= $1 || '/' AND principal COLLATE \"C\" < $1 || '0'",
            vec![text()],
        ),
    ]);
    commands
}

/// Moves all that lies below one URI below another, where nothing is left but timestamps. The
/// lists end there as if they had been removed, and begin here not before they may.
pub(super) fn move_below(from: &str, to: &str, now: Timestamp) -> Vec<Command> {
    const MOVED: &str = "$2 || substr(COLUMN, length($1) + 1)";
    let moved = |column: &str| MOVED.replace("COLUMN", column);
    let params = || vec![Param::from(from), Param::from(to)];
    let begin = format!(
        "INSERT INTO timestamps AS t (parent_id, resource_name, last_modified) \
         SELECT {}, resource_name, GREATEST(last, (SELECT last_modified + interval '1 millisecond' \
         FROM timestamps WHERE parent_id = '' AND resource_name = '__floor__')) FROM {} \
         ON CONFLICT (parent_id, resource_name) \
         DO UPDATE SET last_modified = GREATEST(t.last_modified, EXCLUDED.last_modified)",
        moved("parent_id"),
        ENDS_BELOW.replace("BELOW", BELOW),
    );
    let mut commands = vec![Command::new(begin, params())];
    commands.extend(leave_ends(ENDS_BELOW, BELOW, vec![Param::from(from)], now));
    let objects = format!("UPDATE objects SET parent_id = {} WHERE {BELOW}", moved("parent_id"));
    commands.push(Command::new(objects, params()));
    for (table, column) in
        [("access_control_entries", "object_id"), ("user_principals", "principal")]
    {
        let update = format!(
            "UPDATE {table} SET {column} = {} \
             WHERE {column} COLLATE \"C\" >= $1 || '/' AND {column} COLLATE \"C\" < $1 || '0'",
            moved(column)
        );
        commands.push(Command::new(update, params()));
    }
    commands
}

/// Removes everything, like [`remove_below`].
pub(super) fn remove_all(now: Timestamp) -> Vec<Command> {
    const ALL: &str = "resource_name <> '__floor__'";
    const ENDS: &str = "(SELECT parent_id, resource_name, max(last_modified) AS last FROM ( \
        SELECT parent_id, resource_name, last_modified FROM objects UNION ALL \
        SELECT parent_id, resource_name, last_modified FROM timestamps \
        WHERE resource_name <> '__floor__') AS everything \
        GROUP BY parent_id, resource_name) AS ended";
    let mut commands = leave_ends(ENDS, ALL, Vec::new(), now);
    commands.push(Command::new(format!("DELETE FROM objects WHERE {ALL}"), Vec::new()));
    commands.push(Command::new("DELETE FROM access_control_entries", Vec::new()));
    commands.push(Command::new("DELETE FROM user_principals", Vec::new()));
    commands
}

/// Notes where lists end that go away: in their stored timestamps if those are ahead of `now`, else
/// in the floor.
fn leave_ends(ends: &str, which: &str, params: Vec<Param>, now: Timestamp) -> Vec<Command> {
    let at = format!("${}", params.len() + 1);
    let ends = ends.replace("BELOW", which);
    let mut with_now = params;
    with_now.push(Param::Time(now));
    let keep = format!(
        "INSERT INTO timestamps (parent_id, resource_name, last_modified) \
         SELECT parent_id, resource_name, last + interval '1 millisecond' FROM {ends} \
         WHERE last > {at} ON CONFLICT (parent_id, resource_name) \
         DO UPDATE SET last_modified = EXCLUDED.last_modified"
    );
    let floor = format!(
        "INSERT INTO timestamps AS t (parent_id, resource_name, last_modified) \
         SELECT '', '__floor__', max(last) FROM {ends} WHERE last <= {at} \
         HAVING count(*) > 0 ON CONFLICT (parent_id, resource_name) \
         DO UPDATE SET last_modified = EXCLUDED.last_modified \
         WHERE t.last_modified < EXCLUDED.last_modified"
    );
    let forget = format!("DELETE FROM timestamps WHERE {which} AND last_modified <= {at}");
    vec![
        Command::new(keep, with_now.clone()),
        Command::new(floor, with_now.clone()),
        Command::new(forget, with_now),
    ]
}

/// How many tombstones of a list come after the newest `keep` and are older than `before`, and the
/// newest of them.
pub(super) fn tombstones(list: &List, keep: usize, before: Option<Timestamp>) -> Command {
    const SQL: &str = "SELECT count(*), max(last_modified) FROM ( \
        SELECT last_modified FROM objects WHERE parent_id = $1 AND resource_name = $2 AND deleted \
        ORDER BY last_modified DESC OFFSET $3) AS old WHERE last_modified < $4";
    let [parent, resource] = names(list);
    let before = Param::Time(before.unwrap_or(Timestamp(i64::MAX)));
    Command::new(SQL, vec![parent, resource, count(keep), before])
}

/// Removes the oldest tombstones of a list, and tells how many.
pub(super) fn purge(list: &List, latest: Timestamp, limit: usize) -> Command {
    const SQL: &str = "WITH gone AS (DELETE FROM objects \
        WHERE parent_id = $1 AND resource_name = $2 AND deleted AND id IN ( \
        SELECT id FROM objects WHERE parent_id = $1 AND resource_name = $2 AND deleted \
        AND last_modified <= $3 ORDER BY last_modified LIMIT $4) RETURNING 1) \
        SELECT count(*) FROM gone";
    let [parent, resource] = names(list);
    Command::new(SQL, vec![parent, resource, Param::Time(latest), count(limit)])
}

/// Ids of live objects that are shared.
pub(super) fn shared(list: &List, principals: &[String], permissions: &[&str]) -> Command {
    const SQL: &str = "SELECT DISTINCT o.id FROM access_control_entries e \
        JOIN objects o ON o.parent_id = $1 AND o.resource_name = $2 \
        AND o.id = substr(e.object_id, length($3) + 1) AND NOT o.deleted \
        WHERE e.principal = ANY($4) AND e.permission = ANY($5) \
        AND e.object_id >= $3 AND e.object_id < $6";
    let prefix = uri_of(list, "");
    let end = format!("{}0", prefix.trim_end_matches('/'));
    let [parent, resource] = names(list);
    let principals = Param::Texts(principals.to_vec());
    let permissions = Param::Texts(permissions.iter().map(ToString::to_string).collect());
    let (prefix, end) = (Param::Text(prefix), Param::Text(end));
    Command::new(SQL, vec![parent, resource, prefix, principals, permissions, end])
}

/// URIs of objects whose access control lists name any of `principals`; those of history entries
/// only if they are wanted. The condition is that of an index without them.
pub(super) fn granted(principals: &[String], wants_history: bool) -> Command {
    const ALL: &str = "SELECT DISTINCT object_id FROM access_control_entries \
        WHERE principal = ANY($1)";
    const BUT_HISTORY: &str = "SELECT DISTINCT object_id FROM access_control_entries \
        WHERE principal = ANY($1) AND split_part(object_id, '/', 4) <> 'history'";
    let sql = if wants_history { ALL } else { BUT_HISTORY };
    Command::new(sql, vec![Param::Texts(principals.to_vec())])
}

/// Takes a principal out of all access control lists.
pub(super) fn revoke(principal: &str) -> Command {
    const SQL: &str = "DELETE FROM access_control_entries WHERE principal = $1";
    Command::new(SQL, vec![Param::from(principal)])
}

/// Lists with their timestamps: parent, resource, timestamp. The objects are not read one by one:
/// the index leads from one list to the next.
pub(super) fn all_lists(after: Option<&List>, limit: usize) -> Command {
    const SQL: &str = "WITH RECURSIVE walk AS ( \
        (SELECT parent_id, resource_name FROM objects \
        WHERE (parent_id, resource_name) > ($1, $2) ORDER BY 1, 2 LIMIT 1) \
        UNION ALL SELECT next.parent_id, next.resource_name FROM walk, LATERAL \
        (SELECT o.parent_id, o.resource_name FROM objects o \
        WHERE (o.parent_id, o.resource_name) > (walk.parent_id, walk.resource_name) \
        ORDER BY 1, 2 LIMIT 1) AS next) \
        SELECT parent_id, resource_name, GREATEST( \
        (SELECT o.last_modified FROM objects o WHERE o.parent_id = list.parent_id \
        AND o.resource_name = list.resource_name ORDER BY o.last_modified DESC LIMIT 1), \
        (SELECT t.last_modified FROM timestamps t WHERE t.parent_id = list.parent_id \
        AND t.resource_name = list.resource_name)) FROM \
        ((SELECT parent_id, resource_name FROM walk LIMIT $3) UNION \
        (SELECT parent_id, resource_name FROM timestamps \
        WHERE (parent_id, resource_name) > ($1, $2) AND resource_name <> '__floor__' \
        ORDER BY 1, 2 LIMIT $3) ORDER BY 1, 2 LIMIT $3) AS list ORDER BY 1, 2";
    // No resource is without a name.
    let (parent, resource) = after.map_or(("", ""), |after| (&*after.parent, after.resource));
    Command::new(SQL, vec![Param::from(parent), Param::from(resource), count(limit)])
}

/// Objects and tombstones of a list, the oldest first: id, timestamp, whether it is a tombstone,
/// data, access control list or null.
pub(super) fn entries(list: &List, after: Option<Timestamp>) -> Command {
    const SQL: &str = "SELECT o.id, o.last_modified, o.deleted, o.data, \
        CASE WHEN NOT o.deleted THEN (SELECT jsonb_object_agg(permission, principals) FROM \
        (SELECT permission, jsonb_agg(principal) AS principals FROM access_control_entries \
        WHERE object_id = $3 || o.id GROUP BY permission) AS own) END \
        FROM objects o WHERE o.parent_id = $1 AND o.resource_name = $2 \
        AND o.last_modified > $4 ORDER BY o.last_modified";
    let [parent, resource] = names(list);
    let after = Param::Time(after.unwrap_or(Timestamp(i64::MIN)));
    Command::new(SQL, vec![parent, resource, Param::Text(uri_of(list, "")), after])
}

/// Memberships in order: member, group.
pub(super) fn memberships(after: Option<&Membership>, limit: usize) -> Command {
    const SQL: &str = "SELECT user_id, principal FROM user_principals \
        WHERE (user_id, principal COLLATE \"C\") > ($1, $2) \
        ORDER BY user_id, principal COLLATE \"C\" LIMIT $3";
    let (member, group) = after.map_or(("", ""), |after| (&*after.member, &*after.group));
    Command::new(SQL, vec![Param::from(member), Param::from(group), count(limit)])
}

/// Gives an object or a tombstone a timestamp, past the trigger that may choose another: it looks
/// at new data only.
pub(super) fn redate(list: &List, id: &str, at: Timestamp) -> Command {
    const SQL: &str = "UPDATE objects SET last_modified = $4 \
        WHERE parent_id = $1 AND resource_name = $2 AND id = $3";
    let [parent, resource] = names(list);
    Command::new(SQL, vec![parent, resource, Param::from(id), Param::Time(at)])
}

pub(super) fn join(member: &str, group: &str) -> Command {
    const SQL: &str = "INSERT INTO user_principals (user_id, principal) VALUES ($1, $2) \
        ON CONFLICT DO NOTHING";
    Command::new(SQL, vec![Param::from(member), Param::from(group)])
}

pub(super) fn leave(member: &str, group: &str) -> Command {
    const SQL: &str = "DELETE FROM user_principals WHERE user_id = $1 AND principal = $2";
    Command::new(SQL, vec![Param::from(member), Param::from(group)])
}

pub(super) fn disband(group: &str) -> Command {
    const SQL: &str = "DELETE FROM user_principals WHERE principal = $1";
    Command::new(SQL, vec![Param::from(group)])
}

pub(super) fn leave_all(member: &str) -> Command {
    const SQL: &str = "DELETE FROM user_principals WHERE user_id = $1";
    Command::new(SQL, vec![Param::from(member)])
}

fn count(limit: usize) -> Param {
    Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn names(list: &List) -> [Param; 2] {
    [Param::Text(list.parent.clone()), Param::from(list.resource)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_locked_below_what_holds_it() {
        let keep = |uri: &str| Lock::Keep(uri.to_owned());
        let list = |parent: &str| List::new(parent, "record");
        let of = |parent: &str| Lock::of_list(&list(parent));
        assert_eq!(of(""), [Lock::List(list(""))]);
        assert_eq!(of("/buckets/b"), [keep("/buckets/b"), Lock::List(list("/buckets/b"))]);
        let parent = "/buckets/b/collections/c";
        assert_eq!(of(parent), [keep("/buckets/b"), keep(parent), Lock::List(list(parent))]);
        assert_eq!(of("odd"), [keep("odd"), Lock::List(list("odd"))]);
    }

    #[test]
    fn a_history_is_locked_after_what_it_is_about() {
        let list = |parent: &str, resource| Lock::List(List::new(parent, resource));
        let order = [
            Lock::Keep("/buckets/a".to_owned()),
            Lock::Remove("/buckets/a".to_owned()),
            list("/buckets/a/collections/c", "record"),
            list("/buckets/a", "collection"),
            list("/buckets/a", "group"),
            list("/buckets/a", "history"),
            list("", "bucket"),
        ];
        assert!(order.is_sorted(), "{order:?}");
    }
}
