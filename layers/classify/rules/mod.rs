//! Rules: what must not be left to a score.
//!
//! A [`Rule`] has conditions and an [`Effect`]: a *floor* (at least this tier), a *ceiling* (at most), or a *force* (exactly). Four floors are
//! built in, for work where a mistake is dear: secrets, payments, migrations, production ([`Rule::built_in`]). [`Ruled`] applies the
//! rules to the decision of the policy that it wraps, and says each that fired by name (`floor:payments`).
mod phrases;
mod risk;
mod words;

pub use risk::Risk;

use super::{Class, Client, ClientKind, Decision, Explanation, Policy};
use crate::{names, tenants::Tenants};
use http::{HeaderMap, HeaderName};
use phrases::Phrases;
use std::{borrow::Cow, sync::Arc};
use tierway_services::chat::{self, Tenant, Tier};

/// What a rule does to the tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// A floor: a lower tier is raised to this one.
    AtLeast(Tier),
    /// A ceiling: a higher tier is lowered to this one.
    AtMost(Tier),
    /// A force: whatever the tier was, it is this one.
    Exactly(Tier),
}

/// Conditions and an effect, under a name.
///
/// Conditions of different kinds must all hold; of one kind, one is enough. A rule without conditions always fires.
///
/// ```
/// use tierway_layers::classify::{Effect, Rule};
/// use tierway_services::chat::Tier;
/// let nightly = Rule::new("nightly", Effect::AtMost(Tier::Medium)).path("/v1/messages").header("x-team", "batch-*");
/// let careful = Rule::new("ledger", Effect::AtLeast(Tier::Complex)).phrase("general ledger").phrase("double entry");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    name: Cow<'static, str>,
    note: Cow<'static, str>,
    effect: Effect,
    risk: Option<Risk>,
    phrases: Vec<String>,
    paths: Vec<String>,
    headers: Vec<(HeaderName, String)>,
    tenants: Vec<String>,
    clients: Vec<ClientKind>,
    classes: Vec<Class>,
}

/// Applies rules to what another policy decides, and says each that fired by name (`floor:payments`).
///
/// Who wins, from the weakest to the strongest:
///
/// 1. what the wrapped policy decided;
/// 2. floors: the highest that fired; not over a tier that the caller asked for, by name or by header;
/// 3. the caller's own wish: a model's name such as `tierway/complex`, or the header [`TIER_HEADER`](crate::names::TIER_HEADER), which
///    wins over the name;
/// 4. forces: the highest that fired; not with floors;
/// 5. ceilings: the lowest that fired;
/// 6. the [tiers that the tenant may use](crate::tenants::Tenants).
///
/// Phrases and risks are looked for in the user's own newest ask, cleaned of what a harness wrapped around it, never in a side request.
///
/// ```
/// use tierway_layers::{classify::{TierClassifier, Policy, Rule, Ruled}, names::Names};
/// use tierway_services::{chat::{Operation, Prompt, Request, Tier}, dialect::Dialect};
/// let policy = Ruled::new(TierClassifier::new(Names::default()), Rule::built_in());
/// let decide = |ask: &str| {
///     let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": ask}]}).to_string();
///     let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
///     policy.classify(&Request::new(prompt)).unwrap()
/// };
/// let risky = decide("drop the users table");
/// assert_eq!((risky.tier, risky.notes[0].name.as_ref()), (Tier::Complex, "floor:migrations"));
/// assert_eq!(decide("what is a migration?").notes, []);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ruled<P> {
    inner: P,
    rules: Arc<Compiled>,
    tenants: Tenants,
}

#[derive(Debug, Default)]
struct Compiled {
    rules: Vec<Rule>,
    phrases: Phrases,
}

// === impl Rule ===

