//! Servers of tools.
use super::{
    HIDDEN, Sheet, key, quote,
    values::{duration, size},
};
use crate::config::settings::McpServer;
use tierway_layers::mcp::Writes;
use tierway_services::mcp::Road;

pub(super) const fn word(writes: Writes) -> &'static str {
    match writes {
        Writes::Allow => "allow",
        Writes::Confirm => "confirm",
        Writes::Deny => "deny",
    }
}

impl Sheet<'_> {
    pub(super) fn mcp(&mut self) {
        let mcp = &self.loaded.config.mcp;
        self.row("mcp", "serve", mcp.serve);
        self.list("mcp", "origins", &mcp.origins);
        self.list("mcp", "models", &mcp.models);
        self.texts("mcp", "allow", mcp.allow.as_ref());
        self.list("mcp", "deny", &mcp.deny);
        self.row("mcp", "writes", quote(word(mcp.writes)));
        self.row("mcp", "max_rounds", mcp.max_rounds);
        self.row("mcp", "max_calls", mcp.max_calls);
        self.row("mcp", "max_time", duration(mcp.max_time));
        self.row("mcp", "max_usd", mcp.max_usd.as_dollars());
        if let Some(from) = mcp.search_from {
            self.row("mcp", "search_from", from);
        }
        if let Some(folder) = &mcp.sign_ins {
            self.row("mcp", "sign_ins", quote(folder.display()));
        }
        self.end("[mcp]");
        for (name, tenant) in &mcp.tenants {
            let path = format!("mcp.tenants.{name}");
            self.row(&path, "always", tenant.always);
            self.texts(&path, "allow", tenant.allow.as_ref());
            self.list(&path, "deny", &tenant.deny);
            self.end(&format!("[mcp.tenants.{}]", key(name)));
        }
        for (name, server) in &mcp.servers {
            self.mcp_server(name, server);
        }
    }

    fn mcp_server(&mut self, name: &str, settings: &McpServer) {
        let path = format!("mcp.servers.{name}");
        let server = &settings.server;
        let mut secrets = Vec::new();
        match &server.road {
            Road::Program {
                command,
                args,
                env,
                folder,
            } => {
                self.row(&path, "command", quote(command));
                self.list(&path, "args", args);
                self.list(&path, "pass_env", &settings.pass_env);
                if let Some(folder) = folder {
                    self.row(&path, "folder", quote(folder.display()));
                }
                let own = env.iter().filter(|(n, _)| !settings.pass_env.contains(n));
                secrets.push(("env", own.map(|(n, _)| n).collect::<Vec<_>>()));
            }
            Road::Http {
                url,
                headers,
                token,
                login,
                sign_in,
            } => {
                self.row(&path, "url", quote(url));
                if token.is_some() {
                    self.row(&path, "token", HIDDEN);
                }
                if let Some(login) = login {
                    self.row(&path, "token_url", quote(&login.token_url));
                    self.row(&path, "client_id", quote(&login.client_id));
                    self.row(&path, "client_secret", HIDDEN);
                    if let Some(scope) = &login.scope {
                        self.row(&path, "scope", quote(scope));
                    }
                }
                if let Some(sign_in) = sign_in {
                    if let Some(id) = &sign_in.client_id {
                        self.row(&path, "client_id", quote(id));
                    }
                    if sign_in.client_secret.is_some() {
                        self.row(&path, "client_secret", HIDDEN);
                    }
                    if let Some(scope) = &sign_in.scope {
                        self.row(&path, "scope", quote(scope));
                    }
                }
                secrets.push(("headers", headers.iter().map(|(n, _)| n).collect()));
            }
            _ => {}
        }
        if let Some(writes) = settings.writes {
            self.row(&path, "writes", quote(word(writes)));
        }
        self.row(&path, "timeout", duration(server.timeout));
        self.row(&path, "connect_timeout", duration(server.connect_timeout));
        self.row(&path, "max_output", size(server.max_output as u64));
        self.row(&path, "max_tools", server.max_tools);
        self.end(&format!("[mcp.servers.{}]", key(name)));
        for (table, names) in secrets {
            for secret in names {
                self.row(&format!("{path}.{table}"), secret, HIDDEN);
            }
            self.end(&format!("[mcp.servers.{}.{table}]", key(name)));
        }
    }

    /// A list of texts, where there is one.
    fn texts(&mut self, path: &str, name: &str, texts: Option<&Vec<String>>) {
        let Some(texts) = texts else { return };
        let quoted: Vec<String> = texts.iter().map(quote).collect();
        self.row(path, name, format!("[{}]", quoted.join(", ")));
    }
}
