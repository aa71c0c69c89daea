//! From what telemetry shows of a call to the ledger's row.
use super::{
    row::{Attempt, Call, Row, ToolRun, pico},
    text::Text,
};
use std::{
    borrow::Cow,
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tierway_layers::telemetry::{BesideRecord, Bill, CallRecord, Extra, Saved};
use tierway_services::chat::{
    self, AttemptEnd, CascadeStatus, JournalEntries, Role, Target, Tier, Usage, Usd,
};

/// So many characters of a caller's text are kept.
const MOST_SHOWN: usize = 200;

/// Names rows. Two processes give the same name with a chance that nobody will live to see.
#[derive(Debug)]
pub(super) struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            // The one source of randomness that the standard library has.
            process: RandomState::new().hash_one(std::process::id()),
            next: AtomicU64::new(0),
        }
    }
}

impl Ids {
    fn next(&self, at: i64) -> Text {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        // The rows of upstream calls have it too.
        Arc::<str>::from(format!("{at:011x}-{:016x}-{n:x}", self.process)).into()
    }
    /// What tells this process from others.
    pub(super) fn process(&self) -> String {
        format!("{:016x}", self.process)
    }
}

/// A call that somebody made.
pub(super) fn call(ids: &Ids, record: &CallRecord<'_>) -> Row {
    let entries = record.entries;
    let at = millis(record.began);
    let id = ids.next(at);
    let attempts = attempts(&id, at, entries, record.costs, record.served);
    let target = record.target;
    let mut call = Call {
        kind: "call".into(),
        request_id: record
            .request_id
            .and_then(|id| Some(id.to_str().ok()?.to_owned().into())),
        dialect: record.dialect.as_str().into(),
        operation: operation(record.operation).into(),
        tier: match record.tier {
            Some(tier) => tier.as_str(),
            None if entries.target.is_some() => "direct",
            None => "none",
        }
        .into(),
        provider: target.map(|t| (&t.provider).into()).unwrap_or_default(),
        model: target.map(|t| (&t.model).into()).unwrap_or_default(),
        outcome: record.outcome.as_str().into(),
        status: record.status.map(|s| i64::from(s.as_u16())),
        total_us: micros(record.total),
        first_byte_us: record.first_byte.map(micros),
        ..common(id, at, entries, &record.bill, &attempts)
    };
    answer(&mut call, &record.answer().unwrap_or_default());
    let tool_runs = tool_runs(&call.id, at, &entries.tool_runs);
    Row {
        call,
        attempts,
        tool_runs,
    }
}

/// What was done beside calls.
pub(super) fn beside(ids: &Ids, record: &BesideRecord<'_>) -> Row {
    let entries = record.entries;
    let at = millis(SystemTime::now());
    let id = ids.next(at);
    let attempts = attempts(&id, at, entries, record.costs, None);
    let last = entries.attempts.last();
    let target = last.map(|attempt| &attempt.target);
    let call = Call {
        kind: "shadow".into(),
        operation: "compare".into(),
        tier: entries.tier.map_or("none", Tier::as_str).into(),
        provider: target.map(|t| (&t.provider).into()).unwrap_or_default(),
        model: target.map(|t| (&t.model).into()).unwrap_or_default(),
        outcome: last.map_or("cancelled", |a| a.end.as_str()).into(),
        total_us: entries.attempts.iter().map(|a| micros(a.total)).sum(),
        ..common(id, at, entries, &record.bill, &attempts)
    };
    Row {
        call,
        attempts,
        ..Row::default()
    }
}

