//! Who may call and who may look.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Access, Config, Oidc, SignIn, User},
        typed::{Named, Typed},
    },
    Resolver,
};
use std::{collections::BTreeMap, time::Duration};
use tierway_services::providers::Secret;

/// A credential for operators that is shorter could be guessed.
const SHORT: usize = 16;
/// Signatures that are checked with a public key: never `none`, never a shared secret.
const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];
/// Clocks that differ by more are wrong.
const MAX_LEEWAY: Duration = Duration::from_secs(600);

impl Resolver<'_, '_> {
    pub(super) fn access(
        &mut self,
        admin: file::Admin,
        access: file::Access,
        oidc: BTreeMap<String, Named<file::Oidc>>,
        sign_in: file::SignIn,
    ) -> Access {
        Access {
            admin_token: self.admin_token(admin.token, admin.token_env, admin.token_file),
            open_metrics: self
                .take("admin.open_metrics", admin.open_metrics)
                .unwrap_or_default(),
            admin_tls: self.take("admin.tls", admin.tls).unwrap_or_default(),
            required: self
                .take("access.required", access.required)
                .unwrap_or_default(),
            file: self.file_of("access.file", access.file),
            pepper: self.secret(
                "access.pepper",
                access.pepper,
                access.pepper_env,
                access.pepper_file,
            ),
            oidc: oidc
                .into_iter()
                .filter_map(|(name, issuer)| Some((name.clone(), self.issuer(&name, issuer)?)))
                .collect(),
            sign_in: self.sign_in(sign_in),
        }
    }

