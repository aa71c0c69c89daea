//! What `tierway wrap` does around another program: finds or starts a gateway, points the program at it, and presents the bill.
mod bill;
mod client;
mod gateway;

pub use bill::Bill;
pub use client::{Told, told};
pub use gateway::{At, Own, running};