/// A tool that a caller ran by itself.
pub(super) fn tool(ids: &Ids, tenant: &str, client: Option<&str>, run: &chat::ToolRun) -> Row {
    let at = millis(run.started);
    let id = ids.next(at);
    let call = Call {
        kind: "mcp".into(),
        tenant: tenant.to_owned().into(),
        client: client.map(shown),
        dialect: "mcp".into(),
        operation: "call_tool".into(),
        tier: "none".into(),
        outcome: run.outcome.into(),
        priced: 1,
        total_us: micros(run.took),
        ..Call::default()
    };
    Row {
        tool_runs: tool_runs(&id, at, std::slice::from_ref(run)),
        call: Call { id, at, ..call },
        ..Row::default()
    }
}

fn tool_runs(id: &Text, at: i64, runs: &[chat::ToolRun]) -> Vec<ToolRun> {
    let runs = runs.iter().enumerate();
    runs.map(|(nth, run)| ToolRun {
        call_id: id.clone(),
        nth: count(nth as u64),
        // The call's own, so that both are forgotten together.
        at,
        server: run.server.to_string().into(),
        tool: run.tool.to_string().into(),
        outcome: run.outcome.into(),
        sent: count(run.sent),
        got: count(run.got),
        total_us: micros(run.took),
    })
    .collect()
}

fn common(id: Text, at: i64, entries: &JournalEntries, bill: &Bill, attempts: &[Attempt]) -> Call {
    let cascade = entries.cascade.as_ref();
    let planned = entries.target.as_ref();
    let sum = |of: fn(&Attempt) -> i64| attempts.iter().map(of).sum();
    let unpriced = |a: &Attempt| match a.cost {
        Some(_) => 0,
        None => a.input + a.output + a.cache_read + a.cache_write + a.cache_write_1h,
    };
    let word = |word: &'static str| Text::from(word);
    Call {
        id,
        at,
        tenant: entries
            .tenant
            .as_ref()
            .map(|tenant| tenant.shared().into())
            .unwrap_or_default(),
        key_id: entries.key.as_ref().map(|key| key.shared().into()),
        tags: entries.tags.as_ref().map(Text::from),
        client: entries.client.map(word),
        class: entries.class.map(word),
        session: entries.session.map(|session| session.to_string().into()),
        stream: i64::from(entries.stream),
        requested_model: entries.requested_model.as_deref().map(shown),
        reason: entries.tier_reason.as_ref().map(|reason| match reason {
            Cow::Borrowed(reason) => word(reason),
            Cow::Owned(reason) => shown(reason),
        }),
        planned_provider: planned.map(|t: &Target| (&t.provider).into()),
        planned_model: planned.map(|t| (&t.model).into()),
        cache: entries.cache.map(|c| word(c.as_str())),
        breakpoints: entries.breakpoints.map(|b| word(b.as_str())),
        affinity: entries.affinity.map(|a| word(a.as_str())),
        cascade: cascade.map(|c| word(c.outcome())),
        cascade_reason: cascade.map(|c| word(c.reason)),
        confidence_ppm: cascade.and_then(|c| c.confidence).map(ppm),
        threshold_ppm: cascade.map(|c: &CascadeStatus| ppm(c.threshold)),
        holdout: entries.holdout.map(|side| word(side.as_str())),
        input: sum(|a| a.input),
        output: sum(|a| a.output),
        reasoning: sum(|a| a.reasoning),
        cache_read: sum(|a| a.cache_read),
        cache_write: sum(|a| a.cache_write + a.cache_write_1h),
        compressed: count(entries.compressed),
        estimated: i64::from(attempts.iter().any(|a| a.estimated == 1)),
        cost: pico(bill.cost()),
        priced: i64::from(bill.is_priced()),
        unpriced_tokens: attempts.iter().map(unpriced).sum(),
        baseline: pico(bill.baseline_or_cost()),
        baseline_known: i64::from(bill.baseline().is_some()),
        saved_tier: pico(bill.saved(Saved::Tier)),
        saved_cascade: pico(bill.saved(Saved::Cascade)),
        saved_prompt_cache: pico(bill.saved(Saved::PromptCache)),
        saved_provider_cache: pico(bill.saved(Saved::ProviderCache)),
        saved_compression: pico(bill.saved(Saved::Compression)),
        extra_tier: pico(bill.extra(Extra::Tier)),
        extra_deferral: pico(bill.extra(Extra::Deferral)),
        extra_shadow: pico(bill.extra(Extra::Shadow)),
        extra_provider_cache: pico(bill.extra(Extra::ProviderCache)),
        ask: entries.ask.clone().map(Text::from),
        ..Call::default()
    }
}

