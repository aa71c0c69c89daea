//! Which models the providers serve, for `GET /v1/models`.
use super::{
    Dispatch,
    buffer::Buffer,
    collect::{WHOLE, collect},
    entry::Entry,
    error::Error,
    headers,
};
use crate::{
    chat::{Pieces, Target},
    providers::{Kind, Provider},
    upstream::Client,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// A provider has this long to list its models.
const PATIENCE: Duration = Duration::from_secs(3);
/// A local server has this long to show that it is there.
const LOCAL: Duration = Duration::from_millis(300);
/// A list is as good as new for this long.
const FRESH: Duration = Duration::from_secs(300);
/// A provider that did not answer is asked again after this long.
const AGAIN: Duration = Duration::from_secs(30);
/// More models than any provider has.
const MOST: usize = 10_000;

/// A model that a provider serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Where it is to be had.
    pub target: Target,
    /// When it was made, in seconds since 1970, where the provider says so.
    pub created: Option<u64>,
    /// Its name for people, where the provider gives one.
    pub display_name: Option<String>,
    /// Its owner, where the provider names one.
    pub owned_by: Option<String>,
}

/// What a provider said when it was asked for its models.
#[derive(Debug)]
pub struct Listing {
    /// Its models, or why there are none.
    pub models: Result<Vec<Model>, Unlisted>,
    /// What its clock shows, as it stood in the answer.
    pub date: Option<HeaderValue>,
}

/// Why a provider's models are not known.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unlisted {
    /// Providers of its kind have no list.
    NoList,
    /// It answered with this status.
    Refused(StatusCode),
    /// It answered with something else.
    NotAList,
    /// It did not answer.
    Failed(Error),
}

/// A provider's last list.
#[derive(Debug, Default)]
pub(super) struct ModelCache(Mutex<Cached>);

#[derive(Clone, Debug, Default)]
struct Cached {
    models: Arc<[Model]>,
    good_until: Option<Instant>,
}

impl Dispatch {
    /// The models of all providers, in the providers' order. A list is kept for some minutes; a provider that does not answer within a few
    /// seconds adds what it last said, or nothing.
    pub async fn models(&self) -> Vec<Model> {
        let lists = all(self.entries.iter().map(|entry| entry.models())).await;
        lists.iter().flat_map(|list| list.iter().cloned()).collect()
    }
    /// Asks the provider of this name for its models, whatever is known already; for people who want to know why it does not answer.
    pub async fn list(&self, provider: &str) -> Option<Listing> {
        Some(self.entry(provider)?.list_models().await)
    }
}

impl Entry {
    /// The provider's models: the last known list where it does not answer, empty where there is none.
    pub(super) async fn models(&self) -> Arc<[Model]> {
        let cached = self.models.read();
        if cached.good_until.is_some_and(|t| Instant::now() < t) {
            return cached.models;
        }
        let fetched = timeout(PATIENCE, self.fetch_models()).await.ok().flatten();
        let fresh = match fetched {
            Some(models) => Cached {
                models: models.into(),
                good_until: Some(Instant::now() + FRESH),
            },
            None => Cached {
                models: cached.models,
                good_until: Some(Instant::now() + AGAIN),
            },
        };
        self.models.write(fresh.clone());
        fresh.models
    }

    async fn fetch_models(&self) -> Option<Vec<Model>> {
        self.list_models().await.models.ok()
    }

    /// Asks the provider, whatever is known already.
    pub(super) async fn list_models(&self) -> Listing {
        let mut date = None;
        let models = self.ask_models(&mut date).await;
        Listing { models, date }
    }

    async fn ask_models(&self, date: &mut Option<HeaderValue>) -> Result<Vec<Model>, Unlisted> {
        let provider = &self.provider;
        let native = provider.spec().dialects.first().ok_or(Unlisted::NoList)?;
        let mut request = Request::new(Pieces::default());
        *request.uri_mut() = provider.models_uri().ok_or(Unlisted::NoList)?;
        *request.headers_mut() = headers::up(provider, native, "", &HeaderMap::new(), false, false)
            .map_err(|what| Unlisted::Failed(Error::misconfigured(provider, what)))?;
        let until = Instant::now() + PATIENCE;
        let sent = self.send(&mut request, until).await;
        let response = sent.map_err(Unlisted::Failed)?;
        *date = response.headers().get(header::DATE).cloned();
        if !response.status().is_success() {
            return Err(Unlisted::Refused(response.status()));
        }
        let body = collect(
            response.into_body(),
            WHOLE,
            &self.buffer,
            provider,
            until,
            || (),
        )
        .await;
        let body = body.map_err(|(error, _)| Unlisted::Failed(error))?;
        let models = read(&body).ok_or(Unlisted::NotAList)?;
        let model = |m: Listed| {
            Some(Model {
                target: Target::new(provider.shared_name(), m.name()?),
                created: m.created,
                display_name: m.display_name,
                owned_by: m.owned_by,
            })
        };
        Ok(models.into_iter().take(MOST).filter_map(model).collect())
    }
}

