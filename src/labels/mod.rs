//! What is learned about the cascade: labels and where they are kept, the model that they make, and what may be promised of it.
pub mod model_file;
