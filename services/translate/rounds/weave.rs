use super::{
    completions,
    messages::{self, Pass},
    responses,
};
use crate::{dialect::Dialect, sse};
use bytes::Bytes;

/// Makes one stream of the caller's dialect out of those of several rounds: one beginning, one end, blocks or items numbered through, no calls
/// of tools that are run here, and the usage of all rounds at the end.
///
/// ```
/// use tierway_services::{dialect::Dialect, translate::rounds::Weaver};
/// let mut weaver = Weaver::new(Dialect::ChatCompletions);
/// let ours = |name: &str| name.starts_with("mcp__");
/// let call = r#"data: {"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"mcp__x__y","arguments":""}}]},"finish_reason":null}]}"#;
/// assert_eq!(weaver.push(&format!("{call}\n\n").into(), &ours), None);
/// weaver.end_round();
/// let said = r#"data: {"id":"b","choices":[{"index":0,"delta":{"content":"42"},"finish_reason":null}]}"#;
/// let shown = weaver.push(&format!("{said}\n\n").into(), &ours).unwrap();
/// assert!(shown.starts_with(br#"data: {"id":"a","choices":[{"index":0,"delta":{"content":"42"}"#));
/// ```
#[derive(Debug)]
pub struct Weaver {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Messages(messages::Weave),
    Completions(completions::Weave),
    Responses(responses::Weave),
}

impl Weaver {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        let kind = match dialect {
            Dialect::Messages => Kind::Messages(messages::Weave::default()),
            Dialect::Responses => Kind::Responses(responses::Weave::default()),
            _ => Kind::Completions(completions::Weave::default()),
        };
        Self { kind }
    }

    /// What the caller is to see of an event, where it is to see it now. `ours` tells which tools are run here.
    pub fn push(&mut self, event: &Bytes, ours: &dyn Fn(&str) -> bool) -> Option<Bytes> {
        let Some(sse::Event { data, .. }) = sse::Event::parse(event) else {
            return Some(event.clone());
        };
        let pass = match &mut self.kind {
            Kind::Messages(weave) => weave.push(data, ours),
            Kind::Completions(weave) => weave.push(data, ours),
            Kind::Responses(weave) => weave.push(data, ours),
        };
        match pass {
            Pass::AsItIs => Some(event.clone()),
            Pass::Instead(event) => Some(event.into()),
            Pass::Nothing => None,
        }
    }

    /// A round has ended, and another follows.
    pub fn end_round(&mut self) {
        match &mut self.kind {
            Kind::Messages(weave) => weave.end_round(),
            Kind::Completions(weave) => weave.end_round(),
            Kind::Responses(weave) => weave.end_round(),
        }
    }

    /// The last round has ended: the answer's end.
    pub fn finish(&mut self) -> Bytes {
        match &mut self.kind {
            Kind::Messages(weave) => weave.finish(),
            Kind::Completions(weave) => weave.finish(),
            Kind::Responses(weave) => weave.finish(),
        }
        .into()
    }
}
