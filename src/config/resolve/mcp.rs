//! Servers of tools, and who may use them.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Key, Mcp, McpServer, McpTenant},
        typed::{Named, Typed},
        values::Size,
    },
    Resolver,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tierway_services::{
    mcp::{Login, Road, Server, SignIn},
    providers::Secret,
};

impl Resolver<'_, '_> {
    pub(super) fn mcp(&mut self, typed: file::Mcp, keys: &[Key]) -> Mcp {
        let default = Mcp::default();
        let mut tenants = BTreeMap::new();
        for (name, Named { origin, value }) in typed.tenants {
            let path = format!("mcp.tenants.{name}");
            self.known_tenant(&path, origin, &name, keys);
            let tenant = McpTenant {
                always: self
                    .take(&format!("{path}.always"), value.always)
                    .unwrap_or_default(),
                allow: self.take(&format!("{path}.allow"), value.allow),
                deny: self
                    .take(&format!("{path}.deny"), value.deny)
                    .unwrap_or_default(),
            };
            tenants.insert(name, tenant);
        }
        let folder = self.sign_ins(typed.sign_ins, !typed.servers.is_empty());
        let mut servers = BTreeMap::new();
        for (name, server) in typed.servers {
            if let Some(server) = self.mcp_server(&name, server, folder.as_deref()) {
                servers.insert(name, server);
            }
        }
        Mcp {
            serve: self.take("mcp.serve", typed.serve).unwrap_or(default.serve),
            origins: self.take("mcp.origins", typed.origins).unwrap_or_default(),
            models: self.take("mcp.models", typed.models).unwrap_or_default(),
            allow: self.take("mcp.allow", typed.allow),
            deny: self.take("mcp.deny", typed.deny).unwrap_or_default(),
            writes: self
                .take("mcp.writes", typed.writes)
                .unwrap_or(default.writes),
            max_rounds: self
                .take("mcp.max_rounds", typed.max_rounds)
                .map_or(default.max_rounds, |count| count.0),
            max_calls: self
                .take("mcp.max_calls", typed.max_calls)
                .map_or(default.max_calls, |count| count.0),
            max_time: self
                .take("mcp.max_time", typed.max_time)
                .unwrap_or(default.max_time),
            max_usd: self
                .take("mcp.max_usd", typed.max_usd)
                .map_or(default.max_usd, |sum| sum.0),
            search_from: self
                .take("mcp.search_from", typed.search_from)
                .map(|count| count.0),
            sign_ins: folder,
            tenants,
            servers,
        }
    }

    /// Where sign-ins lie where nobody says: in the state folder.
    fn sign_ins(&mut self, typed: Option<Typed<PathBuf>>, needed: bool) -> Option<PathBuf> {
        let told = self.file_of("mcp.sign_ins", typed);
        if told.is_some() || !needed {
            return told;
        }
        let folder = self.state_folder();
        folder.map(|folder| folder.join("mcp"))
    }

