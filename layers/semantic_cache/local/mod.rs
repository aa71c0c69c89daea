//! Vectors from a model in this process.
//!
//! Reads the folder of a sentence-transformers model of BERT's kind (`config.json`, `vocab.txt`, `model.safetensors`): all-MiniLM-L6-v2 and its
//! like. Texts are cut at 256 tokens; a vector is the mean of the tokens' last states, as those models are trained.
mod bert;
mod wordpiece;

use self::{bert::Bert, wordpiece::WordPiece};
use super::Embed;
use std::{fmt, io, path::Path, sync::Arc};
use tierway_services::chat;

/// The most tokens of a text.
const LONGEST: usize = 256;

/// A model in this process. A clone costs a reference count.
///
/// ```no_run
/// use tierway_layers::semantic_cache::Local;
/// let model = Local::open("models/all-MiniLM-L6-v2".as_ref()).unwrap();
/// assert_eq!(model.vector("hello").len(), 384);
/// ```
#[derive(Clone)]
pub struct Local(Arc<Loaded>);

struct Loaded {
    words: WordPiece,
    bert: Bert,
}

impl Local {
    /// Reads the model in `folder`.
    ///
    /// # Errors
    /// Where a file cannot be read, or is not of such a model.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let words = std::fs::read_to_string(folder.join("vocab.txt"))?;
        let config = std::fs::read(folder.join("config.json"))?;
        let weights = std::fs::read(folder.join("model.safetensors"))?;
        let bert = Bert::read(&config, &weights).map_err(io::Error::other)?;
        let words =
            WordPiece::new(&words).ok_or_else(|| io::Error::other("vocab.txt: not BERT's"))?;
        Ok(Self(Arc::new(Loaded { words, bert })))
    }

    /// The vector of `text`. This takes some milliseconds of a core.
    #[must_use]
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let tokens = self.0.words.tokens(text, LONGEST);
        self.0.bert.vector(&tokens)
    }
}

impl Embed for Local {
    async fn embed(&self, text: &str, _: &chat::Request) -> Option<Vec<f32>> {
        let (model, text) = (self.clone(), text.to_owned());
        tokio::task::spawn_blocking(move || model.vector(&text))
            .await
            .ok()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}
