//! Stand-in until the provider crate tells this itself.

pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) key_env: Option<&'static str>,
    pub(super) base_url: Option<&'static str>,
    pub(super) local: bool,
}

const fn kind(
    name: &'static str,
    key_env: Option<&'static str>,
    base_url: Option<&'static str>,
    local: bool,
) -> Kind {
    Kind {
        name,
        key_env,
        base_url,
        local,
    }
}

pub(super) const ALL: [Kind; 8] = [
    kind(
        "anthropic",
        Some("ANTHROPIC_API_KEY"),
        Some("https://api.anthropic.com"),
        false,
    ),
    kind(
        "openai",
        Some("OPENAI_API_KEY"),
        Some("https://api.openai.com"),
        false,
    ),
    kind(
        "openrouter",
        Some("OPENROUTER_API_KEY"),
        Some("https://openrouter.ai/api"),
        false,
    ),
    kind("ollama", None, Some("http://127.0.0.1:11434"), true),
    kind(
        "llamacpp",
        Some("LLAMACPP_API_KEY"),
        Some("http://127.0.0.1:8080"),
        true,
    ),
    kind(
        "lmstudio",
        Some("LMSTUDIO_API_KEY"),
        Some("http://127.0.0.1:1234"),
        true,
    ),
    kind("openai-compatible", None, None, false),
    kind("anthropic-compatible", None, None, false),
];

pub(super) fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}
