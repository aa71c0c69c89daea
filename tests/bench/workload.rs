//! What is asked.
use crate::{
    load::KEY,
    upstream::{HOLD_FLAG, LARGE_FLAG},
};
use std::net::SocketAddr;

const MEDIUM: &str = "Explain in three paragraphs how a suspension bridge carries its load, and why its cables hang as they do.";

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// About its size.
    pub(crate) kilobytes: usize,
    pub(crate) stream: bool,
    /// Asked as Anthropic's messages, of which the upstream knows nothing.
    pub(crate) messages: bool,
    /// The model's name.
    pub(crate) model: &'static str,
    pub(crate) special: Special,
    /// Who is to be told where the upstream is.
    upstream: Option<SocketAddr>,
}

/// What is asked for beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    /// A question that is not so easy that a cascade would leave it alone.
    Medium,
    /// An answer of 16 KB that may be kept.
    Kept,
    /// A stream that goes silent.
    Hold,
}

impl Workload {
    /// A question in chat completions to the upstream's model by name.
    pub(crate) const fn chat(kilobytes: usize) -> Self {
        Self {
            kilobytes,
            stream: false,
            messages: false,
            model: "o:bench",
            special: Special::None,
            upstream: None,
        }
    }
    pub(crate) const fn streamed(self) -> Self {
        Self {
            stream: true,
            ..self
        }
    }
    pub(crate) const fn messages(self) -> Self {
        Self {
            messages: true,
            ..self
        }
    }
    pub(crate) const fn to(self, model: &'static str) -> Self {
        Self { model, ..self }
    }
    pub(crate) const fn special(self, special: Special) -> Self {
        Self { special, ..self }
    }

    pub(crate) const fn told(self, upstream: SocketAddr) -> Self {
        Self {
            upstream: Some(upstream),
            ..self
        }
    }

    pub(crate) fn name(self) -> String {
        format!(
            "{}{} KB {}",
            if self.messages { "messages " } else { "" },
            self.kilobytes,
            match self.special {
                Special::Kept => "hit",
                Special::Hold => "idle",
                Special::None | Special::Medium if self.stream => "stream",
                Special::None | Special::Medium => "whole",
            }
        )
    }

    /// A body of several turns, as conversations have them.
    fn body(self) -> String {
        let special = match self.special {
            Special::None | Special::Medium => String::new(),
            Special::Kept => format!(r#""temperature":0,{LARGE_FLAG},"#),
            Special::Hold => format!("{HOLD_FLAG},"),
        };
        let limit = if self.messages {
            r#""max_tokens":1000,"#
        } else {
            ""
        };
        let mut body = format!(
            r#"{{"model":"{}","stream":{},{limit}{special}"messages":["#,
            self.model, self.stream
        );
        let bytes = self.kilobytes << 10;
        let turn = "The quick brown fox jumps over the lazy dog, \\\"again\\\". "
            .repeat(if bytes > 4096 { 40 } else { 6 });
        let mut at = 0;
        while body.len() + turn.len() / 2 < bytes {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            body += &format!(r#"{{"role":"{role}","content":"{turn}"}},"#);
            at += 1;
        }
        if at % 2 == 1 {
            body += r#"{"role":"assistant","content":"Yes."},"#;
        }
        let question = match self.special {
            Special::Medium => MEDIUM,
            _ => "And then?",
        };
        body + &format!(r#"{{"role":"user","content":"{question}"}}]}}"#)
    }

    /// All that goes over the wire.
    pub(crate) fn request(self, target: SocketAddr) -> Vec<u8> {
        let path = if self.messages {
            "/v1/messages"
        } else {
            "/v1/chat/completions"
        };
        let body = self.body();
        let told = self.upstream.map_or_else(String::new, |upstream| {
            format!("x-portkey-provider: openai\r\nx-portkey-custom-host: http://{upstream}/v1\r\n")
        });
        format!(
            "POST {path} HTTP/1.1\r\nhost: {target}\r\ncontent-type: application/json\r\nauthorization: Bearer {KEY}\r\nanthropic-version: 2023-06-01\r\n{told}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}
