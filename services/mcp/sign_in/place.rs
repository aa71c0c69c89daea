//! Where sign-ins are kept: a file for each server, for nobody else's eyes, written whole or not at all.
use super::Session;
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::time::sleep;

/// How long to wait for others who renew, and how often to look whether they are done.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Where the sign-in to one server is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: PathBuf,
}

/// What a file looks like: its time, length and number.
pub(super) type Stamp = (SystemTime, u64, u64);

/// Nobody else renews or changes the sign-in while this is held, on this machine.
#[derive(Debug)]
pub(super) struct Lock {
    _file: fs::File,
}

impl Place {
    /// The place for the server of this name, of letters, digits, `_` and `-`.
    #[must_use]
    pub fn new(folder: &Path, server: &str) -> Self {
        Self {
            file: folder.join(format!("{server}.json")),
        }
    }
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is kept, if anything.
    ///
    /// # Errors
    /// Where the file cannot be read, or is none of these.
    pub fn get(&self) -> io::Result<Option<Session>> {
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.named(&error)),
        };
        // What is wrong with it is not repeated: it may be a part of a secret.
        let read = serde_json::from_slice(&text);
        read.map(Some)
            .map_err(|_| self.named(&io::Error::new(io::ErrorKind::InvalidData, "no sign-in")))
    }

    /// Keeps this, and nothing that was there before.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn put(&self, session: &Session) -> io::Result<()> {
        let lock = self.lock().await?;
        self.write(session, &lock)
    }

    /// Forgets what is kept; gives it.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub async fn take(&self) -> io::Result<Option<Session>> {
        if !self.file.exists() {
            return Ok(None);
        }
        let _lock = self.lock().await?;
        // One that cannot be read goes, too.
        let kept = self.get().unwrap_or_default();
        fs::remove_file(&self.file).map_err(|error| self.named(&error))?;
        Ok(kept)
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        let told = fs::metadata(&self.file).ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&told);
        #[cfg(not(unix))]
        let number = 0;
        Some((told.modified().ok()?, told.len(), number))
    }

    pub(super) fn write(&self, session: &Session, _: &Lock) -> io::Result<()> {
        let write = || {
            let new = self.file.with_extension("new");
            let mut file = private(&new, true)?;
            let text = serde_json::to_vec_pretty(session)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.file)
        };
        write().map_err(|error| self.named(&error))
    }

    /// Waits until nobody else holds it. A process that ends lets go.
    pub(super) async fn lock(&self) -> io::Result<Lock> {
        let file = self.open_lock().map_err(|error| self.named(&error))?;
        let end = tokio::time::Instant::now() + PATIENCE;
        while !is_taken(&file)? {
            if tokio::time::Instant::now() > end {
                return Err(self.named(&io::ErrorKind::TimedOut.into()));
            }
            sleep(LOOK).await;
        }
        Ok(Lock { _file: file })
    }

    fn open_lock(&self) -> io::Result<fs::File> {
        if let Some(folder) = self.file.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder)?;
        }
        private(&self.file.with_extension("lock"), false)
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.file.display()))
    }
}

/// A file that only its owner may read, even if it was there with other rights.
fn private(path: &Path, anew: bool) -> io::Result<fs::File> {
    if anew {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(!anew).create_new(anew);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Takes the lock, unless somebody has it.
#[cfg(unix)]
fn is_taken(file: &fs::File) -> io::Result<bool> {
    use rustix::{fs::FlockOperation, io::Errno};
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
/// Elsewhere two processes may renew at once, and one of them must sign in again.
#[cfg(not(unix))]
fn is_taken(_: &fs::File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(all(test, unix))]
mod tests {
    use super::{super::session::example, *};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_sign_in_is_kept_for_ones_own_eyes() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("mcp"), "a");
        assert_eq!(place.get().unwrap(), None);
        assert_eq!(place.take().await.unwrap(), None);
        let session = example();
        for _ in 0..2 {
            place.put(&session).await.unwrap();
            assert_eq!(place.get().unwrap().as_ref(), Some(&session));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(place.file()), 0o600);
        assert_eq!(mode(place.file().parent().unwrap()), 0o700);
        assert_eq!(place.take().await.unwrap(), Some(session));
        assert_eq!(place.stamp(), None);

        fs::write(place.file(), r#"{"url": "secret-x"}"#).unwrap();
        let error = place.get().unwrap_err().to_string();
        assert!(
            error.contains("a.json") && !error.contains("secret"),
            "{error}"
        );
        assert_eq!(place.take().await.unwrap(), None);
        assert!(!place.file().exists());
    }

    #[tokio::test]
    async fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "a");
        let held = place.lock().await.unwrap();
        let mut second = Box::pin(place.lock());
        let early = tokio::time::timeout(LOOK * 3, &mut second).await;
        assert!(early.is_err(), "two have it");
        drop(held);
        second.await.unwrap();
    }
}
