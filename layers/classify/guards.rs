//! Guards: no call goes to a model that cannot take it, where a configured one can.
use super::{Class, Client, Decision, Explanation, Policy};
use crate::tenants::Tenants;
use std::{cell::OnceCell, fmt, sync::Arc};
use tierway_services::{
    chat::{self, Operation, PartKind, Prompt, Tier},
    tokens,
};

/// Bytes of JSON that a token has at least, on average over a prompt.
const BYTES_PER_TOKEN: u64 = 3;

/// From which to which share of what is free in a window the estimate is close, in percent: there it is counted. It is an estimate from
/// above, so more lies beyond the limit than before it.
const CLOSE: std::ops::RangeInclusive<u64> = 85..=150;

/// Tokens of a model whose vocabulary is not known, for a hundred of the one that counts.
const OTHER_VOCABULARY: u64 = 120;

/// The limit on output where the caller sets none.
const OUTPUT: u64 = 4096;

/// What one model can; `None` is unknown, and what is unknown it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Tokens of prompt and output together, at most.
    pub context: Option<u64>,
    /// Tokens of output, at most.
    pub max_output: Option<u64>,
    /// Whether it sees images.
    pub vision: Option<bool>,
    /// Whether it reads documents such as PDF.
    pub documents: Option<bool>,
    /// Whether it takes tools.
    pub tools: Option<bool>,
    /// Whether it keeps to a schema of the answer by itself.
    pub structured_output: Option<bool>,
    /// Whether it can be told to think.
    pub reasoning: Option<bool>,
    /// Tokens that it has for a hundred that are [counted](Guarded::count); 120 where that is not known.
    pub vocabulary: Option<u64>,
}

/// Counts the tokens of a prompt.
type Count = Arc<dyn Fn(&Prompt) -> Option<u64> + Send + Sync>;

/// What the model of each configured tier can. A clone costs one reference count.
///
/// ```
/// use tierway_layers::classify::{Fit, Fits};
/// use tierway_services::chat::Tier;
/// let fits = Fits::default()
///     .tier(Tier::Simple, Fit { context: Some(32_768), vision: Some(false), ..Fit::default() })
///     .tier(Tier::Complex, Fit { context: Some(200_000), ..Fit::default() });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fits(Arc<[Option<Fit>; 4]>);

/// Moves a call to a tier whose model can take it, and says so by name (`guard:context`).
///
/// Where the model of the chosen tier cannot take the call, the next higher tier whose model can gets it, else the next lower one. Where
/// none can, the widest window keeps it, or the chosen tier does, and the provider judges: `guard:context:largest`, `guard:vision:nobody`.
///
/// # Whether it fits the context window
/// `prompt + output <= context`, in tokens. They are estimated: a prompt has at most a token for every three bytes of its JSON,
/// above what English (4 to 5 bytes), code (3 to 4) and JSON (about 3) come to in the vocabularies in use; images
/// count as [`tokens::estimate`] counts them. A body that fits by its length alone is not looked at any closer. Where the estimate is close
/// to the limit, and somebody [counts](Guarded::count), the count decides, and the decision says so: `guard:context:counted`.
/// The output is the limit that the caller sets (4096 where it sets none), but no more than the model puts out, and no more than half of
/// the window: a client that asks for more of it than that does not know this model, and would fit nothing.
///
/// ```
/// use tierway_layers::{classify::{Fit, Fits, Guarded, TierClassifier, Policy}, names::Names};
/// use tierway_services::{chat::{Operation, Prompt, Request, Tier}, dialect::Dialect};
/// let small = Fit { context: Some(1000), ..Fit::default() };
/// let fits = Fits::default().tier(Tier::Simple, small).tier(Tier::Complex, Fit::default());
/// let policy = Guarded::new(TierClassifier::new(Names::default()), fits);
/// let body = serde_json::json!({"model": "auto", "messages": [
///     {"role": "user", "content": "x ".repeat(5000)}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "hi"}]});
/// let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.to_string().into()).unwrap();
/// let decision = policy.classify(&Request::new(prompt)).unwrap();
/// assert_eq!((decision.tier, decision.notes[0].name.as_ref()), (Tier::Complex, "guard:context"));
/// ```
#[derive(Clone, Default)]
pub struct Guarded<P> {
    inner: P,
    fits: Fits,
    tenants: Tenants,
    count: Option<Count>,
}

