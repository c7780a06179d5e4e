//! SQLite: write-ahead log, each commit on the disk before it is answered.
//!
//! One thread owns the connection that writes. It takes whatever waits, carries out each batch in its own savepoint, and
//! commits them together: many writers cost one fsync. Readers have a connection of their own and see what was committed.

mod reader;
mod schema;
mod writer;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Change, Entry, Log, Range, Record, Retention, Store, StoreError, Table, Write};
use writer::Job;

/// Batches that may wait for the writer.
const WAITING: usize = 1024;
/// Changes that a watcher may be behind.
const BEHIND: usize = 4096;

/// A store in one file.
pub struct Sqlite {
    path: Utf8PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    reader: Arc<Mutex<Connection>>,
    changes: broadcast::Sender<Change>,
    writer: Option<JoinHandle<()>>,
}

// === impl Sqlite ===

impl Sqlite {
    /// Opens the database, makes it where it is missing, and brings its schema up to date.
    pub fn open(path: &Utf8Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source: source.into(),
        })?;
        let connection = connect(path)?;
        schema::migrate(connection, path).and_then(|connection| {
            let (jobs, waiting) = mpsc::channel(WAITING);
            let (changes, _) = broadcast::channel(BEHIND);
            let writer = writer::spawn(connection, path.to_owned(), waiting, changes.clone())
                .map_err(|source| StoreError::Open {
                    path: path.to_owned(),
                    source: source.into(),
                })?;
            let reader = Arc::new(Mutex::new(connect(path)?));
            Ok(Self {
                path: path.to_owned(),
                jobs: Some(jobs),
                reader,
                changes,
                writer: Some(writer),
            })
        })
    }

    /// From now on the database cannot grow: as if the disk were full.
    #[cfg(test)]
    pub(super) async fn limit_to_present_size(&self) -> Result<u64, StoreError> {
        self.submit(|reply| Job::Limit { reply })
            .await
            .map(|pages| pages[0])
    }

    async fn submit(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<Vec<u64>, StoreError>>) -> Job,
    ) -> Result<Vec<u64>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(make(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = Arc::clone(&self.reader);
        let task = tokio::task::spawn_blocking(move || {
            let connection = reader
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            read(&connection)
        });
        let result = task.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| failed("read", &self.path, source))
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn get(&self, table: Table, key: &str) -> Result<Option<Record>, StoreError> {
        let key = key.to_owned();
        self.reading(move |connection| reader::get(connection, table, &key))
            .await
    }

    async fn list(&self, table: Table, prefix: &str) -> Result<Vec<(String, Record)>, StoreError> {
        let prefix = prefix.to_owned();
        self.reading(move |connection| reader::list(connection, table, &prefix))
            .await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.submit(|reply| Job::Write { batch, reply }).await
    }

    async fn read(&self, log: Log, range: Range) -> Result<Vec<Entry>, StoreError> {
        self.reading(move |connection| reader::read(connection, log, &range))
            .await
    }

    async fn trim(&self, log: Log, retention: Retention) -> Result<(), StoreError> {
        self.submit(|reply| Job::Trim {
            log,
            retention,
            reply,
        })
        .await
        .map(|_| ())
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl Drop for Sqlite {
    /// Waits for the writer to end: what was answered is on the disk, and the file can be opened again.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Makes the file, 0600, where it is missing; SQLite gives its other files the same mode.
fn make_private(path: &Utf8Path) -> std::io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(|_| ())
}

fn connect(path: &Utf8Path) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(|source| StoreError::Open {
        path: path.to_owned(),
        source: source.into(),
    })
}

fn failed(action: &'static str, path: &Utf8Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path, source },
        _ => StoreError::Sqlite {
            action,
            path,
            source,
        },
    }
}
