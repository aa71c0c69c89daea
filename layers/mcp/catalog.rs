//! The tools of one call: those that are shown, and those that can be found.
use super::{Shared, policy::Verdict, policy::Wanted};
use std::sync::Arc;
use tierway_services::{
    chat::{Prompt, Tenant},
    tools::{Call, Index, Output, Tool, Toolbox},
    translate::rounds,
};

const FIND: &str = "mcp__find_tools";
const CALL: &str = "mcp__call_tool";
/// How many tools a search brings.
const FOUND: usize = 8;

/// The tools that a call may use.
#[derive(Debug)]
pub(super) struct Catalog {
    all: Vec<(Tool, Verdict)>,
    /// Whether they are looked for instead of shown.
    search: bool,
    names: Vec<Arc<str>>,
}

/// What a model's call comes down to.
#[derive(Debug)]
pub(super) enum Meant {
    /// A tool's call.
    Call(Call, Verdict),
    /// What can be told at once.
    Told(Output),
}

impl Catalog {
    pub(super) fn of<T: Toolbox>(
        shared: &Shared<T>,
        wanted: &Wanted,
        prompt: &Prompt,
        tenant: Option<&Tenant>,
    ) -> Self {
        let own = rounds::names(prompt);
        let mut all: Vec<(Tool, Verdict)> = Vec::new();
        for tool in shared.toolbox.tools().iter() {
            if !wanted.is(&tool.server) || own.iter().any(|name| **name == *tool.offered) {
                continue;
            }
            let verdict = shared.policy.verdict(tenant, tool);
            if verdict != Verdict::No {
                all.push((tool.clone(), verdict));
            }
        }
        let search = shared.search_from.is_some_and(|from| all.len() >= from);
        let names = if search {
            vec![FIND.into(), CALL.into()]
        } else {
            all.iter().map(|(tool, _)| tool.offered.clone()).collect()
        };
        Self { all, search, names }
    }

    /// Whether a tool of this name is run here.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        self.names.iter().any(|own| **own == *name)
    }

    /// What the model is shown.
    pub(super) fn shown(&self) -> Vec<Tool> {
        if !self.search {
            return self.all.iter().map(|(tool, _)| tool.clone()).collect();
        }
        let mut servers: Vec<&str> = self.all.iter().map(|(tool, _)| &*tool.server).collect();
        servers.dedup();
        let find = format!(
            "Finds tools by what they do, in a catalogue of {} tools of these servers: {}. Gives their names, descriptions and schemas; call them with call_tool.",
            self.all.len(),
            servers.join(", ")
        );
        let mut find = Tool::new(
            "",
            "find_tools",
            &find,
            r#"{"type":"object","properties":{"query":{"type":"string","description":"What the tool should do, in words."}},"required":["query"]}"#,
        );
        find.offered = FIND.into();
        let mut call = Tool::new(
            "",
            "call_tool",
            "Calls a tool that find_tools has found.",
            r#"{"type":"object","properties":{"name":{"type":"string","description":"The tool's name, as found."},"arguments":{"type":"object","description":"Its arguments, as its schema wants them."}},"required":["name","arguments"]}"#,
        );
        call.offered = CALL.into();
        vec![find, call]
    }

    /// What a call of one of the tools that are shown means.
    pub(super) fn meant(&self, name: &str, arguments: &str) -> Meant {
        if !self.search {
            return self.call(name, arguments.to_owned());
        }
        let asked: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
        let text = |field: &str| {
            asked
                .get(field)
                .and_then(|v| v.as_str())
                .unwrap_or_default()
        };
        match name {
            FIND => Meant::Told(self.find(text("query"))),
            _ => {
                let arguments = asked.get("arguments");
                let arguments = match arguments.and_then(|a| a.as_str()) {
                    // Some models write them as a text.
                    Some(text) => text.to_owned(),
                    None => arguments.map_or_else(String::new, ToString::to_string),
                };
                self.call(text("name"), arguments)
            }
        }
    }

    fn call(&self, name: &str, arguments: String) -> Meant {
        match self.all.iter().find(|(tool, _)| *tool.offered == *name) {
            Some((tool, verdict)) => {
                let tool = tool.clone();
                Meant::Call(Call { tool, arguments }, *verdict)
            }
            None => Meant::Told(Output::error(format!("there is no tool {name}"))),
        }
    }

    fn find(&self, query: &str) -> Output {
        let tools: Vec<Tool> = self.all.iter().map(|(tool, _)| tool.clone()).collect();
        let found = Index::new(&tools).find(query, FOUND);
        if found.is_empty() {
            return Output::text("No tool fits. Try other words.");
        }
        let lines = found.into_iter().filter_map(|nth| {
            let tool = tools.get(nth)?;
            let name = serde_json::Value::from(&*tool.offered);
            let description = serde_json::Value::from(&*tool.description);
            Some(format!(
                r#"{{"name":{name},"description":{description},"input_schema":{}}}"#,
                tool.schema
            ))
        });
        Output::text(lines.collect::<Vec<_>>().join("\n"))
    }
}
