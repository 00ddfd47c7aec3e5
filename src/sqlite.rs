//! SQLite files: open, pragmas, migrations, one writer and a few readers.
//!
//! Registers sqlite-vec for every connection. Knows no table of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};
use crate::failpoint;

/// Readers kept open between uses; one more is opened where all are busy and closed afterwards.
const IDLE_READERS: usize = 4;

/// `PRAGMA auto_vacuum` of a file that can give pages back.
const INCREMENTAL: i64 = 2;

/// A set of numbers as a query takes it for `rarray(?)`.
pub fn array(numbers: impl IntoIterator<Item = impl Into<i64>>) -> Rc<Vec<Value>> {
    Rc::new(numbers.into_iter().map(|number| Value::from(number.into())).collect())
}

/// What is said of a database that cannot be believed.
pub const DAMAGED: &str =
    "the database is damaged: restore it from a snapshot or backup; `carrel workspace check` says what is wrong";

/// One SQLite file in WAL mode. Writers take turns; readers wait for nobody.
pub struct Database {
    path: PathBuf,
    access: Access,
    readers: Mutex<Vec<Connection>>,
    /// None where the medium takes no writes. Closed after the readers: only who may write takes SQLite's log away.
    writer: Option<Mutex<Connection>>,
}

/// What may be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Write,
    /// On a medium that takes no writes, where nobody else can change it either.
    Read,
}

impl Database {
    /// Opens or makes the file at `path` and applies the migrations that it has not seen. An older file is first
    /// copied beside itself (`….before-VERSION`), so that nothing is lost should a migration go wrong.
    ///
    /// `migrations` only ever grows at its end; the file remembers how many it has.
    ///
    /// # Errors
    /// A file that is no database, that a newer version wrote, or that cannot be written. Under [`Access::Read`] also
    /// one that would need a migration.
    pub fn open(path: &Path, migrations: &[&str], access: Access) -> Result<Self> {
        let writer = match access {
            Access::Write => {
                let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
                version(&writer, migrations)?;
                // Must come before the first table, so that freed pages can be given back to the file system; on a
                // file that has tables it would be a change of every opening.
                if writer.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
                    writer.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
                }
                writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864;")?;
                migrate(&mut writer, path, migrations)?;
                let vacuums: i64 = writer.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
                if vacuums == INCREMENTAL {
                    // Freed pages leave the file with the next rest, so blanking them would be work for nothing.
                    writer.execute_batch("PRAGMA secure_delete = FAST")?;
                }
                Some(Mutex::new(writer))
            }
            Access::Read => {
                let seen = version(&connect_unchanging(path)?, migrations)?;
                if seen < migrations.len() {
                    return Err(Error::Unavailable(
                        "an older version of Carrel wrote this data; it must be opened once where it can be written"
                            .into(),
                    ));
                }
                None
            }
        };
        Ok(Database { path: path.to_owned(), access, writer, readers: Mutex::default() })
    }

    /// Runs `query` on a reading connection.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match (idle, self.access) {
            (Some(connection), _) => connection,
            (None, Access::Write) => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            (None, Access::Read) => connect_unchanging(&self.path)?,
        };
        let result = query(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::Unavailable("this data cannot be written to".into()))?;
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `change` in a transaction that is durable when this returns, or has left no trace.
    pub fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut writer = self.writer()?;
        let written = write(&mut writer, change);
        match written {
            Err(Error::Internal(why)) => Err(refusal(&writer).unwrap_or(Error::Internal(why))),
            written => written,
        }
    }

    /// Moves everything from the log into the file itself and empties the log. `false` where a reader stood in the
    /// way; then the log keeps what it had.
    pub fn checkpoint(&self) -> Result<bool> {
        let busy: i64 = self.writer()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// Gives unused pages back to the file system. Writes as little as SQLite can.
    pub fn reclaim(&self) -> Result<()> {
        let writer = self.writer()?;
        let free: i64 = writer.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        if free > 0 {
            // Each step gives back one page.
            let mut vacuum = writer.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    /// Writes a consistent copy of the file to `to`, which must not exist, while others read and write.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        self.read(|db| copy(db, to))
    }
}

fn write<T>(writer: &mut Connection, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = change(&transaction)?;
    // Where room runs out SQLite rolls back by itself (https://sqlite.org/lang_transaction.html, 3.1), and a virtual table may
    // not say so to whoever writes to it.
    if transaction.is_autocommit() {
        return Err(Error::InsufficientStorage);
    }
    transaction.commit()?;
    Ok(value)
}

/// What the system meant when it failed a call of this connection: SQLite knows a full disk, but takes one over its
/// quota, or one that takes no writes any more, for a broken one.
fn refusal(connection: &Connection) -> Option<Error> {
    // SAFETY: the handle is that of an open connection, which this function borrows.
    let errno = unsafe { rusqlite::ffi::sqlite3_system_errno(connection.handle()) };
    match Error::from(std::io::Error::from_raw_os_error(errno)) {
        Error::Internal(_) => None,
        meant => Some(meant),
    }
}

/// Runs `query` on a file that nobody need have open, without making or changing it.
pub fn peek<T>(path: &Path, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    // On a medium that takes no writes there is no log that somebody else is writing.
    query(&opened.or_else(|_| connect_unchanging(path))?)
}

/// Runs `query` on a whole file that nobody else touches, without leaving anything beside it.
pub fn read_file<T>(path: &Path, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    query(&connect_unchanging(path)?)
}

/// Copies the file at `from`, which another process may be writing, to `to`, which must not exist.
pub fn copy_file(from: &Path, to: &Path) -> Result<()> {
    peek(from, |db| copy(db, to))
}

fn copy(db: &Connection, to: &Path) -> Result<()> {
    // All pages in one step: that is one read transaction, so the copy is of one moment and nobody waits for it.
    let mut target = Connection::open(to)?;
    {
        let backup = Backup::new(db, &mut target)?;
        while backup.step(-1)? != StepResult::Done {
            std::thread::yield_now();
        }
    }
    target.close().map_err(|(_, error)| error)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}

/// What is wrong with the structure of a database, in SQLite's words; nothing where it is whole. `thorough` also
/// compares every index with its table.
pub fn damage(db: &Connection, thorough: bool) -> Vec<String> {
    let mut found = Vec::new();
    // What keeps SQLite from looking is a finding of its own.
    if let Err(error) = look_for_damage(db, thorough, &mut found) {
        found.push(error.to_string());
    }
    found
}

fn look_for_damage(db: &Connection, thorough: bool, found: &mut Vec<String>) -> rusqlite::Result<()> {
    let pragma = if thorough { "PRAGMA integrity_check(20)" } else { "PRAGMA quick_check(20)" };
    let mut check = db.prepare(pragma)?;
    for line in check.query_map([], |row| row.get::<_, String>(0))? {
        found.extend(Some(line?).filter(|line| line != "ok"));
    }
    let mut keys = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} belongs to none of {parent}"));
        if found.len() >= 20 {
            break;
        }
    }
    Ok(())
}

