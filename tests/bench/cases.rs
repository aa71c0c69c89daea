//! What is measured: who is asked what, on how many connections.
use crate::{
    targets::{Setting, Target},
    workload::{Special, Workload},
};

/// One comparison. The first target is what the others are measured by.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) workload: Workload,
    pub(crate) connections: usize,
    /// Requests a second, where they are sent at set times.
    pub(crate) rate: Option<u32>,
    pub(crate) targets: Vec<Target>,
    /// Whether others are asked what the yardstick is not: it is asked this then.
    pub(crate) yardstick: Option<Workload>,
}

const PEERS: [&str; 3] = ["switchyard", "portkey", "litellm"];

fn case(title: &'static str, workload: Workload, targets: &[Target]) -> Case {
    Case {
        title,
        workload,
        connections: 16,
        rate: None,
        targets: targets.to_vec(),
        yardstick: None,
    }
}

/// All of them, or those for a laptop.
pub(crate) fn all(full: bool) -> Vec<Case> {
    use Target::{Bare, BareEachCore, BareEachListener, Direct, Nginx, Peer, Static, Tierway};
    let ours = Tierway(Setting::Default);
    let proxies = [Bare, BareEachCore, Nginx, ours, Direct];
    let mut cases = Vec::new();
    for kilobytes in [1, 16, 200] {
        let chat = Workload::chat(kilobytes);
        cases.push(case("same dialect", chat, &proxies));
        if full || kilobytes == 1 {
            cases.push(case("same dialect", chat.streamed(), &proxies));
        }
        if full {
            for connections in [1, 64, 512] {
                cases.push(Case {
                    connections,
                    ..case("same dialect", chat, &proxies)
                });
            }
        }
    }
    if full {
        // Few connections fall on cores by chance where the system deals them out.
        for connections in [2, 4, 64] {
            cases.push(Case {
                connections,
                ..case(
                    "runtimes",
                    Workload::chat(1),
                    &[Bare, BareEachCore, BareEachListener],
                )
            });
        }
    }
    // A bare proxy translates nothing: it is asked the same in the upstream's dialect.
    for streamed in [false, true] {
        let of = |w: Workload| if streamed { w.streamed() } else { w };
        cases.push(Case {
            yardstick: Some(of(Workload::chat(16))),
            ..case(
                "translated",
                of(Workload::chat(16).messages()),
                &[Bare, ours],
            )
        });
    }
    let kept = Workload::chat(16).special(Special::Kept);
    for connections in [1, 16] {
        cases.push(Case {
            connections,
            ..case("from the cache", kept, &[Static, Tierway(Setting::Cache)])
        });
    }
    for rate in if full { &[1000, 3000][..] } else { &[3000][..] } {
        cases.push(Case {
            rate: Some(*rate),
            connections: 64,
            ..case("open loop", Workload::chat(1), &[Direct, Bare, Nginx, ours])
        });
    }
    let settings = [
        Setting::Bare,
        Setting::Classify,
        Setting::Default,
        Setting::Cache,
        Setting::Accept,
        Setting::Defer,
    ];
    if full {
        let mut targets = vec![Bare];
        targets.extend(settings.map(Tierway));
        cases.push(Case {
            yardstick: Some(Workload::chat(1)),
            ..case(
                "settings",
                Workload::chat(1).to("auto").special(Special::Medium),
                &targets,
            )
        });
        let mut targets = vec![ours];
        targets.extend(PEERS.map(Peer));
        cases.push(case("peers", Workload::chat(1), &targets));
        cases.push(case("peers", Workload::chat(200), &targets));
        cases.push(case("peers", Workload::chat(1).streamed(), &targets));
        let router = [ours, Peer("switchyard"), Peer("claude-code-router")];
        cases.push(case("peers", Workload::chat(16).messages(), &router));
    }
    cases
}
