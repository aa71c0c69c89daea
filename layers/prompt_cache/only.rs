//! Callers who want what is kept or nothing: `cache-control: only-if-cached` (RFC 9111, section 5.2.1.7).
use http::{StatusCode, header::CACHE_CONTROL};
use tierway_services::chat::{self, Kind, Refusal};

/// Whether no model is to be asked for this call.
pub(super) fn is_wanted(req: &chat::Request) -> bool {
    let values = req.headers().get_all(CACHE_CONTROL).iter();
    let mut words = values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("only-if-cached"))
}

/// The answer where nothing is kept: 504, as the standard has it.
pub(super) fn nothing(req: &chat::Request) -> chat::Response {
    let why = "nothing is kept for this request, and cache-control: only-if-cached forbids to ask a model";
    let refusal = Refusal::new(Kind::NotFound, why).with_code("not_cached");
    let mut res = refusal.into_response(req.body().facts().dialect);
    *res.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    res
}
