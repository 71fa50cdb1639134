//! Tables: Kinto's own, and what is told to whoever has others.

use super::{connection::Connection, failure::Failure};

/// The schema that this program knows.
const STORAGE: u32 = 26;
const PERMISSION: u32 = 2;

const SCHEMA: &str = include_str!("schema.sql");
const COMMIT_ORDER: &str = include_str!("commit_order.sql");
const OUTBOX: &str = include_str!("outbox.sql");
const GRANTED: &str = include_str!("granted.sql");

/// What is wrong with a database that only Kinto has migrated.
pub(super) const NO_OUTBOX: &str =
    "the database lacks the table `cumulo_message`: run `cumulo migrate` with the same settings";

/// What a database has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    encoding: String,
    time_zone: String,
    /// The latest version of the storage schema, if there are tables.
    storage: Option<u32>,
    permission: Option<u32>,
    keeps_commit_order: bool,
    has_outbox: bool,
    has_granted_index: bool,
}

/// What a migration did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresMigration {
    /// All tables were created.
    Created,
    /// The database of Kinto, or of an earlier version of this program, got what it lacked: the
    /// trigger that keeps timestamps in the order of commits, the table of messages, or the index
    /// of permissions without those on history entries.
    Completed,
    /// There was nothing to do.
    Current,
}

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// There are no tables.
    #[error("the database has no tables yet: run `cumulo migrate` with the same settings")]
    Empty,
    /// Tables of an older Kinto.
    #[error(
        "the database has {kind} schema {found} of an older Kinto, but version {known} is needed. \
         Let Kinto bring it there: make a backup, then\n    pip install \"kinto[postgresql]==26.5.0\"\n    \
         kinto migrate --ini YOUR.ini\n    cumulo migrate --ini YOUR.ini"
    )]
    TooOld {
        /// `storage` or `permission`
        kind: &'static str,
        /// Its version.
        found: u32,
        /// The version that is needed.
        known: u32,
    },
    /// Tables of a Kinto that is newer than this program.
    #[error(
        "the database has {kind} schema {found}, but this program knows only {known}: \
         use a later version of Cumulo"
    )]
    TooNew {
        /// `storage` or `permission`
        kind: &'static str,
        /// Its version.
        found: u32,
        /// The version that is known.
        known: u32,
    },
    /// Text can't be stored.
    #[error(
        "the database is encoded as {0}, but UTF8 is needed: CREATE DATABASE … ENCODING 'UTF8'"
    )]
    Encoding(String),
    /// A lock was not to be had.
    #[error(
        "the tables are in use: somebody has been writing for longer than ten seconds. Try again"
    )]
    Busy,
    /// The database could not be asked.
    #[error("cannot ask the database")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Failure> for SchemaError {
    fn from(failure: Failure) -> Self {
        if failure.code() == "55P03" { Self::Busy } else { Self::Engine(failure.into()) }
    }
}

type Result<T> = std::result::Result<T, SchemaError>;

/// Makes sure that the database can be used; warns of what will not go well. Returns whether it can
/// keep messages.
pub(super) fn check(connection: &mut Connection) -> Result<bool> {
    let found = Found::of(connection)?;
    found.require_known()?;
    if found.storage.is_none() {
        return Err(SchemaError::Empty);
    }
    if !found.keeps_commit_order {
        tracing::warn!(
            "the database lacks the trigger `cumulo_commit_order`: if Kinto writes to it too, \
             clients that poll may miss changes. `cumulo migrate` adds it"
        );
    }
    if !matches!(found.time_zone.as_str(), "UTC" | "Etc/UTC" | "GMT") {
        tracing::warn!(
            time_zone = found.time_zone,
            "the time zone of the database is not UTC: timestamps that Kinto writes to it are \
             ahead of the time. ALTER DATABASE … SET timezone TO 'UTC'"
        );
    }
    Ok(found.has_outbox)
}

