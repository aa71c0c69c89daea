//! Which headers travel, up and down. Both ways by allow-list: what is not named here stays.
use crate::{
    chat::Target,
    providers::{Native, Provider},
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};

/// Whether a header goes upstream whatever the dialects: who calls, and the trace that the call belongs to.
fn always_goes(name: &str) -> bool {
    matches!(name, "user-agent" | "traceparent" | "tracestate")
}
/// Whether it goes where the upstream speaks the caller's dialect and so understands it.
fn goes_within_dialect(name: &str) -> bool {
    let known = matches!(
        name,
        "anthropic-version"
            | "anthropic-dangerous-direct-browser-access"
            | "x-app"
            | "openai-beta"
            | "openai-organization"
            | "openai-project"
            | "idempotency-key"
            | "x-client-request-id"
            | "session-id"
            | "thread-id"
            | "originator"
            | "http-referer"
            | "x-title"
    );
    let clients = ["x-stainless-", "x-claude-code-", "x-codex-"];
    known || clients.iter().any(|prefix| name.starts_with(prefix))
}
/// Whether it comes back from the upstream: what a client needs to behave well, and what it is asked for when it complains.
fn comes_back(name: &str) -> bool {
    let known = matches!(
        name,
        "retry-after"
            | "retry-after-ms"
            | "request-id"
            | "openai-processing-ms"
            | "openai-version"
            | "openai-model"
            | "x-should-retry"
    );
    let limits = [
        "anthropic-ratelimit-",
        "anthropic-priority-",
        "x-ratelimit-",
        // Without the `x-`, as the standard to come has it.
        "ratelimit-",
    ];
    known || limits.iter().any(|prefix| name.starts_with(prefix))
}
/// By which names providers tell the id of a call, the most telling last: OpenAI and most others; Amazon; Azure's front, then Azure;
/// Google; OpenRouter.
const IDS: [&str; 6] = [
    "x-request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "x-goog-request-id",
    "x-generation-id",
];

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tierway-upstream-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-tierway-provider");
const MODEL: HeaderName = HeaderName::from_static("x-tierway-model");

/// Tells of something odd in an answer that is delivered all the same.
const FLAG: HeaderName = HeaderName::from_static("x-tierway-flag");
const DROPPED: HeaderName = HeaderName::from_static("x-tierway-dropped");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The headers of a call upstream. The caller's credentials are not among them, unless the provider is configured to be given them.
///
/// # Errors
/// Where our key cannot be sent; a provider that was checked has no such key.
pub(super) fn up(
    provider: &Provider,
    native: &Native,
    model: &str,
    caller: &HeaderMap,
    same_dialect: bool,
    stream: bool,
) -> Result<HeaderMap, &'static str> {
    let mut out = HeaderMap::with_capacity(caller.len() + 8);
    for (name, value) in caller {
        let word = name.as_str();
        let travels = always_goes(word)
            || same_dialect && goes_within_dialect(word)
            || provider.spec().passes.contains(&word);
        if travels && *name != ANTHROPIC_BETA {
            out.append(name, value.clone());
        }
    }
    if same_dialect {
        for value in provider.kind().passage().betas.header(caller, model) {
            out.append(ANTHROPIC_BETA, value);
        }
    }
    out.entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "tierway/",
            env!("CARGO_PKG_VERSION")
        )));
    for (name, value) in native.headers {
        out.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    out.insert(CONTENT_TYPE, JSON);
    out.insert(ACCEPT, if stream { EVENT_STREAM } else { JSON });
    // What comes back is read, and forwarded as it is: packing it would only cost time.
    out.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(host) = provider.host() {
        out.insert(HOST, host.clone());
    }
    for (name, value) in provider.headers() {
        out.insert(name, value.clone());
    }
    credentials(provider, caller, &mut out)?;
    Ok(out)
}

fn credentials(
    provider: &Provider,
    caller: &HeaderMap,
    out: &mut HeaderMap,
) -> Result<(), &'static str> {
    let mut passed = false;
    if provider.passes_credentials() {
        for name in [AUTHORIZATION, X_API_KEY] {
            if let Some(value) = caller.get(&name) {
                let mut value = value.clone();
                value.set_sensitive(true);
                out.insert(name, value);
                passed = true;
            }
        }
    }
    let auth = provider.auth();
    if !passed
        && provider.key().is_some()
        && let Some(header) = auth.header()
    {
        let value = provider
            .key_header()
            .ok_or("api_key holds characters that no header can carry")?;
        out.insert(header, value);
    }
    Ok(())
}

/// Says what of the request was left out.
pub(super) fn dropped(what: &[String], out: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&what.join(", "))
        && !value.is_empty()
    {
        out.insert(DROPPED, value);
    }
}

/// Takes over what comes back from the upstream, and says who answered.
pub(super) fn down(target: &Target, upstream: &HeaderMap, out: &mut HeaderMap) {
    // The place of an id's name among `IDS`, and the id.
    let mut told: Option<(usize, &HeaderValue)> = None;
    for (name, value) in upstream {
        if let Some(at) = IDS.iter().position(|id| *id == name.as_str())
            && told.is_none_or(|(before, _)| before < at)
        {
            told = Some((at, value));
        }
        if comes_back(name.as_str()) {
            out.insert(name, value.clone());
        }
    }
    // The plain name is for the id that this gateway gives.
    if let Some((_, id)) = told {
        out.insert(UPSTREAM_REQUEST_ID, id.clone());
    }
    answers(target, out);
}

