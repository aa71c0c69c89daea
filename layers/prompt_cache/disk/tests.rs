use super::*;
use crate::prompt_cache::testing::{entry, entry_of, key};
use std::path::PathBuf;

const MINUTE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(10);

/// A file in a folder of its own, which goes with it.
struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("deep").join("cache.redb")
    }
    fn open(&self, max_bytes: u64) -> Disk {
        Disk::open(&self.path(), max_bytes, MINUTE).unwrap()
    }
}

#[tokio::test]
async fn what_was_kept_is_there_at_once_and_after_a_restart() {
    let file = File::new();
    let disk = file.open(1 << 20);
    disk.put(key("a"), entry(5_000)).await;
    assert_eq!(disk.get(&key("a")).await.unwrap().body, entry(5_000).body);
    assert!(disk.get(&key("b")).await.is_none());
    disk.put(key("a"), entry(6_000)).await;
    disk.flush(SOON);
    assert_eq!(disk.get(&key("a")).await.unwrap().body, entry(6_000).body);
    assert_eq!((disk.entries(), disk.bytes()), (1, 8192));
    assert!(Disk::open(&file.path(), 1, MINUTE).is_err(), "it is taken");
    drop(disk);
    let disk = file.open(1 << 20);
    assert_eq!((disk.entries(), disk.bytes()), (1, 8192));
    assert_eq!(disk.get(&key("a")).await.unwrap().body, entry(6_000).body);
}

#[tokio::test]
async fn bounded_in_bytes_and_so_is_the_file() {
    use std::os::unix::fs::MetadataExt;
    const MAX: u64 = 2 << 20;
    let file = File::new();
    let disk = file.open(MAX);
    for n in 0..600 {
        disk.put(key(&n.to_string()), entry_of(9_000 + n, SystemTime::now()))
            .await;
        if n % 32 == 0 {
            disk.flush(SOON);
        }
    }
    disk.flush(SOON);
    assert!(disk.bytes() <= MAX && disk.bytes() > MAX / 2, "{disk:?}");
    assert!(disk.get(&key("599")).await.is_some() && disk.get(&key("0")).await.is_none());
    let metadata = std::fs::metadata(file.path()).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    let blocks = metadata.blocks() * 512;
    assert!(blocks < 3 * MAX, "{blocks} bytes on disk");
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let file = File::new();
    let disk = file.open(1 << 20);
    let old = SystemTime::now() - MINUTE - Duration::from_secs(1);
    disk.put(key("old"), entry_of(10, old)).await;
    assert!(disk.get(&key("old")).await.is_none());
    disk.put(key("new"), entry(10)).await;
    disk.flush(SOON);
    assert!(disk.get(&key("old")).await.is_none());
    assert_eq!(disk.entries(), 1);
}

#[tokio::test]
async fn what_is_damaged_is_made_anew() {
    let file = File::new();
    for damage in ["garbage", "cut", "holes"] {
        let disk = file.open(1 << 20);
        for n in 0..50 {
            disk.put(key(&n.to_string()), entry(3_000)).await;
        }
        drop(disk);
        let mut bytes = std::fs::read(file.path()).unwrap();
        match damage {
            "garbage" => bytes = b"this is no database".repeat(1000),
            "cut" => bytes.truncate(bytes.len() / 2),
            _ => {
                for at in (4_096..bytes.len()).step_by(1_000) {
                    bytes[at] ^= 0xff;
                }
            }
        }
        std::fs::write(file.path(), bytes).unwrap();
        let disk = file.open(1 << 20);
        for n in 0..50 {
            // What is there is right, and what is not is a miss.
            if let Some(found) = disk.get(&key(&n.to_string())).await {
                assert_eq!(found.body, entry(3_000).body, "{damage}");
            }
        }
        disk.put(key("after"), entry(100)).await;
        assert!(disk.get(&key("after")).await.is_some(), "{damage}");
        drop(disk);
        std::fs::remove_file(file.path()).unwrap();
    }
}

#[tokio::test]
async fn what_happens_is_told() {
    let file = File::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let ear = told.clone();
    let disk = file
        .open(10_000)
        .on_event(move |event| ear.lock().unwrap().push(event));
    for name in ["a", "b", "c"] {
        disk.put(key(name), entry(3_500)).await;
        disk.flush(SOON);
    }
    let told = told.lock().unwrap();
    let stored = told
        .iter()
        .filter(|e| **e == Event::Stored { store: "disk" })
        .count();
    let evicted = Event::Evicted {
        store: "disk",
        cause: "size",
    };
    let evicted = told.iter().filter(|e| **e == evicted).count();
    assert_eq!((stored, evicted), (3, 1));
    assert_eq!(
        told.last(),
        Some(&Event::Level {
            store: "disk",
            bytes: 8192,
            entries: 2
        })
    );
}
