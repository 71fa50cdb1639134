//! The catalog of a database: what tables, indexes, functions and triggers it has.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use cumulo_servers::Postgres;

/// One row per thing, with everything that programs can notice about it.
const CATALOG: &str = "
    SELECT 'column', class.relname || '.' || attname, class.relpersistence::text,
        format_type(atttypid, atttypmod), attnotnull::text, collname,
        pg_get_expr(adbin, adrelid)
    FROM pg_attribute
    JOIN pg_class class ON class.oid = attrelid
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S')
        AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'index', indexname, indexdef, '', '', '', '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'constraint', conname, pg_get_constraintdef(oid), '', '', '', '' FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'function', proname, pg_get_function_arguments(pg_proc.oid),
        pg_get_function_result(pg_proc.oid), lanname, provolatile::text, proisstrict::text
    FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'trigger', tgname, pg_get_triggerdef(oid), tgenabled::text, '', '', '' FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL
    SELECT 'metadata', name, CASE name WHEN 'created_at' THEN '' ELSE value END, '', '', '', ''
    FROM metadata";

/// What Cumulo adds to the schema of Kinto.
const ADDED: [&str; 12] = [
    "column|cumulo_message.attempts|",
    "column|cumulo_message.body|",
    "column|cumulo_message.created|",
    "column|cumulo_message.due|",
    "column|cumulo_message.id|",
    "column|cumulo_message.queue|",
    "constraint|cumulo_message_pkey|",
    "function|cumulo_commit_order|",
    "index|cumulo_message_pkey|",
    "index|idx_cumulo_access_control_entries_principal|",
    "index|idx_cumulo_message_due|",
    "trigger|cumulo_commit_order|",
];

/// The things in a database.
pub(super) type Catalog = BTreeSet<String>;

/// Of a database.
pub(super) fn catalog(postgres: &Postgres, database: &str) -> Result<Catalog> {
    let rows = postgres.query(database, CATALOG)?;
    let catalog: Catalog = rows.lines().map(str::to_owned).collect();
    ensure!(catalog.len() > 40, "not all tables are there: {catalog:#?}");
    Ok(catalog)
}

/// Fails if the second is not the first with what Cumulo adds.
pub(super) fn check_completed(kinto: &Catalog, cumulo: &Catalog) -> Result<()> {
    let (added, missing) = (cumulo - kinto, kinto - cumulo);
    let is_ours = |thing: &&String| ADDED.iter().any(|added| thing.starts_with(added));
    let ours = added.iter().filter(is_ours).count();
    ensure!(
        missing.is_empty() && added.len() == ADDED.len() && ours == ADDED.len(),
        "missing: {missing:#?}\nadded: {added:#?}"
    );
    Ok(())
}

/// Fails if the two are not equal.
pub(super) fn check_equal(left: &Catalog, right: &Catalog) -> Result<()> {
    ensure!(left == right, "only there: {:#?}\nonly here: {:#?}", left - right, right - left);
    Ok(())
}
