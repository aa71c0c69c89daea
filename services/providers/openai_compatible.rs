//! Any server that speaks `OpenAI`'s chat completions. Some speak Messages or Responses too, which the user says; `native_chat = true` says
//! that Responses is what it is to be asked in.
use super::spec::{COUNT_TOKENS, Native, Presence, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "openai-compatible",
    needs_key: false,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, Some((COUNT_TOKENS, Presence::Found))),
        Native::responses(Presence::Configured, false),
    ],
    own: Some(&RESPONSES),
    ..Spec::BASE
};

static RESPONSES: Native = Native::responses(Presence::Configured, false);
