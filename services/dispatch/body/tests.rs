use super::*;
use crate::{
    chat::{Attempt, Journal, Operation, Prompt, Role, Target},
    dialect::Dialect,
    dispatch::Cause,
    providers::{Kind, Timeouts},
};
use http_body_util::BodyExt;
use std::task::Waker;
use tokio::time::Sleep;

/// What a scripted upstream does next.
enum Step {
    Chunk(Bytes),
    Break,
    Wait(Duration),
    Hang,
}

struct Script {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
}

fn script(steps: impl IntoIterator<Item = Step>) -> Script {
    Script {
        steps: steps.into_iter().collect(),
        waiting: None,
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(sleep) = &mut self.waiting {
                ready!(sleep.as_mut().poll(cx));
                self.waiting = None;
            }
            return match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Chunk(chunk)) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
                Some(Step::Break) => Poll::Ready(Some(Err("broken pipe".into()))),
                Some(Step::Wait(time)) => {
                    self.waiting = Some(Box::pin(tokio::time::sleep(time)));
                    continue;
                }
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    Poll::Pending
                }
            };
        }
    }
}

fn text(text: &'static str) -> Step {
    Step::Chunk(Bytes::from_static(text.as_bytes()))
}

const DELTA: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abcdefgh\"},\"finish_reason\":null}]}\n\n";
const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

struct Rig {
    body: Streaming<Script>,
    journal: Journal,
}

fn rig(steps: impl IntoIterator<Item = Step>) -> Rig {
    let body =
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
    let dialect = Dialect::ChatCompletions;
    let journal = Journal::default();
    let limits = Timeouts {
        first_byte: Duration::from_secs(60),
        idle: Duration::from_secs(10),
        ..Timeouts::default()
    };
    let body = Streaming::new(
        script(steps),
        Arc::new(Provider::new("p", Kind::OpenAi).timeouts(limits)),
        (Framing::Sse, dialect),
        StreamTranslator::new(dialect, dialect, &prompt, 7),
        Recorder::start(Some(journal.clone()), Target::new("p", "m"), Role::Only),
        7,
        Instant::now() + limits.first_byte,
    );
    Rig { body, journal }
}

impl Rig {
    /// Reads to the end: the frames, the error that ended it, and the journal's line.
    async fn read(self) -> (Vec<Bytes>, Option<Error>, Attempt) {
        let mut body = Box::pin(self.body);
        let mut frames = Vec::new();
        let mut failure = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => frames.push(frame.into_data().unwrap()),
                Err(error) => failure = Some(error),
            }
        }
        assert!(body.is_end_stream());
        let attempt = attempt(&self.journal);
        drop(body);
        assert_eq!(self.journal.read(|e| e.attempts.len()), 1);
        (frames, failure, attempt)
    }
}

fn attempt(journal: &Journal) -> Attempt {
    journal.read(|e| e.attempts.last().cloned().unwrap())
}

#[tokio::test]
async fn a_chunk_of_whole_events_is_forwarded_as_it_is() {
    let chunk = Bytes::from([DELTA, DELTA, STOP, USAGE, DONE].concat());
    let (frames, failure, attempt) = rig([Step::Chunk(chunk.clone())]).read().await;
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (frames[0].as_ptr(), frames[0].len()),
        (chunk.as_ptr(), chunk.len())
    );
    assert!(failure.is_none());
    assert_eq!(attempt.end, AttemptEnd::Complete);
    let usage = attempt.usage.unwrap();
    assert_eq!(
        (usage.input, usage.output, attempt.estimated),
        (9, 2, false)
    );
    assert!(attempt.first_byte.is_some());
}