/// Triggers and views of a database with their SQL: what can run without being called.
pub fn programs(db: &Connection) -> Result<BTreeSet<String>> {
    let mut query = db.prepare("SELECT sql FROM sqlite_schema WHERE type IN ('trigger', 'view')")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    prepare(|| Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX))
}

/// Opens a file that nobody changes, without locks and without files beside it.
///
/// One that was left with a log beside it is more than the file: that needs SQLite's notes on the log to be there too.
fn connect_unchanging(path: &Path) -> Result<Connection> {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        return opened.map_err(|_| {
            Error::Unavailable("this data was not at rest when it was put on a medium that takes no writes".into())
        });
    }
    let text = path.to_str().ok_or_else(|| Error::Unavailable("the data directory's path is no text".into()))?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(|| Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags))
}

fn prepare(open: impl FnOnce() -> rusqlite::Result<Connection>) -> Result<Connection> {
    register_extensions();
    let connection = open()?;
    // Files may come from anywhere, so nothing in one may run or reach further than a table does.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
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
    // SQLite's own `lower` knows no letters beyond ASCII.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("lowercase", 1, flags, |call| Ok(call.get::<String>(0)?.to_lowercase()))?;
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

/// The migrations that a file has seen.
fn version(connection: &Connection, migrations: &[&str]) -> Result<usize> {
    let seen: usize =
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?.try_into().unwrap_or(0);
    match seen > migrations.len() {
        true => Err(Error::Unavailable(format!(
            "a newer version of Carrel wrote this data (schema {seen}, this version knows {})",
            migrations.len()
        ))),
        false => Ok(seen),
    }
}

fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<()> {
    let seen = version(connection, migrations)?;
    if (1..migrations.len()).contains(&seen) {
        let kept = PathBuf::from(format!("{}.before-{}", path.display(), seen + 1));
        // What an attempt that was cut off left may be half a copy.
        let _ = std::fs::remove_file(&kept);
        copy(connection, &kept)?;
    }
    for (number, sql) in migrations.iter().enumerate().skip(seen) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        failpoint::reach("migration.copied");
        transaction.execute_batch(sql)?;
        failpoint::reach("migration.written");
        transaction.pragma_update(None, "user_version", number as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::InsufficientStorage,
            // The notes on the log could not be made as large as they must be.
            _ if extended_code(&cause) == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => Error::InsufficientStorage,
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                tracing::error!(error = %cause, "a database is damaged");
                Error::Unavailable(DAMAGED.to_owned())
            }
            // The tables are strict, and only this program fills them: what cannot be read back was not written so.
            _ if is_unreadable(&cause) => {
                tracing::error!(error = %cause, "a row of a database is damaged");
                Error::Unavailable(DAMAGED.to_owned())
            }
            _ => Error::internal("sqlite", cause),
        }
    }
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

/// Turns the breach of a unique index into [`Error::Conflict`] with `message`.
pub fn conflict<T>(result: rusqlite::Result<T>, message: &str) -> Result<T> {
    result.map_err(|cause| match cause.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => Error::Conflict(message.to_owned()),
        _ => cause.into(),
    })
}
