//! Drafts of streams.
use super::*;
use crate::testing::messages_request;
use http::{HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tierway_services::{
    chat::{Operation, Prompt, Session},
    dialect::Dialect,
    translate::{self, grammar},
};
use tower::{Service as _, ServiceExt};

/// Frames that come one by one, each after a pause if so told; then an end, or a failure.
struct Script {
    frames: VecDeque<Bytes>,
    pause: Duration,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    fails: bool,
    /// Counts those that are at work.
    _open: Open,
}

struct Open(Arc<AtomicUsize>);
impl Open {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}
impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = tierway_services::BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.pause.is_zero() {
            let pause = self.pause;
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        match self.frames.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if self.fails => Poll::Ready(Some(Err("reset".into()))),
            None => Poll::Ready(None),
        }
    }
}

/// A model that streams these frames, and counts how many of its streams are open.
#[derive(Clone)]
struct Model {
    frames: Vec<Bytes>,
    pause: Duration,
    fails: bool,
    open: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Model {
    fn new(frames: Vec<Bytes>) -> Self {
        Self {
            frames,
            pause: Duration::ZERO,
            fails: false,
            open: Arc::default(),
            asked: Arc::default(),
        }
    }
    fn says(dialect: Dialect, text: &str) -> Self {
        let events = translate::to_stream(dialect, answer(dialect, text).as_bytes(), false);
        Self::new(in_pieces(events.unwrap()))
    }
    fn slow(mut self, millis: u64) -> Self {
        self.pause = Duration::from_millis(millis);
        self
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl tower::Service<Request> for Model {
    type Response = Response;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response, &'static str>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request) -> Self::Future {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let script = Script {
            frames: self.frames.clone().into(),
            pause: self.pause,
            sleep: None,
            fails: self.fails,
            _open: Open::of(&self.open),
        };
        let mut res = Response::new(Reply::stream(script));
        let sse = HeaderValue::from_static("text/event-stream");
        res.headers_mut().insert(CONTENT_TYPE, sse);
        std::future::ready(Ok(res))
    }
}

/// The same stream with its words in pieces of a few letters, an event each.
fn in_pieces(events: Vec<Bytes>) -> Vec<Bytes> {
    let (mut out, mut number) = (Vec::new(), 0);
    for event in events {
        let text = std::str::from_utf8(&event).unwrap();
        let (head, data) = text.split_once("data: ").unwrap();
        let Ok(mut value) = serde_json::from_str::<serde_json::Value>(data) else {
            out.push(event);
            continue;
        };
        let mut pieces = vec![None];
        for place in ["/delta/text", "/choices/0/delta/content", "/delta"] {
            if let Some(words) = value
                .pointer(place)
                .and_then(|w| w.as_str())
                .filter(|w| !w.is_empty())
            {
                let letters: Vec<char> = words.chars().collect();
                pieces = letters
                    .chunks(5)
                    .map(|c| Some((place, c.iter().collect::<String>())))
                    .collect();
                break;
            }
        }
        for piece in pieces {
            if let Some((place, words)) = piece {
                *value.pointer_mut(place).unwrap() = words.into();
            }
            if let Some(place) = value.get_mut("sequence_number") {
                *place = number.into();
                number += 1;
            }
            out.push(format!("{head}data: {value}\n\n").into());
        }
    }
    out
}

/// A whole answer.
fn answer(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Messages => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "stop_sequence": null, "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 9, "output_tokens": 2}}),
        Dialect::Responses => json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
            "output": [{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}],
            "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}}),
        _ => serde_json::from_str(&whole(text)).unwrap(),
    }
    .to_string()
}

