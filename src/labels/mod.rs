//! What is learned about the cascade: labels and where they are kept, the model that they make, and what may be promised of it.
//!
//! A [`Label`] is a draft that has been compared with the big model's answer, or an answer that a caller told about. It holds no word of either: what a
//! predicate saw of them as numbers and hashed n-grams, the outcome, and what both cost. [`learn()`] makes of them a model and, for each kind
//! of task, the promise that they allow; [`tiers`] makes of the same labels the weights by which tiers are chosen. Models that somebody
//! else has written, as `tierway calibrate` does, are put to work while the gateway runs.
pub mod desk;
pub mod feedback;
mod keeper;
pub mod label;
pub mod learn;
pub mod model_file;
mod shared;
pub mod store;
pub mod tiers;
mod watch;

pub use self::{
    desk::{Desk, announce},
    label::{Label, Quality, Source},
    learn::{FamilyReport, Learnt, Settings, learn},
    shared::share,
    watch::watch,
};
