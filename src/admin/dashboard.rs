//! The dashboard: one page of static files, and the figures that it asks for.
//!
//! | path | what |
//! |---|---|
//! | `GET /dashboard` | the page; its scripts and styles below it |
//! | `GET /v1/dashboard?range=1h\|24h\|7d\|30d` | all figures of the page |
//! | `GET /v1/calls?most=50&before=ID&session=ID` | the newest calls with their upstream calls |
//! | `GET /v1/usage?by=tier\|model\|provider\|tenant\|client\|session\|day&since=7d` | sums, as `tierway usage` has them |
//!
//! The page comes from this binary alone, and its policy lets a browser load nothing else.
use super::{figures::Figures, respond};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

/// Scripts and styles of this origin; no inline code, no frames, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The page, file by file.
const FILES: [(&str, &str, &str); 8] = [
    ("/dashboard", HTML, include_str!("page/index.html")),
    ("/dashboard/app.css", CSS, include_str!("page/app.css")),
    ("/dashboard/app.js", JS, include_str!("page/app.js")),
    ("/dashboard/charts.js", JS, include_str!("page/charts.js")),
    (
        "/dashboard/decision.js",
        JS,
        include_str!("page/decision.js"),
    ),
    ("/dashboard/format.js", JS, include_str!("page/format.js")),
    (
        "/dashboard/uPlot.iife.min.js",
        JS,
        include_str!("page/uPlot.iife.min.js"),
    ),
    (
        "/dashboard/uPlot.min.css",
        CSS,
        include_str!("page/uPlot.min.css"),
    ),
];

/// What stands in the page where nobody had to log in, and what stands there otherwise.
const NO_LOGIN: &str = "<!-- log out -->";
const LOG_OUT: &str =
    r#"<form method="post" action="/logout"><button class="plain">Log out</button></form>"#;

/// A file of the page; who `may_log_out` is shown how.
pub(super) fn file(path: &str, may_log_out: bool) -> Option<Response<Full<Bytes>>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let &(_, kind, text) = FILES.iter().find(|(name, ..)| *name == path)?;
    let text = match kind == HTML && may_log_out {
        true => Bytes::from(text.replace(NO_LOGIN, LOG_OUT)),
        false => Bytes::from_static(text.as_bytes()),
    };
    let mut res = respond(StatusCode::OK, kind, text);
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        res.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Some(res)
}

/// Whether figures are asked for.
pub(super) fn is_figures(path: &str) -> bool {
    matches!(path, "/v1/dashboard" | "/v1/calls" | "/v1/usage")
}

/// Figures as JSON.
pub(super) async fn answer(figures: &Figures, path: &str, query: &str) -> Response<Full<Bytes>> {
    let told = match path {
        "/v1/dashboard" => figures.page(query).await,
        "/v1/calls" => figures.calls(query).await,
        _ => figures.usage(query).await,
    };
    match told {
        Ok(told) => json_of(StatusCode::OK, told),
        Err(no) => {
            let value = json!({"error": {"message": no.message}});
            json_of(no.status, Bytes::from(value.to_string()))
        }
    }
}

fn json_of(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut res = respond(status, "application/json", body);
    let headers = res.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    res
}

/// Why there are no figures.
#[derive(Debug)]
pub(super) struct No {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl No {
    pub(super) fn asked(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }
}

impl From<sqlx::Error> for No {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the ledger does not answer the dashboard");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "the ledger does not answer; the log has more".to_owned(),
        }
    }
}

/// A value as it is sent.
pub(super) fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
