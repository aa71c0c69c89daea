//! Drafts of streams.
use super::{
    model::{Model, answered, asking, text_of},
    *,
};
use crate::testing::messages_request;
use std::time::Duration;
use tierway_services::{
    chat::{Notes, Session},
    dialect::Dialect,
    translate,
};
use tower::{Service as _, ServiceExt};

/// Certified for every beginning, of which it is as sure as it was told.
struct Early(f64);
impl Confidence for Early {
    async fn judge(&self, _: &Draft<'_>) -> Verdict {
        Verdict::new(self.0, "whole")
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        assert!(!draft.is_complete());
        Some(Verdict::new(self.0, "early").certified(0.05, 0.1))
    }
}

const CHAT: Dialect = Dialect::ChatCompletions;
const LONG: &str = "The sky is blue because air scatters short waves of light more than long ones, and the eye sees what is scattered.";

#[tokio::test(start_paused = true)]
async fn what_cannot_become_good_is_hung_up_on() {
    let refusal = format!("I'm sorry, but I can't help with that. {LONG}");
    let small = Model::says(CHAT, &refusal).slow(10);
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small.clone(), Vetoes::default()).streams(true);
    let start = tokio::time::Instant::now();
    let (told, body) = answered(layer, &big, asking(CHAT)).await;
    assert!(told.starts_with("deferred; confidence=0.00; threshold=0.85; reason=refusal"));
    assert_eq!(body, text_of(&big));
    assert_eq!(small.open(), 0);
    let whole = Duration::from_millis(10) * u32::try_from(small.frames.len()).unwrap();
    assert!(
        start.elapsed() < whole,
        "{:?} of {whole:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_is_too_long_is_no_draft() {
    let big = Model::says(CHAT, "Paris.");
    let mut cut = Model::says(CHAT, LONG);
    cut.frames.truncate(3);
    let unended = cut.clone();
    cut.fails = true;
    let failed = Model::new(vec![Bytes::from_static(
        b"data: {\"error\":{\"message\":\"x\"}}\n\n",
    )]);
    for (small, reason) in [
        (cut, "small_failed"),
        (unended, "small_failed"),
        (failed, "small_failed"),
        (Model::says(CHAT, &LONG.repeat(30)), "draft_too_long"),
    ] {
        let layer = CascadeLayer::new(small, sure(1.0))
            .streams(true)
            .max_draft(8_000);
        let (told, body) = answered(layer, &big, asking(CHAT)).await;
        assert_eq!(told, format!("deferred; reason={reason}"));
        assert_eq!(body, text_of(&big));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_escalates() {
    let small = Model::says(CHAT, LONG).slow(100);
    let big = Model::says(CHAT, "Paris.");
    let limit = Some(Duration::from_millis(250));
    let layer = CascadeLayer::new(small.clone(), sure(1.0))
        .streams(true)
        .max_added_latency_of(Tier::Medium, limit);
    let start = tokio::time::Instant::now();
    let (told, body) = answered(layer, &big, asking(CHAT)).await;
    assert_eq!(
        (told.as_str(), body),
        ("deferred; reason=deadline", text_of(&big))
    );
    assert!(start.elapsed() < Duration::from_millis(300) && small.open() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_is_sure_enough_goes_out_at_once() {
    let small = Model::says(CHAT, LONG).slow(100);
    let big = Model::says(CHAT, "Paris.");
    for (mode, confidence, reason) in [
        (StreamMode::Prefix, 0.9, "early"),
        (StreamMode::Buffer, 0.9, "whole"),
    ] {
        let layer = CascadeLayer::new(small.clone(), Early(confidence)).streams(mode);
        let start = tokio::time::Instant::now();
        let res = layer
            .layer(big.clone())
            .oneshot(asking(CHAT))
            .await
            .unwrap();
        let whole = Duration::from_millis(100) * u32::try_from(small.frames.len()).unwrap();
        assert_eq!(start.elapsed() < whole, mode == StreamMode::Prefix);
        assert!(cascade(&res).contains(reason), "{}", cascade(&res));
        assert_eq!(
            cascade(&res).ends_with("certified=0.05/0.1"),
            mode == StreamMode::Prefix
        );
        assert_eq!(body(res).await, text_of(&small));
        assert_eq!(big.asked(), 0);
    }
}

/// A model that keeps every beginning of prose of 60 bytes or more.
fn keeps_beginnings() -> Learned {
    let operating = Operating {
        threshold: 0.01,
        certified: Promise::new(0.05, 0.1),
    };
    let early = super::super::Model::prior().operating(Family::Prose, operating);
    Learned::new(super::super::Model::prior().with_early(Some(early)))
}

#[tokio::test(start_paused = true)]
async fn what_is_certified_of_beginnings_commits_and_the_whole_is_seen_at_its_end() {
    let small = Model::says(CHAT, LONG).slow(100);
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(
        small.clone(),
        keeps_beginnings().vetoed_by(Vetoes::default()),
    );
    for (mode, reason) in [
        (StreamMode::Prefix, "reason=beginning; certified=0.05/0.1"),
        (StreamMode::Buffer, "reason=prior; certified=no"),
    ] {
        let (mut req, sight) = (asking(CHAT), Sight::default());
        req.extensions_mut().insert(sight.clone());
        let start = tokio::time::Instant::now();
        let layer = layer.clone().streams(mode);
        let res = layer.layer(big.clone()).oneshot(req).await.unwrap();
        assert!(cascade(&res).ends_with(reason), "{}", cascade(&res));
        let whole = Duration::from_millis(100) * u32::try_from(small.frames.len()).unwrap();
        assert_eq!(start.elapsed() < whole, mode == StreamMode::Prefix);
        let seen_at_once = sight.take();
        assert_eq!(seen_at_once.is_some(), mode == StreamMode::Buffer);
        assert_eq!(body(res).await, text_of(&small));
        let seen = seen_at_once.or_else(|| sight.take()).unwrap();
        assert_eq!(
            (seen.answer.text.as_str(), seen.early),
            (LONG, mode == StreamMode::Prefix)
        );
    }
}

#[tokio::test]
async fn a_veto_is_heard_of_with_what_had_come() {
    let refusal = format!("I'm sorry, but I can't help with that. {LONG}");
    let small = Model::says(CHAT, &refusal);
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small, keeps_beginnings().vetoed_by(Vetoes::default()))
        .streams(StreamMode::Prefix);
    let (mut req, sight) = (asking(CHAT), Sight::default());
    req.extensions_mut().insert(sight.clone());
    let (told, _) = answered(layer, &big, req).await;
    assert!(told.contains("reason=refusal"), "{told}");
    let seen = sight.take().unwrap();
    assert!(seen.vetoed && seen.early && refusal.starts_with(&seen.answer.text));
}

#[tokio::test(start_paused = true)]
async fn the_big_model_starts_beside_a_doubtful_draft() {
    let small = Model::says(CHAT, LONG).slow(100);
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small.clone(), Early(0.3))
        .streams(StreamMode::Hedged)
        .hedge(1.0, 0.5, 0.5);
    let mut req = asking(CHAT);
    let journal = Journal::default();
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    let (told, body) = answered(layer, &big, req).await;
    assert!(told.starts_with("deferred; confidence=0.30"));
    assert_eq!((body, big.asked()), (text_of(&big), 1));
    assert!(journal.read(|j| j.cascade.as_ref().unwrap().hedged));

    // By the clock alone; the one that is not needed is hung up on.
    let limit = Some(Duration::from_secs(60 * 60));
    let layer = CascadeLayer::new(small.clone(), sure(0.9))
        .streams(StreamMode::Hedged)
        .max_added_latency(limit)
        .hedge(1.0, 0.0, 0.0);
    let (told, body) = answered(layer, &big, asking(CHAT)).await;
    assert!(told.starts_with("accepted"));
    assert_eq!((body, big.asked(), big.open()), (text_of(&small), 2, 0));

    // Not beyond the share.
    let layer = CascadeLayer::new(small.clone(), Early(0.3))
        .streams(StreamMode::Hedged)
        .hedge(0.25, 0.5, 0.5);
    let mut hedged = 0;
    for _ in 0..8 {
        let mut req = asking(CHAT);
        let journal = Journal::default();
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        answered(layer.clone(), &big, req).await;
        hedged += u32::from(journal.read(|j| j.cascade.as_ref().unwrap().hedged));
    }
    assert_eq!(hedged, 2);
}

#[tokio::test]
async fn a_session_stays_with_the_big_model_for_some_turns() {
    let small = Model::says(CHAT, "eh");
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small, sure(0.1))
        .streams(true)
        .stay_big(2);
    let mut told = Vec::new();
    for _ in 0..4 {
        let mut req = asking(CHAT);
        Notes::of_mut(&mut req).session = Some(Session([7; 16]));
        let said = answered(layer.clone(), &big, req).await.0;
        told.push(said.split(';').next().unwrap().to_owned());
    }
    assert_eq!(told, ["deferred", "skipped", "skipped", "deferred"]);
}

#[tokio::test]
async fn a_call_that_is_not_worth_a_draft_gets_none() {
    let small = Model::says(CHAT, "eh");
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small.clone(), sure(1.0))
        .streams(true)
        .skip_when(|_| Some("price"));
    let (told, _) = answered(layer, &big, asking(CHAT)).await;
    assert_eq!((told.as_str(), small.asked()), ("skipped; reason=price", 0));
}

