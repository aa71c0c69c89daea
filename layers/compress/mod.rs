//! Makes tools' results smaller, and loses nothing of them.
//!
//! Most of what an agent sends is what its tools have answered, turn after turn. This layer sends the same with fewer tokens. It touches the texts
//! of tools' results and nothing else, and of these only what can be had back:
//!
//! | [`Transformation`] | what |
//! |---|---|
//! | `json` | JSON without spaces between its things; JSON Lines too |
//! | `table` | lists of objects with the same keys as a table, still JSON, where that is shorter: [`original`] turns it back |
//! | `terminal` | colours, titles, and the states of progress bars that a terminal has overwritten |
//! | `trailing` | spaces at the ends of lines, and empty lines at the end |
//! | `duplicate` | a result that stands in the same request already, word for word: a reference to the first |
//!
//! What a tool reads from a file, or tells of how files differ, stays as it is to the last space, so that edits by its words still match; only a second
//! reading of the same becomes a reference. So does the result of a call that is not in the request.
//!
//! A text becomes the same one whatever follows it, so the turns before stay byte for byte the same with each new one, and providers find
//! them in their caches. Nothing around the texts changes, and where nothing is smaller the very same bytes go on.
//!
//! What is left out is told in `x-tierway-compressed`, in tokens and by transformation, about: `912; json=240; table=672`; and in
//! [`JournalEntries::compressed`](tierway_services::chat::JournalEntries::compressed), by which bills tell what it was worth.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::compress::CompressLayer;
//! use tierway_services::{chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(CompressLayer::new())
//!     .service_fn(|req: chat::Request| async move {
//!         let sent = String::from_utf8(req.body().raw().to_vec()).unwrap();
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(sent)))
//!     });
//!
//! let result = r#"[\n  {\"city\": \"Oslo\", \"rain\": true},\n  {\"city\": \"Rome\", \"rain\": true},\n  {\"city\": \"Bern\", \"rain\": true}\n]"#;
//! let body = format!(r#"{{"model":"m","messages":[
//!     {{"role":"assistant","tool_calls":[{{"id":"1","type":"function","function":{{"name":"weather","arguments":"{{}}"}}}}]}},
//!     {{"role":"tool","tool_call_id":"1","content":"{result}"}}]}}"#);
//! let req = chat::Request::new(Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap());
//! let res = service.oneshot(req).await.unwrap();
//! assert!(res.headers()["x-tierway-compressed"].to_str().unwrap().contains("table="));
//! # use http_body_util::BodyExt;
//! let sent = String::from_utf8(res.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
//! assert!(sent.contains(r#""{\"$columns\":[\"city\",{\"rain\":true}],\"$rows\":[[\"Oslo\"],[\"Rome\"],[\"Bern\"]]}""#));
//! # }
//! ```
mod exact;
mod json;
mod places;
mod table;
mod terminal;
mod text;
mod tokens;

pub use self::table::original;

use self::places::Found;
use crate::headers::header_value;
pub use crate::saying::ResponseFuture;
use http::{HeaderName, HeaderValue};
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::{self, Write},
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::chat::{self, EarlyHead, Edit, Holdout, Journal, Operation, Prompt};
use tower_layer::Layer;
use tower_service::Service;

const HEADER: HeaderName = HeaderName::from_static("x-tierway-compressed");
/// Shorter results are no shorter as a reference.
const LEAST_DUPLICATE: usize = 256;
/// So much of a call's arguments is told in a reference to its result.
const TOLD: usize = 160;

type OnSaved = Arc<dyn Fn(Transformation, u64) + Send + Sync>;

/// What is done to a text. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transformation {
    /// JSON without needless spaces.
    Json,
    /// Lists of like objects as tables.
    Table,
    /// What a terminal would have shown.
    Terminal,
    /// Spaces at the ends of lines.
    Trailing,
    /// References to the same result, above.
    Duplicate,
}

/// Applies [`Compress`].
#[derive(Clone, Default)]
pub struct CompressLayer {
    settings: Arc<Settings>,
}

/// Makes tools' results smaller, and loses nothing of them. See the [module](self).
#[derive(Clone, Debug)]
pub struct Compress<S> {
    inner: S,
    settings: Arc<Settings>,
}

#[derive(Clone, Default)]
struct Settings {
    off: Vec<Transformation>,
    hear: Option<OnSaved>,
}

// === impl Transformation ===

impl Transformation {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Table,
        Self::Terminal,
        Self::Trailing,
        Self::Duplicate,
    ];

    /// The name in headers, metrics and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Table => "table",
            Self::Terminal => "terminal",
            Self::Trailing => "trailing",
            Self::Duplicate => "duplicate",
        }
    }
}

