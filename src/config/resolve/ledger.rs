//! Where it is kept what every call cost.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Config, Ledger},
        values::{Pause, Size},
    },
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn ledger(&mut self, typed: file::Ledger) -> Ledger {
        let default = Ledger::default();
        let places = [
            typed.url.as_ref().map(|typed| typed.origin.clone()),
            typed.url_env.as_ref().map(|typed| typed.origin.clone()),
            typed.url_file.as_ref().map(|typed| typed.origin.clone()),
        ];
        let url = self.secret("ledger.url", typed.url, typed.url_env, typed.url_file);
        let url = url.filter(|url| {
            let fits = ["postgres://", "postgresql://"]
                .iter()
                .any(|scheme| url.expose().starts_with(scheme));
            if !fits {
                let origin = places.into_iter().flatten().next();
                self.refuse(
                    origin.unwrap_or(Origin::Default),
                    "`ledger.url` is not the address of a PostgreSQL",
                    "write for example \"postgres://user@127.0.0.1/tierway\", or ledger.file for an embedded database",
                );
            }
            fits
        });
        Ledger {
            enabled: self
                .take("ledger.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            file: self.file_of("ledger.file", typed.file),
            url,
            retention: self
                .take("ledger.retention", typed.retention)
                .map_or(default.retention, |Pause(kept)| kept),
            spill: self.file_of("ledger.spill", typed.spill),
            max_spill: self
                .take("ledger.max_spill", typed.max_spill)
                .map_or(default.max_spill, |Size(bytes)| bytes),
            asks: self.take("ledger.asks", typed.asks).unwrap_or(default.asks),
            asks_retention: self
                .take("ledger.asks_retention", typed.asks_retention)
                .unwrap_or(default.asks_retention),
        }
    }

    /// Where the ledger lies where nobody says: in the state folder. Without one there is none.
    pub(super) fn ledger_files(&mut self, config: &mut Config) {
        let folder = self.state_folder();
        if config.savings.prices.is_none() {
            config.savings.prices = folder.as_ref().map(|folder| folder.join("prices.tsv"));
        }
        let ledger = &mut config.ledger;
        if !ledger.enabled {
            return;
        }
        if ledger.url.is_none() && ledger.file.is_none() {
            ledger.file = folder.as_ref().map(|folder| folder.join("ledger.db"));
        }
        if ledger.spill.is_none() {
            let beside = ledger.file.as_ref().and_then(|file| file.parent());
            ledger.spill = beside.map(Into::into).or(folder);
        }
    }
}
