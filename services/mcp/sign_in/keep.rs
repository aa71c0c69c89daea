//! The token of a sign-in, for whoever calls the server: read when its file changes, renewed before its end.
use super::{
    Challenge, Place, Session, now,
    place::Stamp,
    tokens::{is_over, renew},
};
use crate::{
    mcp::SignIn,
    providers::{
        Secret,
        token::{Fetched, Token},
    },
    upstream::Client,
};
use http::{HeaderMap, StatusCode};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::sleep;

/// How often to look whether somebody has signed in or out.
const LOOK: Duration = Duration::from_secs(1);
/// How long a token is taken as it is where nobody said when it ends.
const UNTOLD: Duration = Duration::from_secs(60 * 60);
/// How long an old token is used while it cannot be renewed.
const STOPGAP: Duration = Duration::from_secs(10);

/// What a server wants before it lets one in, and how it gets that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mcp) struct Want {
    pub(in crate::mcp) why: String,
    pub(in crate::mcp) cure: String,
}

/// Who has the token. A clone shares it.
#[derive(Clone, Debug)]
pub(in crate::mcp) struct Keep(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: String,
    url: String,
    place: Place,
    token: Token,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the file looked like when the token was read.
    seen: Option<Stamp>,
    /// What the server did not take.
    refused: Option<Secret>,
    want: Option<Want>,
}

impl Keep {
    pub(in crate::mcp) fn new(sign_in: &SignIn, server: &str, url: &str) -> Self {
        Self(Arc::new(Inner {
            server: server.to_owned(),
            url: url.to_owned(),
            place: Place::new(&sign_in.folder, server),
            token: Token::default(),
            state: Mutex::default(),
        }))
    }

    /// The token, renewed where it must be; `None` where nobody has signed in, as for most servers nobody needs to.
    ///
    /// # Errors
    /// Why there is none, without a secret in it.
    pub(in crate::mcp) async fn token(&self, client: &Client) -> Result<Option<Secret>, String> {
        let stamp = self.0.place.stamp();
        let changed = std::mem::replace(&mut self.state().seen, stamp) != stamp;
        if changed {
            self.0.token.forget();
        }
        if stamp.is_none() {
            return Ok(None);
        }
        let asked = || {
            let (this, client) = (self.clone(), client.clone());
            // Brought to its end even if the caller goes away: what renews may be good for once.
            let task = tokio::spawn(async move { this.obtain(&client).await });
            async { task.await.unwrap_or_else(|error| Err(error.to_string())) }
        };
        self.0.token.get(asked).await.map(Some)
    }

    async fn obtain(&self, client: &Client) -> Result<Fetched, String> {
        let place = &self.0.place;
        let read = || {
            let kept = place.get().map_err(|error| error.to_string())?;
            let kept = kept.ok_or_else(|| self.wants("nobody has signed in", None))?;
            if !kept.is_for(&self.0.url) {
                return Err(self.wants("the sign-in is for another address", None));
            }
            Ok(kept)
        };
        if let Some(token) = self.usable(&read()?) {
            return Ok(token);
        }
        let lock = place.lock().await.map_err(|error| error.to_string())?;
        // Somebody else may have renewed it meanwhile.
        let session = read()?;
        if let Some(token) = self.usable(&session) {
            return Ok(token);
        }
        if session.access_token.is_none() {
            return Err(self.ended());
        }
        match renew(client, &session).await {
            Ok(next) => {
                if let Err(error) = place.write(&next, &lock) {
                    tracing::error!(server = %self.0.server, %error, "a renewed sign-in at an MCP server cannot be kept: it ends with this process");
                }
                let token = next.access_token.clone().ok_or("no token")?;
                Ok(Fetched::new(token, until(next.renew)))
            }
            Err(fault) if is_over(&fault) => {
                let why = self.ended();
                tracing::warn!(server = %self.0.server, %fault, cure = %self.cure(None), "the sign-in at an MCP server has ended");
                let written = place.write(&session.ended(), &lock);
                written.map_err(|error| error.to_string())?;
                Err(why)
            }
            Err(fault) => {
                let good =
                    !self.is_refused(&session) && session.expires.is_some_and(|at| now() < at);
                match session.access_token.filter(|_| good) {
                    Some(token) => Ok(Fetched::new(token, until(session.expires).min(STOPGAP))),
                    None => Err(format!("its sign-in cannot be renewed now: {fault}")),
                }
            }
        }
    }

    /// The token where it is good as it is: not refused, and not to be renewed, or not renewable and not at its end.
    fn usable(&self, session: &Session) -> Option<Fetched> {
        let token = session.access_token.clone()?;
        let limit = match session.refresh_token {
            Some(_) => session.renew,
            None => session.expires,
        };
        let good = !self.is_refused(session) && limit.is_none_or(|at| now() < at);
        good.then(|| Fetched::new(token, until(limit)))
    }

    fn is_refused(&self, session: &Session) -> bool {
        let state = self.state();
        state.refused.is_some() && state.refused == session.access_token
    }

    /// The server did not take this token.
    pub(in crate::mcp) fn refuse(&self, token: &Secret) {
        self.state().refused = Some(token.clone());
        self.0.token.forget();
    }

    /// What an answer means for the sign-in: why it is no use to go on, if so.
    pub(in crate::mcp) fn hear(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        shown: bool,
    ) -> Option<String> {
        if status == StatusCode::UNAUTHORIZED {
            let why = match shown {
                true => "it does not take the token of the sign-in",
                false => "it asks for a sign-in",
            };
            return Some(self.wants(why, None));
        }
        let challenge = Challenge::read(headers)?;
        let more = challenge.error.as_deref() == Some("insufficient_scope");
        if status == StatusCode::FORBIDDEN && more {
            let why = "it wants the sign-in to allow more";
            return Some(self.wants(why, challenge.plain_scope()));
        }
        None
    }
    /// The server is content.
    pub(in crate::mcp) fn content(&self) {
        self.state().want = None;
    }
    /// What somebody must do, if anything.
    pub(in crate::mcp) fn want(&self) -> Option<Want> {
        self.state().want.clone()
    }

    /// Which sign-in this is; another one has another number.
    pub(in crate::mcp) fn since(&self) -> Option<u64> {
        let kept = self.0.place.get().ok().flatten();
        kept.map(|session| session.since)
    }
    /// Waits until it is another one than `since`.
    pub(in crate::mcp) async fn changed(&self, since: Option<u64>) {
        let mut seen = None;
        loop {
            let stamp = Some(self.0.place.stamp());
            if seen != stamp && self.since() != since {
                return;
            }
            seen = stamp;
            sleep(LOOK).await;
        }
    }

    fn ended(&self) -> String {
        self.wants("the sign-in has ended", None)
    }

    fn cure(&self, scope: Option<&str>) -> String {
        let server = &self.0.server;
        match scope {
            Some(scope) => format!("run `tierway mcp login {server} --scope '{scope}'`"),
            None => format!("run `tierway mcp login {server}`"),
        }
    }

    fn wants(&self, why: &str, scope: Option<&str>) -> String {
        let cure = self.cure(scope);
        self.state().want = Some(Want {
            why: why.to_owned(),
            cure,
        });
        why.to_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now until then.
fn until(at: Option<u64>) -> Duration {
    at.map_or(UNTOLD, |at| Duration::from_millis(at.saturating_sub(now())))
}
