//! What the steps that prove who calls have in common.
use super::Secret;
use bytes::Bytes;
use http::{Request, Uri, header};

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

/// Takes a query off, which belongs to the paths of the dialect's own vendor (`?beta=true`).
///
/// # Errors
/// Where no address is left: never.
pub(super) fn without_query(request: &mut Request<Bytes>) -> Result<(), String> {
    if request.uri().query().is_some() {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = request.uri().path().parse().ok();
        *request.uri_mut() = Uri::from_parts(parts).map_err(|e| e.to_string())?;
    }
    Ok(())
}
