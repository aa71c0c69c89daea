//! Tokens that are fetched: kept while they are good, and fetched once however many ask.
use super::Secret;
use crate::{chat::Pieces, upstream::Client};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

/// A token is not used in its last minute: it may be on its way for that long.
const MARGIN: Duration = Duration::from_secs(60);
/// A server that hands out tokens may take this long.
const PATIENCE: Duration = Duration::from_secs(15);
/// No token is this long.
const LONGEST: usize = 64 * 1024;

/// A token that is fetched when it is needed. Concurrent callers share one question, and its failure.
#[derive(Debug)]
pub(crate) struct Token {
    state: Mutex<State>,
    fetching: Semaphore,
}

#[derive(Clone, Debug, Default)]
struct State {
    token: Option<Fetched>,
    /// How many questions were asked to the end, and why the last one failed.
    asked: u64,
    fault: Option<String>,
}

/// A token, and until when it is good.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    token: Secret,
    until: Instant,
}

impl Fetched {
    /// Good for so long from now on.
    pub(crate) fn new(token: Secret, good_for: Duration) -> Self {
        Self {
            token,
            until: Instant::now() + good_for,
        }
    }
    #[cfg(all(test, unix))]
    pub(crate) fn secret(&self) -> &Secret {
        &self.token
    }
}

impl Default for Token {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            fetching: Semaphore::new(1),
        }
    }
}

impl Token {
    /// The token: the one that is kept, or a new one.
    ///
    /// # Errors
    /// Why there is none, without a secret in it.
    pub(crate) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Secret, String>
    where
        F: Future<Output = Result<Fetched, String>>,
    {
        let before = self.read();
        if let Some(token) = before.good() {
            return Ok(token);
        }
        // A cancelled caller gives its permit back, and the next one asks. The semaphore is never closed.
        let _permit = self.fetching.acquire().await.map_err(|e| e.to_string())?;
        let now = self.read();
        if let Some(token) = now.good() {
            return Ok(token);
        }
        if let Some(fault) = now.fault.filter(|_| now.asked != before.asked) {
            // It failed while we waited; asking again at once would only make a queue of failures.
            return Err(fault);
        }
        let fetched = fetch().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        match fetched {
            Ok(fetched) => {
                let token = fetched.token.clone();
                state.token = Some(fetched);
                state.fault = None;
                Ok(token)
            }
            Err(fault) => {
                state.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// The token that is kept, good or not.
    pub(crate) fn kept(&self) -> Option<Secret> {
        self.read().token.map(|fetched| fetched.token)
    }
    /// The token turned out to be no good.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.token = None;
    }

    fn read(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl State {
    fn good(&self) -> Option<Secret> {
        let token = self.token.as_ref().filter(|t| Instant::now() < t.until)?;
        Some(token.token.clone())
    }
}

/// Asks for a token at `url`, as OAuth 2.0 has it.
///
/// # Errors
/// Why there is none; what the server said is left out, since it may quote what it was sent.
pub(crate) async fn fetch(
    client: &Client,
    url: &str,
    form: &[(&str, &str)],
    basic: Option<(&str, &Secret)>,
) -> Result<Fetched, String> {
    let mut request = Request::new(Pieces::from(encode(form)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url
        .parse()
        .map_err(|_| "the address for tokens is not a URL".to_owned())?;
    let headers = request.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some((user, password)) = basic {
        let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
        let value = Secret::new(pair).header("Basic ");
        let value = value.ok_or("the client's id and secret cannot be sent")?;
        headers.insert(header::AUTHORIZATION, value);
    }
    let answer = timeout(PATIENCE, async {
        let response = client
            .request(request)
            .await
            .map_err(|_| "the server for tokens cannot be reached".to_owned())?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("the server for tokens answered {status}"));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|_| "the server for tokens broke off".to_owned())
    });
    let body = answer
        .await
        .map_err(|_| "the server for tokens did not answer in time".to_owned())??;
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: Option<f64>,
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| "the server for tokens answered without a token".to_owned())?;
    let good_for = answer.expires_in.filter(|s| (0.0..1e9).contains(s));
    let good_for = Duration::from_secs_f64(good_for.unwrap_or(600.0));
    // One that is good for less than two minutes is used for half of that.
    let margin = MARGIN.min(good_for / 2);
    Ok(Fetched {
        token: Secret::new(answer.access_token),
        until: Instant::now() + good_for - margin,
    })
}

fn encode(form: &[(&str, &str)]) -> Bytes {
    let mut out = String::new();
    for (name, value) in form {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::{task::yield_now, time::advance};

    fn fetched(token: &str, seconds: u64) -> Result<Fetched, String> {
        Ok(Fetched {
            token: Secret::new(token),
            until: Instant::now() + Duration::from_secs(seconds),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_serves_all_until_the_token_is_old() {
        let (token, asked) = (&Token::default(), &AtomicU32::new(0));
        let get = || {
            token.get(move || async move {
                let n = asked.fetch_add(1, Relaxed);
                yield_now().await;
                fetched(&format!("t{n}"), 100)
            })
        };
        let (a, b, c) = tokio::join!(get(), get(), get());
        for told in [a, b, c] {
            assert_eq!(told.unwrap().expose(), "t0");
        }
        advance(Duration::from_secs(99)).await;
        assert_eq!(get().await.unwrap().expose(), "t0");
        advance(Duration::from_secs(2)).await;
        assert_eq!(get().await.unwrap().expose(), "t1");
        token.forget();
        assert_eq!(get().await.unwrap().expose(), "t2");
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_not_kept() {
        let (token, asked) = (&Token::default(), &AtomicU32::new(0));
        let get = || {
            token.get(move || async move {
                asked.fetch_add(1, Relaxed);
                yield_now().await;
                Err("no".to_owned())
            })
        };
        let (a, b) = tokio::join!(get(), get());
        assert_eq!((a.unwrap_err(), b.unwrap_err()), ("no".into(), "no".into()));
        assert_eq!(asked.load(Relaxed), 1);
        let token = token.get(|| async { fetched("t", 9) }).await;
        assert_eq!(token.unwrap().expose(), "t");
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(encode(&[("a", "x y&"), ("b", "1")]), "a=x%20y%26&b=1");
    }
}
