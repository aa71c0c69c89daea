//! The `.env` of Lynkr, whose variables this gateway reads, too.
use super::{Draft, How, Mapped};
use crate::config::{Flags, NotUnicode, Problems, Strings, read};
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io,
};

/// Remembers which variables were asked for.
struct Watched {
    variables: HashMap<String, String>,
    asked: RefCell<HashSet<String>>,
}

impl Strings for Watched {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        self.asked.borrow_mut().insert(name.to_owned());
        Ok(self.variables.get(name).cloned())
    }
}

/// What some variables mean here, by what their names begin or end with.
const REMARKS: [(&str, How, &str); 10] = [
    (
        "MODEL_PROVIDER",
        How::Approximately,
        "serves tiers that name no provider; each of these names its own",
    ),
    (
        "FALLBACK_",
        How::Not,
        "no other provider is fallen back on by this file: see the README on what a tier may list",
    ),
    (
        "_MODEL",
        How::Approximately,
        "a provider has no model of its own here: bind it to a tier",
    ),
    (
        "_MODEL_ID",
        How::Approximately,
        "a provider has no model of its own here: bind it to a tier",
    ),
    (
        "EMBEDDINGS_MODEL",
        How::Approximately,
        "write embeddings.default = \"provider:model\"",
    ),
    (
        "_TIMEOUT_MS",
        How::Approximately,
        "write providers.NAME.timeouts",
    ),
    (
        "LYNKR_CASCADE_VERIFY",
        How::Approximately,
        "drafts are judged before they are sent: [cascade]",
    ),
    ("SEMANTIC_CACHE", How::Approximately, "see docs/caching.md"),
    ("MEMORY_", How::Not, "conversations are not rewritten"),
    (
        "TOON_",
        How::Not,
        "prompts are not rewritten unless that loses nothing",
    ),
];

/// Reads the text of a `.env` file: what it configures, and what became of each of its variables.
///
/// # Errors
/// [`io::Error`] where it is no such file; within, everything that is wrong with its values.
pub fn import(text: &str) -> io::Result<Result<(Draft, Vec<Mapped>), Problems>> {
    let lines = dotenvy::from_read_iter(text.as_bytes());
    let variables: Vec<(String, String)> =
        lines.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let watched = Watched {
        variables: variables.iter().cloned().collect(),
        asked: RefCell::default(),
    };
    let loaded = match read("".as_ref(), "", &Flags::default(), &watched) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(Err(problems)),
    };
    let asked = watched.asked.into_inner();
    let mapped = variables.iter().map(|(name, value)| {
        if value.trim().is_empty() {
            return Mapped::new(name, How::Exactly, "is empty");
        }
        if asked.contains(name) {
            return Mapped::new(name, How::Exactly, "is read under the same name");
        }
        let fits = |part: &str| name.starts_with(part) || name.ends_with(part);
        let remark = REMARKS.iter().rev().find(|(part, ..)| fits(part));
        let (how, note) = remark.map_or((How::Not, "nothing here is like it"), |(_, how, note)| {
            (*how, *note)
        });
        Mapped::new(name, how, note)
    });
    let mapped = mapped.collect();
    Ok(Ok((Draft::of_config(&loaded), mapped)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_services::{chat::Tier, providers::Kind};

    const ENV: &str = "# a comment\nMODEL_PROVIDER=ollama\nOLLAMA_ENDPOINT=http://10.0.0.1:11434\nTIER_SIMPLE=ollama:qwen2.5:3b\n\
        TIER_COMPLEX=openai:gpt-4o\nOPENAI_API_KEY=sk-secret\nLYNKR_CASCADE_ENABLED=true\nFALLBACK_PROVIDER=databricks\nOLLAMA_MODEL=x\nWHATEVER=1\n";

    #[test]
    fn providers_tiers_and_names_come_over_secrets_do_not() {
        let (draft, mapped) = import(ENV).unwrap().unwrap();
        assert_eq!(draft.tiers[&Tier::Simple].to_string(), "ollama:qwen2.5:3b");
        assert_eq!(
            draft.providers["openai"].key_env.as_deref(),
            Some("OPENAI_API_KEY")
        );
        assert_eq!(draft.providers["ollama"].kind, Kind::Ollama);
        assert!(draft.cascade);
        assert!(!draft.to_toml().contains("sk-secret"));
        let how = |name: &str| mapped.iter().find(|m| m.setting == name).unwrap().how;
        assert_eq!(how("TIER_SIMPLE"), How::Exactly);
        assert_eq!(how("OLLAMA_MODEL"), How::Approximately);
        assert_eq!(how("FALLBACK_PROVIDER"), How::Not);
        assert_eq!(how("WHATEVER"), How::Not);
        assert_eq!(mapped.len(), 9);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(import("PORT=many").unwrap().is_err());
        assert!(import("no equals sign here").is_err());
    }
}
