//! Counting tokens: by the provider where it can, else by ourselves.
use super::answer::Answering;
use crate::{
    chat::{AttemptEnd, Prompt, Reply, Response, Usage},
    dialect::Dialect,
    providers::Presence,
    tokens,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use hyper::body::Incoming;
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
        let hooks = self.entry.provider.kind().hooks();
        if hooks.counted.is_some() && head.status == StatusCode::BAD_REQUEST {
            // Not every model of such a provider can be asked.
            self.recorder.end(AttemptEnd::Status(head.status.as_u16()));
            return None;
        }
        let mut response = if head.status.is_success() {
            let body = self.read(body).await.ok();
            let body = match hooks.counted {
                Some(read) => body.and_then(|body| read(&body)).map(told),
                None => body.filter(is_count),
            };
            let Some(body) = body else {
                self.recorder.end(AttemptEnd::Failed);
                return None;
            };
            self.recorder.end(AttemptEnd::Complete);
            json(body)
        } else {
            self.error(&head, body).await
        };
        super::headers::down(self.target, &head.headers, response.headers_mut());
        Some(response)
    }
}

/// Our own count.
pub(super) async fn ours(prompt: &Prompt) -> Response {
    let tokens = count(prompt).await;
    json(match prompt.facts().dialect {
        Dialect::Responses => {
            format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#).into()
        }
        _ => told(tokens),
    })
}

fn told(tokens: u64) -> Bytes {
    format!(r#"{{"input_tokens":{tokens}}}"#).into()
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

fn is_count(body: &Bytes) -> bool {
    #[derive(Deserialize)]
    struct Count {
        #[expect(dead_code, reason = "it must be there and be a number")]
        input_tokens: u64,
    }
    serde_json::from_slice::<Count>(body).is_ok()
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Reply::whole(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