/// What a call needs of a model.
struct Needs<'r> {
    prompt: &'r Prompt,
    count: Option<&'r Count>,
    /// Counted once, at most.
    counted: OnceCell<Option<u64>>,
    bytes: u64,
    max_tokens: Option<u64>,
    vision: bool,
    documents: bool,
    tools: bool,
    structured_output: bool,
    reasoning: bool,
}

// === impl Fits ===

impl Fits {
    /// With a configured tier, and what its model can.
    #[must_use]
    pub fn tier(mut self, tier: Tier, fit: Fit) -> Self {
        if let Some(slot) = Arc::make_mut(&mut self.0).get_mut(tier as usize) {
            *slot = Some(fit);
        }
        self
    }

    fn get(&self, tier: Tier) -> Option<&Fit> {
        self.0.get(tier as usize)?.as_ref()
    }

    /// The configured tiers in the order in which one is looked for in place of `tier`: it and those above it, then those below.
    fn in_place_of(&self, tier: Tier) -> impl Iterator<Item = (Tier, &Fit)> {
        let (below, above) = Tier::ALL.split_at(tier as usize);
        above
            .iter()
            .chain(below.iter().rev())
            .filter_map(|tier| Some((*tier, self.get(*tier)?)))
    }
}

// === impl Guarded ===

impl<P> Guarded<P> {
    /// Holds what `inner` decides to what `fits` says that models can.
    #[must_use]
    pub fn new(inner: P, fits: Fits) -> Self {
        Self {
            inner,
            fits,
            tenants: Tenants::default(),
            count: None,
        }
    }

    /// Has `count` say how many tokens a prompt has, where the estimate is close to a limit; `None` where it cannot, or not now. It may
    /// take as long as the prompt is: a hundredth of a second for 100 KB.
    #[must_use]
    pub fn count(mut self, count: impl Fn(&Prompt) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.count = Some(Arc::new(count));
        self
    }

    /// Moves a call to tiers alone that its tenant may use.
    #[must_use]
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    fn decide(&self, req: &chat::Request, decision: Decision) -> Decision {
        let needs = Needs::of(req, self.count.as_ref());
        let mut order = self.fits.in_place_of(decision.tier);
        // The model that an unbound tier gets is the next bound one's.
        let Some((_, own)) = order.next() else {
            return decision;
        };
        let Some(lacks) = needs.lacks(own) else {
            let tier = decision.tier;
            return match needs.is_counted() {
                true => decision.moved(tier, COUNTED),
                false => decision,
            };
        };
        let allowance = self.tenants.of_call(req).map(|(_, a)| a);
        let allowed = |tier: &Tier| allowance.as_ref().is_none_or(|a| a.allows(*tier));
        let others = || order_after(&self.fits, decision.tier).filter(|(tier, _)| allowed(tier));
        if let Some((tier, _)) = others().find(|(_, fit)| needs.lacks(fit).is_none()) {
            let counted = lacks == CONTEXT && needs.is_counted();
            return decision.moved(tier, if counted { COUNTED } else { lacks });
        }
        if lacks != CONTEXT {
            let tier = decision.tier;
            return decision.moved(tier, format!("{lacks}:nobody"));
        }
        // Nobody holds it: the widest window comes closest, among those that can all else.
        let widest = others()
            .filter(|(_, fit)| needs.lacks_ability(fit).is_none())
            .max_by_key(|(_, fit)| fit.context);
        let tier = match widest {
            Some((tier, fit)) if fit.context > own.context => tier,
            _ => decision.tier,
        };
        decision.moved(tier, "guard:context:largest")
    }
}

fn order_after(fits: &Fits, tier: Tier) -> impl Iterator<Item = (Tier, &Fit)> {
    fits.in_place_of(tier).skip(1)
}

