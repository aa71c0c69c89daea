//! Translation, shown on whole bodies and streams: each fixture in, one snapshot out.
mod answers;
mod chunking;
mod converse;
mod gather;
#[cfg(feature = "prices")]
mod invoices;
#[cfg(feature = "client")]
mod prefixes;
mod replays;
mod requests;
mod responses;
mod streams;
mod upstreams;
mod usage;

use super::StreamTranslator;
use crate::{
    chat::{Operation, Prompt, Refusal},
    dialect::Dialect,
    sse::Splitter,
};
use bytes::Bytes;
use std::path::Path;

/// The fixtures of a folder, by name.
fn fixtures(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("translate/fixtures")
        .join(folder);
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Messages => Dialect::ChatCompletions,
        _ => Dialect::Messages,
    }
}

fn folder(kind: &str, dialect: Dialect) -> String {
    format!("{kind}/{}", dialect.as_str())
}

fn prompt_of(dialect: Dialect, body: &str) -> Prompt {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Prompt::parse(dialect, Operation::Generate, body).unwrap()
}

/// What a caller of this dialect might have asked to get a stream.
fn asked(dialect: Dialect) -> Prompt {
    if dialect == Dialect::Responses {
        return prompt_of(
            dialect,
            r#"{"model":"m","max_output_tokens":9,"stream":true,"include":["reasoning.encrypted_content"],"input":"hi"}"#,
        );
    }
    prompt_of(
        dialect,
        r#"{"model":"m","max_tokens":9,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
    )
}

/// JSON over several lines, not a byte of its values changed.
fn pretty(json: &[u8]) -> String {
    let mut out = String::new();
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for c in std::str::from_utf8(json).unwrap().chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        };
        match c {
            c if c.is_whitespace() => {}
            '{' | '[' => {
                depth += 1;
                out.push(c);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            c => {
                in_string = c == '"';
                out.push(c);
                if c == ':' {
                    out.push(' ');
                }
            }
        }
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&out).unwrap();
    out
}

/// The time of the run and ids of our own, made the same in every run; times that an upstream wrote are older.
fn steady(text: &str) -> String {
    let mut out = text.to_owned();
    for key in ["\"created\":", "\"created_at\":", "\"completed_at\":"] {
        out = without_now(&out, key);
    }
    let made =
        |text: &str| text.len() >= 20 && text.bytes().take(20).all(|b| b.is_ascii_hexdigit());
    for prefix in ["call_", "chatcmpl-", "resp_", "msg_", "rs_", "fc_", "ctc_"] {
        while let Some(at) = out
            .match_indices(prefix)
            .map(|(at, _)| at + prefix.len())
            .find(|at| made(&out[*at..]))
        {
            out.replace_range(at..at + 20, "made");
        }
    }
    out
}

fn without_now(text: &str, key: &str) -> String {
    let mut parts = text.split(key);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let digits: String = part
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let now = digits.parse::<u64>().unwrap_or_default() > 1_770_000_000;
        out.push_str(key);
        out.push_str(if now { "0" } else { &digits });
        out.push_str(&part.trim_start()[digits.len()..]);
    }
    out
}

/// A stream through a translator: what the caller got, how it ended, and what it said about itself.
fn run(
    from: Dialect,
    to: Dialect,
    prompt: &Prompt,
    chunks: &[&[u8]],
) -> (Vec<u8>, Result<(), Refusal>, StreamTranslator) {
    let mut translator = StreamTranslator::new(from, to, prompt, 42);
    let mut splitter = Splitter::new(1 << 20);
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk)).unwrap();
        for event in splitter.by_ref() {
            translator.push(event, &mut out);
        }
    }
    if !splitter.remainder().is_empty() {
        translator.push(Bytes::copy_from_slice(splitter.remainder()), &mut out);
    }
    let end = translator.finish(&mut out);
    if let Err(refusal) = &end {
        out.push(refusal.event(to));
    }
    (out.concat(), end, translator)
}
