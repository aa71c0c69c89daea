//! The file of labels: appended to, and cut to its newer half at its bound.
use super::{Label, model_file};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A file of labels, one a line. It is opened when it is first written to, and again after a fault.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    most: u64,
    open: Option<(File, u64)>,
}

impl Store {
    /// A store of at most `most` bytes.
    #[must_use]
    pub const fn new(path: PathBuf, most: u64) -> Self {
        Self {
            path,
            most,
            open: None,
        }
    }

    /// All labels, the oldest first; lines that are none are passed over. No file: no labels.
    ///
    /// # Errors
    /// Where there is a file and it cannot be read.
    pub fn read(&self) -> io::Result<Vec<Label>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(Label::from_line).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds a label.
    ///
    /// # Errors
    /// Where the file cannot be written; the next one tries anew.
    pub fn add(&mut self, label: &Label) -> io::Result<()> {
        let line = label.to_line();
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        file.write_all(line.as_bytes())?;
        let size = size + line.len() as u64;
        if size > self.most {
            drop(file);
            // Opened again for the next one.
            return self.halve();
        }
        self.open = Some((file, size));
        Ok(())
    }

    /// Makes sure that all is on the disk.
    ///
    /// # Errors
    /// Where it cannot be.
    pub fn flush(&mut self) -> io::Result<()> {
        self.open
            .as_ref()
            .map_or(Ok(()), |(file, _)| file.sync_all())
    }

    fn halve(&self) -> io::Result<()> {
        let bytes = fs::read(&self.path)?;
        let half = usize::try_from(self.most / 2).unwrap_or(usize::MAX);
        let from = bytes.len().saturating_sub(half);
        let rest = bytes.get(from..).unwrap_or_default();
        let whole = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(rest.len(), |n| n + 1);
        model_file::replace(&self.path, rest.get(whole..).unwrap_or_default())
    }
}

/// The file to append to, and its size. A line that a crash has cut off is ended, so that it spoils no other.
fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let mut size = file.metadata()?.len();
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::{super::label::tests::label, *};

    #[test]
    fn it_is_bounded_and_a_cut_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/labels.jsonl");
        let mut store = Store::new(path.clone(), 4000);
        assert!(store.read().unwrap().is_empty());
        for i in 0..100 {
            store.add(&label(&format!("id{i}"), 1.0, 1.0)).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= 4000);
        }
        store.flush().unwrap();
        let ids: Vec<String> = store.read().unwrap().into_iter().map(|l| l.id).collect();
        assert_eq!(ids.last().unwrap(), "id99");
        assert!((3..20).contains(&ids.len()), "{ids:?}");

        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"label\": \"cut")
            .unwrap();
        let mut store = Store::new(path, 1 << 20);
        store.add(&label("next", 1.0, 1.0)).unwrap();
        let read = store.read().unwrap();
        assert_eq!(
            (read.len(), &*read.last().unwrap().id),
            (ids.len() + 1, "next")
        );
    }

    #[test]
    fn a_disk_that_fails_may_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state");
        fs::write(&place, "in the way").unwrap();
        let mut store = Store::new(place.join("labels"), 4000);
        assert!(store.add(&label("a", 1.0, 1.0)).is_err());
        fs::remove_file(&place).unwrap();
        store.add(&label("b", 1.0, 1.0)).unwrap();
        assert_eq!(store.read().unwrap().len(), 1);
    }
}
