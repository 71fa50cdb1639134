//! What must be true in the database, beyond what each transaction shows.
//!
//! Each question is one statement, so what others write meanwhile looks whole to it, and each of
//! its rows is a flaw: the place and the problem.

use super::command::{Command, Param};

/// Access control entries of objects that are not there, as the rest of a query. Objects of some
/// kinds have their own id for a parent.
const LOST_ENTRIES: &str = "FROM access_control_entries e \
    CROSS JOIN LATERAL regexp_match(object_id, '^(.*)/([^/]+)/([^/]+)$') AS part \
    WHERE NOT EXISTS (SELECT FROM objects o WHERE NOT o.deleted AND o.id = part[3] \
    AND o.resource_name IN (part[2], regexp_replace(part[2], 's$', '')) \
    AND (o.parent_id = part[1] OR part[1] = '' AND o.parent_id = part[3]))";

/// Memberships of groups that are not there, as the rest of a query.
const LOST_MEMBERSHIPS: &str = "FROM user_principals m \
    CROSS JOIN LATERAL regexp_match(principal, '^(/buckets/[^/]+)/groups/([^/]+)$') AS part \
    WHERE NOT EXISTS (SELECT FROM objects o WHERE NOT o.deleted AND o.resource_name = 'group' \
    AND o.parent_id = part[1] AND o.id = part[2])";

/// Memberships that their groups, which are there, don't list.
const UNLISTED: &str = "WITH grp AS (SELECT parent_id || '/groups/' || id AS uri, \
    CASE jsonb_typeof(data -> 'members') WHEN 'array' THEN data -> 'members' ELSE '[]' END \
    AS members FROM objects WHERE resource_name = 'group' AND NOT deleted) \
    SELECT principal, user_id || ' belongs to this group, which does not list it' \
    FROM user_principals m WHERE principal COLLATE \"C\" IN (SELECT uri COLLATE \"C\" FROM grp) \
    AND NOT EXISTS (SELECT FROM (SELECT uri, jsonb_array_elements_text(members) AS member \
    FROM grp) AS listed WHERE uri COLLATE \"C\" = m.principal COLLATE \"C\" \
    AND member COLLATE \"C\" = m.user_id COLLATE \"C\")";

/// What the schema has, if it is whole.
const MISSING: &str = "SELECT kind || ' ' || name, CASE name WHEN 'cumulo_commit_order' \
    THEN 'it is missing; `cumulo migrate` adds it' ELSE 'it is missing' END FROM ( \
    SELECT 'function' AS kind, name, EXISTS (SELECT FROM pg_proc WHERE proname = name \
        AND pg_function_is_visible(oid)) AS is_there \
    FROM unnest(ARRAY['as_epoch', 'from_epoch', 'bump_timestamp', 'cumulo_commit_order']) AS name \
    UNION ALL SELECT 'trigger', name, EXISTS (SELECT FROM pg_trigger \
        WHERE tgrelid = to_regclass('objects') AND tgname = name AND tgenabled <> 'D') \
    FROM unnest(ARRAY['tgr_objects_last_modified', 'cumulo_commit_order']) AS name \
    UNION ALL SELECT 'primary key of', name, EXISTS (SELECT FROM pg_index \
        WHERE indrelid = to_regclass(name) AND indisprimary AND indisvalid) \
    FROM unnest(ARRAY['objects', 'timestamps', 'access_control_entries', 'user_principals']) \
        AS name \
    UNION ALL SELECT 'index', name, EXISTS (SELECT FROM pg_index \
        WHERE indexrelid = to_regclass(name) AND indisvalid AND indisunique) \
    FROM unnest(ARRAY['idx_objects_parent_id_resource_name_last_modified']) AS name) AS part \
    WHERE NOT is_there";

/// Everything that is asked.
pub(super) fn questions() -> Vec<Command> {
    let entries = format!(
        "SELECT object_id, permission || ' is given to ' || principal || \
         ', but there is no such object' {LOST_ENTRIES}"
    );
    let memberships = format!(
        "SELECT principal, user_id || ' belongs to this group, which is not there' \
         {LOST_MEMBERSHIPS}"
    );
    let none = Vec::new;
    vec![
        Command::new(MISSING, none()),
        Command::new(entries, none()),
        Command::new(memberships, none()),
        Command::new(UNLISTED, none()),
    ]
}

/// Removes what belongs to nothing, up to `limit` rows of each table; each tells how many.
pub(super) fn remedies(limit: usize) -> Vec<Command> {
    let remove = |table: &str, lost: &str, alias: &str| {
        let sql = format!(
            "WITH gone AS (DELETE FROM {table} WHERE ctid = ANY(ARRAY( \
             SELECT {alias}.ctid {lost} LIMIT $1)) RETURNING 1) SELECT count(*) FROM gone"
        );
        Command::new(sql, vec![Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))])
    };
    vec![
        remove("access_control_entries", LOST_ENTRIES, "e"),
        remove("user_principals", LOST_MEMBERSHIPS, "m"),
    ]
}
