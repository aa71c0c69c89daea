//! What became of one setting of another gateway.
use std::fmt;

/// How well it could be said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It means the same.
    Exactly,
    /// Something near it; what differs is told.
    Approximately,
    /// There is nothing like it.
    Not,
}

/// One setting of another gateway, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its name there.
    pub setting: String,
    /// How well it could be said.
    pub how: How,
    /// Where it is now, or why nowhere.
    pub note: String,
}

impl Mapped {
    pub(super) fn new(setting: impl Into<String>, how: How, note: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            how,
            note: note.into(),
        }
    }
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Exactly => "exactly",
            How::Approximately => "nearly",
            How::Not => "not",
        };
        write!(f, "{how:<8} {:<32} {}", self.setting, self.note)
    }
}
