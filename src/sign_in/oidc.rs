//! To an OpenID Connect provider and back: the code flow with PKCE (RFC 7636), bound to the browser by a sealed cookie.
//!
//! What comes back only tells who the user is; that a device may act for him needs a click on our own page, or whoever sends somebody a
//! link would be signed in as him.
use super::{Answer, SignIn, asked, page, passes::Who, text};
use crate::{
    access::{IdTokens, discover, now, random},
    config::Oidc,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tierway_services::{
    fetch::{may_ask, post},
    providers::Secret,
    upstream::Client,
};

pub(super) const THERE: &str = "/device/oidc/";
pub(super) const BACK: &str = "/oauth/callback";
const COOKIE: &str = "tierway_sign_in";
/// How long somebody may be away.
const AWAY: i64 = 10 * 60;

/// A provider that tells who users are.
pub(super) struct Provider {
    name: String,
    told: Oidc,
    client_id: String,
    client: Client,
    tokens: IdTokens,
}

/// What the browser carries there and back.
#[derive(Debug, Serialize, Deserialize)]
struct Trip {
    state: String,
    nonce: String,
    verifier: String,
    code: String,
    provider: String,
    until: i64,
}

impl Provider {
    pub(super) fn new(name: &str, told: &Oidc) -> Option<Self> {
        let client_id = told.client_id.clone()?;
        let client = Client::new();
        Some(Self {
            name: name.to_owned(),
            tokens: IdTokens::new(told, &client_id),
            told: told.clone(),
            client_id,
            client,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn endpoint(&self, name: &str) -> Result<(String, Value), String> {
        let told = discover(&self.client, &self.told.issuer).await?;
        let url = told.get(name).and_then(Value::as_str);
        let url = url.filter(|url| may_ask(&self.told.issuer, url));
        let url = url.ok_or_else(|| format!("its {name} is not an https address"))?;
        Ok((url.to_owned(), told.clone()))
    }

    /// What is sent for that, and how the client shows who it is.
    fn exchange(
        &self,
        code: &str,
        trip: &Trip,
        back: &str,
        told: &Value,
    ) -> (String, Option<(&str, &Secret)>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", back)
            .append_pair("client_id", &self.client_id)
            .append_pair("code_verifier", &trip.verifier);
        let mut basic = None;
        if let Some(secret) = &self.told.client_secret {
            let ways = told.get("token_endpoint_auth_methods_supported");
            let ways = ways.and_then(Value::as_array);
            let in_form =
                ways.is_some_and(|ways| ways.iter().any(|way| way == "client_secret_post"));
            if in_form {
                form.append_pair("client_secret", secret.expose());
            } else {
                basic = Some((self.client_id.as_str(), secret));
            }
        }
        (form.finish(), basic)
    }

    /// Exchanges the code that came back for who the user is.
    async fn who(&self, code: &str, trip: &Trip, back: &str) -> Result<Who, String> {
        let (url, told) = self.endpoint("token_endpoint").await?;
        let (form, basic) = self.exchange(code, trip, back, &told);
        let told = post(&self.client, &url, form, basic).await?;
        let token = told.get("id_token").and_then(Value::as_str);
        let token = token.ok_or("it gives no id_token")?;
        let who = self.tokens.read(token).await;
        let who = who.ok_or("its id_token is not valid")?;
        if who.nonce.as_deref() != Some(trip.nonce.as_str()) {
            return Err("its id_token is of another sign-in".to_owned());
        }
        Ok(Who {
            subject: format!("oidc:{}:{}", self.name, who.sub),
            tenant: who.tenant,
            email: who.email,
        })
    }
}

/// The way there.
pub(super) async fn there(desk: &SignIn, head: &Parts) -> Answer {
    let name = head.uri.path().strip_prefix(THERE).unwrap_or_default();
    let provider = desk.0.providers.iter().find(|p| p.name == name);
    let Some(provider) = provider else {
        return text(StatusCode::NOT_FOUND, "there is no such provider\n");
    };
    let typed = asked(head, "user_code").unwrap_or_default();
    let code = match page::checked(desk, head, &typed).await {
        Ok(code) => code,
        Err(no) => return *no,
    };
    let begun = async {
        let (url, _) = provider.endpoint("authorization_endpoint").await?;
        let chance = || random(52).map_err(|error| error.to_string());
        let trip = Trip {
            state: chance()?,
            nonce: chance()?,
            verifier: chance()?,
            code,
            provider: provider.name.clone(),
            until: now() + AWAY * 1000,
        };
        let sealed = desk.0.passes.seal("trip", &trip).ok_or("no key yet")?;
        Ok::<_, String>((url, trip, sealed))
    };
    let (url, trip, sealed) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(
                provider = provider.name,
                error,
                "a provider cannot be asked who users are"
            );
            return page::failed("The provider cannot be reached. Try again.");
        }
    };
    let base = desk.base(head);
    let challenge = ring::digest::digest(&ring::digest::SHA256, trip.verifier.as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", &format!("{base}{BACK}"))
        .append_pair("scope", "openid email profile")
        .append_pair("state", &trip.state)
        .append_pair("nonce", &trip.nonce)
        .append_pair("code_challenge", &BASE64.encode(challenge))
        .append_pair("code_challenge_method", "S256")
        .finish();
    let mark = if url.contains('?') { '&' } else { '?' };
    let mut res = text(StatusCode::SEE_OTHER, "on to the provider\n");
    let headers = res.headers_mut();
    if let Ok(there) = HeaderValue::try_from(format!("{url}{mark}{query}")) {
        headers.insert(header::LOCATION, there);
    }
    let secure = if base.starts_with("https") {
        "; Secure"
    } else {
        ""
    };
    // Lax: the provider's answer is a visit from elsewhere.
    let cookie =
        format!("{COOKIE}={sealed}; Path=/oauth; Max-Age={AWAY}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    res
}

/// The way back.
pub(super) async fn back(desk: &SignIn, head: &Parts) -> Answer {
    const LOST: &str =
        "This sign-in was begun in another browser, or too long ago. Begin once more.";
    let trip = cookie(&head.headers).and_then(|sealed| desk.0.passes.open::<Trip>("trip", sealed));
    let state = asked(head, "state");
    let trip = trip.filter(|trip| Some(&trip.state) == state.as_ref() && now() < trip.until);
    let Some(trip) = trip else {
        return page::failed(LOST);
    };
    let provider = desk.0.providers.iter().find(|p| p.name == trip.provider);
    let (Some(provider), Some(code)) = (provider, asked(head, "code")) else {
        return page::failed("The provider has not signed you in.");
    };
    let back = format!("{}{BACK}", desk.base(head));
    let mut res = match provider.who(&code, &trip, &back).await {
        Ok(who) => match page::checked(desk, head, &trip.code).await {
            Ok(code) => page::confirm(desk, &code, who),
            Err(no) => *no,
        },
        Err(error) => {
            tracing::warn!(
                provider = provider.name,
                error,
                "a provider does not tell who somebody is"
            );
            page::failed("The provider has not signed you in.")
        }
    };
    let gone = HeaderValue::from_static(
        "tierway_sign_in=; Path=/oauth; Max-Age=0; HttpOnly; SameSite=Lax",
    );
    res.headers_mut().insert(header::SET_COOKIE, gone);
    res
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}
