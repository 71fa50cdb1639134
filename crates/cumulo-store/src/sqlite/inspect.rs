//! What must be true in the file, beyond what each transaction shows.

use std::collections::BTreeSet;

use cumulo_core::{
    cascade,
    object::List,
    resource::{Target, uri_of},
    store::{Flaw, Membership, Result},
};
use rusqlite::{Row, params};

use super::{connection::failed, rows::Rows};

/// How many problems the engine tells of its own structures.
const MAX_ENGINE: u32 = 1000;

type Found<'a> = &'a mut dyn FnMut(Flaw);

/// Looks at everything.
pub(super) fn run(rows: Rows<'_>, found: Found<'_>) -> Result<()> {
    let whole = engine(rows, found)?;
    // What the engine can't read would only fail.
    if whole {
        objects(rows, found)?;
        lists_of_permissions(rows, found)?;
        memberships(rows, &mut |membership, is_orphan| {
            found(flaw_of(&membership, is_orphan));
            true
        })?;
    }
    Ok(())
}

/// Up to `limit` memberships of groups that are not there.
pub(super) fn orphans(rows: Rows<'_>, limit: usize) -> Result<Vec<Membership>> {
    let mut orphans = Vec::new();
    memberships(rows, &mut |membership, is_orphan| {
        if is_orphan {
            orphans.push(membership);
        }
        orphans.len() < limit
    })?;
    Ok(orphans)
}

/// Whether the engine finds its own structures in order.
fn engine(rows: Rows<'_>, found: Found<'_>) -> Result<bool> {
    let mut whole = true;
    let sql = format!("PRAGMA integrity_check({MAX_ENGINE})");
    each(rows, &sql, &mut |row| {
        let problem: String = row.get(0)?;
        if problem != "ok" {
            whole = false;
            found(Flaw { place: "the file".into(), problem });
        }
        Ok(())
    })?;
    Ok(whole)
}

/// Objects in their lists, and the access control lists that they refer to.
fn objects(rows: Rows<'_>, found: Found<'_>) -> Result<()> {
    const LOST: &str = "SELECT list, count(*) FROM object
        WHERE NOT EXISTS (SELECT 1 FROM list WHERE list.id = object.list) GROUP BY list";
    const DANGLING: &str = "SELECT parent, resource, object.id, acl
        FROM object JOIN list ON list.id = object.list
        WHERE acl IS NOT NULL AND NOT EXISTS (SELECT 1 FROM acl WHERE acl.id = object.acl)";
    const HALF_DEAD: &str = "SELECT parent, resource, object.id
        FROM object JOIN list ON list.id = object.list
        WHERE deleted NOT IN (0, 1) OR deleted = 1 AND acl IS NOT NULL";
    each(rows, LOST, &mut |row| {
        let (list, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        let problem = format!("{count} objects are in this list, which is not there");
        found(Flaw { place: format!("table object, list {list}"), problem });
        Ok(())
    })?;
    each(rows, DANGLING, &mut |row| {
        let acl: i64 = row.get(3)?;
        let problem = format!("its access control list {acl} is not there");
        found(Flaw { place: place(rows, row)?, problem });
        Ok(())
    })?;
    each(rows, HALF_DEAD, &mut |row| {
        let problem = "it is neither a live object nor a tombstone without permissions".into();
        found(Flaw { place: place(rows, row)?, problem });
        Ok(())
    })
}

/// Interned access control lists, and the table by which they are found.
fn lists_of_permissions(rows: Rows<'_>, found: Found<'_>) -> Result<()> {
    const UNREADABLE: &str = "SELECT id FROM acl
        WHERE NOT json_valid(text) OR json_type(text) <> 'object'";
    const ENTRIES: &str = "SELECT acl.id AS acl, permission.key AS permission,
            holder.value AS principal
        FROM acl, json_each(iif(json_valid(text), text, '{}')) AS permission,
            json_each(iif(permission.type = 'array', permission.value, '[]')) AS holder";
    let missing = format!(
        "SELECT acl, permission, principal FROM ({ENTRIES}) AS entry WHERE NOT EXISTS (
            SELECT 1 FROM access WHERE access.principal = entry.principal
            AND access.permission = entry.permission AND access.acl = entry.acl)"
    );
    let surplus = format!(
        "SELECT acl, permission, principal FROM access WHERE NOT EXISTS (
            SELECT 1 FROM ({ENTRIES}) AS entry WHERE entry.acl = access.acl
            AND entry.permission = access.permission AND entry.principal = access.principal)"
    );
    each(rows, UNREADABLE, &mut |row| {
        let place = format!("table acl, id {}", row.get::<_, i64>(0)?);
        found(Flaw { place, problem: "it is not an access control list".into() });
        Ok(())
    })?;
    for (sql, problem) in [(missing, "can't be found by it"), (surplus, "does not hold it")] {
        each(rows, &sql, &mut |row| {
            let (acl, permission): (i64, String) = (row.get(0)?, row.get(1)?);
            let principal: String = row.get(2)?;
            let place = format!("table access, {principal}, {permission}");
            found(Flaw { place, problem: format!("the access control list {acl} {problem}") });
            Ok(())
        })?;
    }
    Ok(())
}

