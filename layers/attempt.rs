//! What came of asking one model, as far as it is known before the first byte of its answer has been passed on.
//!
//! Three layers read it: [`Retry`](crate::retry) asks again, [`Breaker`](crate::breaker) counts, [`Fallback`](crate::fallback) asks another.
use http::{HeaderMap, HeaderValue, header};
use std::{future::poll_fn, time::Duration};
use tierway_services::{
    BoxError,
    chat::{self, Cause, Declined, Refusal},
    dialect::Dialect,
    translate::AnswerReader,
};

/// What an attempt brought.
pub(crate) type Outcome = Result<chat::Response, BoxError>;

/// Why an attempt brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: What,
    /// After which time the provider wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// What the provider thinks of being asked again.
    pub(crate) advice: Option<bool>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The gateway itself would not ask.
    Declined,
    /// An error status, the request's own faults aside.
    Status(u16),
    /// No answer, or none that is one.
    Cause(Cause),
    /// An error that tells nothing of itself.
    Unknown,
}

/// Waits for the first bytes of a stream, so that what fails before them is a failure of the attempt and not of the answer. An error that
/// is all that a stream says becomes a response with that error's status.
pub(crate) async fn settle(outcome: Outcome, dialect: Dialect) -> Outcome {
    let mut res = outcome?;
    if !res.status().is_success() || !res.body().is_stream() {
        return Ok(res);
    }
    let begun = poll_fn(|cx| res.body_mut().poll_begin(cx).map_ok(|first| first.cloned())).await?;
    match begun.and_then(|first| error_in(dialect, &first)) {
        None => Ok(res),
        Some(refusal) => {
            let mut told = refusal.into_response(dialect);
            for (name, value) in res.headers() {
                let of_body = [
                    header::CONTENT_TYPE,
                    header::CONTENT_LENGTH,
                    header::CACHE_CONTROL,
                ];
                if !of_body.contains(name) {
                    told.headers_mut().insert(name, value.clone());
                }
            }
            Ok(told)
        }
    }
}

/// The error that is all that the first bytes of a stream say.
fn error_in(dialect: Dialect, first: &bytes::Bytes) -> Option<Refusal> {
    memchr::memmem::find(first, b"\"error\"")?;
    let mut reader = AnswerReader::new(dialect);
    reader.push(first.clone());
    reader.error().cloned()
}

impl Failure {
    /// Why this is no answer; `None` where it is one, or is the request's own fault.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Ok(res) => Self::of_response(res),
            Err(error) => Some(Self::of_error(&**error)),
        }
    }

    pub(crate) fn of_response<B>(res: &http::Response<B>) -> Option<Self> {
        let what = if res.extensions().get::<Declined>().is_some() {
            What::Declined
        } else {
            match res.status().as_u16() {
                status @ (401..=404 | 408 | 409 | 425 | 429 | 500..=599) => What::Status(status),
                _ => return None,
            }
        };
        let advice = res.headers().get("x-should-retry");
        Some(Self {
            what,
            retry_after: retry_after(res.headers()),
            advice: advice.map(|advice| advice == "true"),
        })
    }

    pub(crate) fn of_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let refusal = Refusal::of(error);
        let cause = refusal.and_then(Refusal::cause);
        Self {
            what: cause.map_or(What::Unknown, What::Cause),
            retry_after: refusal.and_then(Refusal::retry_after),
            advice: None,
        }
    }

    /// In one word of a closed set, as metrics and headers have it.
    pub(crate) const fn reason(&self) -> &'static str {
        match self.what {
            What::Declined => "declined",
            What::Status(429) => "rate_limited",
            What::Status(503 | 529) => "overloaded",
            What::Status(408 | 504) => "timeout",
            What::Status(500..) => "server_error",
            What::Status(_) => "refused",
            What::Cause(Cause::Unreachable) => "unreachable",
            What::Cause(Cause::ConnectTimeout) => "connect_timeout",
            What::Cause(Cause::Stale) => "stale",
            What::Cause(Cause::FirstByteTimeout | Cause::IdleTimeout) => "timeout",
            What::Cause(Cause::Cut) => "cut",
            What::Cause(Cause::Nonsense) => "nonsense",
            What::Cause(Cause::Crowded) => "crowded",
            What::Cause(_) => "misconfigured",
            What::Unknown => "error",
        }
    }
}

