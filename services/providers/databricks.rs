//! Databricks: chat completions of serving endpoints, each at a path of its own; Messages on the AI gateway's route, which the user may ask
//! for.
//!
//! A personal access token as the key, or a service principal (`client_id`, `client_secret`), for which tokens are fetched from the
//! workspace and renewed before they end.
use super::{
    Provider, Secret, Setting,
    spec::{Ask, Auth, Framing, Native, Path, Presence, Spec, segment},
    token,
};
use crate::{dialect::Dialect, upstream::Client};
use bytes::Bytes;
use http::Request;
use std::pin::Pin;

pub(super) static SPEC: Spec = Spec {
    name: "databricks",
    base_url_env: &["DATABRICKS_API_BASE", "DATABRICKS_HOST"],
    key_env: &["DATABRICKS_API_KEY", "DATABRICKS_TOKEN"],
    settings_env: &[
        (Setting::ClientId, &["DATABRICKS_CLIENT_ID"]),
        (Setting::ClientSecret, &["DATABRICKS_CLIENT_SECRET"]),
    ],
    auth: Auth::Step(prove),
    dialects: &[
        Native {
            dialect: Dialect::ChatCompletions,
            presence: Presence::Always,
            generate: Path::Rooted(invocations),
            framing: Framing::Sse,
            count_tokens: None,
            headers: &[],
            keeps: false,
        },
        Native {
            generate: Path::Rooted(messages),
            ..Native::messages(Presence::Configured, None)
        },
    ],
    models: Some(Path::Rooted(endpoints)),
    priced_as: &["databricks"],
    ..Spec::BASE
};

fn invocations(ask: &Ask<'_>) -> String {
    format!("/serving-endpoints/{}/invocations", segment(ask.model))
}
fn messages(_: &Ask<'_>) -> String {
    "/ai-gateway/anthropic/v1/messages".to_owned()
}
fn endpoints(_: &Ask<'_>) -> String {
    "/api/2.0/serving-endpoints".to_owned()
}

fn prove<'a>(
    provider: &'a Provider,
    client: &'a Client,
    mut request: Request<Bytes>,
) -> Pin<Box<dyn Future<Output = Result<Request<Bytes>, String>> + Send + 'a>> {
    Box::pin(async move {
        let key = match provider.key() {
            Some(key) => key.clone(),
            None => principal(provider, client).await?,
        };
        super::step::bearer(&mut request, &key)?;
        Ok(request)
    })
}

async fn principal(provider: &Provider, client: &Client) -> Result<Secret, String> {
    let settings = provider.told();
    let (Some(id), Some(secret)) = (&settings.client_id, &settings.client_secret) else {
        return Err("it has neither a key nor client_id and client_secret".to_owned());
    };
    let fetch = || async {
        let url = format!("{}/oidc/v1/token", provider.origin());
        let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
        token::fetch(client, &url, &form, Some((id, secret))).await
    };
    provider.token().get(fetch).await
}
