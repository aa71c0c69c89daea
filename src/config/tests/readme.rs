//! The README says what the reference says.
use super::reference;

#[test]
fn the_readme_has_the_reference() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))
        .unwrap_or_default();
    let between = readme
        .split_once("<!-- config-reference -->")
        .and_then(|(_, rest)| rest.split_once("<!-- /config-reference -->"));
    if let Some((table, _)) = between {
        assert!(
            table.trim() == reference::markdown().trim(),
            "the README's configuration table is old: put what `tierway check --reference` prints between its markers"
        );
    }
}
