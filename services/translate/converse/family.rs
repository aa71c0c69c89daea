//! Whose model it is: Converse is one dialect, but not every model takes all of it.

/// A family of models, told by the model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Anthropic's.
    Claude,
    /// Amazon's own.
    Nova,
    /// `OpenAI`'s open-weight models.
    GptOss,
    /// Another, or one that hides behind the ARN of a profile of the user's own.
    Other,
}

impl Family {
    /// By the id of a model or an inference profile, or its ARN.
    pub(crate) fn of(model: &str) -> Self {
        if model.contains("anthropic.") {
            Self::Claude
        } else if model.contains("amazon.nova") {
            Self::Nova
        } else if model.contains("openai.gpt-oss") {
            Self::GptOss
        } else {
            Self::Other
        }
    }
    /// Whether prompts can be cached; others refuse a request that wishes it.
    pub(super) const fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_arns_are_of_their_models_family() {
        for (model, family) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Family::Claude,
            ),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-6-v1",
                Family::Claude,
            ),
            ("global.amazon.nova-2-lite-v1:0", Family::Nova),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
                Family::Other,
            ),
            ("text-x", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
