//! Which results must stay as they are, to the last space: what is read from files may be edited by its own words, and in a difference a space
//! may be all that differs.
use super::places::Call;

/// Words of a tool's name that say that it gives what stands in a file.
const READERS: &str = "read view open cat file files edit write notebook patch diff replace";
/// Words of a tool's name that say that it runs what it is told to.
const SHELLS: &str =
    "bash cmd code command exec execute powershell process run script shell terminal";
/// Programs that show what stands in files, or how files differ.
const PROGRAMS: &str = "awk bat blame cat cmp diff get-content head hexdump less more nl od perl sed show tac tail xxd";

/// Whether the result of this call is to be left word for word. Whose call is not known is left, too.
pub(super) fn is_exact(call: Option<&Call<'_>>) -> bool {
    let Some(call) = call else { return true };
    let words = words(&call.name);
    let any = |list: &str| list.split(' ').any(|one| words.iter().any(|w| w == one));
    any(READERS) || (any(SHELLS) && shows(&call.arguments))
}

/// The words of a name such as `mcp__files__readText` or `str_replace_based_edit_tool`.
fn words(name: &str) -> Vec<String> {
    let name = name.rsplit("__").next().unwrap_or(name);
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        small = c.is_ascii_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

/// Whether one of these programs is named.
fn shows(arguments: &str) -> bool {
    arguments
        .split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
        .any(|word| PROGRAMS.split(' ').any(|p| p.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_files_is_known() {
        let exact = |name: &'static str, arguments: &'static str| {
            is_exact(Some(&Call {
                name: name.into(),
                arguments: arguments.into(),
            }))
        };
        for (name, arguments) in [
            ("Read", r#"{"file_path":"/a"}"#),
            ("mcp__fs__read_text_file", "{}"),
            ("readFile", "{}"),
            ("view", "{}"),
            ("str_replace_based_edit_tool", "{}"),
            ("Bash", r#"{"command":"cd x && cat package.json | jq ."}"#),
            (
                "exec_command",
                r#"{"cmd":["bash","-lc","sed -n 1,20p src/a.rs"]}"#,
            ),
            ("Bash", r#"{"command":"git diff --stat"}"#),
        ] {
            assert!(exact(name, arguments), "{name} {arguments}");
        }
        for (name, arguments) in [
            ("Bash", r#"{"command":"cargo test 2>&1"}"#),
            ("Bash", r#"{"command":"ls -la; git log --oneline"}"#),
            ("Grep", r#"{"pattern":"catch"}"#),
            ("mcp__github__list_issues", "{}"),
            ("get_weather", r#"{"show": "cat"}"#),
        ] {
            assert!(!exact(name, arguments), "{name} {arguments}");
        }
        assert!(is_exact(None));
    }
}
