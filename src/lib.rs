//! Facade.
pub mod commands;
pub mod config;

pub use tierway_layers as layers;
pub use tierway_services as services;
