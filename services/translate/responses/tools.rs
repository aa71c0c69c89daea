//! The tools of a Responses request, and what they are called where there are functions only.
//!
//! Other dialects know neither namespaces nor tools whose input is free text. A tool in a namespace goes by `namespace__name` there (in
//! `functions`, the namespace that means none, by its name alone), a free-form tool is a function with one text argument. The caller's own
//! request tells the way back.
use crate::{
    chat::Prompt,
    translate::{
        ids,
        json::{Fields, elements},
        text::Text,
    },
};
use std::borrow::Cow;

/// A tool that a request offers.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    /// Its name where namespaces are unknown.
    pub(super) flat: String,
    pub(super) namespace: Option<Text<'a>>,
    pub(super) kind: Kind<'a>,
    pub(super) fields: Fields<'a>,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    Function,
    /// Takes free text.
    Custom,
    /// Defined or run by its vendor.
    Vendor(Cow<'a, str>),
}

/// The one argument of the function that stands for a tool that takes free text.
pub(super) const INPUT: &str = "input";

/// Whether a vendor's tool may be left out: searching the web is an offer that agents always make (Codex does), and a model without it
/// answers from what it knows.
pub(super) fn may_drop(kind: &str) -> bool {
    kind.starts_with("web_search")
}

/// The name of a tool where namespaces are unknown.
pub(super) fn flat(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None | Some("" | "functions") => name.to_owned(),
        Some(namespace) => format!("{namespace}__{name}"),
    }
}

/// All tools that a request offers: those in `tools`, those in `additional_tools` items of its input (which Codex sends), and those inside
/// namespaces.
pub(super) fn offers<'a>(body: &Fields<'a>) -> Vec<Offer<'a>> {
    let mut offers = Vec::new();
    for tool in body.get("tools").and_then(elements).unwrap_or_default() {
        offer(None, tool.get(), &mut offers);
    }
    let added = body.get("input").filter(|input| {
        memchr::memmem::find(input.get().as_bytes(), b"additional_tools").is_some()
    });
    for item in added.and_then(elements).unwrap_or_default() {
        let Some(item) = Fields::parse(item.get()) else {
            continue;
        };
        if item.string("type").as_deref() == Some("additional_tools") {
            for tool in item.get("tools").and_then(elements).unwrap_or_default() {
                offer(None, tool.get(), &mut offers);
            }
        }
    }
    offers
}

fn offer<'a>(namespace: Option<&Text<'a>>, json: &'a str, offers: &mut Vec<Offer<'a>>) {
    let Some(fields) = Fields::parse(json) else {
        return;
    };
    let kind = fields.string("type").unwrap_or(Cow::Borrowed("function"));
    if kind == "namespace" {
        let name = fields.text("name").unwrap_or(Text::plain(""));
        for tool in fields.get("tools").and_then(elements).unwrap_or_default() {
            offer(Some(&name), tool.get(), offers);
        }
        return;
    }
    let name = fields.string("name").unwrap_or_default();
    let mut flat_name = flat(namespace.map(Text::decode).as_deref(), &name);
    if let Some(namespace) = namespace
        && offers.iter().any(|o| o.flat == flat_name)
    {
        flat_name = format!("{}__{name}", namespace.decode());
    }
    let kind = match &*kind {
        "function" => Kind::Function,
        "custom" => Kind::Custom,
        _ => Kind::Vendor(kind),
    };
    offers.push(Offer {
        flat: flat_name,
        namespace: namespace.cloned(),
        kind,
        fields,
    });
}

/// The name where namespaces are unknown of the tool that a call in the history means.
pub(super) fn called(offers: &[Offer<'_>], namespace: Option<&str>, name: &str) -> String {
    let meant = offers.iter().find(|offer| {
        let same = match (&offer.namespace, namespace) {
            (Some(own), Some(meant)) => own.decode() == meant,
            (None, None) => true,
            // Codex leaves `functions` out.
            (Some(own), None) => own.decode() == "functions",
            (None, Some(meant)) => meant == "functions",
        };
        same && offer.fields.string("name").as_deref() == Some(name)
    });
    meant.map_or_else(|| flat(namespace, name), |offer| offer.flat.clone())
}

/// The way back from the names that went upstream.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Known>);

/// A tool as its caller knows it.
#[derive(Debug)]
pub(crate) struct Known {
    sent: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) custom: bool,
}

impl Names {
    /// The names in a caller's request.
    pub(crate) fn of(prompt: &Prompt) -> Self {
        let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
        let fields = Fields::parse(body).unwrap_or_default();
        let known = offers(&fields).into_iter().map(|offer| Known {
            sent: ids::tool_name(&Text::plain(&offer.flat)).into_owned(),
            namespace: offer.namespace.map(|n| n.decode().into_owned()),
            name: offer.fields.string("name").unwrap_or_default().into_owned(),
            custom: matches!(offer.kind, Kind::Custom),
        });
        Self(known.collect())
    }
    /// The tool that an upstream calls by `name`. Models do call tools by a name that is not quite theirs: of a tool in a namespace, the
    /// name alone is understood if only one has it.
    pub(crate) fn find(&self, name: &str) -> Option<&Known> {
        let exact = self.0.iter().find(|k| k.sent == name);
        exact.or_else(|| {
            let mut bare = self.0.iter().filter(|k| k.name == name);
            bare.next().filter(|_| bare.next().is_none())
        })
    }
}
