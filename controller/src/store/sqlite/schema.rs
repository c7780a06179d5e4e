//! The tables, and how older databases come to have them. The version is SQLite's `user_version`.

use camino::Utf8Path;
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::super::{Log, StoreError, Table};

const STEPS: &[M<'static>] = &[M::up(
    "CREATE TABLE records (
        place INTEGER NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (place, key)
     ) WITHOUT ROWID;
     CREATE TABLE entries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        log INTEGER NOT NULL,
        topic TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        value BLOB NOT NULL
     );
     CREATE INDEX entries_by_topic ON entries (log, topic, number);
     CREATE INDEX entries_by_log ON entries (log, number);",
)];

/// Brings the database up to date.
pub(super) fn migrate(
    mut connection: Connection,
    path: &Utf8Path,
) -> Result<Connection, StoreError> {
    Migrations::from_slice(STEPS)
        .to_latest(&mut connection)
        .map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source: source.into(),
        })?;
    Ok(connection)
}

/// The number of a table in the database. Never changed, never used twice.
pub(super) fn place(table: Table) -> i64 {
    match table {
        Table::Meta => 1,
        Table::Hosts => 2,
        Table::Hostnames => 3,
        Table::Assignments => 4,
        Table::Holdings => 5,
        Table::Runs => 6,
        Table::Ledgers => 7,
        Table::Seen => 8,
    }
}

/// The number of a log in the database. Never changed, never used twice.
pub(super) fn log_number(log: Log) -> i64 {
    match log {
        Log::Events => 1,
        Log::Runs => 2,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_steps_are_valid() {
        rusqlite_migration::Migrations::from_slice(super::STEPS)
            .validate()
            .unwrap();
    }
}
