//! A stream of chat completions, written from the intermediate form.
use super::{DONE, stop_word, usage};
use crate::{
    dialect::Dialect,
    translate::{
        event::{Event, Finish, Open, Start},
        ids,
        json::{Object, write_str, write_text},
        text::Text,
    },
};
use bytes::{BufMut, BytesMut};

#[derive(Debug)]
pub(crate) struct Writer {
    /// Whether the caller asked to be told the usage.
    include_usage: bool,
    /// Whether the caller speaks of functions, the deprecated way.
    legacy: bool,
    /// What every chunk begins with, up to its choices.
    head: BytesMut,
    open: Kind,
    calls: u64,
    /// Whether the open call has got arguments.
    argued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
}

impl Writer {
    pub(crate) fn new(include_usage: bool, legacy: bool) -> Self {
        Self {
            include_usage,
            legacy,
            head: BytesMut::new(),
            open: Kind::Text,
            calls: 0,
            argued: false,
        }
    }

    pub(crate) fn write(&mut self, event: Event<'_>, out: &mut BytesMut) {
        match event {
            Event::Start(start) => {
                self.start(&start);
                self.chunk(out, |out| {
                    out.put_slice(br#"{"role":"assistant","content":"","refusal":null}"#);
                });
            }
            Event::Open(Open::Text) => self.open = Kind::Text,
            Event::Open(Open::Thinking) => self.open = Kind::Thinking,
            Event::Open(Open::Tool { id, name }) => {
                self.open = Kind::Call;
                self.calls += 1;
                self.argued = false;
                self.begin_call(&id, &name, out);
            }
            Event::Delta(text) => self.delta(text, out),
            Event::Close => {
                // A call without arguments is one with an empty object: an empty string is no JSON, and clients parse it.
                if self.open == Kind::Call && !self.argued {
                    self.delta("{}", out);
                }
            }
            // Chat completions have no place for a signature; whoever thinks with one must be asked in its own dialect.
            Event::Signature(_) => {}
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Error(refusal) => out.put_slice(&refusal.event(Dialect::ChatCompletions)),
            Event::Ping => out.put_slice(b": ping\n\n"),
        }
    }

    fn start(&mut self, start: &Start<'_>) {
        let head = &mut self.head;
        head.put_slice(b"data: {\"id\":");
        write_str(head, &ids::answer_id("chatcmpl-", start.id.as_ref()));
        head.put_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        match start.created {
            Some(seconds) => head.put_slice(seconds.as_bytes()),
            None => head.put_slice(ids::now().to_string().as_bytes()),
        }
        head.put_slice(b",\"model\":");
        write_text(head, start.model.as_ref().unwrap_or(&Text::plain("")));
        head.put_slice(b",\"choices\":[");
    }

    /// Writes a chunk with this delta.
    fn chunk(&self, out: &mut BytesMut, delta: impl FnOnce(&mut BytesMut)) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":");
        delta(out);
        out.put_slice(b",\"logprobs\":null,\"finish_reason\":null}");
        self.end_chunk(out);
    }

    fn end_chunk(&self, out: &mut BytesMut) {
        out.put_slice(if self.include_usage {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        });
    }

    fn begin_call(&self, id: &Text<'_>, name: &Text<'_>, out: &mut BytesMut) {
        let index = self.calls - 1;
        if self.legacy && index > 0 {
            return;
        }
        self.chunk(out, |out| {
            let mut delta = Object::new(out);
            if self.legacy {
                let mut function = delta.object("function_call");
                function.text("name", name);
                function.str("arguments", "");
                return;
            }
            let mut calls = delta.array("tool_calls");
            let mut call = calls.object();
            call.number("index", index);
            call.str("id", &ids::given_id(id));
            call.str("type", "function");
            let mut function = call.object("function");
            function.text("name", name);
            function.str("arguments", "");
        });
    }

    fn delta(&mut self, text: &str, out: &mut BytesMut) {
        let index = self.calls.saturating_sub(1);
        if self.open == Kind::Call {
            self.argued = true;
            if self.legacy && index > 0 {
                return;
            }
        }
        let text = Text::Escaped(text.into());
        self.chunk(out, |out| {
            let mut delta = Object::new(out);
            match self.open {
                Kind::Text => delta.text("content", &text),
                Kind::Thinking => delta.text("reasoning_content", &text),
                Kind::Call if self.legacy => {
                    delta.object("function_call").text("arguments", &text);
                }
                Kind::Call => {
                    let mut calls = delta.array("tool_calls");
                    let mut call = calls.object();
                    call.number("index", index);
                    call.object("function").text("arguments", &text);
                }
            }
        });
    }

    fn finish(&self, finish: &Finish<'_>, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"");
        out.put_slice(stop_word(finish.stop, self.legacy).as_bytes());
        out.put_slice(b"\"}");
        self.end_chunk(out);
        if let Some(told) = finish.usage.filter(|_| self.include_usage) {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            usage::write(&told, &mut Object::new(out));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(DONE);
    }
}
