//! Requests: any body is read or refused in every dialect, and exchanging the model's name twice changes nothing but the name.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tierway_services::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    translate::{self, Capabilities},
};

const CALLERS: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];

fuzz_target!(|data: &[u8]| {
    for dialect in CALLERS {
        let Ok(prompt) = Prompt::parse(dialect, Operation::Generate, Bytes::copy_from_slice(data))
        else {
            continue;
        };
        let once = prompt.with_model("another", true);
        let again = Prompt::parse(dialect, Operation::Generate, once.clone())
            .expect("our own body is read");
        assert_eq!(again.with_model("another", true), once);
        for to in [
            Dialect::Messages,
            Dialect::ChatCompletions,
            Dialect::Responses,
            Dialect::Converse,
            Dialect::Gemini,
            Dialect::Ollama,
        ] {
            let _ = translate::request(&prompt, to, "model", &Capabilities::default());
        }
    }
});
