//! Whole answers and errors: any body is translated, summarised or refused, and what is written can be read again.
#![no_main]
use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tierway_services::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    translate,
};

const ALL: [Dialect; 6] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
    Dialect::Converse,
    Dialect::Gemini,
    Dialect::Ollama,
];
const ASKED: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    for from in ALL {
        let _ = translate::summary(from, data);
        let _ = translate::error(from, StatusCode::BAD_REQUEST, data);
        for to in [Dialect::Messages, Dialect::ChatCompletions] {
            let prompt = Prompt::parse(
                to,
                Operation::Generate,
                Bytes::from_static(ASKED.as_bytes()),
            )
            .expect("a request");
            if let Ok((answer, _)) = translate::answer(from, to, &body, &prompt)
                && from != to
            {
                assert!(
                    translate::read_answer(to, &answer).is_some(),
                    "{from:?} to {to:?}: {}",
                    String::from_utf8_lossy(&answer)
                );
            }
        }
    }
});
