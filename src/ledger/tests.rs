use super::{database::Database, store::Access, *};
use std::path::Path;
use tierway_services::chat::Usd;

const MINUTE: i64 = 60_000;

fn row(n: i64, tier: &str, model: &str, cost: i64) -> Row {
    let id = Text::from(format!("{n:011x}-0-0"));
    let attempt = Attempt {
        call_id: id.clone(),
        at: n * MINUTE,
        role: "only".into(),
        part: "answer".into(),
        provider: "p".into(),
        model: model.to_owned().into(),
        ended: "complete".into(),
        input: 100,
        output: 10,
        cost: Some(cost),
        ..Attempt::default()
    };
    let call = Call {
        id,
        kind: "call".into(),
        at: n * MINUTE,
        session: Some(format!("s{}", n % 2).into()),
        tier: tier.to_owned().into(),
        provider: "p".into(),
        model: model.to_owned().into(),
        outcome: "ok".into(),
        input: 100,
        output: 10,
        cost,
        priced: 1,
        baseline: cost * 3,
        saved_tier: cost * 2,
        confidence_ppm: (n % 2 == 0).then_some(5),
        ..Call::default()
    };
    Row {
        call,
        attempts: vec![attempt],
        ..Row::default()
    }
}

/// Writes rows as the writer does.
pub(super) async fn insert(place: &Place, rows: &[Row]) {
    let (database, opened) = Database::open(place).await;
    opened.unwrap();
    let (database, written) = database.unwrap().insert(Arc::from(rows)).await;
    written.unwrap();
    database.unwrap().close().await;
}

/// What both databases do, on one that is empty.
async fn does_its_work(place: &Place) {
    let pool = store::open(place, Access::Write).await.unwrap();
    let mut rows: Vec<Row> = (0..500)
        .map(|n| row(n, ["simple", "complex"][(n % 2) as usize], "m", 1_000_001))
        .collect();
    // An upstream call that nobody was answered by, at a price that nobody knows.
    let first = rows[0].attempts[0].clone();
    rows[0].attempts.push(Attempt {
        nth: 1,
        model: "other".into(),
        cost: None,
        ..first
    });
    let id = rows[0].call.id.clone();
    rows[0].tool_runs.push(ToolRun {
        call_id: id,
        server: "time".into(),
        tool: "now".into(),
        outcome: "ok".into(),
        ..ToolRun::default()
    });
    rows[7].call.ask = Some("what".into());
    insert(place, &rows).await;
    insert(place, &rows[..10]).await;

    let reader = Reader::open(place).await.unwrap();
    let all = reader.total(&Filter::default()).await.unwrap();
    assert_eq!((all.calls, all.ok, all.input), (500, 500, 50_000));
    assert_eq!(all.cost, Usd::from_picodollars(500 * 1_000_001));
    assert_eq!(all.baseline, all.cost + all.net());
    let tiers = reader.usage(By::Tier, &Filter::default()).await.unwrap();
    assert_eq!(tiers.len(), 2);
    assert_eq!(
        (tiers[0].calls, tiers[0].saved[0]),
        (250, Usd::from_picodollars(250 * 2_000_002))
    );
    let models = reader.usage(By::Model, &Filter::default()).await.unwrap();
    assert_eq!(
        (&*models[0].key, models[0].calls, models[0].cost),
        ("p:m", 500, all.cost)
    );
    assert_eq!(
        (&*models[1].key, models[1].calls, models[1].unpriced_tokens),
        ("p:other", 0, 110)
    );
    let days = reader.usage(By::Day, &Filter::default()).await.unwrap();
    assert_eq!((&*days[0].key, days[0].calls), ("1970-01-01", 500));
    let everything = Filter::default();
    let points = reader.series(Duration::from_secs(600), &everything);
    let points = points.await.unwrap();
    assert_eq!(
        (points.len(), points[1].at, points[1].sums.calls),
        (50, 10 * MINUTE, 10)
    );

    let some = Filter {
        since: Some(100 * MINUTE),
        until: Some(200 * MINUTE),
        session: Some("s1".to_owned()),
        ..Filter::default()
    };
    assert_eq!(reader.total(&some).await.unwrap().calls, 50);
    let newest = reader.calls(&some, 3, None).await.unwrap();
    assert_eq!(newest[0], rows[199]);
    let then = reader
        .calls(&some, 3, Some(&newest[2].call.id))
        .await
        .unwrap();
    assert_eq!(then[0], rows[193]);
    let all = reader.next(&Filter::default(), 1000, "").await.unwrap();
    assert_eq!(all, rows);
    let after = reader
        .next(&Filter::default(), 5, &rows[10].call.id)
        .await
        .unwrap();
    assert_eq!(after[0], rows[11]);

    store::forget(&pool, Some(5 * MINUTE), Some(50 * MINUTE))
        .await
        .unwrap();
    let left = reader.next(&Filter::default(), 1000, "").await.unwrap();
    assert_eq!((left.len(), left[0].attempts.len()), (495, 1));
    assert!(left.iter().all(|row| row.call.ask.is_none()));
    // Opened again, it is what it was.
    pool.close().await;
    store::open(place, Access::Write)
        .await
        .unwrap()
        .close()
        .await;
    assert_eq!(reader.total(&Filter::default()).await.unwrap().calls, 495);
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a folder/with 100%/ledger.db");
    does_its_work(&Place::File(file.clone())).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "who called when is nobody else's business");
    }
    let nowhere = Place::File(folder.path().join("none.db"));
    assert!(
        Reader::open(&nowhere).await.is_err(),
        "reading makes no file"
    );
}

