//! Sockets and limits, and the files of TLS.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Server, ServerTls},
        typed::Typed,
        values::Size,
    },
    Resolver,
};
use crate::server::tls;
use std::path::PathBuf;

impl Resolver<'_, '_> {
    pub(super) fn server(&mut self, typed: file::Server) -> Server {
        let default = Server::default();
        let max_body = self.take("server.max_body", typed.max_body);
        Server {
            listen: self
                .take("server.listen", typed.listen)
                .unwrap_or(default.listen),
            admin: self
                .take("server.admin", typed.admin)
                .unwrap_or(default.admin),
            max_body: max_body.map_or(default.max_body, bytes),
            max_connections: self
                .take("server.max_connections", typed.max_connections)
                .map_or(default.max_connections, |count| count.0),
            max_connections_per_ip: self
                .take(
                    "server.max_connections_per_ip",
                    typed.max_connections_per_ip,
                )
                .map_or(default.max_connections_per_ip, |count| count.0 as usize),
            max_in_flight: self
                .take("server.max_in_flight", typed.max_in_flight)
                .map_or(default.max_in_flight, |count| count.0),
            tls: self.server_tls(typed.tls),
            max_answer: self
                .take("server.max_answer", typed.max_answer)
                .map_or(default.max_answer, bytes),
            max_event: self
                .take("server.max_event", typed.max_event)
                .map_or(default.max_event, bytes),
            max_depth: self
                .take("server.max_depth", typed.max_depth)
                .map_or(default.max_depth, |count| count.0),
            write_timeout: self
                .take("server.write_timeout", typed.write_timeout)
                .map_or(default.write_timeout, |pause| pause.0),
            max_buffered: self
                .take("server.max_buffered", typed.max_buffered)
                .map_or(default.max_buffered, bytes),
            max_head: self
                .take("server.max_head", typed.max_head)
                .map_or(default.max_head, bytes),
            max_messages: self
                .take("server.max_messages", typed.max_messages)
                .map_or(default.max_messages, |count| count.0),
            head_timeout: self
                .take("server.head_timeout", typed.head_timeout)
                .unwrap_or(default.head_timeout),
            body_timeout: self
                .take("server.body_timeout", typed.body_timeout)
                .unwrap_or(default.body_timeout),
            timeout: self
                .take("server.timeout", typed.timeout)
                .map_or(default.timeout, |pause| pause.0),
            drain_delay: self
                .take("server.drain_delay", typed.drain_delay)
                .map_or(default.drain_delay, |pause| pause.0),
            drain_timeout: self
                .take("server.drain_timeout", typed.drain_timeout)
                .unwrap_or(default.drain_timeout),
            keep_alive: self
                .take("server.keep_alive", typed.keep_alive)
                .map_or(default.keep_alive, |pause| pause.0),
            watch: self
                .take("server.watch", typed.watch)
                .unwrap_or(default.watch),
        }
    }

    fn server_tls(&mut self, typed: file::ServerTls) -> Option<ServerTls> {
        let files = [&typed.cert_file, &typed.key_file, &typed.client_ca_file];
        let origin = files.into_iter().flatten().next()?.origin.clone();
        let (Some(cert), Some(key)) = (
            self.named_file("server.tls.cert_file", typed.cert_file),
            self.named_file("server.tls.key_file", typed.key_file),
        ) else {
            self.refuse(
                origin,
                "`server.tls` needs a certificate and its key",
                "add server.tls.cert_file and server.tls.key_file",
            );
            return None;
        };
        let told = ServerTls {
            cert,
            key,
            client_ca: self.named_file("server.tls.client_ca_file", typed.client_ca_file),
        };
        if let Err(error) = tls::check(&told) {
            self.refuse(
                origin,
                format!("`server.tls` cannot be used: {error}"),
                "write the paths, from this file's folder, of PEM files that belong together",
            );
        }
        Some(told)
    }

    /// A file, from the configuration file's folder.
    pub(super) fn named_file(
        &mut self,
        path: &str,
        typed: Option<Typed<PathBuf>>,
    ) -> Option<PathBuf> {
        let file = self.take(path, typed)?;
        Some(self.folder.join(file))
    }

    /// The contents of a file, which is watched.
    pub(super) fn contents(
        &mut self,
        path: &str,
        typed: Option<Typed<PathBuf>>,
    ) -> Option<Vec<u8>> {
        let origin = typed.as_ref().map(|typed| typed.origin.clone());
        let file = self.named_file(path, typed)?;
        self.files.push(file.clone());
        match std::fs::read(&file) {
            Ok(contents) => Some(contents),
            Err(error) => {
                self.refuse(
                    origin.unwrap_or(Origin::Default),
                    format!("`{path}` names a file that cannot be read: {error}"),
                    "write the path, from this file's folder, of a readable file",
                );
                None
            }
        }
    }
}

fn bytes(Size(bytes): Size) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
