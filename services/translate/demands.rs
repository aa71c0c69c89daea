//! What is demanded in words, where the model behind a name takes no field for it.
use super::{
    Capabilities,
    form::{Form, ToolChoice},
    schema,
    text::Text,
};

/// The instructions to add: JSON where nobody enforces it, and one call at a time where nobody can be told so.
pub(crate) fn of(form: &Form<'_>, caps: &Capabilities) -> Vec<Text<'static>> {
    let format = form.format.as_ref().filter(|_| !caps.structured_output);
    let mut demands: Vec<Text<'static>> = format.map(schema::in_words).into_iter().collect();
    let may_call = !form.tools.is_empty() && !matches!(form.tool_choice, Some(ToolChoice::None));
    if may_call && form.parallel_tools == Some(false) && !caps.parallel_tools {
        demands.push(Text::plain("Call at most one tool at a time."));
    }
    demands
}