#[tokio::test]
async fn log_probabilities_reach_the_predicate_beside_the_answer() {
    let frames = Model::says(Dialect::Messages, LONG).frames;
    let small = tower::service_fn(move |req: Request| {
        let wish = tierway_services::chat::Logprobs::of(&req).cloned();
        let mut model = Model::new(frames.clone());
        async move {
            let token = tierway_services::chat::Logprob {
                token: "x".into(),
                logprob: -0.5,
                runner_up: None,
            };
            wish.unwrap().extend([token]);
            model.call(req).await
        }
    });
    let predicate = confidence_fn(|draft: &Draft<'_>| {
        Verdict::new(
            if draft.logprobs().len() == 1 {
                1.0
            } else {
                0.0
            },
            "told",
        )
    });
    let layer = CascadeLayer::new(small, predicate).streams(true);
    let big = Model::says(Dialect::Messages, "Paris.");
    let res = layer
        .layer(big)
        .oneshot(asking(Dialect::Messages))
        .await
        .unwrap();
    assert!(cascade(&res).starts_with("accepted"), "{}", cascade(&res));
}

#[tokio::test]
async fn a_judge_is_asked_and_billed_to_the_call() {
    struct Asks;
    impl Confidence for Asks {
        async fn judge(&self, draft: &Draft<'_>) -> Verdict {
            let said = draft
                .judge()
                .unwrap()
                .ask(draft, &draft.question(), 1)
                .await;
            let sure = said.is_some_and(|answer| answer.text == "yes: hi");
            Verdict::new(if sure { 1.0 } else { 0.0 }, "judged")
        }
    }
    let judge = |word: &'static str| {
        Judge::new(tower::service_fn(move |req: Request| async move {
            assert_eq!(Notes::of(&req).role, Role::Judge);
            assert!(Journal::of(&req).is_some());
            let question: serde_json::Value = serde_json::from_slice(req.body().raw()).unwrap();
            let question = question["messages"][0]["content"].as_str().unwrap();
            Ok::<_, &str>(says(&format!("{word}: {question}")))
        }))
    };
    let (small, big) = (Model::says(CHAT, LONG), Model::says(CHAT, "Paris."));
    for (word, outcome) in [("yes", "accepted"), ("no", "deferred")] {
        let layer = CascadeLayer::new(small.clone(), Asks)
            .streams(true)
            .judge(judge(word));
        let (told, _) = answered(layer, &big, asking(CHAT)).await;
        assert!(told.starts_with(outcome), "{told}");
    }
}