impl Rule {
    /// A rule that always fires. `name` is visible ASCII without `;`; what else stands in it is left out of notes.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, effect: Effect) -> Self {
        let name = name.into();
        let mut rule = Self {
            note: Cow::Borrowed(""),
            name,
            effect,
            risk: None,
            phrases: Vec::new(),
            paths: Vec::new(),
            headers: Vec::new(),
            tenants: Vec::new(),
            clients: Vec::new(),
            classes: Vec::new(),
        };
        rule.note = rule.noted();
        rule
    }
    /// The four floors that are on unless somebody turns them off: [`Risk::ALL`], each at least complex.
    pub fn built_in() -> impl Iterator<Item = Self> {
        let floor = Effect::AtLeast(Tier::Complex);
        Risk::ALL
            .into_iter()
            .map(move |risk| Self::new(risk.as_str(), floor).risk(risk))
    }
    /// With another effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self.note = self.noted();
        self
    }
    /// Where the user asks for work of this risk.
    #[must_use]
    pub const fn risk(mut self, risk: Risk) -> Self {
        self.risk = Some(risk);
        self
    }
    /// Where the user's ask holds these words, as whole words in any case.
    #[must_use]
    pub fn phrase(mut self, phrase: impl Into<String>) -> Self {
        self.phrases.push(phrase.into());
        self
    }
    /// Where the request's path is this one, or begins so if it ends in `*`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }
    /// Where this header has this value, or one that begins so if it ends in `*`. A name that can be no header's never fits.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        let name = HeaderName::try_from(name).unwrap_or(NO_HEADER);
        self.headers.push((name, value.into()));
        self
    }
    /// Where the call is made for this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.push(tenant.into());
        self
    }
    /// Where this client calls.
    #[must_use]
    pub fn client(mut self, client: ClientKind) -> Self {
        self.clients.push(client);
        self
    }
    /// Where the call is of this class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.classes.push(class);
        self
    }
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn noted(&self) -> Cow<'static, str> {
        let kind = match self.effect {
            Effect::AtLeast(_) => "floor",
            Effect::AtMost(_) => "ceiling",
            Effect::Exactly(_) => "force",
        };
        let clean = |c: &char| c.is_ascii_graphic() && *c != ';';
        Cow::Owned(format!(
            "{kind}:{}",
            self.name.chars().filter(clean).collect::<String>()
        ))
    }

    fn reads_the_ask(&self) -> bool {
        self.risk.is_some() || !self.phrases.is_empty()
    }

    /// Whether all that the envelope tells fits.
    fn fits(&self, req: &chat::Request, client: Client) -> bool {
        let any = |none: bool, fits: bool| none || fits;
        let path = || req.uri().path();
        any(
            self.paths.is_empty(),
            self.paths.iter().any(|p| fits(p, path().as_bytes())),
        ) && any(
            self.headers.is_empty(),
            self.headers.iter().any(|h| has(req.headers(), h)),
        ) && any(
            self.tenants.is_empty(),
            Tenant::of(req).is_some_and(|t| self.tenants.iter().any(|name| *name == *t.as_str())),
        ) && any(self.clients.is_empty(), self.clients.contains(&client.kind))
            && any(
                self.classes.is_empty(),
                self.classes.contains(&client.class),
            )
    }
}

/// Stands for a header that no request can have, since its name is not ours to send.
const NO_HEADER: HeaderName = HeaderName::from_static("x-tierway-no-such-header");

/// Whether `text` is `pattern`, or begins with it where it ends in `*`.
fn fits(pattern: &str, text: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start.as_bytes()),
        None => text == pattern.as_bytes(),
    }
}

fn has(headers: &HeaderMap, (name, value): &(HeaderName, String)) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|v| fits(value, v.as_bytes()))
}

// === impl Ruled ===

impl<P> Ruled<P> {
    /// Applies `rules` to what `inner` decides. Of two with one name, the later one counts.
    pub fn new(inner: P, rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules {
            kept.retain(|before| before.name != rule.name);
            kept.push(rule);
        }
        let phrases = Phrases::new(kept.iter().map(|rule| (&*rule.phrases, rule.risk)));
        Self {
            inner,
            rules: Arc::new(Compiled {
                rules: kept,
                phrases,
            }),
            tenants: Tenants::default(),
        }
    }

