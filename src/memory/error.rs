//! What can go wrong with the file.

use crate::errno::reason;
use std::fmt;
use std::io;

/// Why something could not be done.
#[derive(Debug)]
pub enum Error {
    /// The file is not what this program has written; what is wrong with it.
    Bad(String),
    /// Another process has it open.
    Busy,
    /// The system's reason.
    Io(io::Error),
    /// Anything else that redb says.
    Other(String),
}

impl Error {
    /// Whether the file is of no use.
    pub fn is_bad(&self) -> bool {
        matches!(self, Error::Bad(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Bad(what) | Error::Other(what) => f.write_str(what),
            Error::Busy => f.write_str("in use by another process"),
            Error::Io(error) => reason(error).fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            // The file is shorter than it says, or something else altogether.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                Error::Bad("truncated or not a database".into())
            }
            _ => Error::Io(error),
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Error {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::DatabaseAlreadyOpen => Error::Busy,
            redb::Error::Corrupted(what) => Error::Bad(lower(&what)),
            redb::Error::UpgradeRequired(version) => {
                Error::Bad(format!("format {version} of redb is too old"))
            }
            redb::Error::TableTypeMismatch { table, .. }
            | redb::Error::TableIsMultimap(table)
            | redb::Error::TableDoesNotExist(table) => {
                Error::Bad(format!("table {table} is missing or of another type"))
            }
            other => Error::Other(lower(&other.to_string())),
        }
    }
}

/// redb's errors one by one, which have nothing but their conversion in common.
macro_rules! by_way_of_redb {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for Error {
            fn from(error: redb::$error) -> Error {
                redb::Error::from(error).into()
            }
        })*
    };
}

by_way_of_redb!(DatabaseError TransactionError TableError StorageError CommitError);

/// The first line as messages are written here.
fn lower(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut rest = line.chars();
    rest.next().map_or(String::new(), |first| first.to_lowercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redb_says_is_told_as_everything_else() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        for (error, text, is_bad) in [
            (redb::Error::Corrupted("Invalid magic number".into()), "invalid magic number", true),
            (redb::Error::DatabaseAlreadyOpen, "in use by another process", false),
            (redb::Error::Io(full), "No space left on device", false),
            (
                redb::Error::Io(io::ErrorKind::UnexpectedEof.into()),
                "truncated or not a database",
                true,
            ),
        ] {
            let error = Error::from(error);
            assert_eq!((error.to_string().as_str(), error.is_bad()), (text, is_bad));
        }
    }
}
