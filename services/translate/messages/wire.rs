//! The events of an Anthropic stream, read no deeper than they must be.
use crate::translate::json::Json;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One event. Each field is looked at only where the event's type calls for it.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    pub(super) fn parse(data: &'a str) -> Option<Self> {
        crate::json::from_str(data).ok()
    }
    /// The type with its quotes: no type holds a character that needs an escape.
    pub(super) fn kind(&self) -> &'a str {
        self.r#type.map_or("", RawValue::get)
    }
}

/// The `delta` of a `content_block_delta` or a `message_delta`.
#[derive(Default, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) signature: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<&'a RawValue>,
}

impl<'a> Delta<'a> {
    pub(super) fn of(event: &Event<'a>) -> Self {
        event
            .delta
            .and_then(|json: Json<'a>| crate::json::from_str(json.get()).ok())
            .unwrap_or_default()
    }
}

/// The parts of a whole answer, or of the `message` that opens a stream, that say what it is.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}
