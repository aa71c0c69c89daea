//! The database: opened, brought up to date, written to and tidied.
use super::row::{Attempt, Call, Columns, Record, Row, ToolRun};
use sqlx::{
    Any, AnyPool, Executor, Transaction,
    any::AnyPoolOptions,
    migrate::{Migration, MigrationSource, MigrationType, Migrator},
};
use std::{
    fmt::Write,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Once, PoisonError},
    time::Duration,
};
use tierway_services::providers::Secret;

/// So many rows go into one statement: PostgreSQL takes 65,535 values. Of a few kinds only, so that each is prepared once and kept; to
/// prepare one costs three times what its rows do.
const ROWS: [usize; 4] = [100, 20, 4, 1];
/// How long a connection may take, or the answer to a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Readers and writers do not wait for each other, and what is committed outlives the process, if not a power cut.
pub(super) const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL";

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file of SQLite's.
    File(PathBuf),
    /// In a PostgreSQL, at an address that may hold a password.
    Server(Secret),
}

impl Place {
    /// Which file it is, where it is one that is there: another after it was deleted and made anew.
    pub(super) fn file(&self) -> Option<u64> {
        match self {
            #[cfg(unix)]
            Self::File(path) => {
                use std::os::unix::fs::MetadataExt;
                Some(std::fs::metadata(path).ok()?.ino())
            }
            _ => None,
        }
    }
}

/// The changes that bring a database up to date, oldest first. One that has been released is never changed: the next comes after it.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "calls", include_str!("migrations/1_calls.sql")),
    (2, "keys", include_str!("migrations/2_keys.sql")),
    (3, "tool_runs", include_str!("migrations/3_tool_runs.sql")),
];

#[derive(Debug)]
struct Shipped(&'static [(i64, &'static str, &'static str)]);

impl MigrationSource<'static> for Shipped {
    fn resolve(
        self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, sqlx::error::BoxDynError>> + Send>>
    {
        let of = |(version, name, sql): &(i64, &'static str, &'static str)| {
            let simple = MigrationType::Simple;
            Migration::new(*version, (*name).into(), simple, (*sql).into(), false)
        };
        let all = self.0.iter().map(of).collect();
        Box::pin(std::future::ready(Ok(all)))
    }
}

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To write, by the gateway: made where it is not there.
    Write,
    /// To read what is there.
    Read,
}

/// Opens the database. To write: makes it and brings it up to date, where needed.
pub(super) async fn open(place: &Place, access: Access) -> sqlx::Result<AnyPool> {
    let pool = connect(place, access).await?;
    if access == Access::Write {
        migrate(&pool, place, MIGRATIONS).await?;
    }
    Ok(pool)
}

/// Opens a database to write, and brings it up to date by changes of its own. Several such lists can share one database: their versions are
/// theirs alone.
pub(crate) async fn connect_and_migrate(
    place: &Place,
    changes: &'static [(i64, &'static str, &'static str)],
) -> sqlx::Result<AnyPool> {
    let pool = connect(place, Access::Write).await?;
    migrate(&pool, place, changes).await?;
    Ok(pool)
}

/// Whether there is something to open; a server is asked when it is opened.
pub(crate) fn is_there(place: &Place) -> bool {
    match place {
        Place::File(path) => path.exists(),
        Place::Server(_) => true,
    }
}

async fn migrate(
    pool: &AnyPool,
    place: &Place,
    changes: &'static [(i64, &'static str, &'static str)],
) -> sqlx::Result<()> {
    let mut migrations = Migrator::new(Shipped(changes)).await?;
    migrations.set_ignore_missing(true);
    migrations.run(pool).await?;
    #[cfg(unix)]
    if let Place::File(path) = place {
        use std::os::unix::fs::PermissionsExt;
        // Who called when is nobody else's business, nor is what has just been written and is not in the file yet.
        for end in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            let _ = std::fs::set_permissions(name, std::fs::Permissions::from_mode(0o600));
        }
    }
    Ok(())
}

async fn connect(place: &Place, access: Access) -> sqlx::Result<AnyPool> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let (url, file) = match place {
        Place::File(path) => (address(path, access), true),
        Place::Server(url) => (url.expose().to_owned(), false),
    };
    if let (Place::File(path), Access::Write) = (place, access)
        && let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
    }
    AnyPoolOptions::new()
        .max_connections(match access {
            Access::Write => 1,
            Access::Read => 4,
        })
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if file {
                    let told = match access {
                        Access::Write => &format!("PRAGMA busy_timeout = 5000; {DURABLE}"),
                        Access::Read => "PRAGMA busy_timeout = 2000; PRAGMA query_only = 1",
                    };
                    connection.execute(told).await?;
                }
                Ok(())
            })
        })
        .connect(&url)
        .await
}

/// The address of a file, as SQLite's driver wants it.
fn address(path: &Path, access: Access) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                url.push(char::from(*byte));
            }
            other => {
                let _ = write!(url, "%{other:02X}");
            }
        }
    }
    // WAL needs its shared memory, and so `rw` for readers too.
    url + match access {
        Access::Write => "?mode=rwc",
        Access::Read => "?mode=rw",
    }
}

