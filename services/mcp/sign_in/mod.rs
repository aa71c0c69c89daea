//! Signing in to a server as a user does, in a browser, by the authorization chapter of the protocol's specification.
//!
//! [`discover`] asks the server whom it trusts: its challenge (RFC 9110) names its metadata (RFC 9728), which names an authorization server,
//! which tells its endpoints (RFC 8414, or OpenID Connect Discovery). [`Attempt::begin`] registers a client there (RFC 7591) where none is
//! configured, and makes the address for the browser: the code flow with PKCE (RFC 7636), bound to this one server (RFC 8707).
//! [`Attempt::finish`] exchanges the code that came back for a [`Session`], which is kept in a [`Place`]. Whoever calls the server takes its
//! token from there, and renews it before its end.
//!
//! Nothing is sent in the clear but within this machine, and no redirect is followed.
//!
//! ```no_run
//! use std::path::Path;
//! use tierway_services::{mcp::{SignIn, sign_in::{Attempt, Place, discover}}, upstream::Client};
//! # async fn example(address_the_browser_ended_at: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new();
//! let target = discover(&client, "https://example.com/mcp", &[]).await?.ok_or("it lets anybody in")?;
//! let wanted = SignIn::new("/var/lib/tierway/mcp");
//! let attempt = Attempt::begin(&client, target, &wanted, "http://127.0.0.1:7777/callback").await?;
//! println!("{}", attempt.url());
//! let session = attempt.finish(address_the_browser_ended_at).await?;
//! Place::new(Path::new("/var/lib/tierway/mcp"), "tickets").put(&session).await?;
//! # Ok(())
//! # }
//! ```
mod attempt;
mod challenge;
mod discovery;
mod keep;
mod place;
mod session;
mod tokens;

use self::challenge::Challenge;
pub(super) use self::keep::{Keep, Want};
pub use self::{
    attempt::{Attempt, Wrong},
    discovery::{Target, discover},
    place::Place,
    session::Session,
    tokens::revoke,
};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A server of tokens may take this long: some ask others first.
const PATIENCE: Duration = Duration::from_secs(20);

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
