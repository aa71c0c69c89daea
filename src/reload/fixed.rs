//! Settings that only a restart can change.
use crate::config::{CacheStore, Config};

/// Gives `new` the values at work of settings that it cannot change, and names those that it would have changed.
pub(super) fn keep(running: &Config, new: &mut Config) -> Vec<String> {
    let mut kept = Vec::new();
    let (was, server) = (&running.server, &mut new.server);
    hold("server.listen", &was.listen, &mut server.listen, &mut kept);
    hold("server.admin", &was.admin, &mut server.admin, &mut kept);
    let (was_access, access) = (&running.access, &mut new.access);
    hold(
        "admin.token",
        &was_access.admin_token,
        &mut access.admin_token,
        &mut kept,
    );
    hold(
        "admin.open_metrics",
        &was_access.open_metrics,
        &mut access.open_metrics,
        &mut kept,
    );
    hold(
        "admin.tls",
        &was_access.admin_tls,
        &mut access.admin_tls,
        &mut kept,
    );
    for (name, was, is) in [
        (
            "server.max_connections",
            was.max_connections,
            &mut server.max_connections,
        ),
        (
            "server.max_connections_per_ip",
            was.max_connections_per_ip,
            &mut server.max_connections_per_ip,
        ),
        ("server.max_head", was.max_head, &mut server.max_head),
    ] {
        hold(name, &was, is, &mut kept);
    }
    for (name, was, is) in [
        (
            "server.head_timeout",
            was.head_timeout,
            &mut server.head_timeout,
        ),
        (
            "server.write_timeout",
            was.write_timeout,
            &mut server.write_timeout,
        ),
        (
            "server.drain_timeout",
            was.drain_timeout,
            &mut server.drain_timeout,
        ),
        (
            "server.drain_delay",
            was.drain_delay,
            &mut server.drain_delay,
        ),
    ] {
        hold(name, &was, is, &mut kept);
    }
    // What is in the files is read anew by itself.
    hold("server.tls", &was.tls, &mut server.tls, &mut kept);
    hold("server.watch", &was.watch, &mut server.watch, &mut kept);
    // Rows of calls under way must find the book that they were to be written into.
    hold("ledger", &running.ledger, &mut new.ledger, &mut kept);
    hold("traces", &running.traces, &mut new.traces, &mut kept);
    hold("log", &running.log, &mut new.log, &mut kept);
    // Calls under way hold the file, and it can be opened once.
    if running.cache.enabled && new.cache.enabled && running.cache.store == CacheStore::Disk {
        let (was, cache) = (&running.cache, &mut new.cache);
        hold("cache.store", &was.store, &mut cache.store, &mut kept);
        hold("cache.file", &was.file, &mut cache.file, &mut kept);
        hold(
            "cache.max_bytes",
            &was.max_bytes,
            &mut cache.max_bytes,
            &mut kept,
        );
        hold(
            "cache.max_disk_bytes",
            &was.max_disk_bytes,
            &mut cache.max_disk_bytes,
            &mut kept,
        );
        hold("cache.ttl", &was.ttl, &mut cache.ttl, &mut kept);
    }
    kept
}

fn hold<T: PartialEq + Clone>(name: &str, was: &T, is: &mut T, kept: &mut Vec<String>) {
    if was != is {
        is.clone_from(was);
        kept.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_change_is_named_and_stays() {
        let running = Config::default();
        let mut new = Config::default();
        new.server.listen.set_port(1);
        new.server.max_body = 7;
        new.log.level = "debug".to_owned();
        new.cache.max_bytes = 9;
        assert_eq!(keep(&running, &mut new), ["server.listen", "log"]);
        assert_eq!(new.server.listen, running.server.listen);
        assert_eq!(new.log, running.log);
        assert_eq!((new.server.max_body, new.cache.max_bytes), (7, 9));
        let mut disk = Config::default();
        disk.cache.store = CacheStore::Disk;
        let mut other = disk.clone();
        other.cache.max_bytes = 9;
        assert_eq!(keep(&disk, &mut other), ["cache.max_bytes"]);
    }
}
