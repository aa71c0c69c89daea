//! Betas of Anthropic's Messages: which a provider takes, and which fields they bring.
//!
//! A provider that does not know a beta refuses the call for its name, or for a field that it brings. So what is not known there is left out,
//! name and fields, and the caller is told in `x-tierway-dropped`.
use crate::translate::json::elements;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

const HEADER: HeaderName = HeaderName::from_static("anthropic-beta");

/// Which betas pass.
#[derive(Debug)]
pub(crate) enum Betas {
    /// All, as they came.
    All,
    /// None, and their fields are passed over: nobody need be told.
    None,
    /// These.
    Only(&'static [Beta]),
}

/// A beta that a provider takes.
#[derive(Debug)]
pub(crate) struct Beta {
    /// Its name, or how it begins: what follows is a date.
    begins: &'static str,
    /// By which name it goes there, where that is another.
    renamed: Option<&'static str>,
    /// What must stand in the model's name.
    models: Option<&'static str>,
}

impl Beta {
    pub(crate) const fn new(begins: &'static str) -> Self {
        Self {
            begins,
            renamed: None,
            models: None,
        }
    }
    const fn renamed(self, name: &'static str) -> Self {
        Self {
            renamed: Some(name),
            ..self
        }
    }
    const fn of_models(self, part: &'static str) -> Self {
        Self {
            models: Some(part),
            ..self
        }
    }
}

/// What Bedrock takes: the betas of Amazon's documentation of Claude's request and response, and those that Claude Code sends to Bedrock of its
/// own accord.
pub(super) const BEDROCK: &[Beta] = &[
    Beta::new("advanced-tool-use-2025-11-20").renamed(TOOL_SEARCH),
    Beta::new("computer-use-2024-10-22"),
    Beta::new("computer-use-2025-01-24"),
    Beta::new("computer-use-2025-11-24"),
    Beta::new("context-1m-2025-08-07"),
    Beta::new("context-management-2025-06-27"),
    Beta::new("dev-full-thinking-2025-05-14"),
    // Later models take an effort without.
    Beta::new("effort-2025-11-24").of_models("claude-opus-4-5"),
    Beta::new("interleaved-thinking-2025-05-14"),
    Beta::new("output-128k-2025-02-19"),
    Beta::new("thinking-display-updates-2026-08-18"),
    Beta::new("thinking-token-count-2026-05-13"),
    Beta::new("token-efficient-tools-2025-02-19"),
    Beta::new("tool-examples-2025-10-29"),
    Beta::new(TOOL_SEARCH),
];

/// What Vertex AI takes.
pub(super) const VERTEX: &[Beta] = &[
    Beta::new("advanced-tool-use-2025-11-20").renamed(TOOL_SEARCH),
    Beta::new("compact-"),
    Beta::new("computer-use-"),
    Beta::new("context-1m-"),
    Beta::new("context-management-"),
    Beta::new("effort-"),
    Beta::new("fine-grained-tool-streaming-"),
    Beta::new("interleaved-thinking-"),
    Beta::new("token-efficient-tools-"),
    Beta::new("tool-search-tool-"),
    Beta::new("web-search-"),
];

const TOOL_SEARCH: &str = "tool-search-tool-2025-10-19";

/// A field that only betas bring: its path, `*` for each element of an array, and its value, where only that is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(&'static [&'static str], Option<&'static str>);

impl Field {
    /// What the caller is told: `tools.defer_loading`.
    pub(crate) fn name(&self) -> String {
        let names = self.0.iter().filter(|name| **name != "*");
        names.copied().collect::<Vec<_>>().join(".")
    }
    /// Its values in a body, with their keys.
    pub(crate) fn find<'a>(&self, body: &'a RawValue) -> Vec<&'a RawValue> {
        let mut found = Vec::new();
        walk(body, self.0, &mut found);
        found.retain(|json| self.1.is_none_or(|value| json.get() == value));
        found
    }
    /// What it is called where it stands.
    pub(crate) fn key(&self) -> &'static str {
        self.0.last().copied().unwrap_or_default()
    }
}

