//! Converse's count of tokens: `inputTokens` leaves cached tokens out.
use crate::{
    chat::Usage,
    translate::{count::Count, json::Json},
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_write_input_tokens: Option<Count>,
    /// What was written to the cache, by how long it stays there.
    cache_details: Option<Vec<Detail>>,
}
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    ttl: Option<String>,
    input_tokens: Option<Count>,
}

/// Reads a `usage`; `None` where it is no object.
pub(super) fn read(json: Json<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let count = |c: Option<Count>| c.unwrap_or_default().0;
    let written = count(wire.cache_write_input_tokens);
    let details = wire.cache_details.unwrap_or_default();
    let an_hour: u64 = details
        .iter()
        .filter(|d| d.ttl.as_deref() == Some("1h"))
        .map(|d| count(d.input_tokens))
        .sum();
    let an_hour = an_hour.min(written);
    Some(Usage {
        input: count(wire.input_tokens),
        output: count(wire.output_tokens),
        cache_read: count(wire.cache_read_input_tokens),
        cache_write: written - an_hour,
        cache_write_1h: an_hour,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_stand_beside_the_input() {
        let json = r#"{"inputTokens":10,"outputTokens":5,"totalTokens":145,"cacheReadInputTokens":100,"cacheWriteInputTokens":30,
            "cacheDetails":[{"ttl":"5m","inputTokens":10},{"ttl":"1h","inputTokens":20}]}"#;
        let usage = read(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(
            usage,
            Usage {
                input: 10,
                output: 5,
                cache_read: 100,
                cache_write: 10,
                cache_write_1h: 20,
                ..Usage::default()
            }
        );
        assert_eq!(usage.input_total(), 140);
    }
}
