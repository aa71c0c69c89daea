//! The file of the model that judges drafts.
use std::{fs, io, path::Path};
use tierway_layers::cascade::Model;

/// Reads the model. One that does not exist is what is believed without any label.
///
/// # Errors
/// Where the file cannot be read, or is no model of this version.
pub fn read(path: &Path) -> io::Result<Model> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Model::prior()),
        Err(error) => return Err(named(path, error)),
    };
    Model::from_text(&text).ok_or_else(|| {
        let fault = io::Error::new(io::ErrorKind::InvalidData, "no model of this version");
        named(path, fault)
    })
}

/// The model that the gateway starts with: one that cannot be read is none, which is said and stops nothing.
#[must_use]
pub fn read_or_prior(path: Option<&Path>) -> Model {
    let read = path.map_or_else(|| Ok(Model::prior()), read);
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "the cascade starts without what it had learned");
        Model::prior()
    })
}

/// Writes the model: whole or not at all, whenever the machine stops.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub fn write(path: &Path, model: &Model) -> io::Result<()> {
    replace(path, model.to_text().as_bytes()).map_err(|error| named(path, error))
}

/// Puts `bytes` in the place of the file at `path`, with a new file that is renamed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut new = path.as_os_str().to_owned();
    // Of this process alone: `calibrate` may write while a gateway does.
    new.push(format!(".{}.new", std::process::id()));
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/model");
        assert_eq!(read(&path).unwrap().revision(), 0);
        write(&path, &Model::prior().with_revision(7)).unwrap();
        assert_eq!(read(&path).unwrap().revision(), 7);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::write(&path, "something else").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.ends_with("no model of this version"), "{error}");
        assert_eq!(read_or_prior(Some(&path)).revision(), 0);
    }
}