/// Writes rows to a PostgreSQL, all of them or none. One that is there already is left as it is, so that rows may be written twice.
pub(super) async fn insert(pool: &AnyPool, rows: &[Row]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let calls: Vec<&Call> = rows.iter().map(|row| &row.call).collect();
    add(&mut transaction, &calls).await?;
    let attempts: Vec<&Attempt> = rows.iter().flat_map(|row| &row.attempts).collect();
    add(&mut transaction, &attempts).await?;
    let runs: Vec<&ToolRun> = rows.iter().flat_map(|row| &row.tool_runs).collect();
    add(&mut transaction, &runs).await?;
    transaction.commit().await
}

async fn add<R: Record>(transaction: &mut Transaction<'_, Any>, rows: &[&R]) -> sqlx::Result<()> {
    let columns = in_use(rows);
    for some in pieces(rows) {
        let text = statement::<R>("INSERT", columns, some.len());
        let mut query = sqlx::query::<Any>(&text);
        for row in some {
            query = row.bind(query, columns);
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The columns that have held something so far, these rows included.
///
/// Half of the columns hold nothing, always, where nobody uses what they are about. To bind a nothing costs as much as anything, so what has
/// held nothing so far stands in the statement; as a column only ever comes into use, there are few statements.
pub(super) fn in_use<R: Record>(rows: &[&R]) -> Columns {
    let filled = rows.iter().fold(0, |filled, row| filled | row.filled());
    let mut in_use = R::in_use().lock().unwrap_or_else(PoisonError::into_inner);
    *in_use |= filled;
    *in_use
}

/// The rows in pieces of [`ROWS`], the largest first.
fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// With a place for each value of these columns, and what the others hold that hold nothing.
pub(super) fn statement<R: Record>(insert: &str, columns: Columns, rows: usize) -> String {
    let (table, names) = (R::TABLE, R::NAMES.join(", "));
    let mut text = format!("{insert} INTO {table} ({names}) VALUES ");
    let mut place = 0;
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { "), (" });
        for (column, empty) in R::EMPTY.iter().enumerate() {
            text.push_str(if column == 0 { "" } else { ", " });
            if columns >> column & 1 == 0 {
                text.push_str(empty);
                continue;
            }
            place += 1;
            let _ = write!(text, "${place}");
        }
    }
    text + ") ON CONFLICT DO NOTHING"
}

/// Forgets what is older.
pub(super) async fn forget(
    pool: &AnyPool,
    calls_before: Option<i64>,
    asks_before: Option<i64>,
) -> sqlx::Result<()> {
    if let Some(before) = calls_before {
        let mut transaction = pool.begin().await?;
        // One node at a time, so that no call is added twice to what is kept of it.
        let lock = "UPDATE forgotten SET cost = cost WHERE subject = ''";
        sqlx::query::<Any>(lock).execute(&mut *transaction).await?;
        for (kind, column) in [("tenant", "tenant"), ("key", "key_id")] {
            let text = format!(
                "INSERT INTO forgotten (subject, cost) SELECT '{kind}:' || {column}, CAST(SUM(cost) AS BIGINT) FROM calls \
                 WHERE at < $1 AND kind = 'call' AND cost > 0 AND {column} IS NOT NULL AND {column} <> '' GROUP BY {column} \
                 ON CONFLICT (subject) DO UPDATE SET cost = forgotten.cost + excluded.cost"
            );
            let query = sqlx::query::<Any>(&text).bind(before);
            query.execute(&mut *transaction).await?;
        }
        for table in ["tool_runs", "attempts", "calls"] {
            let text = format!("DELETE FROM {table} WHERE at < $1");
            let query = sqlx::query::<Any>(&text).bind(before);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    if let Some(before) = asks_before {
        let query =
            sqlx::query::<Any>("UPDATE calls SET ask = NULL WHERE at < $1 AND ask IS NOT NULL");
        query.bind(before).execute(pool).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_nothing_stands_in_the_statement() {
        let run = ToolRun {
            call_id: "c".to_owned().into(),
            nth: 0,
            at: 7,
            ..ToolRun::default()
        };
        let filled = run.filled();
        let place = |name| ToolRun::COLUMNS.iter().position(|column| *column == name);
        let (id, at) = (place("call_id").unwrap(), place("at").unwrap());
        assert_eq!(filled, 1 << id | 1 << at);
        let text = statement::<ToolRun>("INSERT", filled, 2);
        assert!(
            text.starts_with("INSERT INTO tool_runs (call_id, nth, at, "),
            "{text}"
        );
        assert!(
            text.contains("VALUES ($1, 0, $2, ") && text.contains("), ($3, 0, $4, "),
            "{text}"
        );
        assert!(text.contains("''"), "{text}");
        let text = statement::<Call>("INSERT", Columns::MAX, 1);
        assert_eq!(text.matches('$').count(), Call::COLUMNS.len());
    }

    #[test]
    fn all_rows_are_in_pieces_of_few_sizes() {
        let rows: Vec<usize> = (0..246).collect();
        let sizes: Vec<usize> = pieces(&rows).map(<[usize]>::len).collect();
        assert_eq!(sizes, [100, 100, 20, 20, 4, 1, 1]);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert!(pieces::<u8>(&[]).next().is_none());
    }
}
