//! Queries.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};

use super::super::{Entry, Log, Range, Record, Table};
use super::schema::{log_number, place};

pub(super) fn get(
    connection: &Connection,
    table: Table,
    key: &str,
) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached("SELECT value, version FROM records WHERE place = ?1 AND key = ?2")?
        .query_row(params![place(table), key], |row| record(row, 0))
        .optional()
}

pub(super) fn list(
    connection: &Connection,
    table: Table,
    prefix: &str,
) -> rusqlite::Result<Vec<(String, Record)>> {
    // Keys are ASCII, so everything that starts with the prefix sorts below the prefix and a character above them all.
    let end = format!("{prefix}\u{10ffff}");
    connection
        .prepare_cached(
            "SELECT key, value, version FROM records WHERE place = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
        )?
        .query_map(params![place(table), prefix, end], |row| Ok((row.get(0)?, record(row, 1)?)))?
        .collect()
}

pub(super) fn read(
    connection: &Connection,
    log: Log,
    range: &Range,
) -> rusqlite::Result<Vec<Entry>> {
    let mut sql =
        "SELECT number, at_ms, topic, value FROM entries WHERE log = ? AND number > ?".to_owned();
    let mut values = vec![
        Value::from(log_number(log)),
        Value::from(range.after.cast_signed()),
    ];
    if !range.topics.is_empty() {
        let marks = vec!["?"; range.topics.len()].join(", ");
        sql.push_str(&format!(" AND topic IN ({marks})"));
        values.extend(range.topics.iter().cloned().map(Value::from));
    }
    sql.push_str(" ORDER BY number DESC");
    if range.most > 0 {
        sql.push_str(&format!(" LIMIT {}", range.most));
    }
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| {
        Ok(Entry {
            number: row.get::<_, i64>(0)?.cast_unsigned(),
            at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
            topic: row.get(2)?,
            value: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        })
    })?;
    let mut entries = found.collect::<rusqlite::Result<Vec<_>>>()?;
    entries.reverse();
    Ok(entries)
}

fn record(row: &Row<'_>, first: usize) -> rusqlite::Result<Record> {
    Ok(Record {
        value: Bytes::from(row.get::<_, Vec<u8>>(first)?),
        version: row.get::<_, i64>(first + 1)?.cast_unsigned(),
    })
}