/// Creates what is missing; with `dry_run`, only tells.
pub(super) fn migrate(connection: &mut Connection, dry_run: bool) -> Result<PostgresMigration> {
    // Copies that start together wait for each other.
    run(connection, "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('cumulo migrate', 2))")?;
    let found = Found::of(connection)?;
    found.require_known()?;
    let done = if found.storage.is_none() {
        if !dry_run {
            run(connection, SCHEMA)?;
            run(connection, COMMIT_ORDER)?;
            run(connection, OUTBOX)?;
            run(connection, GRANTED)?;
        }
        PostgresMigration::Created
    } else if !(found.keeps_commit_order && found.has_outbox && found.has_granted_index) {
        if !dry_run && !found.keeps_commit_order {
            run(connection, COMMIT_ORDER)?;
        }
        if !dry_run {
            run(connection, OUTBOX)?;
            run(connection, GRANTED)?;
        }
        PostgresMigration::Completed
    } else {
        PostgresMigration::Current
    };
    run(connection, "COMMIT")?;
    Ok(done)
}

fn run(connection: &mut Connection, sql: &str) -> Result<()> {
    Ok(connection.simple(sql, &mut |_| Ok(()))?)
}

impl Found {
    fn of(connection: &mut Connection) -> Result<Self> {
        const SQL: &str = "SELECT current_setting('server_encoding'), \
            current_setting('TimeZone'), to_regclass('objects') IS NOT NULL, \
            to_regclass('records') IS NOT NULL, to_regclass('metadata') IS NOT NULL, \
            to_regclass('access_control_entries') IS NOT NULL, \
            to_regclass('cumulo_message') IS NOT NULL, \
            to_regclass('idx_cumulo_access_control_entries_principal') IS NOT NULL, \
            EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('objects') \
                AND tgname = 'cumulo_commit_order' AND tgenabled <> 'D')";
        let mut found = Self::default();
        let mut flags = Vec::new();
        connection.simple(SQL, &mut |mut row| {
            found.encoding = row.owned()?;
            found.time_zone = row.owned()?;
            for _ in 0..7 {
                flags.push(row.text()? == "t");
            }
            Ok(())
        })?;
        let [objects, records, metadata, entries, outbox, index, trigger] = flags[..] else {
            return Ok(found);
        };
        found.keeps_commit_order = trigger;
        found.has_outbox = outbox;
        found.has_granted_index = index;
        if objects || records {
            // Kinto wrote no version down before it had migrations.
            found.storage = Some(version(connection, metadata, "storage")?.unwrap_or(1));
        }
        if entries {
            found.permission = Some(version(connection, metadata, "permission")?.unwrap_or(1));
        }
        Ok(found)
    }

    fn require_known(&self) -> Result<()> {
        if self.encoding != "UTF8" {
            return Err(SchemaError::Encoding(self.encoding.clone()));
        }
        let versions =
            [("storage", self.storage, STORAGE), ("permission", self.permission, PERMISSION)];
        for (kind, found, known) in versions {
            match found {
                Some(found) if found < known => {
                    return Err(SchemaError::TooOld { kind, found, known });
                }
                Some(found) if found > known => {
                    return Err(SchemaError::TooNew { kind, found, known });
                }
                _ => {}
            }
        }
        if self.storage.is_some() && self.permission.is_none() {
            return Err(SchemaError::TooOld { kind: "permission", found: 0, known: PERMISSION });
        }
        Ok(())
    }
}

/// The latest version of a schema that the database has been brought to.
fn version(
    connection: &mut Connection,
    has_metadata: bool,
    kind: &'static str,
) -> Result<Option<u32>> {
    let mut latest = None;
    if has_metadata {
        let sql = format!("SELECT value FROM metadata WHERE name = '{kind}_schema_version'");
        connection.simple(&sql, &mut |mut row| {
            latest = latest.max(row.text()?.parse().ok());
            Ok(())
        })?;
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_lock_learns_why() {
        let code = "55P03".to_owned();
        let message = "canceling statement due to lock timeout".to_owned();
        let error = SchemaError::from(Failure::Refused { code, message });
        assert!(matches!(error, SchemaError::Busy), "{error}");
    }
}
