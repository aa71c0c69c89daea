//! Where rows wait for the writer.
//!
//! Whoever puts a row in takes a lock for a moment and wakes nobody: a thread that were woken for each row would cost more than the row. The
//! writer looks by itself, and is woken where a batch has come together.
use super::row::Row;
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;

/// Rows on their way to the writer, in order.
#[derive(Debug)]
pub(super) struct Inbox {
    inside: Mutex<Inside>,
    news: Notify,
    /// So many may wait.
    most: usize,
    /// So many are worth waking for.
    batch: usize,
}

#[derive(Debug, Default)]
struct Inside {
    rows: Vec<Row>,
    since: Option<Instant>,
    closed: bool,
}

/// What has come since the last time.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) rows: Vec<Row>,
    /// When the first of them came.
    pub(super) since: Option<Instant>,
    /// Whether no more will come.
    pub(super) closed: bool,
}

/// Why a row was not taken.
#[derive(Debug)]
pub(super) enum Returned {
    Full(Box<Row>),
    Closed,
}

impl Inbox {
    pub(super) fn new(most: usize, batch: usize) -> Self {
        Self {
            inside: Mutex::default(),
            news: Notify::new(),
            most,
            batch,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a row, or gives it back.
    pub(super) fn put(&self, row: Row) -> Result<(), Returned> {
        let mut inside = self.inside();
        if inside.closed {
            return Err(Returned::Closed);
        }
        if inside.rows.len() >= self.most {
            return Err(Returned::Full(Box::new(row)));
        }
        inside.rows.push(row);
        inside.since.get_or_insert_with(Instant::now);
        let due = inside.rows.len() == self.batch;
        drop(inside);
        if due {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Says that no more rows will come.
    pub(super) fn close(&self) {
        self.inside().closed = true;
        self.news.notify_one();
    }

    /// Until there is reason to look inside at once.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// All that is inside.
    pub(super) fn take(&self) -> Mail {
        let mut inside = self.inside();
        Mail {
            rows: mem::take(&mut inside.rows),
            since: inside.since.take(),
            closed: inside.closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_is_news_and_a_row_is_none() {
        let inbox = Inbox::new(3, 2);
        let mut news = tokio_test::task::spawn(inbox.news());
        assert!(inbox.put(Row::default()).is_ok() && news.poll().is_pending());
        assert!(inbox.put(Row::default()).is_ok() && news.poll().is_ready());
        assert!(inbox.put(Row::default()).is_ok());
        assert!(matches!(inbox.put(Row::default()), Err(Returned::Full(_))));
        let mail = inbox.take();
        assert!(mail.rows.len() == 3 && mail.since.is_some() && !mail.closed);
        inbox.close();
        inbox.news().await;
        assert!(matches!(inbox.put(Row::default()), Err(Returned::Closed)));
        assert!(inbox.take().closed);
    }
}
