//! Who is asked.
use crate::{options::Options, process::Server, workload::Workload};
use std::{net::SocketAddr, process::Command};

/// Who is asked, by its name in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The mock upstream itself.
    Direct,
    /// A server of one fixed answer.
    Static,
    /// The bare hyper proxy on one runtime: what others are measured by.
    Bare,
    /// The same on a runtime for each core.
    BareEachCore,
    /// The same with a listener for each.
    BareEachListener,
    Nginx,
    Tierway(Setting),
    Peer(&'static str),
}

/// How the gateway is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As it comes, with a key: ledger, metrics and log are on, so are classification, stickiness and resilience. No cascade and no cache, which
    /// would save the call.
    Default,
    /// Nothing that can be turned off.
    Bare,
    /// A key and classification; no ledger, no log.
    Classify,
    /// The default, with the cache on.
    Cache,
    /// The default, with a small model whose answers are always good enough,
    Accept,
    /// or never.
    Defer,
}

impl Setting {
    const fn text(self) -> &'static str {
        match self {
            Self::Default => {
                "[cascade]\nenabled = false\n[cache]\nenabled = false\n[[keys]]\nkey = \"KEY\"\ntenant = \"bench\"\n"
            }
            Self::Bare => {
                "[cascade]\nenabled = false\n[cache]\nenabled = false\n[ledger]\nenabled = false\n[log]\nlevel = \"off\"\n"
            }
            Self::Classify => {
                "[cascade]\nenabled = false\n[cache]\nenabled = false\n[ledger]\nenabled = false\n[log]\nlevel = \"off\"\n[[keys]]\nkey = \"KEY\"\ntenant = \"bench\"\n"
            }
            Self::Cache => {
                "[cascade]\nenabled = false\n[cache]\nenabled = true\nttl = \"1h\"\n[[keys]]\nkey = \"KEY\"\ntenant = \"bench\"\n"
            }
            Self::Accept => {
                "[cascade]\nenabled = true\nsmall = \"o:small\"\nthreshold = 0.01\nstay_big = 0\n[cache]\nenabled = false\n[[keys]]\nkey = \"KEY\"\ntenant = \"bench\"\n"
            }
            Self::Defer => {
                "[cascade]\nenabled = true\nsmall = \"o:small\"\nthreshold = 1.0\nstay_big = 0\n[cache]\nenabled = false\n[[keys]]\nkey = \"KEY\"\ntenant = \"bench\"\n"
            }
        }
    }
}

impl Target {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Static => "static",
            Self::Bare => "bare hyper",
            Self::BareEachCore => "bare, each core",
            Self::BareEachListener => "bare, reuseport",
            Self::Nginx => "nginx",
            Self::Tierway(Setting::Default) => "tierway",
            Self::Tierway(Setting::Bare) => "tierway, all off",
            Self::Tierway(Setting::Classify) => "tierway, no books",
            Self::Tierway(Setting::Cache) => "tierway, cache",
            Self::Tierway(Setting::Accept) => "tierway, accepts",
            Self::Tierway(Setting::Defer) => "tierway, defers",
            Self::Peer(name) => name,
        }
    }

    /// Starts it; `None` where it cannot be had here. `Direct` is not started: it is the upstream.
    pub(crate) fn start(self, options: &Options, upstream: SocketAddr) -> Option<Server> {
        let at = upstream.to_string();
        match self {
            Self::Direct => None,
            Self::Static => Some(Server::own(&["fixed"])),
            Self::Bare => Some(Server::own(&["bare", &at])),
            Self::BareEachCore => Some(Server::own(&["bare-each-core", &at])),
            Self::BareEachListener => Some(Server::own(&["bare-each-listener", &at])),
            Self::Tierway(setting) => {
                Some(Server::tierway(&options.tierway, upstream, setting.text()))
            }
            Self::Nginx => peer("nginx", options, &at),
            Self::Peer(name) => peer(name, options, &at),
        }
    }

    /// What its cascade is to say of each answer, where it has one.
    pub(crate) const fn cascade(self) -> Option<&'static str> {
        match self {
            Self::Tierway(Setting::Accept) => Some("accepted"),
            Self::Tierway(Setting::Defer) => Some("deferred"),
            _ => None,
        }
    }

    /// What is asked of it: each knows the model by the same name, and Portkey has to be told its upstream.
    pub(crate) fn asked(self, workload: Workload, upstream: SocketAddr) -> Workload {
        match self {
            Self::Peer("portkey") => workload.told(upstream),
            _ => workload,
        }
    }
}

fn peer(name: &str, options: &Options, upstream: &str) -> Option<Server> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .arg(name)
        .arg(options.peers.as_ref()?)
        .arg(upstream);
    let server = Server::telling(&mut command);
    if server.is_none() {
        println!("LEFT OUT: {name} does not start here");
    }
    server
}
