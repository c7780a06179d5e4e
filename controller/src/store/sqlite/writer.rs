//! The thread that writes: one transaction for all batches that wait, one savepoint for each.

use std::collections::HashMap;
use std::io;
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::super::{Change, Expect, Log, Retention, StoreError, Table, Write};
use super::failed;
use super::schema::{log_number, place};

/// Batches that share a transaction at most.
const GROUP: usize = 256;

type Answer = Result<Vec<u64>, StoreError>;

/// What the thread is asked for.
pub(super) enum Job {
    Write {
        batch: Vec<Write>,
        reply: oneshot::Sender<Answer>,
    },
    Trim {
        log: Log,
        retention: Retention,
        reply: oneshot::Sender<Answer>,
    },
    #[cfg(test)]
    Limit { reply: oneshot::Sender<Answer> },
}

/// Starts the thread; it ends when nobody can send to it any more.
pub(super) fn spawn(
    mut connection: Connection,
    path: Utf8PathBuf,
    mut waiting: mpsc::Receiver<Job>,
    changes: broadcast::Sender<Change>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            let mut group = Vec::with_capacity(GROUP);
            while let Some(first) = waiting.blocking_recv() {
                group.push(first);
                while group.len() < GROUP
                    && let Ok(next) = waiting.try_recv()
                {
                    group.push(next);
                }
                commit(&mut connection, &path, &mut group, &changes);
            }
        })
}

/// Carries out the jobs together; where that fails (the disk is full), one by one, so that each has its own answer.
fn commit(
    connection: &mut Connection,
    path: &Utf8Path,
    group: &mut Vec<Job>,
    changes: &broadcast::Sender<Change>,
) {
    match together(connection, path, group) {
        Ok(answers) => {
            for (job, answer) in group.drain(..).zip(answers) {
                respond(job, answer, changes);
            }
        }
        Err(_) if group.len() > 1 => {
            for job in group.drain(..) {
                let answer = together(connection, path, std::slice::from_ref(&job))
                    .and_then(|mut answers| answers.pop().unwrap_or(Err(StoreError::Closed)));
                respond(job, answer, changes);
            }
        }
        Err(error) => {
            if let Some(job) = group.pop() {
                respond(job, Err(error), changes);
            }
        }
    }
}

fn together(
    connection: &mut Connection,
    path: &Utf8Path,
    jobs: &[Job],
) -> Result<Vec<Answer>, StoreError> {
    let fail = |source| failed("write", path, source);
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fail)?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        let savepoint = transaction.savepoint().map_err(fail)?;
        let answer = carry_out(&savepoint, path, job);
        match &answer {
            Ok(_) => savepoint.commit().map_err(fail)?,
            // Dropped, a savepoint is rolled back: a conflict undoes its own batch alone.
            Err(StoreError::Conflict { .. }) => drop(savepoint),
            Err(_) => return answer.map(|_| Vec::new()),
        }
        answers.push(answer);
    }
    transaction.commit().map_err(fail)?;
    Ok(answers)
}

