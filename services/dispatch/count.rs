//! Counting tokens: by the provider where it can, else by ourselves.
use super::answer::Answering;
use crate::{
    chat::{AttemptEnd, Prompt, Reply, Response, Usage},
    dialect::Dialect,
    providers::Presence,
    tokens,
    upstream::Incoming,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;

impl super::entry::Entry {
    /// Whether to ask the provider for a count in `dialect`, and whether all of its kind can.
    pub(super) fn counter(&self, dialect: Dialect) -> Option<Presence> {
        let (_, presence) = self.provider.spec().native(dialect)?.count_tokens?;
        (presence == Presence::Always || self.counts_tokens.known() != Some(false))
            .then_some(presence)
    }
}

impl Answering<'_> {
    /// The provider's count; `None` where it turns out to have no counter.
    pub(super) async fn count(
        mut self,
        presence: Presence,
        upstream: http::Response<Incoming>,
    ) -> Option<Response> {
        let (head, body) = upstream.into_parts();
        let unknown = matches!(
            head.status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        );
        // Asking costs nothing, so the journal's line has a usage: none.
        self.recorder.usage(Usage::default(), false);
        if unknown && presence != Presence::Always {
            self.recorder.end(AttemptEnd::Status(head.status.as_u16()));
            self.entry.counts_tokens.set(false);
            return None;
        }
        if self.entry.provider.kind().hooks().count.is_some()
            && head.status == StatusCode::BAD_REQUEST
        {
            // Not every model of such a provider can be asked.
            self.recorder.end(AttemptEnd::Status(head.status.as_u16()));
            return None;
        }
        let caller = self.prompt.facts().dialect;
        let mut response = if head.status.is_success() {
            let body = self.read(body).await.ok();
            let Some(told) = body.and_then(|body| retold(caller, body)) else {
                self.recorder.end(AttemptEnd::Failed);
                return None;
            };
            self.recorder.end(AttemptEnd::Complete);
            json(told)
        } else {
            self.error(&head, body).await
        };
        super::headers::down(self.target, &head.headers, response.headers_mut());
        Some(response)
    }
}

/// Our own count.
pub(super) async fn ours(prompt: &Prompt) -> Response {
    json(told(prompt.facts().dialect, count(prompt).await))
}

/// A count in the caller's dialect.
fn told(caller: Dialect, tokens: u64) -> Bytes {
    match caller {
        Dialect::Responses => {
            format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#)
        }
        _ => format!(r#"{{"input_tokens":{tokens}}}"#),
    }
    .into()
}

/// A provider's count in the caller's dialect: as it came where that is its own. `None` where it is no count.
fn retold(caller: Dialect, body: Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Count {
        input_tokens: Option<u64>,
        /// By the names of Amazon and Google.
        #[serde(rename = "inputTokens", alias = "totalTokens")]
        tokens: Option<u64>,
    }
    let count: Count = serde_json::from_slice(&body).ok()?;
    match (count.input_tokens, caller) {
        (Some(_), Dialect::Messages) => Some(body),
        (anthropics, _) => Some(told(caller, anthropics.or(count.tokens)?)),
    }
}

#[cfg(feature = "tokens")]
async fn count(prompt: &Prompt) -> u64 {
    /// Larger bodies would hold up other calls, and so would the first count, which loads the vocabulary.
    const INLINE: usize = 16 * 1024;
    if prompt.raw().len() <= INLINE && tokens::is_loaded() {
        return tokens::count(prompt);
    }
    let counted = prompt.clone();
    let task = tokio::task::spawn_blocking(move || tokens::count(&counted));
    task.await.unwrap_or_else(|_| tokens::estimate(prompt))
}
#[cfg(not(feature = "tokens"))]
#[expect(
    clippy::unused_async,
    reason = "the same signature with the feature on"
)]
async fn count(prompt: &Prompt) -> u64 {
    tokens::estimate(prompt)
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Reply::whole(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