fn asking(dialect: Dialect) -> Request {
    let body = match dialect {
        Dialect::Responses => json!({"model": "auto", "stream": true, "input": "hi"}),
        _ => {
            json!({"model": "auto", "stream": true, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    let prompt = Prompt::parse(dialect, Operation::Generate, body.to_string().into()).unwrap();
    medium(Request::new(prompt)).0
}

async fn answered<C: Confidence + Send + Sync + 'static>(
    layer: CascadeLayer<Model, C>,
    big: &Model,
    req: Request,
) -> (String, String) {
    let res = layer.layer(big.clone()).oneshot(req).await.unwrap();
    let told = cascade(&res).to_owned();
    (told, body(res).await)
}

fn text_of(model: &Model) -> String {
    String::from_utf8(model.frames.concat()).unwrap()
}

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

#[tokio::test(start_paused = true)]
async fn the_big_model_starts_beside_a_doubtful_draft() {
    let small = Model::says(CHAT, LONG).slow(100);
    let big = Model::says(CHAT, "Paris.");
    let layer = CascadeLayer::new(small.clone(), Early(0.3))
        .streams(StreamMode::Hedged)
        .hedge(1.0, 0.5, 0.5);
    let mut req = asking(CHAT);
    let journal = Journal::default();
    req.extensions_mut().insert(journal.clone());
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
        req.extensions_mut().insert(journal.clone());
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
        req.extensions_mut().insert(Session([7; 16]));
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
            assert_eq!(req.extensions().get(), Some(&Role::Judge));
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

/// How a random call goes.
#[derive(Clone, Debug)]
struct Play {
    dialect: Dialect,
    mode: StreamMode,
    small: String,
    /// After how many events each frame ends.
    cuts: Vec<usize>,
    breaks_after: Option<usize>,
    pause: u64,
    limit: Option<u64>,
    confidence: f64,
    early: Option<(usize, f64)>,
    reject_at: Option<usize>,
    leaves_after: Option<usize>,
}

struct Random(Play);
impl Confidence for Random {
    async fn judge(&self, _: &Draft<'_>) -> Verdict {
        Verdict::new(self.0.confidence, "random")
    }
    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        let at = self.0.reject_at?;
        (draft.answer().text.len() >= at).then_some("early")
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let (at, confidence) = self.0.early?;
        (draft.answer().text.len() >= at).then(|| Verdict::new(confidence, "early"))
    }
}

fn plays() -> impl Strategy<Value = Play> {
    let dialects = prop_oneof![
        Just(Dialect::Messages),
        Just(CHAT),
        Just(Dialect::Responses)
    ];
    let modes = prop_oneof![
        Just(StreamMode::Buffer),
        Just(StreamMode::Prefix),
        Just(StreamMode::Hedged)
    ];
    let ways = (
        proptest::option::weighted(0.3, 0..12usize),
        0..3u64,
        proptest::option::weighted(0.3, 1..30u64),
        proptest::option::weighted(0.2, 0..200usize),
        proptest::option::weighted(0.2, 0..12usize),
    );
    let judging = (
        0.0..1.0f64,
        proptest::option::weighted(0.5, (0..200usize, 0.0..1.0f64)),
    );
    (
        dialects,
        modes,
        "(small[ a-z\\\\\"{}\u{e9}\u{1f600}\n]{0,30}){1,6}",
        proptest::collection::vec(1..5usize, 0..20),
        ways,
        judging,
    )
        .prop_map(|(dialect, mode, small, cuts, ways, (confidence, early))| {
            let (breaks_after, pause, limit, reject_at, leaves_after) = ways;
            Play {
                dialect,
                mode,
                small,
                cuts,
                breaks_after,
                pause,
                limit,
                confidence,
                early,
                reject_at,
                leaves_after,
            }
        })
}

async fn played(play: Play) {
    let mut small = Model::says(play.dialect, &play.small).slow(play.pause);
    let mut events: VecDeque<Bytes> = small.frames.drain(..).collect();
    for cut in play.cuts.iter().copied().chain(std::iter::repeat(1)) {
        if events.is_empty() {
            break;
        }
        let frame: Vec<Bytes> = events.drain(..cut.min(events.len())).collect();
        small.frames.push(frame.concat().into());
    }
    let all = text_of(&small);
    if let Some(after) = play.breaks_after {
        small.frames.truncate(after);
        small.fails = true;
    }
    let big = Model::says(play.dialect, "BIG \u{e9}").slow(1);
    let layer = CascadeLayer::new(small.clone(), Random(play.clone()))
        .streams(play.mode)
        .max_added_latency(play.limit.map(Duration::from_millis))
        .hedge(1.0, 0.5, 0.5);
    let mut req = asking(play.dialect);
    let journal = Journal::default();
    req.extensions_mut().insert(journal.clone());
    let res = layer.layer(big.clone()).oneshot(req).await.unwrap();
    let kept = cascade(&res).starts_with("accepted");
    assert_eq!(journal.read(|j| j.cascade.as_ref().unwrap().accepted), kept);
    let (mut got, mut ended) = (Vec::new(), false);
    let mut reply = res.into_body();
    for _ in 0..play.leaves_after.unwrap_or(usize::MAX) {
        use http_body_util::BodyExt;
        match reply.frame().await {
            Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => {
                assert!(
                    kept && small.fails,
                    "only a small model that was committed to breaks off"
                );
                break;
            }
            None => {
                ended = true;
                break;
            }
        }
    }
    drop(reply);
    let got = String::from_utf8(got).unwrap();
    let expected = if kept { all } else { text_of(&big) };
    assert!(expected.starts_with(&got), "{play:?}\n{got}");
    assert!(kept || !got.contains("small"), "a rejected draft is seen");
    if ended {
        assert_eq!(got, expected);
        grammar::check(play.dialect, got.as_bytes()).unwrap();
    }
    assert_eq!(
        (small.open(), big.open()),
        (0, 0),
        "whoever is not needed is hung up on"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_byte_of_a_rejected_draft_is_seen_and_streams_keep_their_grammar(play in plays()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(played(play));
    }
}
