//! llama.cpp's server: chat completions; newer versions speak Messages and Responses and count tokens.
use super::spec::{COUNT_TOKENS, Native, Presence, Spec};
use crate::translate::Capabilities;

pub(super) static SPEC: Spec = Spec {
    name: "llamacpp",
    base_url: Some("http://127.0.0.1:8080"),
    base_url_env: &["LLAMACPP_ENDPOINT"],
    key_env: &["LLAMACPP_API_KEY"],
    needs_key: false,
    local: true,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, Some((COUNT_TOKENS, Presence::Found))),
        Native::responses(Presence::Found, false),
    ],
    can: Capabilities {
        documents: false,
        own_fields: super::presets::SAMPLING,
        ..Capabilities::ALL
    },
    ..Spec::BASE
};
