//! Reading content: the blocks of both vendors' families, because clients mix them (Cursor sends Anthropic's blocks inside chat completions).
use super::{
    form::{Arguments, Block, BlockKind, Format, Source, Tool, ToolChoice},
    json::{At, Fields, Json, elements},
    text::{Text, inside, string},
};
use crate::chat::Refusal;
use std::borrow::Cow;

/// A content: a string, an array of blocks, or nothing.
pub(crate) fn content<'a>(json: Option<Json<'a>>, at: &At<'_>) -> Result<Vec<Block<'a>>, Refusal> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    if let Some(text) = Text::of(json) {
        return Ok(vec![Block::text(text)]);
    }
    let blocks = elements(json).ok_or_else(|| at.wrong("a string or an array of blocks"))?;
    blocks
        .into_iter()
        .enumerate()
        .map(|(i, json)| block(json, &at.element(i)))
        .collect()
}

fn block<'a>(json: Json<'a>, at: &At<'_>) -> Result<Block<'a>, Refusal> {
    if let Some(text) = Text::of(json) {
        return Ok(Block::text(text));
    }
    let fields = Fields::read(json, at)?;
    let kind = fields
        .string("type")
        .ok_or_else(|| at.field("type").missing())?;
    let kind = match &*kind {
        "text" | "input_text" | "output_text" => BlockKind::Text(fields.need_text("text", at)?),
        "refusal" => BlockKind::Text(fields.need_text("refusal", at)?),
        "image" => BlockKind::Image(source(&fields, at)?),
        "image_url" => BlockKind::Image(image_url(&fields, at)?),
        "input_image" if fields.get("image_url").is_none() => BlockKind::Image(Source::File),
        "input_image" => BlockKind::Image(image_url(&fields, at)?),
        "input_file" => match fields.text("file_url") {
            Some(url) => BlockKind::Document {
                source: Source::Url(url),
                name: fields.text("filename"),
            },
            None => file(&fields, at)?,
        },
        "document" => BlockKind::Document {
            source: source(&fields, at)?,
            name: fields.text("title"),
        },
        "file" => file(&fields.object("file").unwrap_or_default(), at)?,
        "tool_use" => BlockKind::ToolUse {
            id: fields.need_text("id", at)?,
            name: fields.need_text("name", at)?,
            arguments: fields
                .get("input")
                .map_or(Arguments::Object(Cow::Borrowed("{}")), Arguments::of_json),
        },
        "tool_result" => BlockKind::ToolResult {
            id: fields.need_text("tool_use_id", at)?,
            content: content(fields.get("content"), &at.field("content"))?,
            is_error: fields.is_true("is_error"),
        },
        "thinking" => BlockKind::Thinking {
            text: fields.need_text("thinking", at)?,
            signature: fields.text("signature"),
        },
        "redacted_thinking" => BlockKind::Redacted,
        "tool_reference" => BlockKind::Text(Text::Plain(Cow::Owned(format!(
            "[tool: {}]",
            fields.need_text("tool_name", at)?.decode()
        )))),
        "search_result" => BlockKind::Document {
            name: fields.text("title"),
            source: Source::Blocks(content(fields.get("content"), &at.field("content"))?),
        },
        _ => BlockKind::Other { kind },
    };
    Ok(Block {
        kind,
        cache: fields.get("cache_control"),
    })
}

/// The `source` of an image or a document.
fn source<'a>(fields: &Fields<'a>, at: &At<'_>) -> Result<Source<'a>, Refusal> {
    let at = &at.field("source");
    let json = fields.get("source").ok_or_else(|| at.missing())?;
    let source = Fields::read(json, at)?;
    let kind = source
        .string("type")
        .ok_or_else(|| at.field("type").missing())?;
    Ok(match &*kind {
        "base64" => Source::Base64 {
            media_type: source.need_text("media_type", at)?,
            data: source.need_text("data", at)?,
        },
        "url" => Source::Url(source.need_text("url", at)?),
        "text" => Source::Text(source.need_text("data", at)?),
        "content" => Source::Blocks(content(source.get("content"), &at.field("content"))?),
        "file" => Source::File,
        _ => return Err(at.field("type").wrong("base64, url, text, content or file")),
    })
}

fn image_url<'a>(fields: &Fields<'a>, at: &At<'_>) -> Result<Source<'a>, Refusal> {
    let at = &at.field("image_url");
    let json = fields.get("image_url").ok_or_else(|| at.missing())?;
    let url = match inside(json) {
        Some(_) => json,
        None => Fields::read(json, at)?
            .get("url")
            .ok_or_else(|| at.field("url").missing())?,
    };
    let at = &at.field("url");
    let text = Text::of(url).ok_or_else(|| at.wrong("a string"))?;
    let plain = string(url).unwrap_or_default();
    if plain.starts_with("data:") {
        data_url(plain).ok_or_else(|| at.wrong("a data URL with base64 data"))
    } else {
        Ok(Source::Url(text))
    }
}

