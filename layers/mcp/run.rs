//! The rounds of one call.
use super::{
    Shared,
    catalog::{Catalog, Meant},
    confirm,
    policy::Verdict,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::SystemTime};
use tierway_services::{
    chat::{Journal, Prompt, Refusal, Tenant, ToolCall, ToolRun, Usd},
    tools::{Call, Output, Toolbox},
    translate::rounds::{self, Choice, Hidden, Round},
};
use tokio::time::{Instant, timeout_at};

/// A call on its way through its rounds.
pub(super) struct Run<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) catalog: Catalog,
    pub(super) tenant: Option<Tenant>,
    pub(super) journal: Option<Journal>,
    /// What the caller asked, as it asked it.
    pub(super) asked: Prompt,
    /// What the model is asked in this round.
    pub(super) prompt: Prompt,
    pub(super) until: Instant,
    /// What came before this round and the caller has not seen.
    pub(super) earlier: String,
    pub(super) rounds: Vec<Round>,
    pub(super) calls: usize,
    /// All tools have been forbidden.
    pub(super) last: bool,
}

/// What follows a round.
pub(super) enum Next {
    /// The model is asked again.
    Ask,
    /// The answer is whole.
    Done,
}

impl<T: Toolbox> Run<T> {
    /// Runs what the model calls of our tools in this round, and says what follows.
    pub(super) async fn next(&mut self, round: Round) -> Result<Next, Refusal> {
        let (ours, theirs): (Vec<ToolCall>, Vec<ToolCall>) = {
            let calls = round.calls().iter().cloned();
            calls.partition(|call| self.catalog.is_ours(&call.name))
        };
        let dialect = self.asked.facts().dialect;
        let said = round.said();
        self.rounds.push(round);
        if ours.is_empty() {
            self.remember(said, String::new());
            return Ok(Next::Done);
        }
        if self.last {
            // It calls what it may not. A conversation with calls that nobody answered would be refused, so nothing is remembered.
            return Ok(Next::Done);
        }
        let over = self.over(ours.len());
        let outputs = match over {
            Some(why) => {
                let none = |call: &ToolCall| (call.id.clone(), Output::error(why));
                ours.iter().map(none).collect()
            }
            None => self.run(&ours).await,
        };
        if !theirs.is_empty() {
            let beside = rounds::results(dialect, &outputs, true);
            self.remember(said, beside);
            return Ok(Next::Done);
        }
        let more = format!("{said},{}", rounds::results(dialect, &outputs, false));
        let over = over.or_else(|| self.over(0));
        self.last = over.is_some() || self.rounds.len() + 1 >= self.shared.limits.rounds;
        let choice = if self.last {
            Choice::None
        } else {
            Choice::Auto
        };
        self.prompt = rounds::go_on(&self.prompt, &more, choice)?;
        if !self.earlier.is_empty() {
            self.earlier.push(',');
        }
        self.earlier.push_str(&more);
        Ok(Next::Ask)
    }

    /// Why no more may be done, if so.
    fn over(&self, more: usize) -> Option<&'static str> {
        let limits = &self.shared.limits;
        if self.calls + more > limits.calls {
            return Some("not run: this request has no more calls left; answer with what is known");
        }
        if Instant::now() >= self.until {
            return Some("not run: this request has no more time left; answer with what is known");
        }
        (self.spent() > limits.cost)
            .then_some("not run: this request has no more money left; answer with what is known")
    }

    fn spent(&self) -> Usd {
        let Some(journal) = &self.journal else {
            return Usd::ZERO;
        };
        journal.read(|entries| {
            let cost = |attempt: &tierway_services::chat::Attempt| {
                attempt.cost.or_else(|| {
                    let price = self.shared.prices.as_ref()?.price(&attempt.target)?;
                    Some(price.cost(&attempt.usage?))
                })
            };
            entries.attempts.iter().filter_map(cost).sum()
        })
    }

    /// Runs calls, all at once, and gives their results in their order.
    async fn run(&mut self, calls: &[ToolCall]) -> Vec<(String, Output)> {
        self.calls += calls.len();
        let this = &*self;
        let all = calls.iter().map(|call| async move {
            let output = match this.catalog.meant(&call.name, &call.arguments) {
                Meant::Told(output) => output,
                Meant::Call(meant, verdict) => this.one(meant, verdict).await,
            };
            (call.id.clone(), output)
        });
        join_all(all).await
    }

    async fn one(&self, call: Call, verdict: Verdict) -> Output {
        let mut run = ToolRun::new(&call.tool.server, &call.tool.name);
        if verdict == Verdict::Ask {
            let word = confirm::word(&self.shared.secret, self.tenant.as_ref(), &call);
            if !confirm::is_said(&self.asked, &word) {
                run.outcome = "unconfirmed";
                self.write(run);
                return Output::error(format!(
                    "not run: this call may change something and the user has not allowed it yet. Tell the user what it would do, and that writing the word {word} allows it. Call it again with the same arguments when the user has."
                ));
            }
        }
        run.sent = call.arguments.len() as u64;
        let began = Instant::now();
        // Told as abandoned where the caller leaves meanwhile.
        let mut note = Note(self.journal.clone(), Some(run));
        let output = match timeout_at(self.until, self.shared.toolbox.call(call)).await {
            Ok(output) => output,
            Err(_) => Output::error("not finished: this request has no more time left"),
        };
        if let Some(mut run) = note.1.take() {
            run.took = began.elapsed();
            run.got = output.size() as u64;
            run.outcome = if output.is_error { "error" } else { "ok" };
            self.write(run);
        }
        output
    }

    fn write(&self, run: ToolRun) {
        if let Some(journal) = &self.journal {
            journal.write(|entries| entries.tool_runs.push(run));
        }
    }

    /// Remembers what the caller does not see of the answer.
    fn remember(&self, last: String, results: String) {
        let ours = |name: &str| self.catalog.is_ours(name);
        if self.earlier.is_empty() && results.is_empty() {
            return;
        }
        let dialect = self.asked.facts().dialect;
        let visible = rounds::merged(&self.rounds, &ours).and_then(|b| Round::read(dialect, b));
        if let Some(visible) = visible {
            let hidden = Hidden {
                earlier: self.earlier.clone(),
                last,
                results,
            };
            let tenant = self.tenant.as_ref();
            self.shared
                .memory
                .keep(&self.asked, tenant, &visible, hidden);
        }
    }
}

/// Writes down a call that nobody waited for.
struct Note(Option<Journal>, Option<ToolRun>);

impl Drop for Note {
    fn drop(&mut self) {
        if let (Some(journal), Some(mut run)) = (&self.0, self.1.take()) {
            run.took = SystemTime::now()
                .duration_since(run.started)
                .unwrap_or_default();
            journal.write(|entries| entries.tool_runs.push(run));
        }
    }
}
