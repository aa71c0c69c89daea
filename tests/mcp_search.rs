//! How well a catalogue of real tools is searched: `mcp/catalog.jsonl` has what 16 servers from npm and PyPI list, `mcp/asks.tsv` what somebody may
//! want, and the tools that would do.
use serde_json::Value;
use tierway::services::tools::{Index, Tool};

fn catalog() -> Vec<Tool> {
    let tool = |line: &str| {
        let told: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let arguments = told["arguments"].as_array().unwrap().iter();
        let properties = arguments.map(|name| (name.as_str().unwrap().to_owned(), Value::Null));
        let schema = serde_json::json!({"properties": Value::Object(properties.collect())});
        Tool::new(
            &text("server"),
            &text("name"),
            &text("description"),
            &schema.to_string(),
        )
    };
    include_str!("mcp/catalog.jsonl")
        .lines()
        .map(tool)
        .collect()
}

/// The share of asks for which one of the first `most` tools would do.
fn recall(tools: &[Tool], most: usize) -> (f64, Vec<&'static str>) {
    let index = Index::new(tools);
    let asks: Vec<(&str, &str)> = include_str!("mcp/asks.tsv")
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    let mut missed = Vec::new();
    for (ask, wanted) in &asks {
        let found = index.find(ask, most);
        let hit = found
            .iter()
            .any(|nth| wanted.split('|').any(|w| w == tools[*nth].full_name()));
        if !hit {
            missed.push(*ask);
        }
    }
    (
        (asks.len() - missed.len()) as f64 / asks.len() as f64,
        missed,
    )
}

#[test]
fn most_asks_find_their_tool() {
    let tools = catalog();
    assert!(tools.len() >= 100);
    for (most, least) in [(1, 0.55), (5, 0.88), (8, 0.9), (10, 0.93)] {
        let (share, missed) = recall(&tools, most);
        println!("recall@{most} {share:.3}, missed: {missed:?}");
        assert!(share >= least, "recall@{most} is {share}: {missed:?}");
    }
}
