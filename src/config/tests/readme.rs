//! The README says what the reference says.
use super::reference;

/// `TIERWAY_WRITE_DOCS=1 cargo test -p tierway --lib readme` writes it anew.
#[test]
fn the_readme_has_the_reference() {
    const MARKS: [&str; 2] = ["<!-- config-reference -->", "<!-- /config-reference -->"];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap_or_default();
    let Some((before, (table, after))) = readme
        .split_once(MARKS[0])
        .and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?)))
    else {
        return;
    };
    if std::env::var_os("TIERWAY_WRITE_DOCS").is_some() {
        let [open, close] = MARKS;
        let anew = format!(
            "{before}{open}\n{}\n{close}{after}",
            reference::markdown().trim()
        );
        std::fs::write(path, anew).unwrap();
    } else {
        assert!(
            table.trim() == reference::markdown().trim(),
            "the README's configuration table is old: run this test with TIERWAY_WRITE_DOCS=1"
        );
    }
}
