//! Patterns over names of models.

/// Whether a model's name fits a pattern, in which `*` stands for anything.
///
/// ```
/// use tierway_services::chat::fits;
/// assert!(fits("claude-*", "claude-opus-5-5") && !fits("claude", "claude-opus-5-5"));
/// ```
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut rest = rest;
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = find(name, part) else {
            return false;
        };
        name = name.get(at + part.len()..).unwrap_or_default();
        rest = after;
    }
    name.ends_with(rest)
}

/// Where `part` stands in `name` first. Names are short: what a cleverer search must prepare would cost more than the search.
fn find(name: &str, part: &str) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    let mut places = name.as_bytes().windows(part.len());
    places.position(|place| place == part.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("claude-*-4-5*", "claude-haiku-4-5-20251001", true),
            ("claude-*-4-5*", "claude-haiku-5-5", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
