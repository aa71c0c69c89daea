#![doc = include_str!("../README.md")]

pub use tierway_layers as layers;
pub use tierway_services as services;

pub mod access;
pub mod admin;
mod blocking;
#[cfg(doctest)]
pub mod book;
pub mod catalog;
pub mod commands;
pub mod config;
pub mod demo;
pub mod discovery;
pub mod doctor;
pub mod eval;
pub mod init;
pub mod labels;
pub mod ledger;
pub mod log;
mod mcp;
mod mcp_login;
pub mod metrics;
pub mod reload;
pub mod route;
pub mod routes;
pub mod routing;
pub mod server;
pub(crate) mod sign_in;
pub mod stack;
pub mod traces;
pub mod wrap;
