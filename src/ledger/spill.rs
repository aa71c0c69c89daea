//! Rows that the database cannot take for now: in a file of this process's own, one a line, read again later.
use super::row::Row;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const BEGINS: &str = "ledger-spill-";
/// A file that nobody has written to for so long is a process's that is no more.
const ORPHANED: Duration = Duration::from_secs(60);

/// The file. It is opened for each batch, so that another process may take it over once this one is gone.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    path: PathBuf,
    most: u64,
    /// Where the rows begin that have not been read again.
    from: u64,
}

impl Spill {
    /// A file of at most `most` bytes, for the process of this name.
    pub(super) fn new(folder: PathBuf, process: &str, most: u64) -> Self {
        Self {
            path: folder.join(format!("{BEGINS}{process}.jsonl")),
            folder,
            most,
            from: 0,
        }
    }

    /// Adds rows; returns how many there was room for.
    pub(super) fn add(&self, rows: &[Row]) -> usize {
        let mut lines = Vec::new();
        let (mut size, mut taken) = (self.size(), 0);
        for row in rows {
            let before = lines.len();
            if serde_json::to_writer(&mut lines, row).is_err() {
                lines.truncate(before);
                continue;
            }
            lines.push(b'\n');
            size += (lines.len() - before) as u64;
            if size > self.most {
                lines.truncate(before);
                break;
            }
            taken += 1;
        }
        if lines.is_empty() {
            return 0;
        }
        let written = || -> io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options
                .create(true)
                .append(true)
                .open(&self.path)?
                .write_all(&lines)
        };
        match written() {
            Ok(()) => taken,
            Err(error) => {
                tracing::warn!(%error, "rows of the ledger cannot be spilled");
                0
            }
        }
    }

    /// Whether there are rows to be read again.
    pub(super) fn is_empty(&self) -> bool {
        self.size() <= self.from
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |m| m.len())
    }

    /// Up to `most` rows from where [`read`](Self::read_up_to) has come. Lines that are none are passed over.
    pub(super) fn read(&self, most: usize) -> io::Result<(Vec<Row>, u64)> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let (mut rows, mut at, mut line) = (Vec::new(), self.from, Vec::new());
        let mut lines = BufReader::new(file);
        while rows.len() < most {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            at += read as u64;
            rows.extend(serde_json::from_slice::<Row>(&line));
        }
        Ok((rows, at))
    }

    /// What stands before `at` has been written where it belongs.
    pub(super) fn read_up_to(&mut self, at: u64) {
        self.from = at;
        if self.is_empty() {
            self.from = 0;
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Takes over a file that a process has left behind, where this one has none.
    pub(super) fn adopt(&self) {
        if self.size() > 0 {
            return;
        }
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let orphan = files
            .filter_map(|file| Some(file.ok()?.path()))
            .find(|path| is_spill(path) && *path != self.path && is_orphaned(path));
        if let Some(orphan) = orphan {
            // Where two want it, the second finds it gone.
            let _ = fs::rename(orphan, &self.path);
        }
    }
}

fn is_spill(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str());
    name.is_some_and(|name| name.starts_with(BEGINS))
}

fn is_orphaned(path: &Path) -> bool {
    let age = |path: &Path| {
        let written = fs::metadata(path).ok()?.modified().ok()?;
        SystemTime::now().duration_since(written).ok()
    };
    age(path).is_some_and(|age| age > ORPHANED)
}

#[cfg(test)]
mod tests {
    use super::{super::row::Call, *};

    fn row(id: &str) -> Row {
        Row {
            call: Call {
                id: id.to_owned().into(),
                ..Call::default()
            },
            ..Row::default()
        }
    }

    fn ids(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| &*row.call.id).collect()
    }

    #[test]
    fn rows_are_read_again_in_order_and_then_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path().join("state"), "a", 1 << 20);
        assert!(spill.is_empty());
        assert_eq!(spill.add(&[row("1"), row("2"), row("3")]), 3);
        let (rows, at) = spill.read(2).unwrap();
        assert_eq!(ids(&rows), ["1", "2"]);
        spill.read_up_to(at);
        assert_eq!(spill.add(&[row("4")]), 1);
        let (rows, at) = spill.read(10).unwrap();
        assert_eq!(ids(&rows), ["3", "4"]);
        spill.read_up_to(at);
        assert!(spill.is_empty() && !spill.path.exists());
    }

    #[test]
    fn it_is_bounded_and_a_cut_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(folder.path().to_owned(), "a", 4000);
        let rows: Vec<Row> = (0..100).map(|n| row(&n.to_string())).collect();
        let taken = spill.add(&rows);
        assert!((1..20).contains(&taken) && spill.size() <= 4000);
        assert_eq!(spill.add(&rows), 0);
        let path = folder.path().join(format!("{BEGINS}b.jsonl"));
        fs::write(&path, b"{\"id\": \"cut\n").unwrap();
        let spill = Spill::new(folder.path().to_owned(), "b", 4000);
        spill.add(&[row("next")]);
        assert_eq!(ids(&spill.read(10).unwrap().0), ["next"]);
    }

    #[test]
    fn what_a_process_left_is_taken_over_and_what_one_still_uses_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = Spill::new(folder.path().to_owned(), "a", 4000);
        left.add(&[row("1")]);
        let next = Spill::new(folder.path().to_owned(), "b", 4000);
        next.adopt();
        assert!(next.is_empty(), "the other may be alive");
        let long_ago = SystemTime::now() - 2 * ORPHANED;
        let file = OpenOptions::new().append(true).open(&left.path).unwrap();
        file.set_modified(long_ago).unwrap();
        next.adopt();
        assert_eq!(ids(&next.read(10).unwrap().0), ["1"]);
        assert!(left.is_empty());
    }
}
