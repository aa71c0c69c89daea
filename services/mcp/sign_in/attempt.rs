//! One sign-in under way: begun here, agreed to in a browser, finished here.
use super::{PATIENCE, Session, Target, now, session::Registered, tokens::grant};
use crate::{chat::Pieces, fetch::ask, mcp::SignIn, providers::Secret, upstream::Client};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde_json::{Value, json};
use std::fmt;

/// A sign-in that was begun. It is good for one answer.
#[derive(Clone)]
pub struct Attempt {
    http: Client,
    target: Target,
    client: Registered,
    scope: Option<String>,
    redirect: String,
    state: Secret,
    verifier: Secret,
    url: String,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrong {
    /// It belongs to another attempt: the right one may come yet.
    Foreign,
    /// The sign-in was refused, or its tokens cannot be had.
    Refused(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is not the answer to the sign-in that was begun"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}
impl std::error::Error for Wrong {}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("target", &self.target)
            .field("redirect", &self.redirect)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// Begins: registers a client where none is wanted, and makes the address for the browser, which comes back to `redirect`.
    ///
    /// # Errors
    /// Where no client can be registered.
    pub async fn begin(
        http: &Client,
        target: Target,
        wanted: &SignIn,
        redirect: &str,
    ) -> Result<Self, String> {
        let scope = wanted.scope.clone().or_else(|| target.scope.clone());
        let client = match &wanted.client_id {
            Some(id) => Registered {
                id: id.clone(),
                secret: wanted.client_secret.clone(),
                in_form: target.takes("client_secret_post") && target.ways.is_some(),
            },
            None => register(http, &target, redirect, scope.as_deref()).await?,
        };
        let (state, verifier) = (random()?, random()?);
        let challenge = BASE64.encode(digest(&SHA256, verifier.expose().as_bytes()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", &target.resource);
        if let Some(scope) = &scope {
            query.append_pair("scope", scope);
        }
        let there = &target.authorization_endpoint;
        let mark = if there.contains('?') { '&' } else { '?' };
        Ok(Self {
            url: format!("{there}{mark}{}", query.finish()),
            http: http.clone(),
            redirect: redirect.to_owned(),
            target,
            client,
            scope,
            state,
            verifier,
        })
    }

    /// The address for the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
    /// Who is asked there.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.target.issuer
    }

    /// Exchanges the code in the address that the browser came back to, or in its query.
    ///
    /// # Errors
    /// Why there are no tokens. What [`Wrong::Foreign`] is told of has changed nothing.
    pub async fn finish(&self, address: &str) -> Result<Session, Wrong> {
        let query = address.split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default().trim();
        let field = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            let found = pairs.find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let mine = field("state").is_some_and(|state| is_same(&state, self.state.expose()));
        if !mine {
            return Err(Wrong::Foreign);
        }
        let refused = |why: String| Wrong::Refused(why);
        // Or the code would be shown to a server of tokens that did not give it (RFC 9207).
        match field("iss") {
            Some(issuer) if issuer != self.target.issuer => {
                return Err(refused("the answer is from another issuer".to_owned()));
            }
            None if self.target.tells_issuer => {
                return Err(refused("the answer does not tell its issuer".to_owned()));
            }
            _ => {}
        }
        if let Some(error) = field("error") {
            let more = field("error_description").map(|more| format!(": {more}"));
            let told = format!("{error}{}", more.unwrap_or_default());
            let shown = told.chars().filter(|c| !c.is_control()).take(300);
            return Err(refused(shown.collect()));
        }
        let code = field("code").ok_or_else(|| refused("the answer has no code".to_owned()))?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", self.verifier.expose()),
            ("resource", &self.target.resource),
        ];
        let url = &self.target.token_endpoint;
        let granted = grant(&self.http, url, &self.client, &fields).await;
        let granted = granted
            .map_err(|fault| refused(format!("{} gives no token: {fault}", self.target.issuer)))?;
        Ok(self.nothing_yet().with(granted))
    }

    /// The sign-in before it has tokens.
    fn nothing_yet(&self) -> Session {
        let target = &self.target;
        Session {
            url: target.url.clone(),
            resource: target.resource.clone(),
            issuer: target.issuer.clone(),
            token_endpoint: target.token_endpoint.clone(),
            revocation_endpoint: target.revocation_endpoint.clone(),
            client: self.client.clone(),
            scope: self.scope.clone(),
            since: now(),
            access_token: None,
            refresh_token: None,
            renew: None,
            expires: None,
        }
    }
}

impl Target {
    /// Whether clients may show in this way who they are.
    fn takes(&self, way: &str) -> bool {
        let ways = self.ways.as_ref();
        ways.is_none_or(|ways| ways.iter().any(|one| one == way))
    }
}

/// Makes us known (RFC 7591): without a secret where that may be, since PKCE shows who began.
async fn register(
    http: &Client,
    target: &Target,
    redirect: &str,
    scope: Option<&str>,
) -> Result<Registered, String> {
    let issuer = &target.issuer;
    let Some(url) = &target.registration_endpoint else {
        return Err(format!(
            "{issuer} lets no client register itself: register one there with the redirect address {redirect} (see --port), and write its client_id"
        ));
    };
    let ways = ["none", "client_secret_post", "client_secret_basic"];
    let way = ways.into_iter().find(|way| target.takes(way));
    let way =
        way.ok_or_else(|| format!("{issuer} wants a secret in a way that is not known here"))?;
    let mut asked = json!({
        "client_name": "Tierway",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": way,
        "application_type": "native",
    });
    if let (Some(scope), Some(fields)) = (scope, asked.as_object_mut()) {
        fields.insert("scope".to_owned(), scope.into());
    }
    let request = Request::post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(Pieces::from(Bytes::from(asked.to_string())));
    let told = ask(http, request, PATIENCE).await;
    let told = told.map_err(|fault| format!("{issuer} registers no client: {fault}"))?;
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let id =
        text("client_id").ok_or_else(|| format!("{issuer} registers a client without an id"))?;
    let chosen = text("token_endpoint_auth_method").unwrap_or(way);
    let secret = text("client_secret").filter(|_| chosen != "none");
    Ok(Registered {
        id: id.to_owned(),
        secret: secret.map(Secret::new),
        in_form: chosen == "client_secret_post",
    })
}

/// 256 bits that nobody guesses, as a text.
fn random() -> Result<Secret, String> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "the system has no randomness".to_owned())?;
    Ok(Secret::new(BASE64.encode(bytes)))
}

