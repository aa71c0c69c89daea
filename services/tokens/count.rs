//! Counting with a vocabulary.
use super::{IMAGE, TURN, image, quarter, shown, vocabulary::vocabulary};
use crate::chat::{Part, PartKind, Prompt};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Longer texts are counted piece by piece: the tokenizer's expressions backtrack, and give up with a panic on long runs.
const PIECE: usize = 16 * 1024;
/// What opens and closes a conversation.
const FRAME: u64 = 3;
/// A document of this many bytes is about a page, and a page is about 2000 tokens of text and picture.
const PAGE_BYTES: u64 = 64 * 1024;
const PAGE: u64 = 2000;
/// What providers put before the tools that are offered, as recorded calls show.
const TOOLS: u64 = 70;
/// Sound is about ten tokens a second, a second about 48 kB.
const SOUND_BYTES: u64 = 4800;

static LOADED: AtomicBool = AtomicBool::new(false);

/// Whether the vocabulary is loaded: the first [`count`] takes a good part of a second and some 60 MB.
#[must_use]
pub fn is_loaded() -> bool {
    LOADED.load(Ordering::Relaxed)
}

/// Loads the vocabulary, which takes a good part of a second.
pub fn load() {
    text(" ");
}

/// How many tokens `prompt` has, tools, tool calls, tool results and images included. Never 0.
///
/// It takes time in proportion to the prompt, about a second for 10 MB of prose: run it on a blocking thread.
///
/// ```
/// # use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect, tokens::count};
/// let body = r#"{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
/// let prompt = Prompt::parse(Dialect::Messages, Operation::CountTokens, body.into()).unwrap();
/// assert_eq!(count(&prompt), 14); // 7 of the question, 4 of the turn, 3 of the frame
/// ```
#[must_use]
pub fn count(prompt: &Prompt) -> u64 {
    let facts = prompt.facts();
    let parts: u64 = shown(prompt).map(|shown| part(prompt, shown)).sum();
    let tools = facts
        .tools_span
        .as_ref()
        .map_or(0, |span| text(prompt.json(span)));
    let tools = if facts.tool_count > 0 {
        tools + TOOLS
    } else {
        0
    };
    parts + tools + TURN * facts.turns.len() as u64 + FRAME
}

fn part(prompt: &Prompt, part: &Part) -> u64 {
    if part.kind == PartKind::Text {
        return text(&prompt.text(part));
    }
    let json = prompt.json(&part.span);
    match serde_json::from_str(json) {
        Ok(value) => block(&value),
        Err(_) => text(json),
    }
}

/// A block of content, or a list of them.
fn block(value: &Value) -> u64 {
    match value {
        Value::String(s) => text(s),
        Value::Array(blocks) => blocks.iter().map(block).sum(),
        Value::Object(block) => fields(block),
        other => text(&other.to_string()),
    }
}

fn fields(block: &serde_json::Map<String, Value>) -> u64 {
    let field = |name| block.get(name);
    let string = |name| field(name).and_then(Value::as_str).unwrap_or_default();
    match string("type") {
        "text" | "input_text" | "output_text" => text(string("text")),
        "image" | "image_url" | "input_image" => self::image(block),
        "document" | "file" | "input_file" => document(block),
        "input_audio" => {
            let data = field("input_audio").and_then(|a| a.get("data")?.as_str());
            decoded(data.unwrap_or_default()).div_ceil(SOUND_BYTES)
        }
        // A signature is for the provider, not for the model.
        "thinking" => text(string("thinking")),
        "redacted_thinking" => 0,
        "tool_use" | "server_tool_use" => {
            text(string("name")) + field("input").map_or(0, |i| text(&i.to_string()))
        }
        "function" => {
            let call = field("function");
            let part = |name| call?.get(name)?.as_str();
            text(part("name").unwrap_or_default()) + text(part("arguments").unwrap_or_default())
        }
        kind if kind.ends_with("tool_result") => field("content").map_or(0, self::block),
        _ => text(&Value::Object(block.clone()).to_string()),
    }
}

/// An image, from the size that its first bytes tell.
fn image(block: &serde_json::Map<String, Value>) -> u64 {
    let source = block.get("source").and_then(|s| s.get("data"));
    let url = block.get("image_url").map(|u| u.get("url").unwrap_or(u));
    let data = source.or(url).and_then(Value::as_str).unwrap_or_default();
    let data = data.split_once(";base64,").map_or(data, |(_, data)| data);
    image::size(data).map_or(IMAGE, |(width, height)| {
        // Over 1568 pixels a side, or over the flat cost, providers scale an image down.
        (u64::from(width) * u64::from(height))
            .div_ceil(750)
            .clamp(1, IMAGE)
    })
}

/// A document: its text, or its size.
fn document(block: &serde_json::Map<String, Value>) -> u64 {
    let source = block.get("source");
    let part = |name| source?.get(name)?.as_str();
    let title = text(
        block
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    );
    let body = match (part("type"), source) {
        (Some("text"), _) => text(part("data").unwrap_or_default()),
        (Some("content"), Some(source)) => source.get("content").map_or(0, self::block),
        _ => {
            let file = block
                .get("file")
                .and_then(|f| f.get("file_data"))
                .and_then(Value::as_str);
            let base64 = part("data").or(file).unwrap_or_default();
            decoded(base64).div_ceil(PAGE_BYTES).max(1) * PAGE
        }
    };
    title + body
}