    fn mcp_server(
        &mut self,
        name: &str,
        Named { origin, value }: Named<file::McpServer>,
        sign_ins: Option<&Path>,
    ) -> Option<McpServer> {
        let path = format!("mcp.servers.{name}");
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 32 || name.contains("__") || !name.chars().all(fits) {
            self.refuse(
                origin.clone(),
                format!("`{name}` cannot be the name of a server of tools"),
                "write at most 32 letters, digits, `-` and single `_`: tools are named mcp__server__tool",
            );
        }
        let token = self.secret(
            &format!("{path}.token"),
            value.token,
            value.token_env,
            value.token_file,
        );
        let client_secret = self.secret(
            &format!("{path}.client_secret"),
            value.client_secret,
            value.client_secret_env,
            value.client_secret_file,
        );
        let client_id = self.take(&format!("{path}.client_id"), value.client_id);
        let token_url = self.url(&format!("{path}.token_url"), value.token_url);
        let scope = self.take(&format!("{path}.scope"), value.scope);
        let mut sign_in = sign_ins.map(SignIn::new);
        let login = match (token_url, client_id, client_secret) {
            (Some(token_url), Some(client_id), Some(client_secret)) => Some(Login {
                token_url,
                client_id,
                client_secret,
                scope,
            }),
            (Some(_), ..) | (None, None, Some(_)) => {
                self.refuse(
                    origin.clone(),
                    format!("the login of `{name}` is not whole"),
                    "add token_url, client_id and client_secret_env; or without token_url, for `tierway mcp login`, client_id or nothing",
                );
                None
            }
            (None, client_id, client_secret) => {
                if let Some(sign_in) = &mut sign_in {
                    sign_in.client_id = client_id;
                    sign_in.client_secret = client_secret;
                    sign_in.scope = scope;
                }
                None
            }
        };
        let command = self.take(&format!("{path}.command"), value.command);
        let url = self.url(&format!("{path}.url"), value.url);
        let pass_env = self.take(&format!("{path}.pass_env"), value.pass_env);
        let pass_env = pass_env.unwrap_or_default();
        let mut env = self.secrets(&format!("{path}.env"), value.env);
        for variable in &pass_env {
            match self.environment.get(variable) {
                Some(given) => env.push((variable.clone(), Secret::new(given))),
                None => self.refuse(
                    origin.clone(),
                    format!(
                        "`{path}.pass_env` names {variable}, which the environment does not have"
                    ),
                    format!("set {variable}, or take it out"),
                ),
            }
        }
        let headers = self.secrets(&format!("{path}.headers"), value.headers);
        let road = match (command, url) {
            (Some(command), None) => Road::Program {
                command,
                args: self
                    .take(&format!("{path}.args"), value.args)
                    .unwrap_or_default(),
                env,
                folder: self
                    .take(&format!("{path}.folder"), value.folder)
                    .map(|folder| self.folder.join(folder)),
            },
            (None, Some(url)) => {
                let shown =
                    |(name, _): &(String, Secret)| name.eq_ignore_ascii_case("authorization");
                let other = token.is_some() || login.is_some() || headers.iter().any(shown);
                Road::Http {
                    url,
                    headers,
                    token,
                    login,
                    sign_in: sign_in.filter(|_| !other),
                }
            }
            (both, _) => {
                let fault = if both.is_some() { "two ways" } else { "no way" };
                self.refuse(
                    origin,
                    format!("the server of tools `{name}` has {fault} to be reached"),
                    "add command (a program that is started here) or url (its address)",
                );
                return None;
            }
        };
        let mut server = Server::new(name, road);
        if let Some(timeout) = self.take(&format!("{path}.timeout"), value.timeout) {
            server.timeout = timeout;
        }
        if let Some(most) = self.take(&format!("{path}.connect_timeout"), value.connect_timeout) {
            server.connect_timeout = most;
        }
        if let Some(Size(most)) = self.take(&format!("{path}.max_output"), value.max_output) {
            server.max_output = usize::try_from(most).unwrap_or(usize::MAX);
        }
        if let Some(most) = self.take(&format!("{path}.max_tools"), value.max_tools) {
            server.max_tools = most.0;
        }
        Some(McpServer {
            server,
            pass_env,
            writes: self.take(&format!("{path}.writes"), value.writes),
        })
    }

    fn url(&mut self, path: &str, typed: Option<Typed<String>>) -> Option<String> {
        let origin = typed.as_ref().map(|typed| typed.origin.clone());
        let url = self.take(path, typed)?;
        let scheme = url.starts_with("https://") || url.starts_with("http://");
        if !scheme || url.parse::<http::Uri>().is_err() {
            self.refuse(
                origin.unwrap_or(Origin::Default),
                format!("`{path}` is not an address"),
                "write for example \"https://example.com/mcp\"",
            );
        }
        Some(url)
    }

    fn secrets(
        &mut self,
        path: &str,
        typed: BTreeMap<String, Named<Typed<Secret>>>,
    ) -> Vec<(String, Secret)> {
        let all = typed.into_iter().filter_map(|(name, Named { value, .. })| {
            let secret = self.take(&format!("{path}.{name}"), Some(value))?;
            Some((name, secret))
        });
        all.collect()
    }
}