#[tokio::test]
async fn what_arrives_together_leaves_in_few_frames() {
    // The second chunk ends one event, holds two, and begins another: its middle is not copied.
    let (first, second) = (
        &DELTA[..20],
        [&DELTA[20..], DELTA, STOP, &DONE[..4]].concat(),
    );
    let second = Bytes::from(second);
    let steps = [
        Step::Chunk(first.into()),
        Step::Chunk(second.clone()),
        text(&DONE[4..]),
    ];
    let (frames, _, _) = rig(steps).read().await;
    assert_eq!(
        frames,
        [DELTA.to_owned(), [DELTA, STOP].concat(), DONE.to_owned()]
    );
    assert_eq!(
        frames[1].as_ptr() as usize,
        second.as_ptr() as usize + DELTA.len() - 20
    );
}

#[test]
fn small_pieces_from_elsewhere_are_put_together() {
    let mut ready = VecDeque::new();
    let pieces = |n| {
        (0..n)
            .map(|_| Bytes::from_static(b"data: x\n\n"))
            .collect::<Vec<_>>()
    };
    join(&Bytes::new(), &mut pieces(5), &mut ready);
    assert_eq!((ready.len(), ready[0].len()), (1, 45));
    let large = Bytes::from(vec![b'x'; JOIN_LIMIT]);
    join(
        &Bytes::new(),
        &mut vec![large.clone(), large.clone(), large],
        &mut ready,
    );
    assert_eq!(ready.len(), 4, "large ones are not copied");
}

#[tokio::test]
async fn frames_end_at_events_however_chunks_are_cut() {
    let whole = [DELTA, DELTA, STOP, USAGE, DONE].concat();
    for size in [1, 7, 50, 130] {
        let chunks = whole.as_bytes().chunks(size).map(Bytes::copy_from_slice);
        let (frames, failure, attempt) = rig(chunks.map(Step::Chunk)).read().await;
        assert_eq!(frames.concat(), whole.as_bytes());
        assert!(frames.iter().all(|f| f.ends_with(b"\n\n")), "{size}");
        assert!(failure.is_none() && attempt.end == AttemptEnd::Complete);
    }
}

#[tokio::test]
async fn a_last_event_without_its_blank_line_counts() {
    let (frames, failure, attempt) = rig([text(DELTA), text(STOP), text("data: [DONE]\n")])
        .read()
        .await;
    assert!(failure.is_none());
    assert_eq!(attempt.end, AttemptEnd::Complete);
    assert!(frames.concat().ends_with(b"data: [DONE]\n\n"));
    assert!(attempt.estimated && attempt.usage.unwrap().input == 7);
}

#[tokio::test]
async fn a_cut_stream_ends_in_an_error_that_names_the_provider() {
    for last in [None, Some(Step::Break)] {
        let steps = [text(DELTA)].into_iter().chain(last);
        let (frames, failure, attempt) = rig(steps).read().await;
        let failure = failure.unwrap();
        assert_eq!(frames, [DELTA]);
        assert_eq!(failure.cause(), Cause::Cut);
        assert!(
            failure.to_string().starts_with("provider p broke off"),
            "{failure}"
        );
        assert_eq!(attempt.end, AttemptEnd::Failed);
        let usage = attempt.usage.unwrap();
        assert_eq!((usage.input, usage.output, attempt.estimated), (7, 2, true));
    }
}

#[tokio::test]
async fn a_break_after_all_is_said_is_no_error() {
    let (frames, failure, attempt) = rig([text(DELTA), text(STOP), text(DONE), Step::Break])
        .read()
        .await;
    assert!(failure.is_none() && frames.len() == 3);
    assert_eq!(attempt.end, AttemptEnd::Complete);
}

#[tokio::test]
async fn the_providers_own_error_event_ends_the_stream() {
    let error = "data: {\"error\":{\"message\":\"overheated\",\"code\":502}}\n\n";
    let (frames, failure, attempt) = rig([text(DELTA), text(error), Step::Hang]).read().await;
    assert_eq!(frames, [DELTA, error]);
    assert!(failure.is_none(), "it is said already");
    assert_eq!(attempt.end, AttemptEnd::Failed);
}