/// Of digests nobody learns by the time that comparing takes.
fn is_same(one: &str, other: &str) -> bool {
    let of = |text: &str| digest(&SHA256, text.as_bytes());
    of(one).as_ref() == of(other).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(tells_issuer: bool) -> Target {
        Target {
            url: "http://127.0.0.1:1/mcp".into(),
            resource: "http://127.0.0.1:1/mcp".into(),
            scope: Some("a b".into()),
            issuer: "http://127.0.0.1:1".into(),
            authorization_endpoint: "http://127.0.0.1:1/authorize?tenant=x".into(),
            // Nobody is there.
            token_endpoint: "http://127.0.0.1:1/token".into(),
            registration_endpoint: None,
            revocation_endpoint: None,
            ways: None,
            tells_issuer,
        }
    }

    async fn begun(tells_issuer: bool) -> Attempt {
        let mut wanted = SignIn::new("/nowhere");
        wanted.client_id = Some("me".to_owned());
        let back = "http://127.0.0.1:2/callback";
        let begun = Attempt::begin(&Client::new(), target(tells_issuer), &wanted, back).await;
        begun.unwrap()
    }

    #[tokio::test]
    async fn the_address_for_the_browser() {
        let attempt = begun(false).await;
        let (there, query) = attempt.url().split_once('?').unwrap();
        assert_eq!(there, "http://127.0.0.1:1/authorize");
        let pairs: std::collections::HashMap<_, _> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let field = |name: &str| pairs[name].as_str();
        assert_eq!((field("tenant"), field("scope")), ("x", "a b"));
        assert_eq!(field("resource"), "http://127.0.0.1:1/mcp");
        assert_eq!(field("redirect_uri"), "http://127.0.0.1:2/callback");
        assert_eq!(field("code_challenge_method"), "S256");
        let challenge = BASE64.encode(digest(&SHA256, attempt.verifier.expose().as_bytes()));
        assert_eq!(field("code_challenge"), challenge);
        assert!(!attempt.url().contains(attempt.verifier.expose()));
        assert!(!format!("{attempt:?}").contains(attempt.state.expose()));
        assert_ne!(begun(false).await.state, attempt.state);
    }

    #[tokio::test]
    async fn only_its_own_answer_counts() {
        let attempt = begun(true).await;
        for foreign in [
            "",
            "code=1",
            "code=1&state=x",
            "http://127.0.0.1:2/callback?state=",
        ] {
            assert_eq!(
                attempt.finish(foreign).await,
                Err(Wrong::Foreign),
                "{foreign}"
            );
        }
        let state = attempt.state.expose();
        for (answer, why) in [
            (format!("code=1&state={state}"), "does not tell its issuer"),
            (
                format!("code=1&state={state}&iss=http://evil"),
                "another issuer",
            ),
            (
                format!(
                    "error=access_denied&error_description=no%0Away&state={state}&iss=http://127.0.0.1:1"
                ),
                "access_denied: noway",
            ),
            (format!("state={state}&iss=http://127.0.0.1:1"), "no code"),
            (
                format!(
                    "http://127.0.0.1:2/callback?code=1&state={state}&iss=http://127.0.0.1:1#x"
                ),
                "gives no token",
            ),
        ] {
            match attempt.finish(&answer).await {
                Err(Wrong::Refused(told)) => assert!(told.contains(why), "{told}"),
                other => panic!("{answer}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn nobody_registers_where_it_is_not_offered() {
        let wanted = SignIn::new("/nowhere");
        let begun = Attempt::begin(&Client::new(), target(false), &wanted, "http://x").await;
        assert!(begun.unwrap_err().contains("client_id"));
    }
}
