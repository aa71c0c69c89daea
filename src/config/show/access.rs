//! Who may call and who may look.
use super::{
    HIDDEN, Sheet,
    values::{duration, key, quote},
};

impl Sheet<'_> {
    pub(super) fn access(&mut self) {
        let access = &self.loaded.config.access;
        if access.admin_token.is_some() {
            self.row("admin", "token", HIDDEN);
        }
        self.row("admin", "open_metrics", access.open_metrics);
        self.row("admin", "tls", access.admin_tls);
        self.end("[admin]");
        self.row("access", "required", access.required);
        if let Some(file) = &access.file {
            self.row("access", "file", quote(file.display()));
        }
        if access.pepper.is_some() {
            self.row("access", "pepper", HIDDEN);
        }
        self.end("[access]");
        for (name, oidc) in &access.oidc {
            let path = format!("oidc.{name}");
            self.row(&path, "issuer", quote(&oidc.issuer));
            self.list(&path, "audience", &oidc.audience);
            if let Some(url) = &oidc.jwks_url {
                self.row(&path, "jwks_url", quote(url));
            }
            self.list(&path, "algorithms", &oidc.algorithms);
            self.row(&path, "leeway", duration(oidc.leeway));
            self.row(&path, "tenant", quote(&oidc.tenant));
            for (name, claim) in [
                ("tenant_claim", &oidc.tenant_claim),
                ("models_claim", &oidc.models_claim),
                ("tags_claim", &oidc.tags_claim),
                ("client_id", &oidc.client_id),
            ] {
                if let Some(claim) = claim {
                    self.row(&path, name, quote(claim));
                }
            }
            self.list(&path, "tiers", oidc.tiers.as_deref().unwrap_or_default());
            if oidc.client_secret.is_some() {
                self.row(&path, "client_secret", HIDDEN);
            }
            self.end(&format!("[oidc.{}]", key(name)));
        }
        let sign_in = &access.sign_in;
        self.row("sign_in", "enabled", sign_in.enabled);
        if let Some(url) = &sign_in.public_url {
            self.row("sign_in", "public_url", quote(url));
        }
        if let Some(file) = &sign_in.settings {
            self.row("sign_in", "settings", quote(file.display()));
        }
        self.row("sign_in", "token_ttl", duration(sign_in.token_ttl));
        self.row("sign_in", "refresh_ttl", duration(sign_in.refresh_ttl));
        self.row("sign_in", "max_pending", sign_in.max_pending);
        self.end("[sign_in]");
        for (name, user) in &sign_in.users {
            let path = format!("sign_in.users.{name}");
            self.row(&path, "password_hash", HIDDEN);
            self.row(&path, "tenant", quote(&user.tenant));
            self.end(&format!("[sign_in.users.{}]", key(name)));
        }
    }
}
