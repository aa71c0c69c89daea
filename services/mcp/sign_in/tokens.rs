//! What is asked of a server of tokens: some for a code, others for old ones, and their end.
use super::{PATIENCE, Session, now, session::Registered};
use crate::{
    fetch::{Fault, ask, posted},
    providers::Secret,
    upstream::Client,
};
use http::StatusCode;
use serde_json::Value;

/// A token is not used in its last minute: it may be on its way for that long. One that is good for less than two, half of that.
const MARGIN: u64 = 60_000;

/// What was given.
pub(super) struct Granted {
    access_token: Secret,
    refresh_token: Option<Secret>,
    /// In milliseconds.
    good_for: Option<u64>,
    scope: Option<String>,
}

/// Asks `url` for tokens, with these fields, as `client`.
pub(super) async fn grant(
    http: &Client,
    url: &str,
    client: &Registered,
    fields: &[(&str, &str)],
) -> Result<Granted, Fault> {
    let told = send(http, url, client, fields).await?;
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let none = |why: &str| Fault::Away(why.to_owned());
    let access = text("access_token").filter(|token| !token.is_empty());
    let access = access.ok_or_else(|| none("it answers without a token"))?;
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(none("its tokens are not of the kind Bearer"));
    }
    let access_token = Secret::new(access);
    if access_token.header("Bearer ").is_none() {
        return Err(none("its token cannot be sent"));
    }
    let seconds = told.get("expires_in").and_then(|given| match given {
        // Some write a number as a text.
        Value::String(text) => text.parse().ok(),
        given => given.as_f64(),
    });
    let good_for = seconds
        .filter(|s: &f64| (0.0..1e9).contains(s))
        .map(|s| (s * 1000.0) as u64);
    Ok(Granted {
        access_token,
        refresh_token: text("refresh_token")
            .filter(|t| !t.is_empty())
            .map(Secret::new),
        good_for,
        scope: text("scope").map(str::to_owned),
    })
}

/// The sign-in with another token, by the one that renews.
///
/// # Errors
/// As [`is_over`] tells: where it has ended, or only now.
pub(super) async fn renew(http: &Client, session: &Session) -> Result<Session, Fault> {
    let Some(refresh) = &session.refresh_token else {
        return Err(Fault::Refused(StatusCode::UNAUTHORIZED, None));
    };
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.expose()),
        ("resource", &session.resource),
    ];
    let url = &session.token_endpoint;
    let granted = grant(http, url, &session.client, &fields).await?;
    Ok(session.with(granted))
}

/// Whether a refusal is for good: whoever is asked again will say no again.
pub(super) fn is_over(fault: &Fault) -> bool {
    let Fault::Refused(status, why) = fault else {
        return false;
    };
    match why.as_deref() {
        Some("invalid_grant" | "invalid_client" | "unauthorized_client") => true,
        Some(_) => false,
        None => *status == StatusCode::UNAUTHORIZED,
    }
}

/// Has a sign-in end where it began (RFC 7009), where that can be asked; gives whether it could.
///
/// # Errors
/// Where it is refused, or nobody answers.
pub async fn revoke(http: &Client, session: &Session) -> Result<bool, Fault> {
    let Some(url) = &session.revocation_endpoint else {
        return Ok(false);
    };
    let tokens = [
        ("refresh_token", &session.refresh_token),
        ("access_token", &session.access_token),
    ];
    for (kind, token) in tokens {
        if let Some(token) = token {
            let fields = [("token", token.expose()), ("token_type_hint", kind)];
            send(http, url, &session.client, &fields).await?;
        }
    }
    Ok(true)
}

/// Posts these fields as `client`.
async fn send(
    http: &Client,
    url: &str,
    client: &Registered,
    fields: &[(&str, &str)],
) -> Result<Value, Fault> {
    let request = {
        let (form, basic) = client.form(fields);
        posted(url, form, basic)
    };
    ask(http, request, PATIENCE).await
}

impl Registered {
    /// A form with these fields, and how it is shown beside it who sends it.
    fn form(&self, fields: &[(&str, &str)]) -> (String, Option<(&str, &Secret)>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let basic = match &self.secret {
            Some(secret) if !self.in_form => Some((self.id.as_str(), secret)),
            secret => {
                form.append_pair("client_id", &self.id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose());
                }
                None
            }
        };
        (form.finish(), basic)
    }
}

impl Session {
    /// The same with other tokens. A token that renews stays, where no other is given.
    pub(super) fn with(&self, granted: Granted) -> Self {
        let now = now();
        let renewed = granted
            .good_for
            .map(|long| now + long - MARGIN.min(long / 2));
        Self {
            access_token: Some(granted.access_token),
            refresh_token: granted.refresh_token.or_else(|| self.refresh_token.clone()),
            renew: renewed,
            expires: granted.good_for.map(|long| now + long),
            scope: granted.scope.or_else(|| self.scope.clone()),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::session::example, *};

    fn granted(refresh: Option<&str>, good_for: Option<u64>) -> Granted {
        Granted {
            access_token: Secret::new("new"),
            refresh_token: refresh.map(Secret::new),
            good_for,
            scope: None,
        }
    }

    #[test]
    fn what_is_given_takes_the_place_of_what_was() {
        let session = example();
        let next = session.with(granted(Some("r2"), Some(600_000)));
        assert_eq!(next.refresh_token.as_ref().unwrap().expose(), "r2");
        assert_eq!(next.expires.unwrap() - next.renew.unwrap(), MARGIN);
        let next = session.with(granted(None, Some(4_000)));
        assert_eq!(next.refresh_token, session.refresh_token);
        assert_eq!(next.expires.unwrap() - next.renew.unwrap(), 2_000);
        assert_eq!(session.with(granted(None, None)).renew, None);
    }

    #[test]
    fn only_some_refusals_are_for_good() {
        let refused = |status, why: Option<&str>| Fault::Refused(status, why.map(str::to_owned));
        for (fault, over) in [
            (
                refused(StatusCode::BAD_REQUEST, Some("invalid_grant")),
                true,
            ),
            (
                refused(StatusCode::UNAUTHORIZED, Some("invalid_client")),
                true,
            ),
            (refused(StatusCode::UNAUTHORIZED, None), true),
            (
                refused(StatusCode::BAD_REQUEST, Some("temporarily_unavailable")),
                false,
            ),
            (refused(StatusCode::BAD_GATEWAY, None), false),
            (Fault::Away("no".to_owned()), false),
        ] {
            assert_eq!(is_over(&fault), over, "{fault}");
        }
    }
}