impl<P: fmt::Debug> fmt::Debug for Guarded<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("inner", &self.inner)
            .field("fits", &self.fits)
            .field("tenants", &self.tenants)
            .finish_non_exhaustive()
    }
}

impl<P: Policy> Policy for Guarded<P> {
    fn classify(&self, req: &chat::Request) -> Option<Decision> {
        self.inner.classify(req).map(|d| self.decide(req, d))
    }

    fn explain(&self, req: &chat::Request) -> Explanation {
        let said = self.inner.explain(req);
        said.revised(|d| self.decide(req, d))
    }
}

const CONTEXT: &str = "guard:context";
const COUNTED: &str = "guard:context:counted";

// === impl Needs ===

impl<'r> Needs<'r> {
    fn of(req: &'r chat::Request, count: Option<&'r Count>) -> Self {
        let facts = req.body().facts();
        let client = Client::of(req);
        let shows = |kind| facts.turns.iter().any(|t| t.has(kind));
        Self {
            prompt: req.body(),
            count,
            counted: OnceCell::new(),
            bytes: req.body().raw().len() as u64,
            max_tokens: facts.max_tokens,
            vision: shows(PartKind::Image),
            documents: shows(PartKind::Document),
            tools: facts.tool_count > 0 || shows(PartKind::Tools),
            // A title that is no JSON costs less than a dearer model for every title.
            structured_output: facts.json_output && client.class != Class::Side,
            // A harness asks for thinking in every call, so there it is no wish of anybody's.
            reasoning: facts.thinking && !client.is_harness(),
        }
    }

    /// The name of what a model lacks that this call needs.
    fn lacks(&self, fit: &Fit) -> Option<&'static str> {
        self.lacks_ability(fit)
            .or_else(|| (!self.is_within(fit)).then_some(CONTEXT))
    }

    /// Whether its tokens were counted, and not only estimated.
    fn is_counted(&self) -> bool {
        self.counted.get().is_some_and(Option::is_some)
    }

    fn lacks_ability(&self, fit: &Fit) -> Option<&'static str> {
        let lacks = |needs: bool, can: Option<bool>| needs && can == Some(false);
        if lacks(self.vision, fit.vision) {
            Some("guard:vision")
        } else if lacks(self.documents, fit.documents) {
            Some("guard:documents")
        } else if lacks(self.tools, fit.tools) {
            Some("guard:tools")
        } else if lacks(self.structured_output, fit.structured_output) {
            Some("guard:structured_output")
        } else if lacks(self.reasoning, fit.reasoning) {
            Some("guard:reasoning")
        } else {
            None
        }
    }

    fn is_within(&self, fit: &Fit) -> bool {
        let Some(context) = fit.context else {
            return true;
        };
        let output = match self.prompt.facts().operation {
            // Counting puts nothing out.
            Operation::CountTokens => 0,
            _ => self.max_tokens.unwrap_or(OUTPUT),
        };
        let output = output
            .min(fit.max_output.unwrap_or(u64::MAX))
            .min(context / 2);
        let free = context.saturating_sub(output);
        let percent = |tokens: u64| tokens.saturating_mul(100) / free.max(1);
        // What is no text may be longer or shorter in tokens than in bytes; all else is told by the length of the body.
        let text_alone = !self.vision && !self.documents;
        let most = self.bytes / BYTES_PER_TOKEN;
        if text_alone && percent(most) < *CLOSE.start() {
            return true;
        }
        // A quarter of the bytes, with what is no text taken for what it is.
        let quarter = tokens::estimate(self.prompt);
        let estimate = quarter.saturating_mul(4) / BYTES_PER_TOKEN;
        let estimate = if text_alone {
            estimate.min(most)
        } else {
            estimate
        };
        if CLOSE.contains(&percent(estimate))
            && let Some(counted) = self.counts()
        {
            let own = fit.vocabulary.unwrap_or(OTHER_VOCABULARY);
            return counted.saturating_mul(own) / 100 <= free;
        }
        estimate <= free
    }

    fn counts(&self) -> Option<u64> {
        *self.counted.get_or_init(|| (self.count?)(self.prompt))
    }
}

#[cfg(test)]
mod tests;
