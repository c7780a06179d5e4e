//! Why the store did not do as asked.

use camino::Utf8PathBuf;

use super::Table;

/// Why a read or a write failed. A failed batch changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first.
    #[error("`{key}` in {table:?} was changed by somebody else meanwhile")]
    Conflict {
        /// Where.
        table: Table,
        /// Which.
        key: String,
    },
    /// No room.
    #[error("the disk of {path} is full")]
    DiskFull {
        /// The database.
        path: Utf8PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The database could not be opened or brought up to date.
    #[error("cannot open the database {path}")]
    Open {
        /// The database.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else of SQLite's.
    #[error("cannot {action} the database {path}")]
    Sqlite {
        /// `read` or `write`.
        action: &'static str,
        /// The database.
        path: Utf8PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The store has ended.
    #[error("the store is closed")]
    Closed,
    /// A record is not what it should be.
    #[error("`{key}` in {table:?} cannot be read")]
    Damaged {
        /// Where.
        table: Table,
        /// Which.
        key: String,
        /// Why.
        #[source]
        source: prost::DecodeError,
    },
    /// A sealed record was changed, moved, or sealed with another key.
    #[error("the seal of `{what}` is broken")]
    Seal {
        /// What was sealed.
        what: String,
    },
}

// === impl StoreError ===

impl StoreError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::DiskFull { path, .. } => {
                let folder = path.parent().map_or("/", camino::Utf8Path::as_str);
                vec![format!(
                    "free some space where {folder} lies; nothing was half written"
                )]
            }
            Self::Seal { .. } | Self::Damaged { .. } => {
                vec!["restore the fleet's folder from a copy".to_owned()]
            }
            Self::Conflict { .. } => vec!["run it again".to_owned()],
            Self::Open { .. } | Self::Sqlite { .. } | Self::Closed => Vec::new(),
        }
    }

    /// Whether somebody else wrote first: reading again and trying again helps.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}
