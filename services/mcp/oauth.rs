//! Tokens for servers that ask for OAuth: the gateway logs in as itself (client credentials, RFC 6749, section 4.4), with the address for tokens told by
//! whoever configured it. It is not asked of the server: that could name another one, and be shown the secret.
use super::Login;
use crate::{
    providers::{
        Secret,
        token::{Token, fetch},
    },
    upstream::Client,
};
use std::sync::Arc;

/// Who has the token. A clone shares it.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    login: Login,
    /// The server that the token is for (RFC 8707).
    resource: Arc<str>,
    token: Arc<Token>,
}

impl Authority {
    pub(super) fn new(login: Login, resource: &str) -> Self {
        Self {
            login,
            resource: resource.into(),
            token: Arc::default(),
        }
    }

    /// The token: the one that is kept, or a new one.
    pub(super) async fn token(&self, client: &Client) -> Result<Secret, String> {
        let login = &self.login;
        let ask = || async {
            let mut form = vec![
                ("grant_type", "client_credentials"),
                ("resource", &*self.resource),
            ];
            if let Some(scope) = &login.scope {
                form.push(("scope", scope.as_str()));
            }
            let who = (login.client_id.as_str(), &login.client_secret);
            fetch(client, &login.token_url, &form, Some(who)).await
        };
        self.token.get(ask).await
    }

    /// The token turned out to be no good.
    pub(super) fn forget(&self) {
        self.token.forget();
    }
}
