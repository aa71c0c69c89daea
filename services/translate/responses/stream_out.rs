//! A stream, written from the intermediate form.
use super::{
    custom::Unwrapper,
    echo::{self, Echo, State},
    items::{self, Call},
    tools::Names,
};
use crate::{
    chat::{Prompt, Refusal, Usage},
    translate::{
        event::{Event, Finish, Open, Start},
        json::Object,
        text::{Text, unescape},
    },
};
use bytes::{BufMut, BytesMut};

#[derive(Debug)]
pub(crate) struct Writer {
    echo: Echo,
    names: Names,
    input_estimate: u64,
    started: bool,
    /// The number of the next event.
    sequence: u64,
    /// The number of the next item.
    index: u64,
    /// The items that are complete, with commas between.
    items: BytesMut,
    open: Option<Item>,
}

/// The item that is open.
#[derive(Debug)]
struct Item {
    kind: Kind,
    id: String,
    /// What it says so far: text, thinking, arguments or input; the inside of a JSON string literal.
    said: String,
}

#[derive(Debug)]
enum Kind {
    Message,
    /// Begun where it says something or has been signed: some models think without a word.
    Reasoning {
        begun: bool,
        signature: String,
    },
    Function(Call),
    Custom(Call, Unwrapper),
}

impl Writer {
    pub(crate) fn new(prompt: &Prompt, input_estimate: u64) -> Self {
        Self {
            echo: Echo::new(prompt),
            names: Names::of(prompt),
            input_estimate,
            started: false,
            sequence: 0,
            index: 0,
            items: BytesMut::new(),
            open: None,
        }
    }

    pub(crate) fn write(&mut self, event: Event<'_>, out: &mut BytesMut) {
        match event {
            Event::Start(start) => self.start(&start, out),
            Event::Open(open) => self.open(open, out),
            Event::Delta(text) => self.delta(text, out),
            Event::Signature(text) => {
                if let Some(Item {
                    kind: Kind::Reasoning { signature, .. },
                    ..
                }) = &mut self.open
                {
                    signature.push_str(text);
                }
            }
            Event::Close => {
                // Callers run a call as soon as it is complete, and free text shows no sign of being cut off. So one whose end has not come
                // waits for why.
                if !self.open.as_ref().is_some_and(Item::is_cut) {
                    self.close("completed", out);
                }
            }
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Error(refusal) => self.fail(&refusal, out),
            Event::Ping => out.put_slice(b": ping\n\n"),
        }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut BytesMut) {
        self.started = true;
        self.echo.meet(start.model.as_ref(), start.created);
        self.whole("response.created", State::InProgress, out);
        self.whole("response.in_progress", State::InProgress, out);
    }

    /// Writes an event that brings the response object.
    fn whole(&mut self, name: &str, state: State<'_>, out: &mut BytesMut) {
        let Self {
            echo,
            items,
            sequence,
            ..
        } = self;
        event(name, sequence, out, |event| {
            echo.write(state, items, event.key("response"));
        });
    }

    fn open(&mut self, open: Open<'_>, out: &mut BytesMut) {
        self.close("completed", out);
        let index = self.index;
        let id = |prefix| self.echo.item_id(prefix, index);
        let (id, kind) = match open {
            Open::Text => (id("msg_"), Kind::Message),
            Open::Thinking => {
                let kind = Kind::Reasoning {
                    begun: false,
                    signature: String::new(),
                };
                (id("rs_"), kind)
            }
            Open::Tool { id: call_id, name } => {
                let call = Call::new(&self.names, &call_id, &name);
                let id = id(call.prefix());
                let kind = if call.custom {
                    Kind::Custom(call, Unwrapper::default())
                } else {
                    Kind::Function(call)
                };
                (id, kind)
            }
        };
        let item = Item {
            kind,
            id,
            said: String::new(),
        };
        if !matches!(item.kind, Kind::Reasoning { .. }) {
            item.begin(index, &mut self.sequence, out);
        }
        self.open = Some(item);
    }

    fn delta(&mut self, text: &str, out: &mut BytesMut) {
        let index = self.index;
        let Some(item) = &mut self.open else {
            return;
        };
        match &mut item.kind {
            Kind::Custom(_, unwrapper) => {
                let input = unwrapper.push(&unescape(text));
                item.say(&input, index, &mut self.sequence, out);
            }
            Kind::Reasoning { begun, .. } => {
                if !std::mem::replace(begun, true) {
                    item.begin(index, &mut self.sequence, out);
                    item.begin_summary(index, &mut self.sequence, out);
                }
                item.say(text, index, &mut self.sequence, out);
            }
            _ => item.say(text, index, &mut self.sequence, out),
        }
    }

    fn close(&mut self, status: &str, out: &mut BytesMut) {
        let Some(mut item) = self.open.take() else {
            return;
        };
        let (index, sequence) = (self.index, &mut self.sequence);
        match &mut item.kind {
            Kind::Custom(_, unwrapper) => {
                let rest = std::mem::take(unwrapper).finish();
                item.say(&rest, index, sequence, out);
            }
            // A call without arguments is one with an empty object: an empty string is no JSON, and clients parse it.
            Kind::Function(_) if item.said.is_empty() => item.say("{}", index, sequence, out),
            Kind::Reasoning { begun, signature } => {
                if !self.echo.encrypted {
                    signature.clear();
                }
                if !*begun {
                    if signature.is_empty() {
                        return;
                    }
                    item.begin(index, sequence, out);
                }
            }
            _ => {}
        }
        item.end(index, sequence, out);
        if index > 0 {
            self.items.put_u8(b',');
        }
        item.write(status, &mut Object::new(&mut self.items));
        event("response.output_item.done", sequence, out, |event| {
            event.number("output_index", index);
            item.write(status, &mut event.object("item"));
        });
        self.index += 1;
    }

