//! The word with which a user allows one call.
//!
//! It depends on a secret of this process, the tenant, the tool and its arguments; so it is good for nothing else, and nobody who writes what
//! models read can know it before. It counts only where the user wrote it, in the newest turn.
use std::{collections::hash_map::RandomState, hash::BuildHasher};
use tierway_services::{
    chat::{PartKind, Prompt, Tenant},
    tools::Call,
};

/// A secret of this process.
pub(super) fn secret() -> [u8; 32] {
    let mut secret = blake3::Hasher::new();
    for n in 0..8_u32 {
        // The one source of randomness that the standard library has.
        secret.update(&RandomState::new().hash_one(n).to_le_bytes());
    }
    *secret.finalize().as_bytes()
}

/// The word for this call.
pub(super) fn word(secret: &[u8; 32], tenant: Option<&Tenant>, call: &Call) -> String {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    let arguments = serde_json::from_str::<serde_json::Value>(&call.arguments);
    let arguments = arguments.map_or_else(|_| call.arguments.clone(), |json| json.to_string());
    for part in [
        tenant.map_or("", Tenant::as_str),
        &call.tool.full_name(),
        &arguments,
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    // Letters alone, so that it is no number of the user's.
    let letters = hasher
        .finalize()
        .as_bytes()
        .map(|b| char::from(b'a' + b % 16));
    letters.iter().take(8).collect()
}

/// Whether the user has written this word just now: in the last turn that has words of its own.
pub(super) fn is_said(prompt: &Prompt, word: &str) -> bool {
    let newest = prompt.facts().last_user_turn();
    let parts = newest.map(|turn| turn.parts.iter()).into_iter().flatten();
    parts
        .filter(|part| part.kind == PartKind::Text)
        .any(|part| prompt.text(part).to_lowercase().contains(word))
}
