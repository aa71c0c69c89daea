//! Which trace a call belongs to: W3C Trace Context, level 1.
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A span of a trace: one piece of work, and of which it is a part.
///
/// It is what a `traceparent` header says (W3C Trace Context, section 3.2), with the span that it hangs from.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tierway_services::chat::TraceContext;
/// let mut headers = HeaderMap::new();
/// let theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// headers.insert("traceparent", HeaderValue::from_static(theirs));
///
/// let call = TraceContext::enter(&headers, |_| true);
/// let attempt = call.child();
/// assert!(attempt.to_string().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
/// assert_eq!(attempt.parent(), Some(call.span_id()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    remote: bool,
    sampled: bool,
}

impl TraceContext {
    /// The span of a call: within the caller's trace, or of a trace of its own, where the caller told none or none that can be read.
    /// `sample` decides, from the trace's id, whether a trace of its own is recorded; for another the caller has decided.
    pub fn enter(headers: &HeaderMap, sample: impl FnOnce(u128) -> bool) -> Self {
        let mut told = headers.get_all(TRACEPARENT).iter();
        let theirs = told.next().filter(|_| told.next().is_none());
        if let Some((trace, parent, sampled)) = theirs.and_then(parse) {
            return Self {
                trace,
                span: random(),
                parent: Some(parent),
                remote: true,
                sampled,
            };
        }
        let trace = (u128::from(random()) << 64) | u128::from(random());
        Self {
            trace,
            span: random(),
            parent: None,
            remote: false,
            sampled: sample(trace),
        }
    }
    /// A span that is part of this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span: random(),
            parent: Some(self.span),
            remote: false,
            ..*self
        }
    }
    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace
    }
    /// The span.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span
    }
    /// The span that this one is part of.
    #[must_use]
    pub const fn parent(&self) -> Option<u64> {
        self.parent
    }
    /// Whether that is the caller's.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.remote
    }
    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
    /// Says in `headers` that what they go with is this span's work. What the caller's own systems told each other (`tracestate`) stays
    /// only where the trace is the caller's: `of` is the call's span.
    pub fn write(&self, of: &Self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if !of.remote {
            headers.remove(TRACESTATE);
        }
    }
}

impl fmt::Display for TraceContext {
    /// As `traceparent` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// Trace, span and whether it is recorded. A later version may say more, behind a dash, and is read as far as this one goes.
fn parse(value: &HeaderValue) -> Option<(u128, u64, bool)> {
    let text = value.to_str().ok()?;
    let mut parts = text.splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace = hex(parts.next()?, 32)?;
    let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = hex(parts.next()?, 2)?;
    let more = parts.next().is_some();
    let valid = version != 0xff && !(version == 0 && more) && trace != 0 && span != 0;
    valid.then_some((trace, span, flags & 1 == 1))
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let fits = text.len() == digits && text.bytes().all(plain);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Unlike any other: no secret, so the standard library's seeds, which differ with every call, will do.
fn random() -> u64 {
    loop {
        let number = RandomState::new().hash_one(());
        if number != 0 {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn the_callers_trace_goes_on() {
        for (said, sampled) in [
            (format!("00-{TRACE}-b7ad6b7169203331-01"), true),
            (format!("00-{TRACE}-b7ad6b7169203331-00"), false),
            (format!("00-{TRACE}-b7ad6b7169203331-03"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-01-more-to-come"), true),
        ] {
            let call = TraceContext::enter(&headers(&[&said]), |_| !sampled);
            assert_eq!(call.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
            assert_eq!(call.parent(), Some(0xb7ad_6b71_6920_3331));
            assert_eq!(
                (call.is_remote(), call.is_sampled()),
                (true, sampled),
                "{said}"
            );
            assert_ne!(call.span_id(), 0xb7ad_6b71_6920_3331);
        }
    }

    #[test]
    fn what_cannot_be_read_begins_anew() {
        let span = "b7ad6b7169203331";
        let upper = TRACE.to_uppercase();
        for said in [
            String::new(),
            format!("ff-{TRACE}-{span}-01"),
            format!("00-{TRACE}-{span}-01-more"),
            format!("00-{TRACE}-{span}"),
            format!("00-{TRACE}-{span}-1"),
            format!("00-{upper}-{span}-01"),
            format!("00-+{}-{span}-01", &TRACE[1..]),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
        ] {
            for share in [true, false] {
                let call = TraceContext::enter(&headers(&[&said]), |_| share);
                assert_eq!(
                    (call.parent(), call.is_sampled()),
                    (None, share),
                    "{said:?}"
                );
            }
        }
        let twice = format!("00-{TRACE}-{span}-01");
        let call = TraceContext::enter(&headers(&[&twice, &twice]), |_| true);
        assert_eq!(call.parent(), None);
    }

    #[test]
    fn what_is_written_can_be_read_and_no_two_are_alike() {
        let call = TraceContext::enter(&HeaderMap::new(), |_| true);
        let mut seen = HashSet::from([call.span_id()]);
        for _ in 0..1000 {
            let attempt = call.child();
            assert!(seen.insert(attempt.span_id()));
            let mut out = headers(&["old"]);
            out.insert(TRACESTATE, HeaderValue::from_static("of=another"));
            attempt.write(&call, &mut out);
            let read = TraceContext::enter(&out, |_| false);
            assert_eq!(
                (read.trace_id(), read.parent()),
                (call.trace_id(), Some(attempt.span_id()))
            );
            assert!(!out.contains_key(TRACESTATE));
        }
    }
}
