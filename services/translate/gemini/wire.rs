//! Gemini's answers, read no deeper than they must be. A chunk of a stream has the same shape as a whole answer.
use super::is_botched_call;
use crate::{
    chat::{Kind, Refusal},
    translate::{completions::wire::First, text::string},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A `GenerateContentResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model_version: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates: Option<First<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, rename = "usageMetadata")]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

/// A piece of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    /// Whether `text` is thinking.
    #[serde(default)]
    pub(super) thought: Option<bool>,
    #[serde(borrow)]
    pub(super) thought_signature: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) function_call: Option<Call<'a>>,
    #[serde(borrow)]
    pub(super) inline_data: Option<Data<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) mime_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    block_reason_message: Option<&'a RawValue>,
}

impl<'a> Response<'a> {
    pub(super) fn parse(data: &'a str) -> Option<Self> {
        crate::json::from_str(data).ok()
    }
    pub(super) fn candidate(&self) -> Option<&Candidate<'a>> {
        self.candidates.as_ref()?.0.as_ref()
    }
    /// Why the prompt was not answered at all, in a sentence for the caller.
    pub(super) fn blocked(&self) -> Option<String> {
        let feedback = self.prompt_feedback.as_ref()?;
        let reason = string(feedback.block_reason?)?;
        let told = feedback.block_reason_message.and_then(string);
        Some(match told {
            Some(told) => format!("The prompt was blocked ({reason}): {told}"),
            None => format!("The prompt was blocked ({reason})."),
        })
    }
    /// The refusal that stands for an answer whose function call failed.
    pub(super) fn botched(&self) -> Option<Refusal> {
        let candidate = self.candidate()?;
        let reason = candidate.reason().filter(|r| is_botched_call(r))?;
        let told = candidate.finish_message.and_then(string);
        let message = match told {
            Some(told) => format!("the model's function call failed ({reason}): {told}"),
            None => format!("the model's function call failed ({reason})"),
        };
        Some(Refusal::new(Kind::Upstream, message))
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn parts(&self) -> &[Part<'a>] {
        self.content
            .as_ref()
            .and_then(|content| content.parts.as_deref())
            .unwrap_or_default()
    }
    pub(super) fn reason(&self) -> Option<Cow<'a, str>> {
        self.finish_reason.and_then(string)
    }
}

impl Data<'_> {
    /// A generated image as the callers' dialects can carry it: an image in Markdown.
    pub(super) fn markdown(&self) -> Option<String> {
        let data = self.data.as_deref()?;
        let media_type = self.mime_type.as_deref().unwrap_or("image/png");
        Some(format!("![image](data:{media_type};base64,{data})"))
    }
}
