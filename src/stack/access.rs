//! Who may call, and what they had spent before this process began.
use crate::{
    access::{Access, Allow, Keyed, Tokens},
    blocking::wait,
    config::{self, Config},
    ledger, routing,
    sign_in::{AnswersLayer, Clients, Passes, SignIn},
};
use std::{
    collections::HashSet,
    sync::{Arc, mpsc::channel},
    thread,
    time::Duration,
};
use tierway_layers::{
    auth::{self, AuthLayer},
    limit::{Quotas, Table},
    redis::Redis,
};

/// How long the gateway waits for its books, and how long it leaves a ledger alone that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may call, and who signs in; the latter only where that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) access: Option<Access>,
    passes: Option<Passes>,
    sign_in: Option<SignIn>,
    clients: Option<Clients>,
}

pub(super) fn open(config: &Config, redis: Option<Redis>) -> Door {
    let sign_in = &config.access.sign_in;
    let passes = sign_in.enabled.then(|| Passes::new(config, allow(config)));
    let keyed = passes
        .clone()
        .map(|passes| -> Keyed { Arc::new(move |secret: &str| passes.set_key(secret)) });
    let access = Access::open(config, allow(config), redis, keyed);
    if sign_in.enabled && access.is_none() {
        tracing::warn!("nobody can sign in: there is no place to keep it (access.file)");
    }
    let signing = passes.as_ref();
    Door {
        sign_in: signing.and_then(|passes| SignIn::new(config, access.as_ref(), passes)),
        clients: signing.map(|_| Clients::new(sign_in.settings.clone())),
        passes,
        access,
    }
}

impl Door {
    /// Answers those who sign in, before they have anything to show.
    pub(super) fn sign_in(&self) -> AnswersLayer<SignIn> {
        AnswersLayer::new(self.sign_in.clone())
    }
    /// Answers what their client asks besides.
    pub(super) fn clients(&self) -> AnswersLayer<Clients> {
        AnswersLayer::new(self.clients.clone())
    }
}

/// What somebody may use whose tiers and models these are.
fn allow(config: &Config) -> Allow {
    let bindings = config.tiers.clone();
    Arc::new(move |tiers, models| {
        let limited = tiers.is_some() || models.is_some();
        limited.then(|| routing::allowance(&bindings, tiers, models))
    })
}

pub(super) fn auth(config: &Config, door: &Door) -> AuthLayer {
    let keys = &config.keys;
    let mut layer = if config.is_closed() {
        AuthLayer::new(keys.iter().map(of))
    } else {
        // The configuration has made sure that only loopback can reach us then.
        AuthLayer::open()
    };
    if let Some(access) = &door.access {
        layer = layer.authority(access.ring().clone());
    }
    if let Some(passes) = &door.passes {
        layer = layer.authority(passes.clone());
    }
    if let Some(tokens) = Tokens::new(&config.access.oidc, &allow(config)) {
        layer = layer.authority(tokens);
    }
    layer
}

fn of(key: &config::Key) -> auth::Key {
    auth::Key::new(key.key.expose(), key.tenant.as_str())
}

/// Budgets go on where they were: the ledger knows what was spent. One that does not answer is asked again until it does.
pub(super) fn remember(config: &Config, quotas: &Quotas, table: &Table, access: Option<&Access>) {
    let limited = table.all().filter(|subject| subject.limits.has_budgets());
    let mut subjects: HashSet<String> = limited.map(|s| s.name.to_string()).collect();
    subjects.extend(access.iter().flat_map(|access| access.ring().budgets()));
    let Some(place) = config.ledger.place().filter(|_| !subjects.is_empty()) else {
        return;
    };
    let quotas = quotas.clone();
    let (done, waited) = channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        loop {
            match wait(&runtime, ledger::spent(&place)) {
                Ok(spent) => {
                    for (subject, sums) in spent {
                        if subjects.contains(&subject) {
                            quotas.begin_with(&subject, sums);
                        }
                    }
                    let _ = done.send(());
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "what was spent before is not known yet: the ledger does not answer");
                }
            }
            thread::sleep(PATIENCE);
        }
    };
    let thread = thread::Builder::new().name("budgets".to_owned());
    if thread.spawn(work).is_ok() {
        let _ = waited.recv_timeout(PATIENCE);
    }
}
