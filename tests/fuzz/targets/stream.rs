//! Streams: whatever an upstream of any dialect sends, a caller of another dialect gets a stream that obeys his own grammar.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tierway_services::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    sse::Splitter,
    translate::{StreamTranslator, grammar},
};

const ALL: [Dialect; 6] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
    Dialect::Converse,
    Dialect::Gemini,
    Dialect::Ollama,
];
const CALLERS: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];
const ASKED: [&str; 3] = [
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","stream":true,"input":"hi"}"#,
];

fuzz_target!(|bytes: &[u8]| {
    for from in ALL {
        for (to, asked) in CALLERS.into_iter().zip(ASKED) {
            // In its own dialect a stream passes as it is.
            if from != to {
                translated(bytes, from, to, asked);
            }
        }
    }
});

fn translated(bytes: &[u8], from: Dialect, to: Dialect, asked: &'static str) {
    let asked = Bytes::from_static(asked.as_bytes());
    let prompt = Prompt::parse(to, Operation::Generate, asked).expect("a request");
    let mut translator = StreamTranslator::new(from, to, &prompt, 42);
    let mut splitter = Splitter::new(1 << 20);
    let mut out = Vec::new();
    if splitter.push(Bytes::copy_from_slice(bytes)).is_err() {
        return;
    }
    for event in splitter.by_ref() {
        translator.push(event, &mut out);
    }
    if !splitter.remainder().is_empty() {
        translator.push(Bytes::copy_from_slice(splitter.remainder()), &mut out);
    }
    if let Err(refusal) = translator.finish(&mut out) {
        out.push(refusal.event(to));
    }
    let sent = out.concat();
    assert_eq!(
        grammar::check(to, &sent),
        Ok(()),
        "{from:?} to {to:?}: {}",
        String::from_utf8_lossy(&sent)
    );
}
