//! Reading the database: the part that readers and the writer share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Object, Row, Timestamp},
    store::{Entry, Grant, Membership, Result, Tombstones, Total, Visit, VisitEntry},
};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use serde_json::Value;

use super::{Shared, cache::ListRow, connection::failed, sql::Sql};
use crate::run;

/// Objects whose access control list names any of the principals.
const GRANTED: &str = "SELECT list.parent, list.resource, object.id, object.acl
    FROM object CROSS JOIN list ON list.id = object.list
    WHERE object.acl IN (SELECT acl FROM access
        WHERE principal IN (SELECT value FROM json_each(?1)))";

/// The same of some kinds. The index leads from one list that an access control list is used in to
/// the next, so that objects of other kinds, however many, are not read.
pub(super) const GRANTED_AMONG: &str = "WITH RECURSIVE used (acl, list) AS (
    SELECT acl, (SELECT min(list) FROM object WHERE object.acl = named.acl)
        FROM (SELECT DISTINCT acl FROM access
            WHERE principal IN (SELECT value FROM json_each(?1))) AS named
    UNION ALL SELECT acl, (SELECT min(list) FROM object
            WHERE object.acl = used.acl AND object.list > used.list)
        FROM used WHERE list IS NOT NULL)
    SELECT list.parent, list.resource, object.id, object.acl
    FROM used CROSS JOIN list ON list.id = used.list
        AND list.resource IN (SELECT value FROM json_each(?2))
    CROSS JOIN object ON object.acl = used.acl AND object.list = used.list";

/// The database as one connection sees it.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) shared: &'a Shared,
}

