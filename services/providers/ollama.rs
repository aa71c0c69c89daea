//! Ollama: chat completions; newer versions speak Messages and Responses, without a token counter.
//!
//! # Which route
//! Chat completions (`/v1`) stay the default although Ollama has a dialect of its own: a caller's chat completions pass there untouched,
//! answers keep the ids of their tool calls, and whatever Ollama adds to that route works at once. Only the own one (`/api/chat`) knows
//! `options` such as `num_ctx`, `keep_alive` and a `think` switch: it is used where a request has one of these fields, which the other
//! route would not even refuse, and for everything with `native_chat = true`.
use super::spec::{Ask, Framing, Native, Path, Presence, Spec};
use crate::{dialect::Dialect, translate::Capabilities};

pub(super) static SPEC: Spec = Spec {
    name: "ollama",
    base_url: Some("http://127.0.0.1:11434"),
    base_url_env: &["OLLAMA_ENDPOINT"],
    key_env: &["OLLAMA_API_KEY"],
    needs_key: false,
    local: true,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, None),
        Native::responses(Presence::Found, false),
    ],
    own: Some(&OWN),
    own_marks: &["options", "keep_alive", "think"],
    models: Some(Path::Rooted(tags)),
    can: Capabilities {
        documents: false,
        ..Capabilities::ALL
    },
    ..Spec::BASE
};

/// Its own dialect.
static OWN: Native = Native {
    dialect: Dialect::Ollama,
    presence: Presence::Always,
    generate: Path::Rooted(chat),
    framing: Framing::Ndjson,
    count_tokens: None,
    headers: &[],
    keeps: false,
};

fn chat(_: &Ask<'_>) -> String {
    "/api/chat".to_owned()
}
fn tags(_: &Ask<'_>) -> String {
    "/api/tags".to_owned()
}
