//! The small model at work: its answer is held back and read as it arrives.
use super::{
    Asked, Confidence, Draft, Sight, StreamMode, Verdict,
    hedge::{Late, Meanwhile},
    recorded::{Follower, Recorded},
    settings::Settings,
};
use crate::wire;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{sync::Arc, time::Instant};
use tierway_services::{
    chat::{self, Answer, Logprobs, Notes, Reply, Role},
    translate::{self, AnswerReader},
};
use tower::util::Oneshot;
use tower_service::Service;

const FAILED: Drafted = Drafted::None("small_failed");
/// A beginning is looked at again when it has grown by so many bytes, and by an eighth: so that what is read again and again is, all in
/// all, a small multiple of the answer.
const STEP: usize = 24;

/// What came of asking for a draft.
pub(super) enum Drafted {
    /// A whole draft, to be judged.
    Whole(Answer, chat::Response),
    /// The beginning of a draft that is good enough, and what is still to come of it.
    Committed(Verdict, chat::Response),
    /// The beginning of one that is not.
    Rejected(Verdict),
    /// None, for this reason.
    None(&'static str),
}

impl From<Late> for Drafted {
    fn from(_: Late) -> Self {
        Self::None("deadline")
    }
}

/// One draft, and who looks at it.
pub(super) struct DraftArm<'a, C> {
    pub(super) confidence: &'a Arc<C>,
    pub(super) settings: &'a Settings,
    pub(super) mode: StreamMode,
    pub(super) asked: &'a Asked<'a>,
    pub(super) req: &'a chat::Request,
    pub(super) start: Instant,
}

impl<C: Confidence + Send + Sync + 'static> DraftArm<'_, C> {
    pub(super) async fn draft<S, M>(&self, small: M, meanwhile: &mut Meanwhile<S>) -> Drafted
    where
        S: Service<chat::Request, Response = chat::Response> + Clone,
        M: Service<chat::Request, Response = chat::Response>,
    {
        match self.ask(small, meanwhile).await {
            Ok(drafted) => drafted,
            Err(late) => late.into(),
        }
    }

    async fn ask<S, M>(&self, small: M, meanwhile: &mut Meanwhile<S>) -> Result<Drafted, Late>
    where
        S: Service<chat::Request, Response = chat::Response> + Clone,
        M: Service<chat::Request, Response = chat::Response>,
    {
        let mut req = self.req.clone();
        Notes::of_mut(&mut req).role = Role::Small;
        let logprobs = Logprobs::default();
        if self.settings.logprobs {
            Notes::of_mut(&mut req).logprobs = Some(logprobs.clone());
        }
        let Ok(res) = meanwhile.wait(Oneshot::new(small, req)).await? else {
            return Ok(FAILED);
        };
        if !res.status().is_success() {
            return Ok(FAILED);
        }
        if wire::is_event_stream(res.headers()) {
            return self.stream(res, &logprobs, meanwhile).await;
        }
        let (head, body) = res.into_parts();
        let body = Limited::new(body, self.settings.max_draft).collect();
        let bytes = match meanwhile.wait(body).await? {
            Ok(collected) => collected.to_bytes(),
            Err(e) if e.is::<LengthLimitError>() => return Ok(Drafted::None("draft_too_long")),
            Err(_) => return Ok(FAILED),
        };
        let dialect = self.req.body().facts().dialect;
        let Some(mut answer) = translate::read_answer(dialect, &bytes) else {
            return Ok(Drafted::None("unreadable"));
        };
        let told = logprobs.take();
        if !told.is_empty() {
            answer.logprobs = told;
        }
        let res = chat::Response::from_parts(head, Reply::whole(bytes));
        Ok(Drafted::Whole(answer, res))
    }

    /// Holds a stream back, frame by frame, until it has ended or can be judged by its beginning. Dropping it hangs up on the small model.
    async fn stream<S>(
        &self,
        res: chat::Response,
        logprobs: &Logprobs,
        meanwhile: &mut Meanwhile<S>,
    ) -> Result<Drafted, Late>
    where
        S: Service<chat::Request, Response = chat::Response> + Clone,
    {
        let (head, mut body) = res.into_parts();
        let mut reader = AnswerReader::new(self.req.body().facts().dialect);
        let mut held: Vec<Bytes> = Vec::new();
        let (mut size, mut look_at) = (0, STEP);
        loop {
            let data = match meanwhile.wait(body.frame()).await? {
                None => break,
                Some(Err(_)) => return Ok(FAILED),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            size += data.len();
            if size > self.settings.max_draft {
                return Ok(Drafted::None("draft_too_long"));
            }
            held.push(data.clone());
            reader.push(data);
            reader.extend_logprobs(logprobs.take());
            if reader.error().is_some() {
                return Ok(FAILED);
            }
            // What is complete is judged as a whole, as soon as the stream has ended.
            if reader.size() < look_at || reader.is_complete() {
                continue;
            }
            look_at = reader.size() + STEP.max(reader.size() / 8);
            match self.look(reader.answer(), meanwhile) {
                None => {}
                Some((verdict, true)) => {
                    // Somebody wants to know what becomes of it.
                    let follower = self.req.extensions().get::<Sight>().map(|_| {
                        let confidence = self.confidence.clone();
                        let (logprobs, req) = (logprobs.clone(), self.req.clone());
                        Follower::new(reader, logprobs, confidence, req, self.start)
                    });
                    let body = Reply::stream(Recorded::new(held, Some(body), follower));
                    let res = chat::Response::from_parts(head, body);
                    return Ok(Drafted::Committed(verdict, res));
                }
                Some((verdict, false)) => return Ok(Drafted::Rejected(verdict)),
            }
        }
        // Not merely all that matters: what is shown as it was recorded must have its last event.
        if !reader.is_complete() {
            return Ok(FAILED);
        }
        reader.extend_logprobs(logprobs.take());
        let body = Reply::stream(Recorded::new(held, None, None));
        let res = chat::Response::from_parts(head, body);
        Ok(Drafted::Whole(reader.into_answer(), res))
    }

    /// Judges a beginning: whether it settles the matter, and how.
    fn look<S>(&self, answer: &Answer, meanwhile: &mut Meanwhile<S>) -> Option<(Verdict, bool)>
    where
        S: Service<chat::Request, Response = chat::Response> + Clone,
    {
        let draft = Draft::new(answer, self.req, self.start.elapsed())
            .with(self.asked)
            .partial();
        if let Some(reason) = self.confidence.reject_prefix(&draft) {
            return Some((Verdict::new(0.0, reason), false));
        }
        if self.mode < StreamMode::Prefix {
            return None;
        }
        let verdict = self.confidence.judge_prefix(&draft)?;
        let enough = verdict.threshold.unwrap_or(self.settings.threshold);
        if verdict.confidence >= enough {
            return Some((verdict, true));
        }
        if verdict.confidence < self.settings.hedge_below {
            meanwhile.hedge();
        }
        None
    }
}