impl ModelCache {
    fn read(&self) -> Cached {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
    fn write(&self, cached: Cached) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cached;
    }
}

/// Asks the server of this kind at `base_url` for its models, and takes no answer within 300 ms for no server.
///
/// ```no_run
/// # async fn f() {
/// use tierway_services::{dispatch::probe, providers::Kind, upstream::Client};
/// let models = probe(&Client::new(), Kind::Ollama, "http://127.0.0.1:11434").await;
/// assert_eq!(models.unwrap_or_default(), ["qwen2.5:3b"]);
/// # }
/// ```
pub async fn probe(client: &Client, kind: Kind, base_url: &str) -> Option<Vec<String>> {
    let provider = Provider::new("probe", kind).base_url(base_url).ok()?;
    let entry = Entry::new(
        provider.timeouts(crate::providers::Timeouts {
            connect: client.connect_timeout(),
            ..Default::default()
        }),
        client,
        &Buffer::default(),
    );
    let models = timeout(LOCAL, entry.fetch_models()).await.ok()??;
    Some(models.iter().map(|m| m.target.model.to_string()).collect())
}

/// `OpenAI`'s and Anthropic's list (`data`), Ollama's and Google's (`models`), or that of Databricks (`endpoints`). A server that answers none
/// is not of our kind.
fn read(body: &[u8]) -> Option<Vec<Listed>> {
    #[derive(Deserialize)]
    struct List {
        data: Option<Vec<Listed>>,
        models: Option<Vec<Listed>>,
        endpoints: Option<Vec<Listed>>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    list.data.or(list.models).or(list.endpoints)
}

#[derive(Deserialize)]
struct Listed {
    id: Option<String>,
    name: Option<String>,
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    created: Option<u64>,
    #[serde(default, alias = "displayName", deserialize_with = "lenient")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    owned_by: Option<String>,
}

impl Listed {
    fn name(&self) -> Option<&str> {
        let name = self
            .id
            .as_deref()
            .or(self.model.as_deref())
            .or(self.name.as_deref());
        // Google's names are paths.
        let name = name.map(|n| n.strip_prefix("models/").unwrap_or(n));
        name.filter(|n| !n.is_empty())
    }
}

/// A decoration of an unexpected type is left out; the model stays.
fn lenient<'de, D: serde::Deserializer<'de>, T: serde::de::DeserializeOwned>(
    value: D,
) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(serde_json::Value::deserialize(value)?).ok())
}

/// Waits for all of them at once.
async fn all<F: Future + Send>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(move |cx| {
        let mut pending = false;
        for (future, output) in running.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return Poll::Pending;
        }
        Poll::Ready(outputs.iter_mut().filter_map(Option::take).collect())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_shape() {
        let names = |body: &str| {
            let list = read(body.as_bytes())?;
            Some(
                list.iter()
                    .filter_map(|m| m.name().map(str::to_owned))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            names(
                r#"{"object":"list","data":[{"id":"a","created":"2024-01-01"},{"id":"b","created":1.5,"owned_by":null}]}"#
            ),
            Some(vec!["a".to_owned(), "b".into()])
        );
        assert_eq!(
            names(r#"{"models":[{"name":"x","model":"y"}],"data":[]}"#),
            Some(vec![])
        );
        assert_eq!(
            names(r#"{"models":[{"name":"x","model":"y"}]}"#),
            Some(vec!["y".into()])
        );
        assert_eq!(
            names(r#"{"models":[{"name":"models/gemini-x","displayName":"Gemini X"}]}"#),
            Some(vec!["gemini-x".into()])
        );
        assert_eq!(
            names(r#"{"endpoints":[{"name":"databricks-claude","creator":"x"}]}"#),
            Some(vec!["databricks-claude".into()])
        );
        assert_eq!(names("<html>"), None);
        assert_eq!(names("{}"), None);
        assert_eq!(names("[]"), None);
    }
}
