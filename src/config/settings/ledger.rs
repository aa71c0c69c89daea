//! Where it is kept what every call cost.
use crate::ledger::Place;
use std::{path::PathBuf, time::Duration};
use tierway_services::providers::Secret;

/// Where it is kept what every call cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Whether it is.
    pub enabled: bool,
    /// The file of the embedded database; absent means that there is no folder for it.
    pub file: Option<PathBuf>,
    /// The PostgreSQL that is used instead.
    pub url: Option<Secret>,
    /// How long calls are kept; zero means for ever.
    pub retention: Duration,
    /// The folder for what the database cannot take at once.
    pub spill: Option<PathBuf>,
    /// How much room that may take there.
    pub max_spill: u64,
    /// Whether the user's own words are kept.
    pub asks: bool,
    /// How long those are.
    pub asks_retention: Duration,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            enabled: true,
            file: None,
            url: None,
            // What is called three months where durations are read.
            retention: Duration::from_secs(3 * 2_630_016),
            spill: None,
            max_spill: 64 << 20,
            asks: false,
            asks_retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl Ledger {
    /// Where it is, if anywhere.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        if !self.enabled {
            return None;
        }
        let server = self.url.clone().map(Place::Server);
        server.or_else(|| self.file.clone().map(Place::File))
    }

    /// Its address without user and password, for people to read.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let url = self.url.as_ref()?.expose();
        let (scheme, rest) = url.split_once("://")?;
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        Some(format!("{scheme}://{host}"))
    }
}
