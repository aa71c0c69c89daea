//! The database as the writer has it: questions go through a pool, and rows for a file of SQLite's through a connection of their own.
use super::{
    row::Row,
    sqlite::File,
    store::{self, Access, Place},
};
use sqlx::AnyPool;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use tower::BoxError;

/// A database that is open to write to.
#[derive(Debug)]
pub(super) struct Database {
    pool: AnyPool,
    file: Option<File>,
    /// Which file that is, where it is one.
    which: Option<u64>,
}

/// What work on a database leaves: the database, unless it is lost; and how it went.
pub(super) type Worked = (Option<Database>, Result<(), BoxError>);

impl Database {
    /// Opens it, makes it where it is not there, and brings it up to date.
    pub(super) async fn open(place: &Place) -> Worked {
        let open = async {
            let pool = store::open(place, Access::Write).await?;
            let file = match place.clone() {
                Place::File(path) => Some(spawn_blocking(move || File::open(&path)).await??),
                Place::Server(_) => None,
            };
            let which = place.file();
            Ok(Self { pool, file, which })
        };
        match open.await {
            Ok(database) => (Some(database), Ok(())),
            Err(error) => (None, Err(error)),
        }
    }

    /// Whether what is written to it is written there: not where a file was deleted, or another put in its place.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        place.file() == self.which
    }

    /// Writes rows, all of them or none. A row may be written twice.
    ///
    /// SQLite blocks, so it does that elsewhere, and the connection goes there and comes back: nobody else writes by it meanwhile. Who does
    /// not wait for it loses it; the rows may be written all the same.
    pub(super) async fn insert(mut self, rows: Arc<[Row]>) -> Worked {
        let Some(mut file) = self.file.take() else {
            let result = store::insert(&self.pool, &rows).await;
            return (Some(self), result.map_err(Into::into));
        };
        let work = spawn_blocking(move || {
            let result = file.insert(&rows);
            (file, result)
        });
        match work.await {
            Ok((file, result)) => {
                self.file = Some(file);
                (Some(self), result.map_err(Into::into))
            }
            Err(error) => (None, Err(error.into())),
        }
    }

    /// Forgets what is older.
    pub(super) async fn forget(self, calls_before: Option<i64>, asks_before: i64) -> Worked {
        let result = store::forget(&self.pool, calls_before, Some(asks_before)).await;
        (Some(self), result.map_err(Into::into))
    }

    /// Closes it. Whoever is the last to close a file has all of it in one place.
    pub(super) async fn close(mut self) {
        if let Some(file) = self.file.take() {
            let _ = spawn_blocking(move || drop(file)).await;
        }
        self.pool.close().await;
    }
}