#[tokio::test]
async fn a_call_of_a_tool_is_judged_before_anybody_sees_it() {
    let calls = |city: &str| {
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "stop_sequence": null, "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {city: "Paris"}}],
            "usage": {"input_tokens": 9, "output_tokens": 2}});
        Model::new(
            translate::to_stream(Dialect::Messages, message.to_string().as_bytes(), false).unwrap(),
        )
    };
    let big = Model::says(Dialect::Messages, "Which city?");
    for (argument, outcome) in [
        ("city", "accepted; confidence=0.90"),
        (
            "town",
            "deferred; confidence=0.00; threshold=0.85; reason=missing_argument",
        ),
    ] {
        let req = medium(messages_request(&json!({"model": "auto", "max_tokens": 9, "stream": true,
            "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}],
            "messages": [{"role": "user", "content": "How is the weather in Paris?"}]}).to_string())).0;
        let small = calls(argument);
        let layer = CascadeLayer::new(small.clone(), Vetoes::default())
            .streams(true)
            .tools(true);
        let (told, body) = answered(layer, &big, req).await;
        assert!(told.starts_with(outcome), "{told}");
        let from = if outcome.starts_with("accepted") {
            &small
        } else {
            &big
        };
        assert_eq!(body, text_of(from));
    }
}