fn walk<'a>(json: &'a RawValue, path: &[&str], found: &mut Vec<&'a RawValue>) {
    match path {
        [] => found.push(json),
        ["*", rest @ ..] => {
            for element in elements(json).unwrap_or_default() {
                walk(element, rest, found);
            }
        }
        [name, rest @ ..] => {
            let fields: BTreeMap<Cow<'_, str>, &RawValue> =
                serde_json::from_str(json.get()).unwrap_or_default();
            if let Some(inner) = fields.get(*name) {
                walk(inner, rest, found);
            }
        }
    }
}

const fn field(path: &'static [&'static str]) -> Field {
    Field(path, None)
}

/// Which betas bring which fields. One that two bring stays while either passes.
const FIELDS: &[(&str, &[Field])] = &[
    (
        "advanced-tool-use-",
        &[
            field(&["tools", "*", "defer_loading"]),
            field(&["tools", "*", "input_examples"]),
            field(&["tools", "*", "allowed_callers"]),
        ],
    ),
    ("code-execution-", &[field(&["container"])]),
    ("compact-", &[field(&["context_management"])]),
    ("context-management-", &[field(&["context_management"])]),
    ("fast-mode-", &[field(&["speed"])]),
    (
        "fine-grained-tool-streaming-",
        &[field(&["tools", "*", "eager_input_streaming"])],
    ),
    ("mcp-client-", &[field(&["mcp_servers"])]),
    (
        "per-turn-control-",
        &[field(&["messages", "*", "output_config"])],
    ),
    (
        "prompt-caching-scope-",
        &[
            field(&["system", "*", "cache_control", "scope"]),
            field(&["tools", "*", "cache_control", "scope"]),
            field(&["messages", "*", "content", "*", "cache_control", "scope"]),
        ],
    ),
    ("skills-", &[field(&["container"])]),
    ("structured-outputs-", &[field(&["output_format"])]),
    ("task-budgets-", &[field(&["output_config", "task_budget"])]),
    (
        "thinking-display-updates-",
        &[Field(&["thinking", "display"], Some("\"updates\""))],
    ),
    (
        "tool-examples-",
        &[field(&["tools", "*", "input_examples"])],
    ),
    (
        "tool-search-tool-",
        &[field(&["tools", "*", "defer_loading"])],
    ),
];

fn fields(beta: &str) -> impl Iterator<Item = &'static Field> {
    let brought = FIELDS.iter().filter(move |(b, _)| beta.starts_with(b));
    brought.flat_map(|(_, fields)| fields.iter())
}

/// What becomes of the betas that a call asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What passes, by the names that the provider knows.
    pub(crate) kept: Vec<String>,
    /// What does not, by the caller's names.
    pub(crate) dropped: Vec<String>,
    /// What nothing that passes brings.
    pub(crate) fields: Vec<Field>,
}