fn carry_out(connection: &Connection, path: &Utf8Path, job: &Job) -> Answer {
    let fail = |source| failed("write", path, source);
    match job {
        Job::Write { batch, .. } => {
            let mut numbers = Vec::new();
            for write in batch {
                match write {
                    Write::Put {
                        table,
                        key,
                        value,
                        expect,
                    } => {
                        let there = check(connection, *table, key, *expect, path)?;
                        put(connection, *table, key, value, there).map_err(fail)?;
                    }
                    Write::Delete { table, key, expect } => {
                        check(connection, *table, key, *expect, path)?;
                        connection
                            .prepare_cached("DELETE FROM records WHERE place = ?1 AND key = ?2")
                            .and_then(|mut sql| sql.execute(params![place(*table), key]))
                            .map_err(fail)?;
                    }
                    Write::Append {
                        log,
                        topic,
                        at_ms,
                        value,
                    } => {
                        let row =
                            params![log_number(*log), topic, at_ms.cast_signed(), value.as_ref()];
                        let number = connection
                            .prepare_cached(
                                "INSERT INTO entries (log, topic, at_ms, value) VALUES (?1, ?2, ?3, ?4)",
                            )
                            .and_then(|mut sql| sql.insert(row))
                            .map_err(fail)?;
                        numbers.push(number.cast_unsigned());
                    }
                }
            }
            Ok(numbers)
        }
        Job::Trim { log, retention, .. } => {
            trim(connection, *log, retention).map_err(fail)?;
            Ok(Vec::new())
        }
        #[cfg(test)]
        Job::Limit { .. } => {
            let pages: i64 = connection
                .query_row("PRAGMA page_count", [], |row| row.get(0))
                .map_err(fail)?;
            connection
                .pragma_update(None, "max_page_count", pages + 2)
                .map_err(fail)?;
            Ok(vec![pages.cast_unsigned()])
        }
    }
}

/// The version that is there, 0 for none; a conflict where it is not the expected one.
fn check(
    connection: &Connection,
    table: Table,
    key: &str,
    expect: Expect,
    path: &Utf8Path,
) -> Result<i64, StoreError> {
    let there: Option<i64> = connection
        .prepare_cached("SELECT version FROM records WHERE place = ?1 AND key = ?2")
        .and_then(|mut sql| {
            sql.query_row(params![place(table), key], |row| row.get(0))
                .optional()
        })
        .map_err(|source| failed("read", path, source))?;
    let holds = match expect {
        Expect::Any => true,
        Expect::Absent => there.is_none(),
        Expect::Version(version) => there == Some(version.cast_signed()),
    };
    if holds {
        Ok(there.unwrap_or_default())
    } else {
        Err(StoreError::Conflict {
            table,
            key: key.to_owned(),
        })
    }
}

fn put(
    connection: &Connection,
    table: Table,
    key: &str,
    value: &[u8],
    there: i64,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO records (place, key, value, version) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (place, key) DO UPDATE SET value = excluded.value, version = excluded.version",
        )?
        .execute(params![place(table), key, value, there + 1])
}

fn trim(connection: &Connection, log: Log, retention: &Retention) -> rusqlite::Result<usize> {
    let Retention { since_ms, entries } = *retention;
    let log = log_number(log);
    let old = connection.execute(
        "DELETE FROM entries WHERE log = ?1 AND at_ms < ?2",
        params![log, since_ms.cast_signed()],
    )?;
    let many = connection.execute(
        "DELETE FROM entries WHERE log = ?1 AND number <= COALESCE(
            (SELECT number FROM entries WHERE log = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2), 0)",
        params![log, entries.cast_signed()],
    )?;
    Ok(old + many)
}

/// Answers, and tells the watchers what is now on the disk.
fn respond(job: Job, answer: Answer, changes: &broadcast::Sender<Change>) {
    match job {
        Job::Write { batch, reply } => {
            if let Ok(numbers) = &answer {
                announce(&batch, numbers, changes);
            }
            let _ = reply.send(answer);
        }
        Job::Trim { reply, .. } => {
            let _ = reply.send(answer);
        }
        #[cfg(test)]
        Job::Limit { reply } => {
            let _ = reply.send(answer);
        }
    }
}

fn announce(batch: &[Write], numbers: &[u64], changes: &broadcast::Sender<Change>) {
    let mut numbers = numbers.iter();
    let mut grown = HashMap::new();
    for write in batch {
        match write {
            Write::Put { table, key, .. } | Write::Delete { table, key, .. } => {
                let _ = changes.send(Change::Record(*table, key.clone()));
            }
            Write::Append { log, .. } => {
                if let Some(number) = numbers.next() {
                    grown.insert(*log, *number);
                }
            }
        }
    }
    for (log, number) in grown {
        let _ = changes.send(Change::Appended(log, number));
    }
}
