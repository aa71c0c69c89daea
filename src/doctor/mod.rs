//! What `tierway doctor` looks at: whether the gateway, as it is configured, would work here and now; and where not, what cures it.
mod call;
mod finding;
mod machine;
mod providers;
mod tools;

pub use call::{Called, call};
pub use finding::{Finding, Health, Section};

use crate::{config::Loaded, stack};
use std::io;
use tierway_services::{Dispatch, upstream::Client};

/// Examines everything that `loaded` names. `calls`: each tier's model is asked something short, too, which a provider bills.
///
/// # Errors
/// Where a provider cannot even be set up.
pub async fn examine(loaded: &Loaded, calls: bool) -> io::Result<Vec<Section>> {
    let config = &loaded.config;
    let built = stack::providers(config).map_err(io::Error::other)?;
    let dispatch = Dispatch::new(built, Client::new());
    let (providers, seen) = providers::examine(config, &dispatch).await;
    let mut tiers = providers::tiers(config, &seen);
    if calls {
        tiers.findings.extend(call::tiers(config, &dispatch).await);
    }
    let mut sections = vec![machine::configuration(loaded), providers, tiers];
    sections.extend(tools::examine(config).await);
    sections.push(machine::machine(config).await);
    Ok(sections)
}
