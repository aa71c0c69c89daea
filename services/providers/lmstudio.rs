//! LM Studio: chat completions; newer versions speak Messages and Responses, without a token counter.
use super::spec::{Native, Presence, Spec};
use crate::translate::Capabilities;

pub(super) static SPEC: Spec = Spec {
    name: "lmstudio",
    base_url: Some("http://127.0.0.1:1234"),
    base_url_env: &["LMSTUDIO_ENDPOINT"],
    key_env: &["LMSTUDIO_API_KEY"],
    needs_key: false,
    local: true,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, None),
        Native::responses(Presence::Found, true),
    ],
    can: Capabilities {
        documents: false,
        own_fields: super::presets::SAMPLING,
        ..Capabilities::ALL
    },
    ..Spec::BASE
};