/// The length of what is in base64 here.
const fn decoded(base64: &str) -> u64 {
    base64.len() as u64 * 3 / 4
}

fn text(mut text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let Some(bpe) = vocabulary() else {
        return quarter(text.len() as u64);
    };
    LOADED.store(true, Ordering::Relaxed);
    let mut tokens = 0;
    while !text.is_empty() {
        let (piece, rest) = text.split_at(cut(text));
        tokens += bpe.count_ordinary(piece) as u64;
        text = rest;
    }
    tokens
}

/// Where to cut a long text: at white space near the end of a piece, so that few tokens are cut in two, else at any character.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (near, end) = (boundary(PIECE - PIECE / 8), boundary(PIECE));
    match text[near..end].rfind(char::is_whitespace) {
        Some(at) if at > 0 => near + at,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Operation, dialect::Dialect};

    fn counted(dialect: Dialect, body: &Value) -> u64 {
        let prompt = Prompt::parse(dialect, Operation::CountTokens, body.to_string().into());
        count(&prompt.unwrap())
    }
    fn user(content: impl Into<Value>) -> u64 {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": content.into()}]});
        counted(Dialect::Messages, &body)
    }

    #[test]
    fn everything_that_a_model_sees_counts() {
        let base =
            serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        let plain = counted(Dialect::Messages, &base);
        assert_eq!(plain, 1 + TURN + FRAME);
        let with = |field: &str, value: Value| {
            let mut body = base.clone();
            body[field] = value;
            counted(Dialect::Messages, &body)
        };
        assert!(with("system", "Be brief.".into()) > plain);
        assert!(
            with(
                "tools",
                serde_json::json!([{"name": "bash", "input_schema": {}}])
            ) > plain + 5
        );
        assert_eq!(
            with("metadata", serde_json::json!({"user_id": "abc"})),
            plain
        );
        let call = user(
            serde_json::json!([{"type": "tool_use", "id": "x", "name": "bash", "input": {"command": "ls -la"}}]),
        );
        assert!((12..25).contains(&call), "{call}");
        let result = user(
            serde_json::json!([{"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "hi"}]}]),
        );
        assert_eq!(result, plain);
        let thinking = user(
            serde_json::json!([{"type": "thinking", "thinking": "hi", "signature": "AAAA".repeat(999)}]),
        );
        assert_eq!(thinking, plain);
    }

    #[test]
    fn nothing_is_never_nothing() {
        let body = serde_json::json!({"model": "m", "messages": []});
        assert!(counted(Dialect::ChatCompletions, &body) > 0);
    }

    #[test]
    fn images_count_by_their_size_wherever_they_stand() {
        // The first bytes of a PNG of 750 x 100.
        let png = "iVBORw0KGgoAAAANSUhEUgAAAu4AAABkCAYAAAA=";
        let image = serde_json::json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}});
        assert_eq!(user(vec![image.clone()]), 100 + TURN + FRAME);
        let nested =
            serde_json::json!([{"type": "tool_result", "tool_use_id": "x", "content": [image]}]);
        assert_eq!(user(nested), 100 + TURN + FRAME);
        let url = serde_json::json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}}]);
        assert_eq!(user(url), 100 + TURN + FRAME);
        let far = serde_json::json!([{"type": "image", "source": {"type": "url", "url": "https://h/x.png"}}]);
        assert_eq!(user(far), IMAGE + TURN + FRAME);
    }

    #[test]
    fn a_recorded_call_is_met() {
        // As OpenAI counted it: gpt-5-nano, 21 tokens.
        let ask = "Generate a JSON object with three properties: name, age, and city.";
        assert!(user(ask).abs_diff(21) <= 1);
        let sound = serde_json::json!([{"type": "input_audio", "input_audio": {"format": "wav", "data": "A".repeat(64_000)}}]);
        assert_eq!(user(sound), 10 + TURN + FRAME);
    }

    #[test]
    fn documents_count_by_their_text_or_size() {
        let text = serde_json::json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}]);
        assert_eq!(user(text), 1 + TURN + FRAME);
        let pdf = serde_json::json!([{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A".repeat(100_000)}}]);
        assert_eq!(user(pdf), 2 * PAGE + TURN + FRAME);
    }

    #[test]
    fn cuts_lose_almost_nothing() {
        let prose = "The quick brown fox jumps over the lazy dog, again and again.\n".repeat(3000);
        let (pieces, whole) = (
            text(&prose),
            vocabulary().unwrap().count_ordinary(&prose) as u64,
        );
        assert!(
            pieces.abs_diff(whole) <= 2 * (prose.len() / PIECE + 1) as u64,
            "{pieces} {whole}"
        );
    }

    #[test]
    fn no_text_blows_up() {
        // A megabyte of one letter is what the tokenizer, left alone, works on for hours; other runs are as bad, and shorter here for
        // the sake of unoptimised builds.
        assert!(text(&"a".repeat(1024 * 1024)) > 100_000);
        for unit in [
            "A",
            "Aa",
            " ",
            "\n",
            " \n",
            "\u{6f22}",
            "\u{1f600}",
            "!",
            "1",
            "e\u{301}",
            "\u{2028}",
            "\t'",
        ] {
            assert!(text(&unit.repeat(100 * 1024 / unit.len())) > 0, "{unit:?}");
        }
    }
}
