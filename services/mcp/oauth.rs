//! Tokens for servers that ask for OAuth. The gateway logs in as itself (client credentials, RFC 6749, section 4.4), with the address for tokens told by
//! whoever configured it: it is not asked of the server, which could name another one, and be shown the secret. Or it has what somebody got who
//! has [signed in](super::sign_in).
use super::{
    Login, Road, Server,
    sign_in::{Keep, Want},
};
use crate::{
    providers::{
        Secret,
        token::{Token, fetch},
    },
    upstream::Client,
};
use http::{HeaderMap, StatusCode};
use std::{future::pending, sync::Arc};

/// Who has the token. A clone shares it.
#[derive(Clone, Debug)]
pub(super) enum Authority {
    /// The gateway itself.
    Own(Own),
    /// Somebody who has signed in.
    User(Keep),
}

/// The gateway as itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    login: Login,
    /// The server that the token is for (RFC 8707).
    resource: Arc<str>,
    token: Arc<Token>,
}

// === impl Authority ===

impl Authority {
    /// Who has tokens for this server, where it may ask for some.
    pub(super) fn of(server: &Server) -> Option<Self> {
        let Road::Http {
            url,
            login,
            sign_in,
            ..
        } = &server.road
        else {
            return None;
        };
        let own = login.clone().map(|login| {
            Self::Own(Own {
                login,
                resource: url.as_str().into(),
                token: Arc::default(),
            })
        });
        let user = || {
            let sign_in = sign_in.as_ref()?;
            Some(Self::User(Keep::new(sign_in, &server.name, url)))
        };
        own.or_else(user)
    }

    /// The token, where there is one: the one that is kept, or a new one.
    pub(super) async fn token(&self, client: &Client) -> Result<Option<Secret>, String> {
        match self {
            Self::Own(own) => own.token(client).await.map(Some),
            Self::User(keep) => keep.token(client).await,
        }
    }

    /// The token turned out to be no good.
    pub(super) fn refuse(&self, token: &Secret) {
        match self {
            Self::Own(own) => own.token.forget(),
            Self::User(keep) => keep.refuse(token),
        }
    }

    /// What an answer says of the token, and whether one was `shown`: why it is no use to go on, if so.
    pub(super) fn hear(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        shown: bool,
    ) -> Option<String> {
        let Self::User(keep) = self else { return None };
        if status.is_success() {
            keep.content();
        }
        keep.hear(status, headers, shown)
    }

    /// What somebody must do before the server lets us in, if anything.
    pub(super) fn want(&self) -> Option<Want> {
        match self {
            Self::Own(_) => None,
            Self::User(keep) => keep.want(),
        }
    }

    /// Which sign-in this is.
    pub(super) fn since(&self) -> Option<u64> {
        match self {
            Self::Own(_) => None,
            Self::User(keep) => keep.since(),
        }
    }
    /// Waits until somebody has signed in or out.
    pub(super) async fn changed(&self, since: Option<u64>) {
        match self {
            Self::Own(_) => pending().await,
            Self::User(keep) => keep.changed(since).await,
        }
    }
}

// === impl Own ===

impl Own {
    async fn token(&self, client: &Client) -> Result<Secret, String> {
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
}