fn answer(call: &mut Call, usage: &Usage) {
    call.answer_input = count(usage.input);
    call.answer_output = count(usage.output);
    call.answer_reasoning = count(usage.reasoning);
    call.answer_cache_read = count(usage.cache_read);
    call.answer_cache_write = count(usage.cache_write);
    call.answer_cache_write_1h = count(usage.cache_write_1h);
}

fn attempts(
    id: &Text,
    at: i64,
    entries: &JournalEntries,
    costs: &[Option<Usd>],
    served: Option<usize>,
) -> Vec<Attempt> {
    let made = entries.attempts.iter().enumerate();
    made.map(|(nth, attempt)| {
        let usage = attempt.usage.unwrap_or_default();
        Attempt {
            call_id: id.clone(),
            nth: count(nth as u64),
            at,
            role: attempt.role.as_str().into(),
            part: part(entries, nth, attempt, served).into(),
            provider: (&attempt.target.provider).into(),
            model: (&attempt.target.model).into(),
            ended: attempt.end.as_str().into(),
            status: match attempt.end {
                AttemptEnd::Status(status) => Some(i64::from(status)),
                _ => None,
            },
            input: count(usage.input),
            output: count(usage.output),
            reasoning: count(usage.reasoning),
            cache_read: count(usage.cache_read),
            cache_write: count(usage.cache_write),
            cache_write_1h: count(usage.cache_write_1h),
            estimated: i64::from(attempt.estimated && attempt.usage.is_some()),
            reported: i64::from(attempt.cost.is_some()),
            cost: costs.get(nth).copied().flatten().map(pico),
            first_byte_us: attempt.first_byte.map(micros),
            total_us: micros(attempt.total),
        }
    })
    .collect()
}

/// What came of an upstream call.
fn part(
    entries: &JournalEntries,
    nth: usize,
    attempt: &chat::Attempt,
    served: Option<usize>,
) -> &'static str {
    if served == Some(nth) {
        return "answer";
    }
    let kept = entries.cascade.as_ref().map(|c| c.accepted);
    let again = || {
        let later = entries.attempts.iter().skip(nth + 1);
        later.into_iter().any(|a| a.role == attempt.role)
    };
    match (attempt.role, attempt.end) {
        (Role::Shadow, _) => "shadow",
        (Role::Judge, _) => "verification",
        (Role::Small, AttemptEnd::Complete) if kept == Some(false) => "rejected_draft",
        (Role::Big, _) if kept == Some(true) => "hedge_loser",
        (_, AttemptEnd::Status(_) | AttemptEnd::Failed) if again() => "retried",
        (_, AttemptEnd::Cancelled) => "cancelled",
        (_, AttemptEnd::Complete) if !entries.tool_runs.is_empty() => "tool_round",
        (_, AttemptEnd::Complete) => "unused",
        _ => "failed",
    }
}

const fn operation(operation: chat::Operation) -> &'static str {
    match operation {
        chat::Operation::Generate => "generate",
        chat::Operation::CountTokens => "count_tokens",
        chat::Operation::Embed => "embed",
        chat::Operation::Complete => "complete",
        _ => "other",
    }
}

/// Some of this is the caller's text: kept, but not at any length.
fn shown(text: &str) -> Text {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned().into(),
        None => text.to_owned().into(),
    }
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share is at most a million millionths"
)]
fn ppm(share: f64) -> i64 {
    (share.clamp(0.0, 1.0) * 1e6).round() as i64
}
