//! Facade.
pub mod commands;
pub mod config;
