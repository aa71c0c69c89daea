//! Servers of tools: whether they start and what they have.
use super::{Finding, Section};
use crate::config::Config;
use std::time::Duration;
use tierway_services::mcp::{Road, Servers};

/// How long they have to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts each server; nothing where none is configured.
pub(super) async fn examine(config: &Config) -> Option<Section> {
    if config.mcp.servers.is_empty() {
        return None;
    }
    let all = config.mcp.servers.values();
    let servers = Servers::start(all.map(|server| server.server.clone()));
    servers.ready(PATIENCE).await;
    let findings = servers.found().into_iter().map(|(server, found)| {
        if !found.connected {
            let late = format!("not there within {} s", PATIENCE.as_secs());
            let cure = match (&found.cure, &server.road) {
                (Some(cure), _) => cure.clone(),
                (None, Road::Program { command, .. }) => {
                    format!("see that `{command}` can be started here, or take the server out")
                }
                _ => "see that its address and token are right".to_owned(),
            };
            // Calls go on without its tools.
            return Finding::doubtful(server.name, found.error.clone().unwrap_or(late), cure);
        }
        let reads = found.tools.iter().filter(|tool| tool.read_only).count();
        let told = format!(
            "{} tools, {reads} of which only read, {} resources, {} prompts",
            found.tools.len(),
            found.resources.len(),
            found.prompts.len()
        );
        if found.left_out > 0 {
            let told = format!("{told}; {} tools are left out", found.left_out);
            let cure = format!("raise mcp.servers.{}.max_tools", server.name);
            return Finding::doubtful(server.name, told, cure);
        }
        Finding::good(server.name, told)
    });
    Some(Section {
        title: "tools",
        findings: findings.collect(),
    })
}
