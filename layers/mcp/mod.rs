//! Runs tools for callers that ask for it: a model's calls of them are executed here, and the model is asked again, until it has its answer.
//!
//! Who [asks for it](Policy) gets the tools of a [`Toolbox`] behind those of its own, named `mcp__server__tool`. What the model calls of them
//! is run, all calls of a round at once; what it calls of the caller's own goes to the caller, as ever. The caller sees one answer, as a
//! stream where it asked for one: what the model says appears as it is said, the blocks of all rounds are numbered through, and the usage is that of all rounds.
//!
//! What the caller has not seen, calls and their results, is remembered for a while and put into its place when the conversation comes back,
//! so that the model knows what it has done, and the provider's cache knows the prompt. Where it has been forgotten the conversation is still
//! valid, only shorter.
//!
//! A call ends after so many [rounds](Limits), so much time and so much money: what is still called is answered with a word about that,
//! and the model is asked for the last time, with all tools forbidden.
//!
//! For everybody else this layer does nothing: their requests pass as the very same bytes.
//!
//! # Example
//! ```
//! use http_body_util::BodyExt;
//! use std::{convert::Infallible, sync::Arc};
//! use tierway_layers::mcp::{McpLayer, Policy};
//! use tierway_services::{
//!     chat::{self, Operation, Prompt, Reply},
//!     dialect::Dialect,
//!     tools::{Call, Output, Tool, Toolbox},
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! struct Dice;
//! impl Toolbox for Dice {
//!     fn tools(&self) -> Arc<[Tool]> {
//!         [Tool::new("dice", "roll", "Rolls a die.", r#"{"type":"object"}"#).read_only(true)].into()
//!     }
//!     async fn call(&self, _: Call) -> Output {
//!         Output::text("4")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(McpLayer::new(Dice).policy(Policy::new().for_everybody()))
//!     .service_fn(|req: chat::Request| async move {
//!         // A model that calls the tool, and when it has the result, tells it.
//!         let told = String::from_utf8_lossy(req.body().raw()).contains(r#""content":"4""#);
//!         let message = if told {
//!             r#"{"role":"assistant","content":"A four."}"#
//!         } else {
//!             r#"{"role":"assistant","content":null,"tool_calls":[
//!                 {"id":"c1","type":"function","function":{"name":"mcp__dice__roll","arguments":"{}"}}]}"#
//!         };
//!         let answer = format!(r#"{{"id":"x","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#);
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer)))
//!     });
//!
//! let body = r#"{"model":"m","messages":[{"role":"user","content":"Roll a die."}]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let res = service.oneshot(chat::Request::new(prompt)).await.unwrap();
//! assert_eq!(res.headers()["x-tierway-mcp"], "rounds=2; calls=1");
//! let answer = res.into_body().collect().await.unwrap().to_bytes();
//! assert!(answer.windows(7).any(|w| w == b"A four."));
//! # }
//! ```
//!
//! # Backpressure
//! Ready when the inner service is. Every further round drives a clone of the inner service inside the call's own future.
//!
//! # Cancellation
//! Whoever drops the future or the body of the answer hangs up on the model and on the tools that are running.
mod body;
mod catalog;
mod confirm;
mod memory;
mod policy;
mod run;
mod story;

pub use self::policy::{Allowed, Limits, Policy, Writes};
pub use crate::detour::ResponseFuture;

use self::{memory::Memory, story::tell};
use crate::headers::header_value;
use http::{HeaderName, HeaderValue};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    BoxError,
    chat::{self, Operation},
    prices::PriceList,
    tools::Toolbox,
};
use tower_layer::Layer;
use tower_service::Service;

/// With which callers ask for tools (`on`, `off`, or the servers whose tools they want, with commas between), and are told what was done.
pub const MCP: HeaderName = HeaderName::from_static("x-tierway-mcp");

/// Applies [`Mcp`].
pub struct McpLayer<T> {
    shared: Arc<Shared<T>>,
}

/// Runs tools for callers. See the [module](self).
pub struct Mcp<S, T> {
    inner: S,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    toolbox: T,
    policy: Policy,
    limits: Limits,
    prices: Option<PriceList>,
    /// From how many tools on they are looked for instead of shown.
    search_from: Option<usize>,
    memory: Memory,
    secret: [u8; 32],
}

// === impl McpLayer ===

impl<T: Toolbox> McpLayer<T> {
    /// Runs the tools of `toolbox` for callers that ask for it with the header `x-tierway-mcp`.
    #[must_use]
    pub fn new(toolbox: T) -> Self {
        Self {
            shared: Arc::new(Shared {
                toolbox,
                policy: Policy::new(),
                limits: Limits::default(),
                prices: None,
                search_from: None,
                memory: Memory::new(64 * 1024 * 1024),
                secret: confirm::secret(),
            }),
        }
    }
    /// Who gets tools, and which.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.with(|shared| shared.policy = policy)
    }
    /// How much a call may do.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.with(|shared| shared.limits = limits)
    }
    /// What rounds cost, for [`Limits::cost`]. Without it that limit holds for what providers tell themselves.
    #[must_use]
    pub fn prices(self, prices: PriceList) -> Self {
        self.with(|shared| shared.prices = Some(prices))
    }
    /// From so many tools on, none of them is shown; the model gets two tools instead, one that finds tools by words and one that calls what
    /// was found.
    #[must_use]
    pub fn search_from(self, tools: usize) -> Self {
        self.with(|shared| shared.search_from = Some(tools))
    }
    /// How many bytes of what callers have not seen are remembered, and for an hour; by default 64 MiB.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        self.with(|shared| shared.memory = Memory::new(bytes))
    }

    /// Setters come before the first service, so nobody shares it yet; thereafter they change nothing.
    fn with(mut self, change: impl FnOnce(&mut Shared<T>)) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
        }
        self
    }
}

impl<S, T> Layer<S> for McpLayer<T> {
    type Service = Mcp<S, T>;
    fn layer(&self, inner: S) -> Self::Service {
        Mcp {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<T> Clone for McpLayer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> fmt::Debug for McpLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpLayer")
            .field("policy", &self.shared.policy)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

// === impl Mcp ===

impl<S, T> Service<chat::Request> for Mcp<S, T>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    T: Toolbox,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let asks = matches!(
            req.body().facts().operation,
            Operation::Generate | Operation::CountTokens
        );
        let wanted = if asks {
            self.shared.policy.wanted(&req)
        } else {
            None
        };
        let Some(wanted) = wanted else {
            return ResponseFuture::past(self.inner.call(req));
        };
        // The future takes the instance that was polled ready; the clone stays and must be polled anew.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        ResponseFuture::story(tell(inner, self.shared.clone(), wanted, req))
    }
}

impl<S: Clone, T> Clone for Mcp<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Mcp<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mcp")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// What the answer's head says of what was done.
fn told(rounds: usize, calls: usize) -> HeaderValue {
    header_value(format_args!("rounds={rounds}; calls={calls}"))
}

#[cfg(test)]
mod tests;