// === impl CompressLayer ===

impl CompressLayer {
    /// Does all that there is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// Leaves one of them out.
    #[must_use]
    pub fn without(self, transformation: Transformation) -> Self {
        self.set(|s| s.off.push(transformation))
    }

    /// Tells `hear` of what is left out of each call: by which transformation, and about how many tokens. It must neither block nor panic.
    #[must_use]
    pub fn on_saved(self, hear: impl Fn(Transformation, u64) + Send + Sync + 'static) -> Self {
        self.set(|s| s.hear = Some(Arc::new(hear)))
    }
}

impl<S> Layer<S> for CompressLayer {
    type Service = Compress<S>;
    fn layer(&self, inner: S) -> Self::Service {
        Compress {
            inner,
            settings: self.settings.clone(),
        }
    }
}

impl fmt::Debug for CompressLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressLayer")
            .field("off", &self.off)
            .finish_non_exhaustive()
    }
}

// === impl Compress ===

impl<S> Service<chat::Request> for Compress<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let says = self.settings.compress(&mut req);
        ResponseFuture::new(self.inner.call(req), HEADER, says)
    }
}

// === impl Settings ===

impl Settings {
    fn does(&self, transformation: Transformation) -> bool {
        !self.off.contains(&transformation)
    }

    /// Makes the results of a call smaller; gives what the answer is to say of it.
    fn compress(&self, req: &mut chat::Request) -> Option<HeaderValue> {
        let prompt = req.body();
        let (dialect, operation) = (prompt.facts().dialect, prompt.facts().operation);
        // What the gateway saves must not reach what it is measured against.
        if operation != Operation::Generate || Holdout::of(req) == Some(Holdout::Baseline) {
            return None;
        }
        let (edits, saved) = self.edits(prompt);
        let body = (!edits.is_empty()).then(|| prompt.edited(edits))?;
        *req.body_mut() = Prompt::parse(dialect, operation, body).ok()?;

        let total: u64 = saved.iter().sum();
        let mut says = total.to_string();
        for (transformation, saved) in Transformation::ALL.into_iter().zip(saved) {
            if saved > 0 {
                let _ = write!(says, "; {}={saved}", transformation.as_str());
                if let Some(hear) = &self.hear {
                    hear(transformation, saved);
                }
            }
        }
        if let Some(journal) = Journal::of(req) {
            journal.write(|j| j.compressed += total);
        }
        let says = header_value(format_args!("{says}"));
        EarlyHead::say(req, HEADER, says.clone());
        Some(says)
    }

    /// What is to be replaced, and about how many tokens that saves, by transformation.
    fn edits(&self, prompt: &Prompt) -> (Vec<Edit<'static>>, [u64; 5]) {
        let results = places::results(prompt);
        let mut first: HashMap<&str, usize> = HashMap::new();
        let (mut edits, mut total) = (Vec::new(), [0; 5]);
        for (n, found) in results.iter().enumerate() {
            let original = (found.text.len() >= LEAST_DUPLICATE)
                .then(|| *first.entry(&found.text).or_insert(n))
                .filter(|original| *original < n && self.does(Transformation::Duplicate));
            let smaller = match original.and_then(|at| Some((at, results.get(at)?))) {
                Some((at, original)) => Some(reference(at, original)),
                None => text::smaller(&found.text, found.call.as_ref(), self),
            };
            let Some(smaller) = smaller else { continue };
            let with = serde_json::Value::from(smaller.text).to_string();
            if with.len() < found.span.len() {
                for (transformation, saved) in smaller.saved {
                    if let Some(sum) = total.get_mut(transformation as usize) {
                        *sum += saved;
                    }
                }
                edits.push(Edit {
                    span: found.span.clone(),
                    with: Cow::Owned(with),
                });
            }
        }
        (edits, total)
    }
}

/// What stands for a result that stands above already.
fn reference(at: usize, original: &Found<'_>) -> text::Smaller {
    let call = original.call.as_ref().map(|call| {
        let told = call.arguments.chars().take(TOLD);
        let cut = call.arguments.chars().nth(TOLD).map_or("", |_| "...");
        format!(": {} {}{cut}", call.name, told.collect::<String>())
    });
    let text = format!(
        "[identical to tool result {} above{}]",
        at + 1,
        call.unwrap_or_default()
    );
    let saved = tokens::about(&original.text).saturating_sub(tokens::about(&text));
    text::Smaller {
        text,
        saved: vec![(Transformation::Duplicate, saved)],
    }
}

#[cfg(test)]
mod tests;
