//! What `tierway init` writes: a first configuration from what is found, or from that of another gateway.
mod dotenv;
mod draft;
mod litellm;
mod mapped;

pub use dotenv::import as import_dotenv;
pub use draft::{Draft, DraftProvider};
pub use litellm::import as import_litellm;
pub use mapped::{How, Mapped};
