//! Ollama's answers: a whole one and a line of a stream have the same shape.
use crate::{
    chat::Usage,
    translate::{count::Count, json::Json},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An answer, or a line of one.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    pub(super) done: Option<bool>,
    #[serde(borrow)]
    pub(super) done_reason: Option<&'a RawValue>,
    prompt_eval_count: Option<Count>,
    eval_count: Option<Count>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Wrapped<'a>>>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    function: Option<Call<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Json<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<Json<'a>>,
}

impl<'a> Line<'a> {
    pub(super) fn parse(data: &'a str) -> Option<Self> {
        crate::json::from_str(data).ok()
    }
    /// The tokens, where they are told. A prompt that was evaluated before has no count in older versions.
    pub(super) fn usage(&self) -> Option<Usage> {
        let output = self.eval_count?.0;
        Some(Usage {
            input: self.prompt_eval_count.unwrap_or_default().0,
            output,
            ..Usage::default()
        })
    }
}

impl<'a> Message<'a> {
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        let calls = self.tool_calls.as_deref().unwrap_or_default();
        calls.iter().filter_map(|call| call.function.as_ref())
    }
}
