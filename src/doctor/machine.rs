//! What is not a provider: the configuration, this machine's limits, files and sockets, and Redis.
use super::{Finding, Section};
use crate::{
    config::{Config, Loaded},
    wrap,
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tierway_layers::redis::Redis;
use tokio::net::TcpListener;

/// A Redis that is asked for the first time has to be connected to.
const PATIENCE: Duration = Duration::from_secs(2);
/// Descriptors that are needed beside those of connections.
const SPARE: u64 = 64;

/// Which file was read, and whether it keeps its secrets.
pub(super) fn configuration(loaded: &Loaded) -> Section {
    let config = &loaded.config;
    let mut findings = vec![Finding::good("settings", loaded.summary())];
    if let Some(path) = loaded.path() {
        findings.extend(readable_by_others(path));
    }
    if config.keys.is_empty() {
        let told = "none: only this machine may call";
        findings.push(Finding::good("keys", told));
    } else {
        findings.push(Finding::good(
            "keys",
            format!("{} may call", config.keys.len()),
        ));
    }
    if !config.server.admin.ip().is_loopback() && !config.access.admin_tls {
        findings.push(Finding::doubtful(
            "admin",
            format!("{} is open to the network and speaks plain, so its credential travels in clear", config.server.admin),
            "set admin.tls = true, beside [server.tls], or server.admin to an address that only operators reach",
        ));
    }
    Section {
        title: "configuration",
        findings,
    }
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let text = std::fs::read_to_string(path).ok()?;
    let secret = text.lines().any(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        matches!(key, "key" | "api_key" | "url" if line.contains('@'))
            || matches!(key, "key" | "api_key")
    });
    (secret && mode & 0o044 != 0).then(|| {
        let path = path.display();
        Finding::doubtful(
            "secrets",
            format!("{path} holds keys, and other users of this machine can read it"),
            format!("chmod 600 {path}, or use api_key_env and key_env"),
        )
    })
}
#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> Option<Finding> {
    None
}

/// Limits, files, sockets and Redis.
pub(super) async fn machine(config: &Config) -> Section {
    let mut findings = Vec::new();
    findings.extend(descriptors(config));
    findings.extend(sockets(config).await);
    let files = [
        ("cascade.model", config.cascade.model.as_deref()),
        ("labels.file", config.labels.file.as_deref()),
    ];
    findings.extend(
        files
            .into_iter()
            .filter_map(|(setting, file)| writable(setting, file?)),
    );
    findings.extend(redis(config).await);
    Section {
        title: "machine",
        findings,
    }
}

#[cfg(unix)]
fn descriptors(config: &Config) -> Option<Finding> {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current?;
    // A connection from a caller and one to a provider.
    let wanted = 2 * config.server.max_connections as u64 + SPARE;
    let told = format!("{limit} open files allowed");
    Some(if limit >= wanted {
        Finding::good("limits", told)
    } else {
        Finding::doubtful(
            "limits",
            format!(
                "{told}; server.max_connections = {} may need {wanted}",
                config.server.max_connections
            ),
            format!(
                "ulimit -n {wanted} (LimitNOFILE= in a systemd unit), or lower server.max_connections"
            ),
        )
    })
}
#[cfg(not(unix))]
fn descriptors(_: &Config) -> Option<Finding> {
    None
}

async fn sockets(config: &Config) -> Vec<Finding> {
    if let Some(at) = wrap::running(config).await {
        return vec![Finding::good(
            "listen",
            format!("a gateway runs at http://{}", at.listen),
        )];
    }
    let server = &config.server;
    let mut findings = Vec::new();
    for (setting, address) in [
        ("server.listen", server.listen),
        ("server.admin", server.admin),
    ] {
        findings.push(socket(setting, address).await);
    }
    findings
}

async fn socket(setting: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::good(setting, format!("{address} is free")),
        Err(error) => Finding::bad(
            setting,
            format!("cannot listen on {address}: {error}"),
            format!("stop who listens there, or set {setting} to another address"),
        ),
    }
}

/// Whether the file, or the first folder above it that there is, can be written; only what cannot is worth a word.
fn writable(setting: &str, file: &Path) -> Option<Finding> {
    let there = file.ancestors().find(|path| path.exists())?;
    let readonly = std::fs::metadata(there).ok()?.permissions().readonly();
    readonly.then(|| {
        Finding::bad(
            setting,
            format!("{} cannot be written", there.display()),
            format!("set {setting} to a file that this user can write"),
        )
    })
}

async fn redis(config: &Config) -> Option<Finding> {
    let shown = config.redis.shown()?;
    let redis = Redis::new(config.redis.url.as_ref()?.expose()).ok()?;
    let answer = redis.timeout(PATIENCE).get("tierway:doctor").await;
    Some(match answer {
        Some(_) => Finding::good("redis", format!("{shown} answers")),
        None => Finding::bad(
            "redis",
            format!("{shown} does not answer: what is shared is not, until it does"),
            "start it, or correct redis.url",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_taken_is_bad() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let found = socket("server.listen", address).await;
        assert!(found.cure.unwrap().contains("server.listen"));
        drop(taken);
        assert_eq!(socket("server.listen", address).await.cure, None);
    }

    #[cfg(unix)]
    #[test]
    fn keys_that_others_can_read_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        let mode =
            |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(&file, "[[keys]]\nkey = \"s\"\n").unwrap();
        mode(0o644);
        assert!(readable_by_others(&file).is_some());
        mode(0o600);
        assert!(readable_by_others(&file).is_none());
        std::fs::write(&file, "[[keys]]\nkey_env = \"S\"\n").unwrap();
        mode(0o644);
        assert!(readable_by_others(&file).is_none());
    }
}