/// The time that a provider asks for: `retry-after-ms`, else `retry-after` in seconds. A date is not read, for it would trust both clocks.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |value: &HeaderValue| value.to_str().ok()?.trim().parse::<f64>().ok();
    let told = |name: &str| headers.get(name).and_then(number);
    let seconds = told("retry-after-ms")
        .map(|ms| ms / 1e3)
        .or_else(|| told("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use http_body_util::BodyExt;
    use tierway_services::chat::{Kind, Reply};

    fn stream(body: Frames) -> Outcome {
        let res = http::Response::builder()
            .header("content-type", "text/event-stream")
            .header("x-tierway-model", "m")
            .header("retry-after", "7");
        Ok(res.body(Reply::stream(body)).unwrap())
    }

    #[tokio::test]
    async fn a_stream_has_begun_with_its_first_bytes() {
        let whole = ["data: {\"choices\":[]}\n\n", "data: [DONE]\n\n"];
        let res = settle(stream(Frames::of(whole)), Dialect::ChatCompletions).await;
        // Twice is as good as once.
        let res = settle(res, Dialect::ChatCompletions).await;
        assert!(Failure::of(&res).is_none());
        let all = res.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(all, whole.concat());
    }

    #[tokio::test]
    async fn an_error_before_anything_else_is_the_attempts() {
        let broken = stream(Frames::of([]).then_fail("reset"));
        let res = settle(broken, Dialect::Messages).await;
        assert_eq!(Failure::of(&res).unwrap().what, What::Unknown);
        let event = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
        let res = settle(stream(Frames::of([event])), Dialect::Messages).await;
        let failure = Failure::of(&res).unwrap();
        assert_eq!(failure.what, What::Status(529));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        let res = res.unwrap();
        assert_eq!(res.headers()["x-tierway-model"], "m");
        assert_eq!(res.headers()["content-type"], "application/json");
        let told = res.into_body().collect().await.unwrap().to_bytes();
        assert!(told.starts_with(br#"{"type":"error","error":{"type":"overloaded_error""#));
        // One that comes later is the answer's.
        let late = Frames::of(["data: {\"type\":\"ping\"}\n\n", event]);
        let res = settle(stream(late), Dialect::Messages).await;
        assert!(Failure::of(&res).is_none());
    }

    #[test]
    fn what_is_a_failure() {
        for (status, reason) in [
            (200, None),
            (400, None),
            (413, None),
            (422, None),
            (401, Some("refused")),
            (404, Some("refused")),
            (429, Some("rate_limited")),
            (500, Some("server_error")),
            (504, Some("timeout")),
            (529, Some("overloaded")),
        ] {
            let res = http::Response::builder().status(status).body(()).unwrap();
            let failure = Failure::of_response(&res);
            assert_eq!(failure.map(|f| f.reason()), reason, "{status}");
        }
        let mut res = http::Response::new(());
        res.extensions_mut().insert(Declined);
        assert_eq!(Failure::of_response(&res).unwrap().reason(), "declined");
        let error = Refusal::new(Kind::Upstream, "x").with_cause(Cause::Stale);
        assert_eq!(Failure::of_error(&error).reason(), "stale");
    }

    #[test]
    fn the_time_to_wait() {
        let told = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(n, v)| ((*n).parse().unwrap(), HeaderValue::from_static(v)));
            retry_after(&headers.collect())
        };
        assert_eq!(told(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        let both = [("retry-after", "3"), ("retry-after-ms", "250")];
        assert_eq!(told(&both), Some(Duration::from_millis(250)));
        for odd in ["-1", "soon", "NaN", "1e400", ""] {
            assert_eq!(told(&[("retry-after", odd)]), None, "{odd}");
        }
    }
}
