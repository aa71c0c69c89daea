//! Reading the facts of bodies that hold texts and no conversation: embeddings and legacy completions.
use super::{
    Dialect,
    facts::{Place, asks_usage, malformed, missing, optional, read, wrong},
};
use crate::chat::{Facts, Operation, Part, PartKind, Refusal, Speaker, Turn};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The top level of a body.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
}

pub(super) fn read_facts(
    dialect: Dialect,
    operation: Operation,
    raw: &[u8],
) -> Result<Facts, Refusal> {
    let body: Body<'_> = crate::json::from_slice(raw).map_err(|e| malformed(&e))?;
    let place = Place::of(raw)?;
    let model_json = body.model.ok_or_else(|| missing("model"))?;
    let (parts, stream) = if operation == Operation::Embed {
        let input = body.input.ok_or_else(|| missing("input"))?;
        (texts(&place, "input", input)?, false)
    } else {
        let stream = optional("stream", "true or false", body.stream)?.unwrap_or(false);
        // Without a prompt the model continues the empty text.
        let parts = body.prompt.map(|json| texts(&place, "prompt", json));
        (parts.transpose()?.unwrap_or_default(), stream)
    };
    Ok(Facts {
        dialect,
        operation,
        model: read("model", "a string", model_json)?,
        model_span: place.span(model_json),
        stream,
        stream_options: body
            .stream_options
            .filter(|o| o.get() != "null")
            .map(|o| (place.span(o), asks_usage(o))),
        max_tokens: optional("max_tokens", "a whole number", body.max_tokens)?,
        temperature: optional("temperature", "a number", body.temperature)?,
        system: Vec::new(),
        inputs: parts.len(),
        turns: vec![Turn {
            speaker: Speaker::User,
            parts,
        }],
        tool_count: 0,
        tools_span: None,
        tool_choice_span: None,
        thinking: false,
        json_output: false,
        choices: optional("n", "a whole number", body.n)?.unwrap_or(1),
        metadata_span: None,
        prompt_cache_key_span: None,
    })
}

/// A text, an array of tokens, or an array of either.
fn texts(place: &Place, name: &str, json: &RawValue) -> Result<Vec<Part>, Refusal> {
    let expected = "a string, an array of strings, or arrays of tokens";
    let part = |json: &RawValue| {
        let kind = match json.get().as_bytes().first() {
            Some(b'"') => PartKind::Text,
            // Tokens, or what a newer API takes: for the provider to judge.
            Some(b'[' | b'{') => PartKind::Other,
            _ => return Err(wrong(name, expected)),
        };
        Ok(Part {
            kind,
            span: place.span(json),
        })
    };
    match json.get().as_bytes().first() {
        Some(b'"') => Ok(vec![part(json)?]),
        Some(b'n') => Ok(Vec::new()),
        Some(b'[') => {
            let list: Vec<&RawValue> = read(name, expected, json)?;
            let tokens = list
                .first()
                .is_some_and(|first| first.get().starts_with(|c: char| c.is_ascii_digit()));
            if tokens {
                return Ok(vec![part(json)?]);
            }
            list.into_iter().map(part).collect()
        }
        _ => Err(wrong(name, expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Kind, Prompt};

    fn parse(operation: Operation, body: &str) -> Result<Prompt, Refusal> {
        Prompt::parse(Dialect::ChatCompletions, operation, body.to_owned().into())
    }

    #[test]
    fn inputs_are_counted() {
        for (input, count) in [
            (r#""one""#, 1),
            (r#"["one","two"]"#, 2),
            ("[1, 2, 3]", 1),
            ("[[1,2],[3]]", 2),
            ("[]", 0),
        ] {
            let body = format!(r#"{{"model":"e","input":{input},"dimensions":7}}"#);
            let prompt = parse(Operation::Embed, &body).unwrap();
            assert_eq!(prompt.facts().inputs, count, "{input}");
            assert_eq!(
                prompt.with_model("f", true),
                body.replace("\"e\"", "\"f\""),
                "another model and not another byte"
            );
        }
    }

    #[test]
    fn a_completion_may_stream() {
        let body = r#"{"model":"e","prompt":"Once \"upon\"","stream":true,"max_tokens":4}"#;
        let prompt = parse(Operation::Complete, body).unwrap();
        let facts = prompt.facts();
        assert!(facts.stream && facts.max_tokens == Some(4));
        assert_eq!(prompt.text(&facts.turns[0].parts[0]), "Once \"upon\"");
        let asked = prompt.with_model("e", true);
        assert!(memchr::memmem::find(&asked, b"include_usage").is_some());
        let bare = parse(Operation::Complete, r#"{"model":"e"}"#).unwrap();
        assert_eq!(bare.facts().inputs, 0);
    }

    #[test]
    fn faults_are_named() {
        for (body, expected) in [
            (r#"{"input":"x"}"#, "model: field required"),
            (r#"{"model":"e"}"#, "input: field required"),
            (r#"{"model":"e","input":7}"#, "input: a string"),
            (r#"{"model":"e","input":["a",null]}"#, "input: a string"),
            ("[]", "JSON object"),
        ] {
            let error = parse(Operation::Embed, body).unwrap_err();
            assert!(error.message().contains(expected), "{body}: {error}");
            assert_eq!(error.kind(), Kind::InvalidRequest);
        }
    }
}
