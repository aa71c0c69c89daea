//! What passes to a provider that speaks the caller's own dialect.
//!
//! The rule is: everything, byte for byte. Where a provider is known to refuse what its elders take, or to forget it in silence, a row
//! here says so, and only that is left out:
//!
//! | provider | `anthropic-beta` | thinking | `tool_choice` without `tools` | documents |
//! |---|---|---|---|---|
//! | Anthropic | all | signed by Anthropic | left out: refused | pass |
//! | Azure AI Foundry, Databricks (Anthropic routes) | all | signed by Anthropic | left out: refused | pass |
//! | Bedrock, Vertex AI (Claude) | [those that each knows](super::betas); fields of others are left out | signed by Anthropic | left out: refused | pass |
//! | OpenAI, Azure OpenAI | - | - | left out: refused | pass |
//! | OpenAI-compatible servers; DeepSeek, Groq, Mistral, xAI, Together, Fireworks, Moonshot, Z.ai, Cerebras | - | - | left out: refused or ignored | pass |
//! | OpenRouter, Anthropic-compatible servers | all | signed by themselves, or unknown | passes | pass |
//! | vLLM | none: it defines none | all: it signs none and asks for none | left out: refused | the request is translated |
//! | Ollama, llama.cpp, LM Studio | none: they define none | all: they sign none and ask for none | passes | the request is translated |
//!
//! *Thinking.* A thinking block is good only with the signature of the house whose model thought it; others refuse it. So a block without
//! a signature (another dialect's reasoning, as we translated it) and one that another house has signed before our eyes are left out of
//! what goes to a house that looks at signatures. Where a turn would be empty without it, its words stay, as text. A signature that we
//! have not seen made (before a restart, or beside us) passes: its owner may be right. Blocks are cut out; nothing around them changes.
//!
//! *Documents.* The local servers drop what they cannot read and answer as if it had not been there. Translated into chat completions a
//! text document becomes text, and others are refused in so many words.
//!
//! *Threads.* Who continues a `thread` sends only what is new and trusts Anthropic to hold the rest. Whoever else passed over that field would
//! answer half a conversation, so it is refused with the code by which Anthropic's SDK knows to send all: everywhere but at Anthropic.
//!
//! *Betas.* A field that belongs to a beta is refused where the beta is not known, so both are left out together, and the caller is told.
use super::{
    Kind,
    betas::{BEDROCK, Betas, VERTEX},
};
use crate::chat::PartKind;

/// What passes to providers of a kind.
#[derive(Debug)]
pub(crate) struct Passage {
    /// Which `anthropic-beta`s.
    pub(crate) betas: Betas,
    /// Whether it looks at the signatures of thinking, so that what is unsigned or another's is refused.
    pub(crate) signed: bool,
    /// Whether it refuses `tool_choice` without `tools`.
    pub(crate) refuses_lone_tool_choice: bool,
    /// Whether it holds conversations (`thread`).
    pub(crate) threads: bool,
    /// What it forgets in silence.
    pub(crate) blind_to: &'static [PartKind],
}

const ANTHROPIC: Passage = Passage {
    betas: Betas::All,
    signed: true,
    refuses_lone_tool_choice: true,
    threads: false,
    blind_to: &[],
};
const LOCAL: Passage = Passage {
    betas: Betas::None,
    signed: false,
    refuses_lone_tool_choice: false,
    threads: false,
    blind_to: &[PartKind::Document],
};
const COMPATIBLE: Passage = Passage {
    refuses_lone_tool_choice: false,
    ..ANTHROPIC
};
const OPENAI: Passage = Passage {
    refuses_lone_tool_choice: true,
    ..COMPATIBLE
};

/// The rows, by the kind's name; a kind without one is [`COMPATIBLE`], or [`LOCAL`].
const TABLE: &[(&str, Passage)] = &[
    (
        "anthropic",
        Passage {
            threads: true,
            ..ANTHROPIC
        },
    ),
    ("azure-anthropic", ANTHROPIC),
    ("databricks", ANTHROPIC),
    (
        "bedrock",
        Passage {
            betas: Betas::Only(BEDROCK),
            ..ANTHROPIC
        },
    ),
    (
        "vertex",
        Passage {
            betas: Betas::Only(VERTEX),
            ..ANTHROPIC
        },
    ),
    ("openai", OPENAI),
    ("azure-openai", OPENAI),
    // Behind these is whoever speaks as OpenAI does: some refuse a choice among no tools, the others pass over it.
    ("openai-compatible", OPENAI),
    ("deepseek", OPENAI),
    ("groq", OPENAI),
    ("mistral", OPENAI),
    ("xai", OPENAI),
    ("together", OPENAI),
    ("fireworks", OPENAI),
    ("moonshot", OPENAI),
    ("zai", OPENAI),
    ("cerebras", OPENAI),
    ("ollama", LOCAL),
    ("llamacpp", LOCAL),
    ("lmstudio", LOCAL),
    (
        "vllm",
        Passage {
            refuses_lone_tool_choice: true,
            ..LOCAL
        },
    ),
];

impl Kind {
    /// What passes to providers of this kind in the caller's own dialect.
    pub(crate) fn passage(self) -> &'static Passage {
        let row = TABLE.iter().find(|(kind, _)| *kind == self.as_str());
        let other = if self.is_local() { &LOCAL } else { &COMPATIBLE };
        row.map_or(other, |(_, passage)| passage)
    }

    /// Whose signature stands under the thoughts of `model` at a provider of this kind: Claude's are Anthropic's wherever it is served,
    /// all others the provider's own (`None`).
    pub(crate) fn signs_as(self, model: &str) -> Option<&'static str> {
        let anthropics = matches!(self.as_str(), "anthropic" | "azure-anthropic" | "bedrock");
        (anthropics || model.to_ascii_lowercase().contains("claude")).then_some("anthropic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_passage() {
        for kind in Kind::ALL {
            let passage = kind.passage();
            assert_eq!(passage.signed, !kind.is_local(), "{kind}");
            assert!(
                passage.blind_to.is_empty() || !kind.spec().can.documents,
                "{kind}"
            );
        }
    }

    // Case 8.
    #[test]
    fn every_row_is_of_a_kind_that_is_and_stands_once() {
        for (i, (name, _)) in TABLE.iter().enumerate() {
            // Bedrock is built in where its feature is on.
            let known = Kind::ALL.iter().any(|kind| kind.as_str() == *name);
            assert!(known || *name == "bedrock", "{name}");
            assert!(TABLE[..i].iter().all(|(n, _)| n != name), "{name}");
        }
    }

    #[test]
    fn claude_is_signed_by_anthropic_everywhere() {
        assert_eq!(Kind::Anthropic.signs_as("x"), Some("anthropic"));
        assert_eq!(
            Kind::OpenRouter.signs_as("anthropic/Claude-opus-5-5"),
            Some("anthropic")
        );
        assert_eq!(Kind::AnthropicCompatible.signs_as("kimi-k3"), None);
    }
}