/// Where a server is named, whose ledger it empties.
#[tokio::test]
async fn in_postgresql() {
    let Ok(url) = std::env::var("TIERWAY_TEST_POSTGRES") else {
        return;
    };
    let place = Place::Server(tierway_services::providers::Secret::new(url));
    let pool = store::open(&place, Access::Write).await.unwrap();
    for table in ["calls", "attempts", "tool_runs"] {
        sqlx::query(&format!("DELETE FROM {table}"))
            .execute(&pool)
            .await
            .unwrap();
    }
    does_its_work(&place).await;
}

fn writer(folder: &Path, file: &Path) -> (Arc<Inbox>, Writer) {
    let spill = Spill::new(folder.to_owned(), "p", 1 << 20);
    let spill = Some(Arc::new(Mutex::new(spill)));
    let day = Duration::from_secs(86_400);
    let writer = Writer::new(Place::File(file.to_owned()), spill, None, day);
    (Arc::new(Inbox::new(10_000, 500)), writer)
}

async fn count(file: &Path) -> i64 {
    let Ok(reader) = Reader::open(&Place::File(file.to_owned())).await else {
        return -1;
    };
    reader
        .total(&Filter::default())
        .await
        .map_or(-1, |all| all.calls)
}

#[tokio::test]
async fn a_dead_database_gets_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("in the way");
    std::fs::write(&place, "").unwrap();
    let file = place.join("ledger.db");
    let (inbox, writer) = writer(folder.path(), &file);
    let work = async {
        for n in 0..30 {
            inbox.put(row(n, "simple", "m", 1)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::fs::remove_file(&place).unwrap();
        inbox.put(row(30, "simple", "m", 1)).unwrap();
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if count(&file).await == 31 {
                break;
            }
        }
        inbox.close();
    };
    tokio::join!(writer.run(inbox.clone()), work);
    assert_eq!(count(&file).await, 31);
    assert!(!is_spilled(folder.path()));
}

fn is_spilled(folder: &Path) -> bool {
    let mut files = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    files.any(|file| file.file_name().to_string_lossy().contains("spill"))
}

/// Looks for up to three seconds, less than SQLite waits for a lock.
async fn comes(what: impl AsyncFn() -> bool) {
    for _ in 0..150 {
        if what().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come");
}

#[tokio::test]
async fn rows_do_not_wait_in_memory_for_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let (inbox, writer) = writer(folder.path(), &file);
    let work = async {
        inbox.put(row(0, "simple", "m", 1)).unwrap();
        comes(async || count(&file).await == 1).await;
        let other = rusqlite::Connection::open(&file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for n in 1..20 {
            inbox.put(row(n, "simple", "m", 1)).unwrap();
        }
        comes(async || is_spilled(folder.path())).await;
        // Those that come meanwhile are taken too.
        inbox.put(row(20, "simple", "m", 1)).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(inbox.take().rows.is_empty());
        other.execute_batch("COMMIT").unwrap();
        comes(async || count(&file).await == 21).await;
        comes(async || !is_spilled(folder.path())).await;
        inbox.close();
    };
    tokio::join!(writer.run(inbox.clone()), work);
    assert_eq!(count(&file).await, 21);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_deleted_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let (inbox, writer) = writer(folder.path(), &file);
    let work = async {
        inbox.put(row(0, "simple", "m", 1)).unwrap();
        comes(async || count(&file).await == 1).await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("ledger.db{end}")));
        }
        inbox.put(row(1, "simple", "m", 1)).unwrap();
        inbox.put(row(2, "simple", "m", 1)).unwrap();
        comes(async || count(&file).await == 2).await;
        inbox.close();
    };
    tokio::join!(writer.run(inbox.clone()), work);
    assert_eq!(count(&file).await, 2);
}

#[tokio::test]
async fn what_waits_is_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let (inbox, writer) = writer(folder.path(), &file);
    let work = async {
        for n in 0..3000 {
            inbox.put(row(n, "simple", "m", 1)).unwrap();
        }
        inbox.close();
    };
    tokio::join!(writer.run(inbox.clone()), work);
    let log = folder.path().join("ledger.db-wal");
    assert!(!log.exists(), "all of it is in one file");
    assert_eq!(count(&file).await, 3000);
}
