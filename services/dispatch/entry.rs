//! A provider at work: its connections, and what was found out about it.
use super::{
    buffer::Buffer, error::Error, finding::Finding, headers, logprobs::Memory, models::ModelCache,
};
use crate::{
    chat::{Operation, Pieces, Prompt},
    dialect::Dialect,
    providers::{Ask, Auth, Native, Presence, Provider},
    translate::is_particular,
    upstream::{Client, Incoming},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header::AUTHORIZATION};
use std::{mem, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// A question to a provider may take this long.
const PROBE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) provider: Arc<Provider>,
    client: Client,
    messages: Finding,
    responses: Finding,
    pub(super) counts_tokens: Finding,
    pub(super) models: ModelCache,
    pub(super) logprobs: Arc<Memory>,
    pub(super) buffer: Buffer,
}

/// One call upstream, before it is an HTTP request.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) dialect: Dialect,
    pub(super) operation: Operation,
    /// The provider's name for the model.
    pub(super) model: &'a str,
    /// Whether `dialect` is the caller's own.
    pub(super) same: bool,
    pub(super) stream: bool,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: Option<&'a str>,
    pub(super) body: Pieces,
}

impl Entry {
    pub(super) fn new(provider: Provider, client: &Client, buffer: &Buffer) -> Self {
        let connect = provider.limits().connect;
        let own = provider.own_tls();
        let client = if !own.is_default() {
            // One that was checked cannot fail; else the system's authorities decide, which is never less careful.
            Client::with_tls(connect, own).unwrap_or_else(|_| Client::with_connect_timeout(connect))
        } else if connect == client.connect_timeout() {
            client.clone()
        } else {
            Client::with_connect_timeout(connect)
        };
        Self {
            provider: Arc::new(provider),
            client,
            messages: Finding::default(),
            responses: Finding::default(),
            counts_tokens: Finding::default(),
            models: ModelCache::default(),
            logprobs: Arc::default(),
            buffer: buffer.clone(),
        }
    }

    /// The dialect in which to speak to the provider: the caller's own where it can.
    pub(super) async fn dialect_for(
        &self,
        prompt: &Prompt,
        model: &str,
        headers: &HeaderMap,
    ) -> Dialect {
        if let Some(own) = self.provider.own_dialect(prompt, model) {
            return own;
        }
        let caller = prompt.facts().dialect;
        let spec = self.provider.spec();
        let speaks = self.provider.kind().hooks().speaks;
        let spoken = |n: &&Native| speaks.is_none_or(|speaks| speaks(n.dialect, model));
        let own = self.provider.own(model);
        let first = own.or_else(|| spec.dialects.iter().find(spoken));
        let to_translate_into = first.map_or(caller, |n| n.dialect);
        match spec.native(caller) {
            // Other servers know the plainer half of a vendor's dialect; what they would refuse, the translation can say.
            Some(native)
                if native.presence == Presence::Found
                    && self.provider.says_native(caller).is_none()
                    && is_particular(prompt) =>
            {
                to_translate_into
            }
            Some(native) if self.speaks(native, model, headers).await => caller,
            _ => to_translate_into,
        }
    }

    async fn speaks(&self, native: &Native, model: &str, headers: &HeaderMap) -> bool {
        let said = self.provider.says_native(native.dialect);
        if let Some(speaks) = self.provider.kind().hooks().speaks {
            return said.unwrap_or_else(|| speaks(native.dialect, model));
        }
        match native.presence {
            Presence::Always => true,
            Presence::Configured => said == Some(true),
            Presence::Found => match said {
                Some(said) => said,
                None => {
                    // In a box: calls that ask nothing have no room for it in their futures.
                    let ask = || Box::pin(self.probe(native.dialect, headers));
                    let finding = match native.dialect {
                        Dialect::Responses => &self.responses,
                        _ => &self.messages,
                    };
                    finding.get(ask).await.unwrap_or(false)
                }
            },
        }
    }