/// Takes a data URL apart.
fn data_url(url: Cow<'_, str>) -> Option<Source<'_>> {
    let head = url.split_once(',')?.0;
    let media = head.strip_prefix("data:")?.strip_suffix(";base64")?;
    let media = media.split(';').next().filter(|m| !m.is_empty())?;
    let (media_range, data_from) = (5..5 + media.len(), head.len() + 1);
    Some(match url {
        Cow::Borrowed(url) => Source::Base64 {
            media_type: Text::plain(url.get(media_range)?),
            data: Text::plain(url.get(data_from..)?),
        },
        Cow::Owned(url) => Source::Base64 {
            media_type: Text::Plain(Cow::Owned(url.get(media_range)?.to_owned())),
            data: Text::Plain(Cow::Owned(url.get(data_from..)?.to_owned())),
        },
    })
}

fn file<'a>(fields: &Fields<'a>, at: &At<'_>) -> Result<BlockKind<'a>, Refusal> {
    let at = &at.field("file");
    let name = fields.text("filename");
    let source = match fields.get("file_data") {
        Some(json) => {
            let at = &at.field("file_data");
            let data = string(json).ok_or_else(|| at.wrong("a string"))?;
            if data.starts_with("data:") {
                data_url(data).ok_or_else(|| at.wrong("a data URL with base64 data"))?
            } else {
                Source::Base64 {
                    media_type: Text::plain("application/pdf"),
                    data: Text::Plain(data),
                }
            }
        }
        None => Source::File,
    };
    Ok(BlockKind::Document { source, name })
}

/// The tools that are offered, in either family's shape, or in that of the Responses API.
pub(crate) fn tools<'a>(json: Option<Json<'a>>, at: &At<'_>) -> Result<Vec<Tool<'a>>, Refusal> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    let list = elements(json).ok_or_else(|| at.wrong("an array"))?;
    list.into_iter()
        .enumerate()
        .map(|(i, json)| tool(json, &at.element(i)))
        .collect()
}

fn tool<'a>(json: Json<'a>, at: &At<'_>) -> Result<Tool<'a>, Refusal> {
    let fields = Fields::read(json, at)?;
    let cache = fields.get("cache_control");
    if let Some(json) = fields.get("function") {
        let at = &at.field("function");
        let function = Fields::read(json, at)?;
        return named(&function, cache, at);
    }
    let kind = fields.string("type");
    let schema = fields.get("input_schema").or(fields.get("parameters"));
    match kind {
        Some(kind) if schema.is_none() && !matches!(&*kind, "function" | "custom") => Ok(Tool {
            name: fields.text("name").unwrap_or(Text::plain("")),
            description: None,
            schema: None,
            strict: None,
            cache,
            vendor: Some(kind),
        }),
        Some(kind) if fields.get("custom").is_some() => Ok(Tool {
            name: Text::plain(""),
            description: None,
            schema: None,
            strict: None,
            cache,
            vendor: Some(kind),
        }),
        _ => named(&fields, cache, at),
    }
}

fn named<'a>(
    fields: &Fields<'a>,
    cache: Option<Json<'a>>,
    at: &At<'_>,
) -> Result<Tool<'a>, Refusal> {
    Ok(Tool {
        name: fields.need_text("name", at)?,
        description: fields.text("description"),
        schema: fields.get("input_schema").or(fields.get("parameters")),
        strict: fields.get("strict"),
        cache,
        vendor: None,
    })
}

/// Which tool must be called, in either family's shape.
pub(crate) fn tool_choice<'a>(
    json: Option<Json<'a>>,
    at: &At<'_>,
) -> Result<Option<ToolChoice<'a>>, Refusal> {
    let Some(json) = json else {
        return Ok(None);
    };
    let fields = Fields::parse(json.get());
    let word = string(json).or_else(|| fields.as_ref()?.string("type"));
    let choice = match word.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any" | "required") => ToolChoice::Any,
        Some("none") => ToolChoice::None,
        Some("tool" | "function") => {
            let fields = fields.unwrap_or_default();
            let fields = fields.object("function").unwrap_or(fields);
            ToolChoice::Tool(fields.need_text("name", at)?)
        }
        Some(other) => {
            return Err(at.refuse(format_args!("`{other}` cannot be asked of this model")));
        }
        None => return Err(at.wrong("a string or an object with a type")),
    };
    Ok(Some(choice))
}

/// A demanded JSON schema: `{"type":"json_schema", ...}` with the schema inside, or one level deeper as in chat completions.
pub(crate) fn format<'a>(
    json: Option<Json<'a>>,
    at: &At<'_>,
) -> Result<Option<Format<'a>>, Refusal> {
    let Some(json) = json else {
        return Ok(None);
    };
    let fields = Fields::read(json, at)?;
    match fields.string("type").as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Object)),
        Some("json_schema") => {
            let inner = fields.object("json_schema").unwrap_or(fields);
            let schema = inner
                .get("schema")
                .ok_or_else(|| at.field("schema").missing())?;
            Ok(Some(Format::Schema {
                name: inner.text("name"),
                schema,
                strict: inner.get("strict").map(|s| s.get() == "true"),
            }))
        }
        _ => Err(at.field("type").wrong("text, json_object or json_schema")),
    }
}

/// Stop sequences: one string or several.
pub(crate) fn stop<'a>(json: Option<Json<'a>>, at: &At<'_>) -> Result<Vec<Text<'a>>, Refusal> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    if let Some(text) = Text::of(json) {
        return Ok(vec![text]);
    }
    let wrong = || at.wrong("a string or an array of strings");
    elements(json)
        .ok_or_else(wrong)?
        .into_iter()
        .map(|json| Text::of(json).ok_or_else(wrong))
        .collect()
}