impl Rows<'_> {
    pub(super) fn list_row(self, list: &List) -> Result<Option<ListRow>> {
        const SQL: &str =
            "SELECT id, last_modified, live FROM list WHERE parent = ?1 AND resource = ?2";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let row = statement.query_row(params![list.parent, list.resource], |row| {
            let live = row.get::<_, i64>(2)?.unsigned_abs();
            Ok(ListRow { id: row.get(0)?, timestamp: Timestamp(row.get(1)?), live })
        });
        row.optional().map_err(failed)
    }

    pub(super) fn get(self, list: &List, id: &str) -> Result<Option<Entry>> {
        const SQL: &str = "SELECT deleted, last_modified, acl, data FROM object
            WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2) AND id = ?3";
        self.entry(SQL, params![list.parent, list.resource, id], id)
    }

    /// [`get`](Self::get) in the list with this id.
    pub(super) fn get_in(self, list: i64, id: &str) -> Result<Option<Entry>> {
        const SQL: &str =
            "SELECT deleted, last_modified, acl, data FROM object WHERE list = ?1 AND id = ?2";
        self.entry(SQL, params![list, id], id)
    }

    fn entry(self, sql: &str, params: &[&dyn ToSql], id: &str) -> Result<Option<Entry>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        if row.get(0).map_err(failed)? {
            return Ok(None);
        }
        let object = Object {
            id: id.to_owned(),
            last_modified: Timestamp(row.get(1).map_err(failed)?),
            deleted: false,
            data: row.get(3).map_err(failed)?,
        };
        let acl = self.interned(row.get(2).map_err(failed)?)?;
        Ok(Some(Entry { object, acl }))
    }

    pub(super) fn acl(self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        const SQL: &str = "SELECT acl FROM object
            WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2) AND id = ?3
            AND deleted = 0";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let acl = statement.query_row(params![list.parent, list.resource, id], |row| row.get(0));
        acl.optional().map_err(failed)?.map(|acl| self.interned(acl)).transpose()
    }

    /// Runs a statement that selects id, timestamp, whether it is a tombstone, and data.
    pub(super) fn visit(self, sql: Sql, visit: &mut Visit<'_>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&sql.text).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(sql.params)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if visit(borrowed(row).map_err(failed)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn count(self, sql: Sql) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(&sql.text).map_err(failed)?;
        let count = statement.query_row(params_from_iter(sql.params), |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(failed)
    }

    pub(super) fn shared(
        self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        const SQL: &str = "SELECT id FROM object
            WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2)
            AND acl IN (SELECT acl FROM access
                WHERE principal IN (SELECT value FROM json_each(?3))
                AND permission IN (SELECT value FROM json_each(?4)))";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let (principals, permissions) = (json(principals), json(permissions));
        let ids = statement
            .query_map(params![list.parent, list.resource, principals, permissions], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        ids.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    pub(super) fn granted(
        self,
        principals: &[String],
        resources: Option<&[&str]>,
    ) -> Result<Vec<Grant>> {
        let sql = if resources.is_some() { GRANTED_AMONG } else { GRANTED };
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let principals = json(principals);
        let mut rows = match resources {
            Some(resources) => statement.query(params![principals, json(resources)]),
            None => statement.query([principals]),
        }
        .map_err(failed)?;
        let mut grants = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let resource: String = row.get(1).map_err(failed)?;
            let parent: String = row.get(0).map_err(failed)?;
            let list = List::new(parent, self.shared.resources.intern(&resource));
            let acl = self.interned(row.get(3).map_err(failed)?)?;
            grants.push(Grant { list, id: row.get(2).map_err(failed)?, acl });
        }
        Ok(grants)
    }

    /// The access control lists that name a principal.
    pub(super) fn acls_naming(self, principal: &str) -> Result<Vec<i64>> {
        const SQL: &str = "SELECT DISTINCT acl FROM access WHERE principal = ?1";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let acls = statement.query_map([principal], |row| row.get(0)).map_err(failed)?;
        acls.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// The lists in which something has this access control list.
    pub(super) fn lists_with(self, acl: i64) -> Result<Vec<List>> {
        const SQL: &str = "SELECT parent, resource FROM list
            WHERE id IN (SELECT list FROM object WHERE acl = ?1)";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let lists = statement.query_map([acl], |row| {
            let resource = self.shared.resources.intern(row.get_ref(1)?.as_str()?);
            Ok(List::new(row.get::<_, String>(0)?, resource))
        });
        lists.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    pub(super) fn groups(self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        const SQL: &str = "SELECT DISTINCT group_uri FROM membership
            WHERE member IN (SELECT value FROM json_each(?1)) ORDER BY group_uri";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let groups = statement.query_map([json(members)], |row| row.get(0)).map_err(failed)?;
        groups.collect::<rusqlite::Result<_>>().map(Arc::new).map_err(failed)
    }

    pub(super) fn lists(
        self,
        after: Option<&List>,
        limit: usize,
    ) -> Result<Vec<(List, Timestamp)>> {
        const SQL: &str = "SELECT parent, resource, last_modified FROM list
            WHERE (parent, resource) > (?1, ?2)
            ORDER BY parent, resource LIMIT ?3";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        // No resource is without a name.
        let (parent, resource) = after.map_or(("", ""), |after| (&after.parent, after.resource));
        let lists = statement.query_map(params![parent, resource, bound(limit)], |row| {
            let resource = self.shared.resources.intern(row.get_ref(1)?.as_str()?);
            Ok((List::new(row.get::<_, String>(0)?, resource), Timestamp(row.get(2)?)))
        });
        lists.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Live objects are counted as they come and go; tombstones are counted where they lie.
    pub(super) fn totals(self) -> Result<Vec<Total>> {
        const SQL: &str = "SELECT resource, sum(live), sum((SELECT count(*) FROM object
            WHERE object.list = list.id AND deleted = 1)) FROM list GROUP BY resource";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let totals = statement.query_map([], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(Total { resource: row.get(0)?, live: number(1)?, tombstones: number(2)? })
        });
        totals.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    pub(super) fn entries(
        self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        // Two scans in the order that is asked for, which the engine merges without sorting.
        const SQL: &str = "SELECT id, last_modified, 0, data, acl FROM object
            WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2)
            AND deleted = 0 AND last_modified >= ?3
            UNION ALL SELECT id, last_modified, 1, data, acl FROM object
            WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2)
            AND deleted = 1 AND last_modified >= ?3
            ORDER BY last_modified";
        let from = after.map_or(Some(i64::MIN), |after| after.0.checked_add(1));
        let Some(from) = from else { return Ok(()) };
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let mut rows =
            statement.query(params![list.parent, list.resource, from]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let acl = self.interned(row.get(4).map_err(failed)?)?;
            if visit(borrowed(row).map_err(failed)?, &acl)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn memberships(
        self,
        after: Option<&Membership>,
        limit: usize,
    ) -> Result<Vec<Membership>> {
        const SQL: &str = "SELECT member, group_uri FROM membership
            WHERE (member, group_uri) > (?1, ?2)
            ORDER BY member, group_uri LIMIT ?3";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        // No group is without a URI.
        let (member, group) = after.map_or(("", ""), |after| (&after.member, &after.group));
        let memberships = statement.query_map(params![member, group, bound(limit)], |row| {
            Ok(Membership { member: row.get(0)?, group: row.get(1)? })
        });
        memberships.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    pub(super) fn tombstones(
        self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        const SQL: &str = "SELECT count(*), max(last_modified) FROM (
                SELECT last_modified FROM object
                WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2)
                AND deleted = 1 ORDER BY last_modified DESC LIMIT -1 OFFSET ?3)
            WHERE ?4 IS NULL OR last_modified < ?4";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let before = before.map(|before| before.0);
        let params = params![list.parent, list.resource, bound(keep), before];
        let found = statement.query_row(params, |row| {
            let count = row.get::<_, i64>(0)?.unsigned_abs();
            let latest: Option<i64> = row.get(1)?;
            Ok(latest.map(|latest| Tombstones { count, latest: Timestamp(latest) }))
        });
        found.map_err(failed)
    }

    /// The access control list with this id; the empty one has none.
    pub(super) fn interned(self, id: Option<i64>) -> Result<Arc<Acl>> {
        let Some(id) = id else { return Ok(Arc::clone(&self.shared.no_acl)) };
        if let Some(acl) = self.shared.cache.interned(id) {
            return Ok(acl);
        }
        let mut statement =
            self.connection.prepare_cached("SELECT text FROM acl WHERE id = ?1").map_err(failed)?;
        let text: String = statement.query_row([id], |row| row.get(0)).map_err(failed)?;
        let acl = Arc::new(parse_acl(&text)?);
        self.shared.cache.intern(id, &acl);
        Ok(acl)
    }
}

/// The row where the engine holds it.
fn borrowed<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Row<'a>> {
    Ok(Row {
        id: row.get_ref(0)?.as_str()?,
        last_modified: Timestamp(row.get_ref(1)?.as_i64()?),
        deleted: row.get_ref(2)?.as_i64()? != 0,
        data: row.get_ref(3)?.as_str()?,
    })
}

/// A limit as the engine takes it.
pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Texts as one parameter.
fn json<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(AsRef::as_ref).collect::<Value>().to_string()
}

/// An access control list as the database keeps it: equal lists have equal texts.
pub(super) fn acl_text(acl: &Acl) -> Result<String> {
    serde_json::to_string(&acl.0).map_err(|error| run::internal(error.to_string()))
}

fn parse_acl(text: &str) -> Result<Acl> {
    let acl: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(text)
        .map_err(|error| run::internal(format!("damaged access control list: {error}")))?;
    Ok(Acl(acl))
}