    /// Sends an empty object where the dialect's requests go: whoever knows the path complains of the object, not of the path. `None`
    /// where this says nothing: no connection, or a server that is not up yet.
    async fn probe(&self, dialect: Dialect, headers: &HeaderMap) -> Option<bool> {
        let mut request = self
            .request(Outgoing {
                dialect,
                operation: Operation::Generate,
                model: "none",
                same: false,
                stream: false,
                headers,
                query: None,
                body: Bytes::from_static(b"{}").into(),
            })
            .ok()?;
        let found = timeout(PROBE, async {
            self.prove(&mut request).await.ok()?;
            let response = self.client.request(request).await.ok()?;
            let (head, body) = response.into_parts();
            match head.status.as_u16() {
                404 | 405 => return Some(false),
                429 | 502..=504 => return None,
                200 => {}
                _ => return Some(true),
            }
            let until = Instant::now() + PROBE;
            let body = super::collect::collect(
                body,
                super::collect::ERROR,
                &self.buffer,
                &self.provider,
                until,
                || (),
            )
            .await
            .ok()?;
            // LM Studio's way of saying 404.
            Some(memchr::memmem::find(&body, b"Unexpected endpoint").is_none())
        })
        .await;
        let found = found.ok().flatten();
        tracing::debug!(
            provider = self.provider.name(),
            ?found,
            "asked whether it speaks {}",
            dialect.as_str()
        );
        found
    }

    pub(super) fn request(&self, call: Outgoing<'_>) -> Result<Request<Pieces>, Error> {
        let provider = &self.provider;
        let Some(native) = provider.spec().native(call.dialect) else {
            let what = format!("it does not speak {}", call.dialect.as_str());
            return Err(Error::misconfigured(provider, &what));
        };
        // A query belongs to the dialect (`?beta=true`).
        let query = call.query.filter(|_| call.same);
        let ask = Ask {
            operation: call.operation,
            model: call.model,
            stream: call.stream,
            settings: provider.told(),
        };
        let uri = provider
            .endpoint(call.dialect, &ask, query)
            .map_err(|e| Error::misconfigured(provider, e.what()))?;
        let (same, stream) = (call.same, call.stream);
        let headers = headers::up(provider, native, call.model, call.headers, same, stream)
            .map_err(|what| Error::misconfigured(provider, what))?;
        let mut request = Request::new(call.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Adds what proves who calls, where that takes a step of its own.
    async fn prove(&self, request: &mut Request<Pieces>) -> Result<(), Error> {
        let fault = |what: String| Error::misconfigured(&self.provider, &what);
        match self.provider.auth() {
            Auth::Step(step) => {
                let plain = mem::take(request).map(|body| body.whole());
                let proven = step(&self.provider, &self.client, plain).await;
                *request = proven.map_err(fault)?.map(Pieces::from);
                Ok(())
            }
            auth => self
                .add_key(auth, request.headers_mut())
                .await
                .map_err(fault),
        }
    }

    /// Adds the key that a program tells, unless the request bears the caller's own credentials.
    async fn add_key(&self, auth: Auth, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(name) = auth.header() else {
            return Ok(());
        };
        let passed = self.provider.passes_credentials()
            && (headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key"));
        if passed {
            return Ok(());
        }
        if let Some(key) = self.provider.told_key().await {
            let value = key?.header(auth.prefix());
            headers.insert(name, value.ok_or("the key cannot be sent")?);
        }
        Ok(())
    }

    /// An error of the provider's as callers may see it; the log has it as it was.
    pub(super) fn scrub(&self, error: &Bytes) -> Bytes {
        super::scrub::told(&self.provider, error)
    }

    /// Sends it, out of its place, and waits for the head of the answer until `until`.
    pub(super) async fn send(
        &self,
        request: &mut Request<Pieces>,
        until: Instant,
    ) -> Result<Response<Incoming>, Error> {
        let sent = async {
            self.prove(request).await?;
            let answer = self.client.request(mem::take(request)).await;
            answer.map_err(|error| Error::before_head(&self.provider, &error))
        };
        match timeout_at(until, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::first_byte(&self.provider)),
        }
    }
}
