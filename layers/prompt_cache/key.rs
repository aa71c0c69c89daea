//! What makes two calls the same call.
use super::{alike::Plain, canonical::Tape, feed::Feed};
use http::{HeaderName, header::AUTHORIZATION};
use std::{fmt, ops::Range};
use tierway_services::chat::{self, PartKind, Prompt, Target, Tenant, Tier};

/// The identity of a call: 256 bits of BLAKE3 over whom it is for, who is to answer, and all that can change the answer.
///
/// That is: the tenant (without one, the credentials that the caller showed), the target and tier, the headers that switch features on, and
/// the whole body in canonical form, unknown fields included. A conversation of plain texts has the same key in every dialect; what goes
/// beyond has no exact counterpart in another one, and there the dialect counts too. Left out is only what cannot change the answer:
/// `stream` and `stream_options` (an entry replays either way), `model` (the target says who answers), `metadata` and `user` (they name
/// the end user for abuse tracking), and the bookkeeping block that Claude Code puts into its system prompt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Headers that change what a provider answers.
const SWITCHES: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
];

/// The one version of the Messages API that there is: to say it says nothing.
const ONLY_VERSION: &str = "2023-06-01";

const CREDENTIALS: [HeaderName; 2] = [AUTHORIZATION, HeaderName::from_static("x-api-key")];

impl Key {
    /// The key of `req`; `None` where its body is so deep or so manifold that finding out would cost more than it is worth.
    #[must_use]
    pub fn of(req: &chat::Request) -> Option<Self> {
        let tape = Tape::of(req.body().raw(), texts(req.body()))?;
        let mut feed = Feed::new("tierway prompt cache key", req.body().raw().len());
        let mut field = |kind: u8, value: Option<&[u8]>| match value {
            Some(value) => feed.framed(kind, value),
            None => feed.framed(kind.to_ascii_uppercase(), b""),
        };
        let tenant = Tenant::of(req);
        field(b'w', tenant.map(|t| t.as_str().as_bytes()));
        if tenant.is_none() {
            for name in &CREDENTIALS {
                field(
                    b'c',
                    req.headers().get(name).map(http::HeaderValue::as_bytes),
                );
            }
        }
        let target = Target::of(req);
        field(b'p', target.map(|t| t.provider.as_bytes()));
        field(b'm', target.map(|t| t.model.as_bytes()));
        // A cascade below answers the tiers differently: who asked for the big model by name must not get a draft.
        field(b't', Tier::of(req).map(|t| t.as_str().as_bytes()));
        let facts = req.body().facts();
        let skip = |member: &str| match member {
            "stream" | "stream_options" | "metadata" | "user" => true,
            "model" => target.is_some(),
            _ => false,
        };
        let named = target.is_none().then_some(facts.model.as_bytes());
        let plain = Plain::of(&tape, facts.dialect, |m| m == "model" || skip(m));
        field(
            b'd',
            plain.is_none().then(|| facts.dialect.as_str().as_bytes()),
        );
        field(b'n', named);
        for name in &SWITCHES {
            for value in req
                .headers()
                .get_all(name)
                .iter()
                .filter(|v| *v != ONLY_VERSION)
            {
                field(b'h', Some(name.as_str().as_bytes()));
                field(b'v', Some(value.as_bytes()));
            }
        }
        match plain {
            Some(plain) => plain.feed(&tape, &mut feed),
            None => tape.feed_all(&mut feed, skip),
        }
        Some(Self(feed.finish()))
    }

    /// The key of the same call to an upstream that is `identity` (an address, say), where the provider's name alone does not tell for good.
    #[must_use]
    pub fn within(&self, identity: &[u8]) -> Self {
        Self(*blake3::keyed_hash(&self.0, identity).as_bytes())
    }

    /// Its bytes, for stores that live elsewhere.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where the texts of the conversation stand, which need not be looked through again.
fn texts(prompt: &Prompt) -> Vec<Range<u32>> {
    let parts = prompt.facts().turns.iter().flat_map(|turn| &turn.parts);
    let texts = parts.filter(|part| part.kind == PartKind::Text);
    texts.map(|text| text.span.clone()).collect()
}

/// In hexadecimal: 64 characters.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests;
