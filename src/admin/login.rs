//! The login page of the admin port.
use super::{
    guard::{self, Guard, Tried},
    respond,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tierway_services::BoxError;

pub(super) const PATH: &str = "/login";
pub(super) const STYLE: &str = "/login.css";
pub(super) const LOGOUT: &str = "/logout";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Where whoever has logged in goes: nowhere that a request could name.
const HOME: &str = "/dashboard";
const LARGEST: usize = 4096;
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

type Answer = Response<Full<Bytes>>;

/// Shows the page, takes the credential, or forgets the cookie.
pub(super) async fn answer<B>(guard: &Guard, req: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = req.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET | &Method::HEAD, STYLE) => respond(
            StatusCode::OK,
            "text/css; charset=utf-8",
            include_str!("page/login.css"),
        ),
        (&Method::POST, LOGOUT) => {
            let mut res = redirect(PATH);
            cookie(&mut res, &Guard::no_cookie());
            res
        }
        (&Method::GET | &Method::HEAD, PATH) => page(StatusCode::OK, ""),
        (&Method::POST, PATH) => {
            let Ok(body) = Limited::new(body, LARGEST).collect().await else {
                return page(StatusCode::BAD_REQUEST, "That was too long.");
            };
            let body = body.to_bytes();
            let token = crate::access::form_value(&body, "token").unwrap_or_default();
            match guard.try_token(token.trim().as_bytes(), guard::peer(&head.extensions)) {
                Tried::Right => {
                    let mut res = redirect(HOME);
                    cookie(&mut res, &guard.cookie(guard.is_secure(&head)));
                    res
                }
                Tried::Wrong => page(StatusCode::FORBIDDEN, "That is not the credential."),
                Tried::TooOften(_) => page(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many tries: wait a minute.",
                ),
            }
        }
        _ => respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or POST\n"),
    }
}

pub(super) fn redirect(there: &'static str) -> Answer {
    let mut res = respond(StatusCode::SEE_OTHER, TEXT, "log in at /login\n");
    res.headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static(there));
    res
}

fn cookie(res: &mut Answer, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        res.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn page(status: StatusCode, told: &'static str) -> Answer {
    let html = include_str!("page/login.html").replace("{told}", told);
    let mut res = respond(status, "text/html; charset=utf-8", html);
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        res.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    res
}