#[tokio::test(start_paused = true)]
async fn silence_has_limits() {
    let started = Instant::now();
    let (_, failure, attempt) = rig([Step::Hang]).read().await;
    assert_eq!(failure.unwrap().cause(), Cause::FirstByteTimeout);
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(attempt.first_byte, None);

    let started = Instant::now();
    let wait = || Step::Wait(Duration::from_secs(9));
    let steps = [
        wait(),
        text(DELTA),
        wait(),
        text(DELTA),
        wait(),
        text(DELTA),
        Step::Hang,
    ];
    let (frames, failure, attempt) = rig(steps).read().await;
    let failure = failure.unwrap();
    assert_eq!((frames.len(), failure.cause()), (3, Cause::IdleTimeout));
    assert_eq!(
        failure.to_string(),
        "provider p timed out: silent for 10 s in the middle of an answer"
    );
    assert_eq!(started.elapsed().as_secs(), 27 + 10);
    assert_eq!(attempt.first_byte.unwrap().as_secs(), 9);
    assert_eq!(attempt.total.as_secs(), 37);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_hang_up_is_not_waited_for() {
    let started = Instant::now();
    let (frames, failure, attempt) = rig([text(STOP), text(DONE), Step::Hang]).read().await;
    assert!(failure.is_none() && frames.len() == 2);
    assert_eq!(attempt.end, AttemptEnd::Complete);
    assert_eq!(started.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_silent_provider() {
    let Rig { body, journal } = rig([
        text(DELTA),
        Step::Wait(Duration::from_secs(1)),
        text(STOP),
        text(DONE),
    ]);
    let mut body = Box::pin(body);
    assert!(body.frame().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    while let Some(frame) = body.frame().await {
        assert!(frame.is_ok());
    }
    assert_eq!(attempt(&journal).end, AttemptEnd::Complete);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_late_to_look_reads_on_first() {
    let Rig { body, journal } = rig([
        text(DELTA),
        Step::Wait(Duration::from_millis(11_400)),
        text(STOP),
        text(DONE),
    ]);
    let mut body = Box::pin(body);
    assert!(body.frame().await.unwrap().is_ok());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(body.as_mut().poll_frame(&mut cx).is_pending());
    // This process stood still for longer than a provider may be silent, and what has arrived is still to be read.
    tokio::time::advance(Duration::from_secs(11)).await;
    while let Some(frame) = body.frame().await {
        assert!(frame.is_ok());
    }
    assert_eq!(attempt(&journal).end, AttemptEnd::Complete);
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_a_line() {
    for (steps, end, output) in [
        (vec![Step::Hang], AttemptEnd::Cancelled, 0),
        (
            vec![text(DELTA), text(DELTA), Step::Hang],
            AttemptEnd::Cancelled,
            4,
        ),
        (
            vec![text(DELTA), text(STOP), text(DONE), Step::Hang],
            AttemptEnd::Complete,
            2,
        ),
    ] {
        let Rig { body, journal } = rig(steps);
        let mut body = Box::pin(body);
        let mut cx = Context::from_waker(Waker::noop());
        while body.as_mut().poll_frame(&mut cx).is_ready() {}
        assert_eq!(journal.read(|e| e.attempts.len()), 0);
        drop(body);
        let attempt = attempt(&journal);
        assert_eq!((attempt.end, attempt.usage.unwrap().output), (end, output));
        assert!(attempt.estimated);
    }
}

#[tokio::test]
async fn an_endless_event_is_nonsense() {
    let steps = (0..20).map(|_| Step::Chunk(Bytes::from(vec![b'x'; 1024 * 1024])));
    let (frames, failure, _) = rig(steps).read().await;
    let failure = failure.unwrap();
    assert!(frames.is_empty());
    assert_eq!(failure.cause(), Cause::Nonsense);
    assert_eq!(
        failure.to_string(),
        "provider p sent an event over the size limit"
    );
}
