//! Sockets and limits, the files of TLS, and programs that tell keys.
use super::{
    HIDDEN, Sheet, quote,
    values::{duration, size},
};
use crate::config::Provider;
use tierway_services::providers::Tls;

impl Sheet<'_> {
    pub(super) fn server(&mut self) {
        let server = &self.loaded.config.server;
        self.row("server", "listen", quote(server.listen));
        self.row("server", "admin", quote(server.admin));
        self.row("server", "max_body", size(server.max_body as u64));
        self.row("server", "max_connections", server.max_connections);
        let per_ip = server.max_connections_per_ip;
        self.row("server", "max_connections_per_ip", per_ip);
        self.row("server", "max_in_flight", server.max_in_flight);
        self.row("server", "max_answer", size(server.max_answer as u64));
        self.row("server", "max_event", size(server.max_event as u64));
        self.row("server", "max_depth", server.max_depth);
        self.row("server", "max_buffered", size(server.max_buffered as u64));
        self.row("server", "max_head", size(server.max_head as u64));
        self.row("server", "max_messages", server.max_messages);
        self.row("server", "head_timeout", duration(server.head_timeout));
        self.row("server", "body_timeout", duration(server.body_timeout));
        self.row("server", "write_timeout", duration(server.write_timeout));
        self.row("server", "timeout", duration(server.timeout));
        self.row("server", "drain_delay", duration(server.drain_delay));
        self.row("server", "drain_timeout", duration(server.drain_timeout));
        self.row("server", "keep_alive", duration(server.keep_alive));
        self.row("server", "watch", server.watch);
        self.end("[server]");
        if let Some(tls) = &server.tls {
            self.row("server.tls", "cert_file", quote(tls.cert.display()));
            self.row("server.tls", "key_file", quote(tls.key.display()));
            if let Some(ca) = &tls.client_ca {
                self.row("server.tls", "client_ca_file", quote(ca.display()));
            }
            self.end("[server.tls]");
        }
    }

    /// The program is shown; its arguments may hold what opens a vault.
    pub(super) fn key_command(&mut self, path: &str, provider: &Provider) {
        if let Some(command) = &provider.key_command {
            let program = quote(command.program());
            self.row(path, "api_key_command", format!("[{program}, {HIDDEN}]"));
            self.row(path, "api_key_ttl", duration(command.good_for()));
        }
    }

    pub(super) fn provider_tls(&mut self, path: &str, tls: &Tls) {
        let path = format!("{path}.tls");
        for (key, is) in [
            ("ca_file", tls.ca.is_some()),
            ("cert_file", tls.cert.is_some()),
            ("key_file", tls.key.is_some()),
        ] {
            if is {
                self.row(&path, key, HIDDEN);
            }
        }
    }
}