    fn admin_token(
        &mut self,
        text: Option<Typed<Secret>>,
        variable: Option<Typed<String>>,
        file: Option<Typed<std::path::PathBuf>>,
    ) -> Option<Secret> {
        let origins = [
            text.as_ref().map(|typed| typed.origin.clone()),
            variable.as_ref().map(|typed| typed.origin.clone()),
            file.as_ref().map(|typed| typed.origin.clone()),
        ];
        let token = self.secret("admin.token", text, variable, file)?;
        if token.expose().len() < SHORT {
            let origin = origins.into_iter().flatten().next();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                format!("`admin.token` has fewer than {SHORT} characters"),
                "write what `openssl rand -hex 32` prints",
            );
            return None;
        }
        Some(token)
    }

    fn issuer(&mut self, name: &str, typed: Named<file::Oidc>) -> Option<Oidc> {
        let Named { origin, value } = typed;
        let path = |key: &str| format!("oidc.{name}.{key}");
        if value.issuer.is_none() {
            self.refuse(
                origin.clone(),
                format!("`oidc.{name}` has no issuer"),
                "add issuer = \"https://...\", as its tokens name it",
            );
        }
        if value.audience.is_none() && value.client_id.is_none() {
            self.refuse(
                origin.clone(),
                format!("`oidc.{name}` admits nobody"),
                "add audience = [\"...\"], which tokens must name, or client_id for the sign-in page",
            );
        }
        let issuer = self.address(&path("issuer"), value.issuer);
        let jwks_url = self.address(&path("jwks_url"), value.jwks_url);
        let algorithms = self.take(&path("algorithms"), value.algorithms);
        let algorithms =
            algorithms.unwrap_or_else(|| ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec());
        if let Some(other) = algorithms
            .iter()
            .find(|name| !ALGORITHMS.contains(&name.as_str()))
        {
            self.refuse(
                origin.clone(),
                format!(
                    "`{}` names {other}, which cannot be checked with a public key",
                    path("algorithms")
                ),
                format!("write some of {}", ALGORITHMS.join(", ")),
            );
        }
        let leeway = self.take(&path("leeway"), value.leeway);
        let leeway = leeway.unwrap_or(Duration::from_secs(60));
        if leeway > MAX_LEEWAY {
            self.refuse(
                origin,
                format!("`{}` is over ten minutes", path("leeway")),
                "set the clocks, and write for example \"1m\"",
            );
        }
        Some(Oidc {
            issuer: issuer?,
            audience: self
                .take(&path("audience"), value.audience)
                .unwrap_or_default(),
            jwks_url,
            algorithms,
            leeway,
            tenant: self
                .take(&path("tenant"), value.tenant)
                .unwrap_or_else(|| name.to_owned()),
            tenant_claim: self.take(&path("tenant_claim"), value.tenant_claim),
            tiers: self.take(&path("tiers"), value.tiers),
            models_claim: self.take(&path("models_claim"), value.models_claim),
            tags_claim: self.take(&path("tags_claim"), value.tags_claim),
            client_id: self.take(&path("client_id"), value.client_id),
            client_secret: self.secret(
                &path("client_secret"),
                value.client_secret,
                value.client_secret_env,
                value.client_secret_file,
            ),
        })
    }

    /// An address that nobody on the way can change: `https`, or this machine's own.
    fn address(&mut self, path: &str, typed: Option<Typed<String>>) -> Option<String> {
        let origin = typed.as_ref().map(|typed| typed.origin.clone())?;
        let text = self.take(path, typed)?;
        let uri = text.parse::<http::Uri>().ok();
        let fits = uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(host)) => is_loopback(host),
            _ => false,
        });
        if !fits {
            self.refuse(
                origin,
                format!("`{path}` is not an https address"),
                "write https://..., or http:// for this machine alone",
            );
            return None;
        }
        Some(text)
    }

    fn sign_in(&mut self, typed: file::SignIn) -> SignIn {
        let default = SignIn::default();
        let mut users = BTreeMap::new();
        for (name, Named { origin, value }) in typed.users {
            let path = format!("sign_in.users.{name}");
            let tenant = self.take(&format!("{path}.tenant"), value.tenant);
            let hash = self.take(&format!("{path}.password_hash"), value.password_hash);
            match hash {
                Some(hash) if hash.expose().starts_with("$argon2id$") => {
                    let tenant = tenant.unwrap_or_else(|| name.clone());
                    users.insert(
                        name,
                        User {
                            password_hash: hash,
                            tenant,
                        },
                    );
                }
                _ => self.refuse(
                    origin,
                    format!("`{path}` has no password_hash of Argon2id"),
                    "write what `tierway keys password` prints",
                ),
            }
        }
        SignIn {
            enabled: self
                .take("sign_in.enabled", typed.enabled)
                .unwrap_or_default(),
            public_url: self
                .address("sign_in.public_url", typed.public_url)
                .map(|url| url.trim_end_matches('/').to_owned()),
            settings: self.file_of("sign_in.settings", typed.settings),
            token_ttl: self
                .take("sign_in.token_ttl", typed.token_ttl)
                .unwrap_or(default.token_ttl),
            refresh_ttl: self
                .take("sign_in.refresh_ttl", typed.refresh_ttl)
                .unwrap_or(default.refresh_ttl),
            max_pending: self
                .take("sign_in.max_pending", typed.max_pending)
                .map_or(default.max_pending, |count| count.0),
            users,
        }
    }

    /// What is open to the network is guarded, and what signs users in knows some.
    pub(super) fn check_access(
        &mut self,
        config: &Config,
        keyless: bool,
        listen: Option<Origin>,
        admin: Option<Origin>,
    ) {
        if keyless && !config.is_closed() && !config.server.listen.ip().is_loopback() {
            self.refuse(
                listen.unwrap_or(Origin::Default),
                format!("`server.listen` is open to the network, and no key guards it: {}", config.server.listen),
                "add [[keys]] with key_env = \"NAME\" and tenant = \"name\", or access.required = true for keys of `tierway keys`, or listen on 127.0.0.1",
            );
        }
        if config.access.admin_token.is_none() && !config.server.admin.ip().is_loopback() {
            self.refuse(
                admin.unwrap_or(Origin::Default),
                format!("`server.admin` is open to the network, and no credential guards it: {}", config.server.admin),
                "set admin.token_file, admin.token_env or TIERWAY_ADMIN_TOKEN, or listen on 127.0.0.1",
            );
        }
        if config.access.admin_tls && config.server.tls.is_none() && self.problems.is_empty() {
            let origin = self.origins.get("admin.tls").cloned();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                "`admin.tls` has no certificate",
                "add [server.tls] with cert_file and key_file: both ports show the same",
            );
        }
        let sign_in = &config.access.sign_in;
        let issuers = config.access.oidc.values();
        let nobody =
            sign_in.users.is_empty() && !issuers.into_iter().any(|o| o.client_id.is_some());
        if sign_in.enabled && nobody && self.problems.is_empty() {
            let origin = self.origins.get("sign_in.enabled").cloned();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                "`sign_in` knows no users",
                "add [sign_in.users.NAME] with password_hash, or [oidc.NAME] with issuer and client_id",
            );
        }
    }

    /// Where virtual keys lie where nobody says: in the state folder.
    pub(super) fn access_file(&mut self, config: &mut Config) {
        if config.access.file.is_none() {
            let folder = self.state_folder();
            config.access.file = folder.map(|folder| folder.join("access.db"));
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
