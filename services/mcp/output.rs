//! Between a server's answer and what a model is shown.
use crate::tools::Output;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, ResourceContents};

/// The arguments as the protocol wants them: an object, or nothing.
pub(super) fn arguments(text: &str) -> Result<Option<JsonObject>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Ok(Some(object)),
        Ok(serde_json::Value::Null) => Ok(None),
        Ok(_) => Err("the arguments are not a JSON object".into()),
        Err(error) => Err(format!("the arguments are not JSON: {error}")),
    }
}

pub(super) fn of(result: CallToolResult) -> Output {
    let mut texts = Vec::new();
    let mut output = Output::default();
    for block in result.content {
        match block {
            ContentBlock::Text(text) => texts.push(text.text),
            ContentBlock::Image(image) => {
                output = output.with_image(image.mime_type, image.data);
            }
            ContentBlock::Audio(audio) => {
                texts.push(format!("[sound of type {} left out]", audio.mime_type));
            }
            ContentBlock::Resource(embedded) => texts.push(match embedded.resource {
                ResourceContents::TextResourceContents { uri, text, .. } => {
                    format!("{uri}:\n{text}")
                }
                ResourceContents::BlobResourceContents { uri, .. } => {
                    format!("[binary resource {uri} left out]")
                }
                _ => "[a resource left out]".into(),
            }),
            ContentBlock::ResourceLink(link) => {
                texts.push(format!("[resource {}: {}]", link.uri, link.name));
            }
            _ => texts.push("[content of an unknown type left out]".into()),
        }
    }
    // The protocol wants it told in words too; some servers forget.
    if let Some(structured) = result.structured_content
        && texts.is_empty()
    {
        texts.push(structured.to_string());
    }
    output.text = texts.join("\n");
    output.is_error = result.is_error == Some(true);
    if output.text.is_empty() && output.images.is_empty() {
        output.text = "(no output)".into();
    }
    output
}