/// Says who answers.
pub(super) fn answers(target: &Target, out: &mut HeaderMap) {
    for (name, text) in [(PROVIDER, &target.provider), (MODEL, &target.model)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            out.insert(name, value);
        }
    }
}

/// Says that something in the answer is odd.
pub(super) fn flag(headers: &mut HeaderMap, word: &'static str) {
    headers.append(FLAG, HeaderValue::from_static(word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dialect::Dialect,
        providers::{Kind, Secret},
    };

    fn caller() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer caller-secret"),
            ("x-api-key", "caller-secret"),
            ("cookie", "session=caller-secret"),
            ("proxy-authorization", "caller-secret"),
            ("x-forwarded-for", "10.0.0.1"),
            ("host", "gateway"),
            ("content-length", "7"),
            ("accept-encoding", "gzip"),
            ("user-agent", "claude-cli/2"),
            ("anthropic-version", "2024-01-01"),
            ("anthropic-beta", "a,b"),
            ("x-stainless-lang", "js"),
            ("x-claude-code-session-id", "s"),
            ("x-codex-turn-metadata", "{}"),
            ("traceparent", "00-0-0-00"),
            ("x-tierway-cache", "off"),
            ("x-custom", "1"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    fn sent(provider: &Provider, same: bool, stream: bool) -> HeaderMap {
        let native = provider.spec().native(Dialect::Messages).unwrap();
        up(provider, native, "m", &caller(), same, stream).unwrap()
    }

    #[test]
    fn no_credential_travels_unless_configured() {
        let provider = Provider::new("p", Kind::Anthropic).api_key(Secret::new("ours"));
        for same in [true, false] {
            let out = sent(&provider, same, true);
            assert!(!format!("{out:?}").contains("caller-secret"));
            assert_eq!(out["x-api-key"], "ours");
            assert!(out["x-api-key"].is_sensitive());
            for never in [
                "authorization",
                "cookie",
                "host",
                "x-forwarded-for",
                "x-custom",
                "x-tierway-cache",
            ] {
                assert!(!out.contains_key(never), "{never}");
            }
        }
        let out = sent(&provider.pass_credentials(true), true, true);
        assert_eq!(out["authorization"], "Bearer caller-secret");
        assert_eq!(out["x-api-key"], "caller-secret", "and ours stays at home");
        assert!(!out.contains_key("cookie"));
    }

    #[test]
    fn a_dialects_headers_stay_within_it() {
        let provider = Provider::new("p", Kind::AnthropicCompatible)
            .header("x-team", "blue")
            .unwrap();
        let same = sent(&provider, true, true);
        for kept in [
            "anthropic-beta",
            "x-stainless-lang",
            "x-claude-code-session-id",
            "x-codex-turn-metadata",
        ] {
            assert!(same.contains_key(kept), "{kept}");
        }
        assert_eq!(same["anthropic-version"], "2024-01-01");
        assert_eq!(same["accept"], "text/event-stream");
        let cross = sent(&provider, false, false);
        let mut names: Vec<_> = cross.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "accept-encoding",
                "anthropic-version",
                "content-type",
                "traceparent",
                "user-agent",
                "x-team"
            ]
        );
        assert_eq!(cross["anthropic-version"], "2023-06-01");
        assert_eq!(cross["accept"], "application/json");
        assert_eq!(cross["accept-encoding"], "identity");
        assert_eq!(cross["user-agent"], "claude-cli/2");
    }

    #[test]
    fn every_providers_id_of_a_call_comes_back_under_one_name() {
        for name in IDS {
            let mut upstream = HeaderMap::new();
            upstream.insert(name, HeaderValue::from_static("id-1"));
            let mut out = HeaderMap::new();
            down(&Target::new("p", "m"), &upstream, &mut out);
            assert_eq!(out[UPSTREAM_REQUEST_ID], "id-1", "{name}");
            assert!(!out.contains_key(name), "{name}");
        }
    }

    // Cases 35 and 36.
    #[test]
    fn what_comes_back() {
        let mut upstream = HeaderMap::new();
        for (name, value) in [
            ("retry-after", "1"),
            ("retry-after-ms", "900"),
            ("x-request-id", "req_1"),
            ("anthropic-ratelimit-requests-remaining", "9"),
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("ratelimit-policy", "10;w=1"),
            ("x-should-retry", "true"),
            ("openai-organization", "org-1"),
            ("openai-project", "proj_1"),
            ("x-amz-cf-id", "c"),
            ("server", "s"),
            ("set-cookie", "a=b"),
            ("anthropic-organization-id", "org"),
            ("content-length", "3"),
        ] {
            upstream.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let mut out = HeaderMap::new();
        down(&Target::new("p", "m:7b"), &upstream, &mut out);
        let mut names: Vec<_> = out.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-unified-status",
                "ratelimit-policy",
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-remaining-tokens",
                "x-should-retry",
                "x-tierway-model",
                "x-tierway-provider",
                "x-tierway-upstream-request-id"
            ]
        );
        assert_eq!(out["x-tierway-model"], "m:7b");
    }
}
