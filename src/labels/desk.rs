//! The gateway's side of labels: what calls tell, and what callers tell about them. Nothing here waits for anything.
use super::{
    Label, Quality, Settings, Source,
    keeper::{self, Keeper, Message, Tiers},
    store::Store,
    tiers,
};
use crate::config::Config;
use moka::sync::Cache;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tierway_layers::{
    cascade::{Learned, Model, Promise},
    classify::LearnedTiers,
    shadow::{By, Call, Comparison, Event},
    telemetry::{Meter, names},
};
use tierway_services::{
    chat::{Target, Tenant, Usage},
    prices::PriceList,
};

/// So many labels may wait to be written down; further ones are lost, and counted.
const WAITING: usize = 1024;
/// Of so many calls feedback is taken; of the oldest it is not.
const CALLS: u64 = 20_000;

/// Where labels come in. Clones are the same.
#[derive(Clone)]
pub struct Desk {
    seen: Cache<String, Arc<Call>>,
    sender: SyncSender<Message>,
    stopped: Arc<Mutex<Receiver<()>>>,
    small: Target,
    prices: PriceList,
}

/// What became of a caller's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is a label now.
    Kept,
    /// There was no draft, and nothing that a tier was chosen by.
    OfNothing,
    /// No such call of this tenant is known, or not any more.
    Unknown,
    /// Too many labels are waiting.
    Busy,
}

impl Desk {
    /// Starts the thread that keeps labels and learns from them; `None` where the configuration wants none.
    #[must_use]
    pub fn open(
        config: &Config,
        learned: &Learned,
        tiers: &LearnedTiers,
        small: &Target,
        prices: &PriceList,
    ) -> Option<Self> {
        let told = &config.labels;
        let file = told.file.clone().filter(|_| told.enabled)?;
        let promise = Promise::new(told.alpha, told.delta)?;
        let (sender, messages) = sync_channel(WAITING);
        let (stop, stopped) = sync_channel(1);
        let keeper = Keeper {
            store: Store::new(file, told.max_bytes),
            learned: learned.clone(),
            model: config.cascade.model.clone(),
            tiers: Tiers {
                learned: tiers.clone(),
                file: told.tiers_model.clone(),
                small: tiers::of(config, small),
            },
            settings: Settings {
                promise,
                recent: 400,
                since: BTreeMap::new(),
            },
            share: told.shadow_share,
            every: told.learn_every,
            labels: Vec::new(),
            new: 0,
            drifts: BTreeMap::new(),
            watched: 0,
        };
        let spawned = thread::Builder::new()
            .name("labels".to_owned())
            .spawn(move || {
                keeper.run(&messages);
                let _ = stop.send(());
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "nothing is learned: no thread for it");
            return None;
        }
        Some(Self {
            seen: Cache::builder()
                .max_capacity(CALLS)
                .time_to_live(told.feedback_ttl)
                .build(),
            sender,
            stopped: Arc::new(Mutex::new(stopped)),
            small: small.clone(),
            prices: prices.clone(),
        })
    }

    /// Takes what a shadow layer tells.
    pub fn hear(&self, event: Event, meter: &Meter) {
        match event {
            Event::Judged(call) | Event::Answered(call) => {
                if let Some(id) = &call.request_id {
                    self.seen.insert(id.clone(), call.clone());
                }
            }
            Event::Compared(call, comparison) => {
                if let Some(label) = self.compared(&call, &comparison) {
                    self.send(label);
                }
            }
            Event::Skipped(why) => names::shadow_skipped(why).increment(1),
            Event::Spent(journal) => meter.count(&journal),
            _ => {}
        }
    }

    /// A caller says how good the answer to one of its calls was, from 0 to 1.
    #[must_use]
    pub fn feedback(&self, tenant: Option<&Tenant>, id: &str, score: f32) -> Told {
        let call = self.seen.get(id);
        // Another tenant's call is as unknown as none.
        let Some(call) = call.filter(|call| call.tenant.as_ref() == tenant) else {
            return Told::Unknown;
        };
        let Some(mut label) = label(&call, Source::Feedback) else {
            return Told::Unknown;
        };
        if !call.accepted {
            // It says nothing about the draft, where there was one, but whether the tier was high enough.
            let (Some(_), Some(tier)) = (call.asked, call.tier) else {
                return Told::OfNothing;
            };
            label.answered = Some(tier);
            // Beside what may be known of the draft, and in the same half.
            label.id.push_str("#answer");
        }
        // Nobody has seen what the big model would have said: where the caller is content it could not have been better.
        let big = if score >= 0.5 { score } else { 1.0 };
        let kept = self.send(Label {
            quality: Some(Quality { small: score, big }),
            propensity: None,
            ..label
        });
        if kept { Told::Kept } else { Told::Busy }
    }

    /// Waits until all labels are written down, but not for ever.
    pub fn close(&self, patience: Duration) {
        // A full channel is being emptied.
        let _ = self.sender.send(Message::Stop);
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if stopped.recv_timeout(patience).is_err() {
            tracing::warn!("some labels may not be written down");
        }
    }

    fn send(&self, label: Label) -> bool {
        let sent = self.sender.try_send(Message::Label(Box::new(label)));
        if sent.is_err() {
            names::labels_lost("full").increment(1);
        }
        sent.is_ok()
    }

    fn compared(&self, call: &Call, comparison: &Comparison) -> Option<Label> {
        let source = match comparison.by {
            By::Agreement => Source::Agreement,
            By::Overlap => Source::Overlap,
            By::Judge => Source::Judge,
            _ => Source::Unlabelled,
        };
        let cost = |target: Option<&Target>, usage: Option<Usage>| {
            let price = self.prices.price(target?)?;
            Some(price.cost(&usage?).as_dollars())
        };
        let quality = comparison.quality;
        Some(Label {
            quality: quality.map(|(small, big)| Quality { small, big }),
            small_cost: cost(Some(&self.small), comparison.small).unwrap_or(0.0),
            big_cost: cost(call.target.as_ref(), comparison.big).unwrap_or(0.0),
            beginnings: Some(comparison.beginnings.clone()),
            ..label(call, source)?
        })
    }
}

/// Makes the series of all this there from the start, for whoever draws them, with the model that the cascade starts with.
pub fn announce(model: &Model) {
    keeper::show(model);
    use Source::{Agreement, Feedback, Judge, Overlap, Unlabelled};
    for source in [Agreement, Overlap, Judge, Feedback, Unlabelled] {
        names::labels(source.as_str()).increment(0);
    }
    for reason in ["full", "disk"] {
        names::labels_lost(reason).increment(0);
    }
    for reason in ["over_budget", "busy", "unpriced", "failed", "unreadable"] {
        names::shadow_skipped(reason).increment(0);
    }
}

/// What is known of a call, without a judgement.
fn label(call: &Call, source: Source) -> Option<Label> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Some(Label {
        id: call.request_id.clone()?,
        at: now.map_or(0, |now| now.as_secs()),
        source,
        vector: call.vector.clone(),
        prior: call.prior,
        family: call.family,
        score: call.confidence.unwrap_or(0.0),
        accepted: call.accepted,
        vetoed: call.vetoed,
        early: call.early,
        beginnings: None,
        propensity: call.propensity,
        quality: None,
        asked: call.asked,
        answered: None,
        small_cost: 0.0,
        big_cost: 0.0,
    })
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
