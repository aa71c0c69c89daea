//! What providers keep of a prompt's beginning, and what must be said for them to keep it.
//!
//! | provider | models | how | sizes from |
//! |---|---|---|---|
//! | Anthropic, Anthropic in Azure, Vertex AI | Claude | `cache_control` at the blocks up to which it is kept, at most 4 | the table below |
//! | Bedrock | Claude, Nova | the same, as `cachePoint` in Converse; Nova keeps no tools, and nothing for an hour | the table below; Nova 1000 |
//! | OpenRouter | `anthropic/*` | the same, at texts alone | the table below |
//! | Databricks | Claude | the same, at texts alone and for five minutes | the table below |
//! | OpenAI, Azure OpenAI | all | by itself from 1024 tokens; `prompt_cache_key` brings calls that belong together to one machine | |
//! | others | | by itself, or not at all: nothing is to be said | |
//!
//! Claude keeps a prefix from so many tokens on: 512 of Opus 5, Fable 5 and Mythos 5; 1024 of Opus 4 to 4.1 and 4.8, of all Sonnets from 3.7 on and of
//! models newer than this table; 2048 of Opus 4.7, Haiku 3 and 3.5; 4096 of Opus 4.5 and 4.6 and Haiku 4.5. A mark on less is passed over and
//! costs nothing.
//!
//! Sources: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>,
//! <https://openrouter.ai/docs/guides/best-practices/prompt-caching>, <https://developers.openai.com/api/docs/guides/prompt-caching>.
use super::Kind;
use crate::chat::{Marks, PrefixCache, fits};

/// From how many tokens on Claude keeps a prefix, by the model's name; the first that fits.
const CLAUDE: &[(&str, u64)] = &[
    ("*opus-4-7*", 2048),
    ("*opus-4-5*", 4096),
    ("*opus-4-6*", 4096),
    ("*haiku-4-5*", 4096),
    ("*3-haiku*", 2048),
    ("*3-5-haiku*", 2048),
    ("*opus-5", 512),
    ("*opus-5-2*", 512),
    ("*fable-5*", 512),
    ("*mythos-5*", 512),
];

const NOVA: Marks = Marks {
    min_tokens: 1000,
    hour: false,
    tools: false,
    blocks: false,
};

impl Kind {
    /// What must be said for providers of this kind to keep the beginning of prompts to `model`; `None` where nothing is to be said.
    ///
    /// ```
    /// use tierway_services::{chat::PrefixCache, providers::Kind};
    /// let of = |kind: Kind, model| kind.prefix_cache(model);
    /// assert!(matches!(of(Kind::Anthropic, "claude-sonnet-5"), Some(PrefixCache::Marks(m)) if m.min_tokens == 1024));
    /// assert_eq!(of(Kind::OpenAi, "gpt-5"), Some(PrefixCache::Key));
    /// assert_eq!(of(Kind::Ollama, "qwen2.5:3b"), None);
    /// ```
    #[must_use]
    pub fn prefix_cache(self, model: &str) -> Option<PrefixCache> {
        // Read of the name only where it matters: this is asked a few times for every call.
        let all = || Marks {
            min_tokens: least(model),
            hour: true,
            tools: true,
            blocks: true,
        };
        let claude = || model.to_ascii_lowercase().contains("claude");
        let marks = match self {
            Self::OpenAi | Self::AzureOpenAi => return Some(PrefixCache::Key),
            Self::Anthropic | Self::AzureAnthropic => all(),
            Self::Vertex | Self::Bedrock if claude() => all(),
            Self::Bedrock if model.contains("amazon.nova") => NOVA,
            Self::OpenRouter if model.starts_with("anthropic/") => Marks {
                tools: false,
                blocks: false,
                ..all()
            },
            Self::Databricks if claude() => Marks {
                hour: false,
                tools: false,
                blocks: false,
                ..all()
            },
            _ => return None,
        };
        Some(PrefixCache::Marks(marks))
    }
}

fn least(model: &str) -> u64 {
    // OpenRouter writes versions with dots, Vertex and Bedrock dates behind signs of their own.
    let name = model.to_ascii_lowercase().replace(['.', '@'], "-");
    let found = CLAUDE.iter().find(|(pattern, _)| fits(pattern, &name));
    found.map_or(1024, |(_, tokens)| *tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_every_spelling() {
        for (model, tokens) in [
            ("claude-opus-4-5-20251101", 4096),
            ("anthropic/claude-opus-4.6:thinking", 4096),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 4096),
            ("claude-haiku-4-5@20251001", 4096),
            ("claude-opus-4-7", 2048),
            ("claude-3-5-haiku-20241022", 2048),
            ("claude-opus-4-1-20250805", 1024),
            ("claude-sonnet-4-5", 1024),
            ("claude-opus-5", 512),
            ("anthropic.claude-fable-5-1", 512),
            ("claude-sonnet-9", 1024),
        ] {
            assert_eq!(least(model), tokens, "{model}");
        }
    }

    #[test]
    fn nobody_is_told_what_it_does_not_know() {
        for (kind, model, tools, hour) in [
            (Kind::Bedrock, "eu.amazon.nova-pro-v1:0", false, false),
            (Kind::OpenRouter, "anthropic/claude-sonnet-4.5", false, true),
            (
                Kind::Databricks,
                "databricks-claude-sonnet-4-5",
                false,
                false,
            ),
            (Kind::Vertex, "claude-opus-4-6", true, true),
        ] {
            let Some(PrefixCache::Marks(marks)) = kind.prefix_cache(model) else {
                panic!("{model}");
            };
            assert_eq!((marks.tools, marks.hour), (tools, hour), "{model}");
        }
        for (kind, model) in [
            (Kind::Bedrock, "meta.llama3-1-70b-instruct-v1:0"),
            (Kind::OpenRouter, "openai/gpt-5"),
            (Kind::Vertex, "gemini-3-pro"),
            (Kind::Databricks, "databricks-llama-4-maverick"),
            (Kind::AnthropicCompatible, "claude-like"),
        ] {
            assert_eq!(kind.prefix_cache(model), None, "{model}");
        }
    }
}
