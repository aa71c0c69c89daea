//! Reads secrets from the places that settings name.
use super::Resolver;
use crate::config::{origin::Origin, typed::Typed};
use std::path::{Path, PathBuf};
use tierway_services::providers::Secret;

impl Resolver<'_, '_> {
    /// One secret out of up to three places for it; the second place of two is refused.
    pub(super) fn secret(
        &mut self,
        path: &str,
        text: Option<Typed<Secret>>,
        variable: Option<Typed<String>>,
        file: Option<Typed<PathBuf>>,
    ) -> Option<Secret> {
        let places: Vec<Origin> = [
            text.as_ref().map(|typed| typed.origin.clone()),
            variable.as_ref().map(|typed| typed.origin.clone()),
            file.as_ref().map(|typed| typed.origin.clone()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let [_, second, ..] = &*places {
            self.refuse(
                second.clone(),
                format!("`{path}` is set twice"),
                "write only one of it, its _env and its _file",
            );
        }
        let mut secret = self.take(path, text);
        if let Some(typed) = variable {
            let (setting, origin) = (format!("{path}_env"), typed.origin.clone());
            if let Some(name) = self.take(&setting, Some(typed)) {
                let value = self.environment.get(&name);
                if !is_variable(&name) {
                    // Perhaps the key itself: do not repeat it.
                    let message = format!("`{setting}` is not the name of a variable");
                    self.refuse(
                        origin,
                        message,
                        "write the name of the variable that holds the key",
                    );
                } else if value.is_none() {
                    let message =
                        format!("`{setting}` names {name}, which the environment does not have");
                    self.refuse(
                        origin,
                        message,
                        format!("set {name}, or name another variable"),
                    );
                }
                self.origins
                    .insert(path.to_owned(), Origin::Environment(name));
                secret = secret.or(value.map(Secret::new));
            }
        }
        if let Some(typed) = file {
            let (setting, origin) = (format!("{path}_file"), typed.origin.clone());
            if let Some(name) = self.take(&setting, Some(typed)) {
                self.origins.insert(path.to_owned(), origin.clone());
                let name = self.folder.join(name);
                secret = secret.or(self.secret_file(&setting, origin, &name));
                self.files.push(name);
            }
        }
        secret
    }

    fn secret_file(&mut self, setting: &str, origin: Origin, file: &Path) -> Option<Secret> {
        let fault = match std::fs::read_to_string(file) {
            Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text)),
            Ok(_) => "it is empty".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("`{setting}` names a file that cannot be used: {fault}");
        let advice = "write the path, from this file's folder, of a file that holds the key and nothing else";
        self.refuse(origin, message, advice);
        None
    }
}

fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(fits)
}