/// Shows each membership that does not follow from a group, and whether the group is not there at
/// all, until `visit` says that it is enough. One group is in memory at a time.
fn memberships(rows: Rows<'_>, visit: &mut dyn FnMut(Membership, bool) -> bool) -> Result<()> {
    let mut present: Option<(String, Option<BTreeSet<String>>)> = None;
    let sql = "SELECT member, group_uri FROM membership ORDER BY group_uri, member";
    let mut statement = rows.connection.prepare(sql).map_err(failed)?;
    let mut all = statement.query([]).map_err(failed)?;
    while let Some(row) = all.next().map_err(failed)? {
        let member: String = row.get(0).map_err(failed)?;
        let group: String = row.get(1).map_err(failed)?;
        if present.as_ref().is_none_or(|(uri, _)| *uri != group) {
            present = Some((group.clone(), members(rows, &group)?));
        }
        let members = present.as_ref().and_then(|(_, members)| members.as_ref());
        let is_listed = members.is_some_and(|members| members.contains(&member));
        if !is_listed && !visit(Membership { member, group }, members.is_none()) {
            break;
        }
    }
    Ok(())
}

/// The members that a group lists; `None` if it is not there.
fn members(rows: Rows<'_>, uri: &str) -> Result<Option<BTreeSet<String>>> {
    const SQL: &str = "SELECT data FROM object
        WHERE list = (SELECT id FROM list WHERE parent = ?1 AND resource = ?2) AND id = ?3
        AND deleted = 0";
    let Some(Target { list, id: Some(id), .. }) = Target::parse(uri) else { return Ok(None) };
    if list.resource != "group" {
        return Ok(None);
    }
    let mut statement = rows.connection.prepare_cached(SQL).map_err(failed)?;
    let mut found = statement.query(params![list.parent, list.resource, id]).map_err(failed)?;
    let Some(row) = found.next().map_err(failed)? else { return Ok(None) };
    let data: String = row.get(0).map_err(failed)?;
    Ok(Some(cascade::members(&data)))
}

fn flaw_of(membership: &Membership, is_orphan: bool) -> Flaw {
    let Membership { member, group } = membership;
    let problem = if is_orphan {
        format!("{member} belongs to this group, which is not there")
    } else {
        format!("{member} belongs to this group, which does not list it")
    };
    Flaw { place: group.clone(), problem }
}

/// The URI of an object, from its parent, resource and id.
fn place(rows: Rows<'_>, row: &Row<'_>) -> rusqlite::Result<String> {
    let resource = rows.shared.resources.intern(row.get_ref(1)?.as_str()?);
    let id: String = row.get(2)?;
    Ok(uri_of(&List::new(row.get::<_, String>(0)?, resource), &id))
}

/// Shows each row that a statement finds.
fn each(
    rows: Rows<'_>,
    sql: &str,
    visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let mut statement = rows.connection.prepare(sql).map_err(failed)?;
    let mut found = statement.query([]).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        visit(row).map_err(failed)?;
    }
    Ok(())
}