impl Betas {
    /// Looks at the betas of a header, and of a body's own list of them (`anthropic_beta`).
    pub(crate) fn asked(&self, headers: &HeaderMap, body: Option<&RawValue>, model: &str) -> Asked {
        let mut asked = Asked::default();
        let Self::Only(known) = self else {
            return asked;
        };
        let in_headers = headers
            .get_all(HEADER)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|beta| Cow::Borrowed(beta.trim()));
        let in_body = body
            .and_then(elements)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|json| serde_json::from_str(json.get()).ok().map(Cow::Owned));
        for beta in in_headers.chain(in_body).filter(|beta| !beta.is_empty()) {
            let taken = known.iter().find(|known| {
                beta.starts_with(known.begins)
                    && known.models.is_none_or(|part| model.contains(part))
            });
            let (list, name) = match taken {
                Some(taken) => (&mut asked.kept, taken.renamed.unwrap_or(&beta)),
                None => (&mut asked.dropped, &*beta),
            };
            if !list.iter().any(|had| had == name) {
                list.push(name.to_owned());
            }
            for field in fields(&beta) {
                if !asked.fields.contains(field) {
                    asked.fields.push(*field);
                }
            }
        }
        let kept: Vec<&Field> = asked.kept.iter().flat_map(|beta| fields(beta)).collect();
        asked.fields.retain(|field| !kept.contains(&field));
        asked
    }

    /// The `anthropic-beta`s of a caller as they go up; all as they came where all pass.
    pub(crate) fn header(&self, headers: &HeaderMap, model: &str) -> Vec<HeaderValue> {
        match self {
            Self::All => headers.get_all(HEADER).iter().cloned().collect(),
            Self::None => Vec::new(),
            Self::Only(_) => {
                let kept = self.asked(headers, None, model).kept.join(",");
                let value = HeaderValue::from_str(&kept).ok();
                value.into_iter().filter(|v| !v.is_empty()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(betas: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-beta", HeaderValue::from_static(betas));
        headers
    }
    fn names(fields: &[Field]) -> Vec<String> {
        fields.iter().map(Field::name).collect()
    }

    const CLAUDE_CODE: &str = "claude-code-20250219,interleaved-thinking-2025-05-14, context-management-2025-06-27,per-turn-control-2026-07-01,advanced-tool-use-2025-11-20,effort-2025-11-24,thinking-display-updates-2026-08-18";

    // Case 6: betas that a provider does not know.
    #[test]
    fn betas_pass_as_they_came_or_as_far_as_they_are_known() {
        let headers = asking(CLAUDE_CODE);
        assert_eq!(Betas::All.header(&headers, "m"), [CLAUDE_CODE]);
        assert_eq!(Betas::None.header(&headers, "m"), [""; 0]);
        let vertex = Betas::Only(VERTEX);
        assert_eq!(
            vertex.header(&headers, "m"),
            [
                "interleaved-thinking-2025-05-14,context-management-2025-06-27,tool-search-tool-2025-10-19,effort-2025-11-24"
            ]
        );
        assert_eq!(vertex.header(&asking("x-1"), "m"), [""; 0]);
        let asked = vertex.asked(&headers, None, "m");
        assert_eq!(
            asked.dropped,
            [
                "claude-code-20250219",
                "per-turn-control-2026-07-01",
                "thinking-display-updates-2026-08-18"
            ]
        );
        assert_eq!(
            names(&asked.fields),
            [
                "messages.output_config",
                "tools.input_examples",
                "tools.allowed_callers",
                "thinking.display"
            ]
        );
    }

    #[test]
    fn bedrock_knows_betas_by_model_and_in_the_body_too() {
        let body: &RawValue =
            serde_json::from_str(r#"["context-1m-2025-08-07","compact-2026-01-12",7]"#).unwrap();
        let headers = asking(
            "effort-2025-11-24,interleaved-thinking-2025-05-14,interleaved-thinking-2025-05-14",
        );
        let bedrock = Betas::Only(BEDROCK);
        let asked = bedrock.asked(&headers, Some(body), "anthropic.claude-sonnet-4-5");
        assert_eq!(
            asked.kept,
            ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"]
        );
        assert_eq!(asked.dropped, ["effort-2025-11-24", "compact-2026-01-12"]);
        assert_eq!(names(&asked.fields), ["context_management"]);
        let asked = bedrock.asked(&headers, None, "anthropic.claude-opus-4-5-20251101-v1:0");
        assert_eq!(asked.kept[0], "effort-2025-11-24");
    }

    #[test]
    fn a_field_stays_while_a_beta_that_passes_brings_it() {
        let headers = asking("compact-2026-01-12,context-management-2025-06-27,mcp-client-1");
        let asked = Betas::Only(BEDROCK).asked(&headers, None, "m");
        assert_eq!(names(&asked.fields), ["mcp_servers"]);
    }

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let body: &RawValue = serde_json::from_str(
            r#"{"system":"x","tools":[{"name":"a","defer_loading":true},{"name":"b"},7,{"defer_loading":false}],"thinking":{"display":"updates"}}"#,
        )
        .unwrap();
        let values =
            |path: Field| -> Vec<&str> { path.find(body).into_iter().map(RawValue::get).collect() };
        assert_eq!(
            values(field(&["tools", "*", "defer_loading"])),
            ["true", "false"]
        );
        assert_eq!(
            values(Field(&["thinking", "display"], Some("\"updates\""))),
            ["\"updates\""]
        );
        assert_eq!(
            values(Field(&["thinking", "display"], Some("\"omitted\""))),
            [""; 0]
        );
        assert_eq!(
            values(field(&["system", "*", "cache_control", "scope"])),
            [""; 0]
        );
    }

    #[test]
    fn every_row_stands_once() {
        for (i, (beta, fields)) in FIELDS.iter().enumerate() {
            assert!(FIELDS[..i].iter().all(|(b, _)| b != beta), "{beta}");
            assert!(!fields.is_empty() && fields.iter().all(|f| !f.key().is_empty()));
        }
    }
}
