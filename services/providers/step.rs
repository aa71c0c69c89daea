//! What the steps that prove who calls have in common.
use super::Secret;
use bytes::Bytes;
use http::{Request, header};

/// Gives the request a token, unless it bears the caller's own already.
///
/// # Errors
/// Where the token cannot be sent.
pub(super) fn bearer(request: &mut Request<Bytes>, token: &Secret) -> Result<(), String> {
    let headers = request.headers_mut();
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(());
    }
    let value = token
        .header("Bearer ")
        .ok_or("the token holds characters that no header can carry")?;
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}