    /// Holds each tenant to the tiers that it may use: a higher one is lowered to the highest of these, and noted as `allowed:TENANT`.
    #[must_use]
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    fn decide(&self, req: &chat::Request, decision: Decision) -> Decision {
        let client = Client::of(req);
        let mut decision = match names::wished(req.headers()) {
            // A value that is no tier is refused by `Bind`.
            Some(Ok(Some(tier))) if tier != decision.tier || !decision.is_asked() => {
                let mut asked = Decision::asked(tier);
                asked.notes = decision.notes;
                asked
            }
            _ => decision,
        };
        let mut fired = Fired::default();
        let reads = !client.is_own_account();
        let mut seen = None;
        for (i, rule) in self.rules.rules.iter().enumerate() {
            if !rule.fits(req, client) {
                continue;
            }
            if rule.reads_the_ask() {
                let seen = seen.get_or_insert_with(|| match reads {
                    true => self.rules.phrases.look(req.body()),
                    false => phrases::Seen::default(),
                });
                let said = rule.phrases.is_empty() || seen.rule(i);
                let risky = rule.risk.is_none_or(|risk| seen.risk(risk));
                if !said || !risky {
                    continue;
                }
            }
            fired.add(rule);
        }
        if let Some((tier, rule)) = fired.force {
            decision = decision.moved(tier, rule.note.clone());
        } else if !decision.is_asked() {
            for rule in fired.floors.into_iter().flatten() {
                if let Effect::AtLeast(floor) = rule.effect {
                    let tier = decision.tier.max(floor);
                    decision = decision.moved(tier, rule.note.clone());
                }
            }
        }
        if let Some((tier, rule)) = fired.ceiling {
            let tier = decision.tier.min(tier);
            decision = decision.moved(tier, rule.note.clone());
        }
        self.allow(req, decision)
    }

    fn allow(&self, req: &chat::Request, decision: Decision) -> Decision {
        let Some((name, allowance)) = self.tenants.of_call(req) else {
            return decision;
        };
        match allowance.tier(decision.tier) {
            Some(tier) if tier != decision.tier => decision.moved(tier, format!("allowed:{name}")),
            // Where none is allowed there is nothing to move to; `Bind` refuses.
            _ => decision,
        }
    }
}

/// What fired, without an allocation: as many floors as are named in an answer's header, and the one force and ceiling that count.
#[derive(Default)]
struct Fired<'r> {
    floors: [Option<&'r Rule>; 8],
    force: Option<(Tier, &'r Rule)>,
    ceiling: Option<(Tier, &'r Rule)>,
}

impl<'r> Fired<'r> {
    fn add(&mut self, rule: &'r Rule) {
        match rule.effect {
            Effect::AtLeast(tier) => {
                // The highest is never crowded out.
                let crowded = |slot: &Option<&Rule>| match slot {
                    None => true,
                    Some(rule) => matches!(rule.effect, Effect::AtLeast(t) if t < tier),
                };
                let free = self.floors.iter().position(Option::is_none);
                let place = free.or_else(|| self.floors.iter().position(crowded));
                if let Some(slot) = place.and_then(|i| self.floors.get_mut(i)) {
                    *slot = Some(rule);
                }
            }
            Effect::Exactly(tier) => {
                if self.force.is_none_or(|(t, _)| t < tier) {
                    self.force = Some((tier, rule));
                }
            }
            Effect::AtMost(tier) => {
                if self.ceiling.is_none_or(|(t, _)| t > tier) {
                    self.ceiling = Some((tier, rule));
                }
            }
        }
    }
}

impl<P: Policy> Policy for Ruled<P> {
    fn classify(&self, req: &chat::Request) -> Option<Decision> {
        self.inner.classify(req).map(|d| self.decide(req, d))
    }

    fn explain(&self, req: &chat::Request) -> Explanation {
        let said = self.inner.explain(req);
        said.revised(|d| self.decide(req, d))
    }
}

#[cfg(test)]
mod tests;
