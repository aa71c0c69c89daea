//! Whether files have changed: by their metadata, which costs a system call a file and knows of no editor's tricks.
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What files looked like.
type Stamps = Vec<Option<(SystemTime, u64, u64)>>;

/// Files that are looked at.
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    known: Stamps,
    /// What was seen at the last look, where that was something new.
    seen: Option<Stamps>,
}

impl Watch {
    /// These, as they are now.
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        Self {
            known: stamps(&files),
            seen: None,
            files,
        }
    }

    /// Others from now on; those that are the same keep their place.
    pub(crate) fn files(&mut self, files: Vec<PathBuf>) {
        if files != self.files && !self.files.is_empty() {
            *self = Self::new(files);
        }
    }

    /// Whether they have changed since, and stand still again: a file that is being written is left alone until the next look.
    pub(crate) async fn changed(&mut self) -> bool {
        if self.files.is_empty() {
            return false;
        }
        let files = self.files.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || stamps(&files)).await else {
            return false;
        };
        if now == self.known {
            self.seen = None;
            return false;
        }
        if self.seen.as_ref() != Some(&now) {
            self.seen = Some(now);
            return false;
        }
        self.known = now;
        self.seen = None;
        true
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| stamp(file)).collect()
}

/// Links are followed, so that what Kubernetes swaps under one is seen.
fn stamp(file: &Path) -> Option<(SystemTime, u64, u64)> {
    let told = fs::metadata(file).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&told);
    #[cfg(not(unix))]
    let inode = 0;
    Some((told.modified().ok()?, told.len(), inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_and_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        assert!(!watch.changed().await);
        fs::write(&file, "22").unwrap();
        assert!(!watch.changed().await, "perhaps it is not whole yet");
        fs::write(&file, "333").unwrap();
        assert!(!watch.changed().await);
        assert!(watch.changed().await);
        assert!(!watch.changed().await);
        fs::remove_file(&file).unwrap();
        assert!(!watch.changed().await);
        assert!(watch.changed().await);
    }
}
