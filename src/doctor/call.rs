//! One real call to a model, as short as can be.
use super::Finding;
use crate::config::Config;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use std::time::{Duration, Instant};
use tierway_services::{
    Dispatch,
    chat::{self, Notes, Operation, Prompt, Target},
    dialect::Dialect,
};
use tokio::time::timeout;
use tower::ServiceExt;

/// A model that is loaded from disk first takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any answer of so few tokens has.
const ANSWER: usize = 1 << 20;
/// How much of a refusal is shown.
const SHOWN: usize = 200;

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It answered after this time.
    Answered(Duration),
    /// It did not, and said this.
    Refused(String),
}

/// Asks the model for a word.
pub async fn call(dispatch: &Dispatch, target: &Target) -> Called {
    let body = serde_json::json!({
        "model": &*target.model,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Say: ok"}],
    });
    let prompt = Prompt::parse(
        Dialect::Messages,
        Operation::Generate,
        Bytes::from(body.to_string()),
    );
    let prompt = match prompt {
        Ok(prompt) => prompt,
        Err(refusal) => return Called::Refused(refusal.to_string()),
    };
    let mut request = chat::Request::new(prompt);
    Notes::of_mut(&mut request).target = Some(target.clone());
    let start = Instant::now();
    let asked = async {
        let answer = dispatch
            .clone()
            .oneshot(request)
            .await
            .map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map_err(|e| e.to_string())?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{status}: {}", said(&body)))
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(())) => Called::Answered(start.elapsed()),
        Ok(Err(error)) => Called::Refused(error),
        Err(_) => Called::Refused(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// The message of an error body.
fn said(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = value.as_ref().and_then(|v| v["error"]["message"].as_str());
    let whole = String::from_utf8_lossy(body);
    message.unwrap_or(&whole).chars().take(SHOWN).collect()
}

/// Calls the models of each tier, one after another: a small machine holds one model at a time.
pub(super) async fn tiers(config: &Config, dispatch: &Dispatch) -> Vec<Finding> {
    let mut called: Vec<&Target> = Vec::new();
    let mut findings = Vec::new();
    let further = config
        .fallbacks
        .iter()
        .flat_map(|(tier, targets)| targets.iter().map(move |target| (tier, target)));
    for (tier, target) in config.tiers.iter().chain(further) {
        if called.contains(&target) {
            continue;
        }
        called.push(target);
        findings.push(match call(dispatch, target).await {
            Called::Answered(took) => Finding::good(
                tier.as_str(),
                format!("{target} answered in {} ms", took.as_millis()),
            ),
            Called::Refused(why) => Finding::bad(
                tier.as_str(),
                format!("{target} did not answer: {why}"),
                format!("correct tiers.{tier} or providers.{}", target.provider),
            ),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_found() {
        assert_eq!(
            said(br#"{"error":{"message":"no such model"}}"#),
            "no such model"
        );
        assert_eq!(said(b"<html>"), "<html>");
    }
}
