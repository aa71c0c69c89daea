//! The tools that a request offers and the schema that it demands, read and compiled once a request.
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{fmt, sync::OnceLock};
use tierway_services::chat::{PartKind, Prompt};

/// Schemas beyond this size are not compiled: who judges a draft must be faster than who writes it.
const MOST: usize = 256 << 10;

/// The tools that were offered.
#[derive(Debug, Default)]
pub(super) struct Tools {
    list: Vec<Tool>,
    /// Whether there may be others, offered in ways that are not read here.
    open: bool,
}

/// A tool that was offered.
pub(super) struct Tool {
    name: String,
    parameters: Option<Value>,
    compiled: OnceLock<Option<Validator>>,
}

/// The schema of an answer.
pub(super) struct Schema(Validator);

/// What is wrong with the arguments of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Unknown,
    Type,
    Value,
    Other,
}

// === impl Tools ===

impl Tools {
    pub(super) fn offered(prompt: &Prompt) -> Self {
        let facts = prompt.facts();
        let late = facts.turns.iter().any(|t| t.has(PartKind::Tools));
        let Some(span) = &facts.tools_span else {
            return Self {
                list: Vec::new(),
                open: true,
            };
        };
        let json = prompt.json(span);
        let small = json.len() <= MOST * 4;
        let offers: Vec<Value> = small
            .then(|| serde_json::from_str(json).ok())
            .flatten()
            .unwrap_or_default();
        let list: Vec<Tool> = offers.iter().filter_map(Tool::read).collect();
        Self {
            open: late || list.is_empty() || list.len() < offers.len(),
            list,
        }
    }

    /// Those that could be read.
    pub(super) fn list(&self) -> &[Tool] {
        &self.list
    }

    /// The tool of this name; `Err` where there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<&Tool>, ()> {
        match self.list.iter().find(|tool| tool.name == name) {
            Some(tool) => Ok(Some(tool)),
            None if self.open => Ok(None),
            None => Err(()),
        }
    }
}

// === impl Tool ===

impl Tool {
    /// Reads an offer in whichever dialect; `None` where it is none of a named function.
    fn read(offer: &Value) -> Option<Self> {
        let kind = offer.get("type").and_then(Value::as_str);
        if kind == Some("namespace") {
            return None;
        }
        let function = offer.get("function").unwrap_or(offer);
        let name = function.get("name")?.as_str()?.to_owned();
        let schemas = ["parameters", "input_schema"];
        let parameters = schemas.iter().find_map(|key| function.get(*key));
        Some(Self {
            name,
            parameters: parameters.filter(|p| p.is_object()).cloned(),
            compiled: OnceLock::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The arguments that must be given.
    fn required(&self) -> impl Iterator<Item = &str> {
        let schema = self.parameters.as_ref();
        let required = schema.and_then(|s| s.get("required")?.as_array());
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The arguments that may be given, with their schemas.
    fn properties(&self) -> Option<&Map<String, Value>> {
        self.parameters.as_ref()?.get("properties")?.as_object()
    }

    /// How much is wrong with these arguments: missing, unknown, of another type, not among the choices. A measure where
    /// [`fault`](Self::fault) is a verdict, so it makes do with schemas that are none: types such as `dict` fit anything.
    pub(super) fn faults(&self, arguments: &Map<String, Value>) -> usize {
        let missing = self.required().filter(|r| !arguments.contains_key(*r));
        let unknown = |name: &str| match self.properties() {
            None => None,
            Some(properties) if properties.is_empty() => None,
            Some(properties) => Some(properties.get(name)),
        };
        let wrong = arguments
            .iter()
            .filter(|(name, value)| match unknown(name) {
                None => false,
                Some(None) => true,
                Some(Some(schema)) => {
                    !fits_type(value, schema.get("type")) || !is_choice(value, schema.get("enum"))
                }
            });
        missing.count() + wrong.count()
    }

    /// What is wrong with `arguments`, if anything is.
    pub(super) fn fault(&self, arguments: &Value) -> Option<Fault> {
        let schema = self.parameters.as_ref()?;
        let given = arguments.as_object()?;
        if self.required().any(|name| !given.contains_key(name)) {
            return Some(Fault::Missing);
        }
        // Without a word on others, JSON Schema allows them; a model that makes one up has misread the tool all the same.
        let closed = matches!(
            schema.get("additionalProperties"),
            None | Some(Value::Bool(false))
        ) && schema.get("patternProperties").is_none()
            && ["anyOf", "oneOf", "allOf", "$ref"]
                .iter()
                .all(|key| schema.get(*key).is_none());
        if closed
            && let Some(properties) = self.properties()
            && given.keys().any(|name| !properties.contains_key(name))
        {
            return Some(Fault::Unknown);
        }
        let validator = self.compiled.get_or_init(|| compile(schema)).as_ref()?;
        let error = validator.iter_errors(arguments).next()?;
        Some(fault_of(&error))
    }
}

fn is_choice(value: &Value, choices: Option<&Value>) -> bool {
    choices
        .and_then(Value::as_array)
        .is_none_or(|c| c.contains(value))
}

/// Whether `value` is of the type that a schema names; one that JSON Schema does not know fits anything.
fn fits_type(value: &Value, schema: Option<&Value>) -> bool {
    let fits = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
        }
        "number" | "float" | "double" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" | "dict" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    };
    match schema {
        Some(Value::String(name)) => fits(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}

fn fault_of(error: &jsonschema::ValidationError<'_>) -> Fault {
    use jsonschema::error::ValidationErrorKind as Kind;
    match &error.kind {
        Kind::Required { .. } => Fault::Missing,
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => Fault::Unknown,
        Kind::Type { .. } => Fault::Type,
        Kind::Enum { .. } | Kind::Constant { .. } => Fault::Value,
        _ => Fault::Other,
    }
}

/// `None` where it is too large, or no schema: who offers such a tool has no right to be held to it.
fn compile(schema: &Value) -> Option<Validator> {
    let small = serde_json::to_vec(schema).is_ok_and(|text| text.len() <= MOST);
    small
        .then(|| jsonschema::validator_for(schema).ok())
        .flatten()
}

// === impl Schema ===

impl Schema {
    /// The schema that an answer to `prompt` is to keep to, where one was given.
    pub(super) fn demanded(prompt: &Prompt) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            response_format: Option<ResponseFormat>,
            output_config: Option<Holder>,
            output_format: Option<Format>,
            text: Option<Holder>,
        }
        #[derive(Deserialize)]
        struct ResponseFormat {
            json_schema: Option<Format>,
        }
        #[derive(Deserialize)]
        struct Holder {
            format: Option<Format>,
        }
        #[derive(Deserialize)]
        struct Format {
            schema: Option<Value>,
        }
        if !prompt.facts().json_output {
            return None;
        }
        let body: Body = serde_json::from_slice(prompt.raw()).ok()?;
        let format = body
            .response_format
            .and_then(|f| f.json_schema)
            .or_else(|| body.output_config.and_then(|c| c.format))
            .or(body.output_format)
            .or_else(|| body.text.and_then(|t| t.format))?;
        compile(&format.schema?).map(Self)
    }

    pub(super) fn allows(&self, answer: &Value) -> bool {
        self.0.is_valid(answer)
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tool").field(&self.name).finish()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
