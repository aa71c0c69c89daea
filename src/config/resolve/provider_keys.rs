//! Programs that tell a provider's key, and the files by which it is trusted.
use super::Resolver;
use crate::config::{file, origin::Origin, typed::Typed};
use std::time::Duration;
use tierway_services::providers::{KeyCommand, Secret, Tls};

impl Resolver<'_, '_> {
    pub(super) fn key_command(
        &mut self,
        path: &str,
        command: Option<Typed<Vec<String>>>,
        ttl: Option<Typed<Duration>>,
        has_key: bool,
    ) -> Option<KeyCommand> {
        let origin = command.as_ref().map(|typed| typed.origin.clone());
        let ttl = self.take(&format!("{path}.api_key_ttl"), ttl);
        let command = self.take(&format!("{path}.api_key_command"), command)?;
        let origin = origin.unwrap_or(Origin::Default);
        if has_key {
            self.refuse(
                origin,
                format!("`{path}.api_key` is set twice"),
                "write only one of it, its _env, its _file and its _command",
            );
            return None;
        }
        let told = KeyCommand::new(command);
        if told.is_none() {
            self.refuse(
                origin,
                format!("`{path}.api_key_command` names no program"),
                r#"write a program and its arguments, for example ["pass", "show", "openai"]"#,
            );
        }
        Some(match ttl {
            Some(ttl) => told?.ttl(ttl),
            None => told?,
        })
    }

    pub(super) fn provider_tls(&mut self, path: &str, typed: file::ProviderTls) -> Tls {
        let at = |key: &str| format!("{path}.tls.{key}");
        let key_origin = typed.key_file.as_ref().map(|typed| typed.origin.clone());
        let ca = self.contents(&at("ca_file"), typed.ca_file);
        let cert = self.contents(&at("cert_file"), typed.cert_file);
        let key = self.contents(&at("key_file"), typed.key_file);
        let tls = Tls {
            ca: ca.map(Into::into),
            cert: cert.map(Into::into),
            key: key.map(|pem| Secret::new(String::from_utf8_lossy(&pem))),
        };
        if let Err(what) = tls.check() {
            self.refuse(
                key_origin.unwrap_or(Origin::Default),
                format!("`{path}.tls` cannot be used: {what}"),
                "write PEM files that belong together: ca_file, or cert_file and key_file",
            );
        }
        tls
    }
}
