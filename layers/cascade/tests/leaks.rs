//! Whatever happens, nothing of a rejected draft is seen.
use super::{
    model::{Model, asking, text_of},
    *,
};
use proptest::prelude::*;
use std::{collections::VecDeque, time::Duration};
use tierway_services::{chat::Notes, dialect::Dialect, translate::grammar};
use tower::ServiceExt;

const CHAT: Dialect = Dialect::ChatCompletions;

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
    Notes::of_mut(&mut req).journal = Some(journal.clone());
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
