//! Rows written to a file of SQLite's by its own interface, because what `sqlx` does around it costs more than SQLite itself.
//!
//! What is bound to a statement stays bound, so that of a row only that is bound in which it differs from an earlier one: less than half.
use super::{
    row::{Record, Row},
    store,
};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::{path::Path, thread, time::Duration};

/// So many rows go into one statement, which saves a fifth of what they cost one at a time: where they go is found once for all. More save
/// nothing on top.
const ROWS: usize = 8;
/// After so many statements the thread sleeps for a moment, because a call that is woken on its core waits for as long as it runs there. To yield would not
/// do: where every core is busy it comes back so late that rows wait for it.
const STRETCH: usize = 8;
const PAUSE: Duration = Duration::from_micros(50);
/// That such a statement is undone by itself where one of its rows fails costs another twentieth; here the whole transaction is.
const INSERT: &str = "INSERT OR FAIL";

/// A connection that writes rows, and does nothing else. All it does blocks.
#[derive(Debug)]
pub(super) struct File(Connection);

impl File {
    /// Opens a file that is there and up to date.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        // Whoever has this connection has it alone, so that it needs no locks of its own.
        let how = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, how)?;
        connection.busy_timeout(store::PATIENCE)?;
        connection.execute_batch(store::DURABLE)?;
        Ok(Self(connection))
    }

    /// Writes rows, all of them or none. One that is there already is left as it is, so that rows may be written twice.
    pub(super) fn insert(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        let how = TransactionBehavior::Immediate;
        let transaction = self.0.transaction_with_behavior(how)?;
        add(&transaction, rows.iter().map(|row| &row.call))?;
        add(&transaction, rows.iter().flat_map(|row| &row.attempts))?;
        add(&transaction, rows.iter().flat_map(|row| &row.tool_runs))?;
        transaction.commit()
    }
}

fn add<'r, R: Record + 'r>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = &'r R>,
) -> rusqlite::Result<()> {
    let rows: Vec<&R> = rows.collect();
    let columns = store::in_use(&rows);
    let (many, few) = rows.split_at(rows.len() - rows.len() % ROWS);
    for (rows, size) in [(many, ROWS), (few, 1)] {
        if rows.is_empty() {
            continue;
        }
        let text = store::statement::<R>(INSERT, columns, size);
        let mut statement = transaction.prepare_cached(&text)?;
        let mut bound: Option<&[&R]> = None;
        for (nth, some) in rows.chunks_exact(size).enumerate() {
            if nth % STRETCH == STRETCH - 1 {
                thread::sleep(PAUSE);
            }
            let mut place = 0;
            for (n, row) in some.iter().enumerate() {
                let before = bound.and_then(|bound| bound.get(n).copied());
                place = row.put(&mut statement, columns, place, before)?;
            }
            statement.raw_execute()?;
            bound = Some(some);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{
        Attempt, Call, Filter, Place, Reader, Text, ToolRun, database::Database, store::Access,
    };
    use super::*;
    use std::{path::PathBuf, sync::Arc, time::Duration};

    async fn made(folder: &Path) -> (Place, PathBuf) {
        let path = folder.join("ledger.db");
        let place = Place::File(path.clone());
        let pool = store::open(&place, Access::Write).await.unwrap();
        pool.close().await;
        (place, path)
    }

    fn row(n: usize) -> Row {
        let id = Text::from(format!("{n:011x}-0-0"));
        Row {
            call: Call {
                id: id.clone(),
                kind: "call".into(),
                ..Call::default()
            },
            attempts: vec![Attempt {
                call_id: id,
                ..Attempt::default()
            }],
            tool_runs: vec![],
        }
    }

    async fn all(place: &Place) -> Vec<Row> {
        let reader = Reader::open(place).await.unwrap();
        reader.next(&Filter::default(), 1000, "").await.unwrap()
    }

    #[tokio::test]
    async fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (place, path) = made(folder.path()).await;
        // More than one statement of each kind, and values that come, change and go from row to row and from statement to statement.
        let texts = ["", "a", "\0", "a\0b", "Größe 大きさ 🦀", "'\"$1?"];
        let numbers = [0, 1, -1, i64::MIN, i64::MAX];
        let rows: Vec<Row> = (0..3 * ROWS + 3)
            .map(|n| {
                let text = texts[n / 2 % texts.len()];
                let number = numbers[n / 3 % numbers.len()];
                let mut row = row(n);
                row.call.tenant = text.into();
                row.call.tags = (n % 4 > 0).then(|| text.into());
                row.call.ask = (n % 5 > 0).then(|| text.repeat(n).into());
                row.call.cost = number;
                row.call.status = (n % 3 > 0).then_some(number);
                row.attempts[0].cost = (n % 3 > 0).then_some(number);
                let first = row.attempts[0].clone();
                row.attempts.extend((1..=n % 3).map(|nth| Attempt {
                    nth: nth as i64,
                    model: text.into(),
                    ..first.clone()
                }));
                row.tool_runs.extend((n % 7 == 0).then(|| ToolRun {
                    call_id: row.call.id.clone(),
                    tool: text.into(),
                    sent: number,
                    ..ToolRun::default()
                }));
                row
            })
            .collect();
        let pool = store::open(&place, Access::Write).await.unwrap();
        let mut file = File::open(&path).unwrap();
        for some in rows.chunks(10) {
            file.insert(some).unwrap();
        }
        // Twice is once.
        file.insert(&rows).unwrap();
        #[cfg(unix)]
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.path().join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o077, 0, "{name}");
        }
        assert_eq!(all(&place).await, rows);
        pool.close().await;
    }

    #[tokio::test]
    async fn all_rows_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (place, path) = made(folder.path()).await;
        let other = Connection::open(&path).unwrap();
        let fails = "CREATE TRIGGER no BEFORE INSERT ON attempts WHEN new.call_id LIKE '%b-0-0' BEGIN SELECT RAISE(FAIL, 'no'); END";
        other.execute_batch(fails).unwrap();
        let rows: Vec<Row> = (0..2 * ROWS).map(row).collect();
        let mut file = File::open(&path).unwrap();
        assert!(file.insert(&rows).is_err());
        assert!(all(&place).await.is_empty());
        other.execute_batch("DROP TRIGGER no").unwrap();
        file.insert(&rows).unwrap();
        assert_eq!(all(&place).await, rows);
    }

    #[tokio::test]
    async fn who_holds_a_lock_is_waited_for_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (place, path) = made(folder.path()).await;
        let (database, _) = Database::open(&place).await;
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let work = database.unwrap().insert(Arc::from([row(1)]));
        let (database, wait) = {
            tokio::pin!(work);
            let wait = tokio::time::timeout(Duration::from_millis(100), &mut work).await;
            other.execute_batch("COMMIT").unwrap();
            (work.await, wait)
        };
        assert!(wait.is_err(), "this thread went on");
        let (database, result) = database;
        result.unwrap();
        assert_eq!(all(&place).await, [row(1)]);

        // Whoever waits no longer has no database, and the rows come all the same.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let work = database.unwrap().insert(Arc::from([row(2)]));
        let wait = tokio::time::timeout(Duration::from_millis(100), work).await;
        assert!(wait.is_err());
        other.execute_batch("COMMIT").unwrap();
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if all(&place).await.len() == 2 {
                break;
            }
        }
        assert_eq!(all(&place).await, [row(1), row(2)]);
    }
}
