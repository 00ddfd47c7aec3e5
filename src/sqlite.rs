//! SQLite files: open, pragmas, migrations, one writer and a few readers.
//!
//! Registers sqlite-vec for every connection. Knows no table of its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// Readers kept open between uses; one more is opened where all are busy and closed afterwards.
const IDLE_READERS: usize = 4;

/// One SQLite file in WAL mode. Writers take turns; readers wait for nobody.
pub struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens or makes the file at `path` and applies the migrations that it has not seen.
    ///
    /// `migrations` only ever grows at its end; the file remembers how many it has.
    ///
    /// # Errors
    /// A file that is no database, that a newer version wrote, or that cannot be written.
    pub fn open(path: &Path, migrations: &[&str]) -> Result<Self> {
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864;")?;
        migrate(&mut writer, migrations)?;
        Ok(Database { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Runs `query` on a reading connection.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let result = query(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Runs `change` in a transaction that is durable when this returns, or has left no trace.
    pub fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}

/// Runs `query` on a file that nobody need have open, without making or changing it.
pub fn peek<T>(path: &Path, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    query(&connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    register_extensions();
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 10000;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;",
    )?;
    rusqlite::vtab::array::load_module(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn register_extensions() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        type Init = unsafe extern "C" fn(
            *mut rusqlite::ffi::sqlite3,
            *mut *mut std::os::raw::c_char,
            *const rusqlite::ffi::sqlite3_api_routines,
        ) -> std::os::raw::c_int;
        // SAFETY: the crate declares the entry point without its arguments; this is the signature that
        // SQLite's documentation gives every extension's entry point, and the one the C source defines.
        unsafe {
            let init = std::mem::transmute::<*const (), Init>(sqlite_vec::sqlite3_vec_init as *const ());
            rusqlite::ffi::sqlite3_auto_extension(Some(init));
        }
    });
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<()> {
    let seen: usize =
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?.try_into().unwrap_or(0);
    if seen > migrations.len() {
        return Err(Error::Unavailable(format!(
            "a newer version of Carrel wrote this data (schema {seen}, this version knows {})",
            migrations.len()
        )));
    }
    for (number, sql) in migrations.iter().enumerate().skip(seen) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::InsufficientStorage,
            _ => Error::internal("sqlite", cause),
        }
    }
}

/// Turns the breach of a unique index into [`Error::Conflict`] with `message`.
pub fn conflict<T>(result: rusqlite::Result<T>, message: &str) -> Result<T> {
    result.map_err(|cause| match cause.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => Error::Conflict(message.to_owned()),
        _ => cause.into(),
    })
}