    fn finish(&mut self, finish: &Finish<'_>, out: &mut BytesMut) {
        let told = finish.usage.unwrap_or(Usage {
            input: self.input_estimate,
            ..Usage::default()
        });
        let state = State::Ended(finish.stop, told);
        let status = echo::status(state);
        if status == "incomplete" && self.open.as_ref().is_some_and(Item::is_cut) {
            self.open = None;
        }
        self.close(status, out);
        self.whole(echo::event(state), state, out);
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut BytesMut) {
        let state = State::Failed(refusal);
        if !self.started {
            self.whole("response.created", State::InProgress, out);
        }
        // A call of which more might have come is none to run.
        if self.open.as_ref().is_some_and(Item::is_call) {
            self.open = None;
        }
        self.close("incomplete", out);
        self.whole(echo::event(state), state, out);
    }
}

impl Item {
    const fn is_call(&self) -> bool {
        matches!(self.kind, Kind::Function(_) | Kind::Custom(..))
    }

    /// Whether it is a call whose input has begun and not ended.
    fn is_cut(&self) -> bool {
        matches!(&self.kind, Kind::Custom(_, unwrapper) if unwrapper.is_inside())
    }

    /// What it brings beside text, by the names of its events.
    const fn event(&self) -> &'static str {
        match self.kind {
            Kind::Message => "response.output_text",
            Kind::Reasoning { .. } => "response.reasoning_summary_text",
            Kind::Function(_) => "response.function_call_arguments",
            Kind::Custom(..) => "response.custom_tool_call_input",
        }
    }

    fn said(&self) -> Text<'_> {
        Text::Escaped(self.said.as_str().into())
    }

    fn begin(&self, index: u64, sequence: &mut u64, out: &mut BytesMut) {
        event("response.output_item.added", sequence, out, |event| {
            event.number("output_index", index);
            let mut item = event.object("item");
            let nothing = Text::plain("");
            match &self.kind {
                Kind::Message => items::message(&self.id, "in_progress", None, &mut item),
                Kind::Reasoning { .. } => items::reasoning(&self.id, None, None, &mut item),
                Kind::Function(call) | Kind::Custom(call, _) => {
                    call.write(&self.id, "in_progress", &nothing, &mut item);
                }
            }
        });
        if matches!(self.kind, Kind::Message) {
            event("response.content_part.added", sequence, out, |event| {
                self.place(index, event);
                items::output_text(&Text::plain(""), &mut event.object("part"));
            });
        }
    }

    fn begin_summary(&self, index: u64, sequence: &mut u64, out: &mut BytesMut) {
        let name = "response.reasoning_summary_part.added";
        event(name, sequence, out, |event| {
            self.place(index, event);
            items::summary_text(&Text::plain(""), &mut event.object("part"));
        });
    }

    /// Says where an event belongs.
    fn place(&self, index: u64, event: &mut Object<'_>) {
        event.str("item_id", &self.id);
        event.number("output_index", index);
        match self.kind {
            Kind::Message => event.number("content_index", 0),
            Kind::Reasoning { .. } => event.number("summary_index", 0),
            _ => {}
        }
    }

    fn say(&mut self, text: &str, index: u64, sequence: &mut u64, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.said.push_str(text);
        let name = [self.event(), ".delta"].concat();
        event(&name, sequence, out, |event| {
            self.place(index, event);
            event.text("delta", &Text::Escaped(text.into()));
            if matches!(self.kind, Kind::Message) {
                event.raw("logprobs", "[]");
            }
        });
    }

    /// Writes the events that end what it says, before the item itself ends.
    fn end(&self, index: u64, sequence: &mut u64, out: &mut BytesMut) {
        if matches!(self.kind, Kind::Reasoning { begun: false, .. }) {
            return;
        }
        let name = [self.event(), ".done"].concat();
        event(&name, sequence, out, |event| {
            self.place(index, event);
            match &self.kind {
                Kind::Message => {
                    event.text("text", &self.said());
                    event.raw("logprobs", "[]");
                }
                Kind::Reasoning { .. } => event.text("text", &self.said()),
                Kind::Function(call) => {
                    event.str("name", &call.name);
                    event.text("arguments", &self.said());
                }
                Kind::Custom(..) => event.text("input", &self.said()),
            }
        });
        let part = match self.kind {
            Kind::Message => "response.content_part.done",
            Kind::Reasoning { .. } => "response.reasoning_summary_part.done",
            _ => return,
        };
        event(part, sequence, out, |event| {
            self.place(index, event);
            let mut part = event.object("part");
            match self.kind {
                Kind::Message => items::output_text(&self.said(), &mut part),
                _ => items::summary_text(&self.said(), &mut part),
            }
        });
    }

    fn write(&self, status: &str, item: &mut Object<'_>) {
        let said = self.said();
        match &self.kind {
            Kind::Message => items::message(&self.id, status, Some(&said), item),
            Kind::Reasoning { begun, signature } => {
                let told = begun.then_some(&said);
                items::reasoning(&self.id, told, Some(signature), item);
            }
            Kind::Function(call) | Kind::Custom(call, _) => {
                call.write(&self.id, status, &said, item);
            }
        }
    }
}

/// Writes one event.
fn event(name: &str, sequence: &mut u64, out: &mut BytesMut, write: impl FnOnce(&mut Object<'_>)) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    {
        let mut object = Object::new(out);
        object.str("type", name);
        object.number("sequence_number", *sequence);
        write(&mut object);
    }
    *sequence += 1;
    out.put_slice(b"\n\n");
}
