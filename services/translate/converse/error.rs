//! Amazon's errors, by the names of its exceptions.
use crate::{
    chat::{Kind, Refusal},
    translate::{
        error,
        json::{Fields, Json},
    },
};
use http::StatusCode;
use std::borrow::Cow;

/// What an exception of this name means, in the words that it came with. The name may bring a namespace and an address, as the header
/// `x-amzn-errortype` does. What belongs to Amazon's customer alone is not in it.
pub(crate) fn refusal(name: &str, status: Option<StatusCode>, message: &str) -> Refusal {
    let name = bare(name);
    let kind = kind_of(name);
    let message = if message.trim().is_empty() {
        match status {
            Some(status) => format!("the upstream answered {status} without a word"),
            None => format!(
                "the upstream broke off: {}",
                if name.is_empty() { "error" } else { name }
            ),
        }
    } else {
        error::bounded(scrubbed(message).into_owned())
    };
    let no = Refusal::new(
        kind.or(status.map(Kind::of_status))
            .unwrap_or(Kind::Upstream),
        message,
    );
    match status {
        // 424 is "failed dependency", which clients take for their own fault; and a quota is no malformed request.
        Some(status) if status != StatusCode::FAILED_DEPENDENCY && fits(kind, status) => {
            no.with_status(status)
        }
        _ => no,
    }
}

/// An exception as [`retold`](crate::event_stream) in a stream.
pub(crate) fn exception(json: Json<'_>) -> Refusal {
    let fields = Fields::parse(json.get()).unwrap_or_default();
    let text = |name| fields.string(name).unwrap_or_default();
    refusal(&text("type"), None, &text("message"))
}

fn fits(kind: Option<Kind>, status: StatusCode) -> bool {
    kind != Some(Kind::RateLimit) || status == StatusCode::TOO_MANY_REQUESTS
}

/// The name without namespace (`com.amazon.coral.service#...`) and address (`...:http://...`).
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

fn kind_of(name: &str) -> Option<Kind> {
    // Exceptions are spelt with a small letter in streams.
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    Some(match () {
        () if is("ThrottlingException")
            || is("ServiceQuotaExceededException")
            || is("TooManyRequestsException") =>
        {
            Kind::RateLimit
        }
        () if is("ServiceUnavailableException") || is("ModelNotReadyException") => Kind::Overloaded,
        () if is("ValidationException") || is("ConflictException") => Kind::InvalidRequest,
        () if is("AccessDeniedException") || is("OptInRequired") => Kind::Permission,
        () if is("UnrecognizedClientException")
            || is("InvalidSignatureException")
            || is("ExpiredTokenException")
            || is("MissingAuthenticationTokenException")
            || is("IncompleteSignature") =>
        {
            Kind::Authentication
        }
        () if is("ResourceNotFoundException") => Kind::NotFound,
        () if is("ModelTimeoutException") => Kind::Timeout,
        () if is("ModelErrorException") || is("ModelStreamErrorException") => Kind::Upstream,
        () if is("InternalServerException") => Kind::Internal,
        () => return None,
    })
}

/// `message` without ARNs and the numbers of accounts: they tell who pays and how their cloud is built, which is nothing to whoever calls.
pub(crate) fn scrubbed(message: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, secret, after)) = next_secret(rest) {
        out.push_str(before);
        out.push_str(secret);
        rest = after;
    }
    if out.is_empty() && rest.len() == message.len() {
        return Cow::Borrowed(message);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What stands before the next secret, what to write in its place, and what stands behind it.
fn next_secret(text: &str) -> Option<(&str, &'static str, &str)> {
    let arn = text.find("arn:aws");
    let account = account(text);
    match (arn, account) {
        (Some(at), other) if other.is_none_or(|o| at < o) => {
            let (before, from) = text.split_at(at);
            let ends =
                |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ']' | '>');
            let end = from.find(ends).unwrap_or(from.len());
            Some((before, "arn:***", from.split_at(end).1))
        }
        (_, Some(at)) => {
            let (before, from) = text.split_at(at);
            Some((before, "***", from.split_at(ACCOUNT).1))
        }
        _ => None,
    }
}

/// How many digits the number of an account has.
const ACCOUNT: usize = 12;

/// Where exactly so many digits stand by themselves.
fn account(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes
            .iter()
            .skip(at)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits == ACCOUNT {
            return Some(at);
        }
        at += digits.max(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn names_decide_and_the_status_is_kept_where_it_fits() {
        for (name, status, kind, told) in [
            ("ThrottlingException", 429, Kind::RateLimit, 429),
            (
                "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                429,
                Kind::RateLimit,
                429,
            ),
            (
                "com.amazon.coral.service#AccessDeniedException",
                403,
                Kind::Permission,
                403,
            ),
            ("ServiceQuotaExceededException", 400, Kind::RateLimit, 429),
            ("ModelNotReadyException", 429, Kind::Overloaded, 429),
            ("ModelTimeoutException", 408, Kind::Timeout, 408),
            ("ModelErrorException", 424, Kind::Upstream, 502),
            ("ValidationException", 400, Kind::InvalidRequest, 400),
            (
                "UnrecognizedClientException",
                403,
                Kind::Authentication,
                403,
            ),
            ("ServiceUnavailableException", 503, Kind::Overloaded, 503),
            ("NewException", 404, Kind::NotFound, 404),
            ("", 500, Kind::Internal, 500),
        ] {
            let no = refusal(name, StatusCode::from_u16(status).ok(), "m");
            assert_eq!(no.kind(), kind, "{name}");
            assert_eq!(no.status(Dialect::ChatCompletions).as_u16(), told, "{name}");
        }
    }

    #[test]
    fn accounts_and_arns_stay_at_home() {
        for (message, told) in [
            (
                "User: arn:aws:sts::123456789012:assumed-role/prod/i-0abc is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1::foundation-model/x because",
                "User: arn:*** is not authorized to perform: bedrock:InvokeModel on resource: arn:*** because",
            ),
            (
                "Account 123456789012, id 1234567890123.",
                "Account ***, id 1234567890123.",
            ),
            ("nothing", "nothing"),
            ("\"arn:aws-cn:x\" 210987654321", "\"arn:***\" ***"),
        ] {
            assert_eq!(scrubbed(message), told);
        }
    }
}
