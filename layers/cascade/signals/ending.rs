//! Whether a draft breaks off.
//!
//! Not every server says that it cut an answer: limits of a proxy, lost connections and lost end marks leave a text that stops in the
//! middle, with a stop reason as if nothing had been. What was opened and never closed tells it.

/// Its name.
pub(super) const NAMES: &[&str] = &["breaks_off"];

/// Whether `text` ends where no text ends: in an open block of code, an open bracket, a sign that something must follow, or half a number.
///
/// Only what holds in every language of people: that a sentence has no full stop says little, for a list or a number has none either.
pub(super) fn breaks_off(text: &str) -> bool {
    let text = text.trim_end();
    let fences = text.lines().filter(|l| l.trim_start().starts_with("```"));
    if fences.count() % 2 == 1 {
        return true;
    }
    let last = text.lines().next_back().unwrap_or_default();
    leaves_open(last) || awaits_more(last) || is_half_a_number(text)
}

/// Whether a bracket of this line is not closed in it. `<<` is one only before a digit, as in `<<3*60=180>>`: elsewhere it shifts or prints.
fn leaves_open(line: &str) -> bool {
    if let Some((_, noted)) = line.rsplit_once("<<")
        && noted.starts_with(|c: char| c.is_ascii_digit())
        && !noted.contains(">>")
        && !noted.contains(';')
    {
        return true;
    }
    let (mut open, mut before) = (0_usize, ' ');
    for c in line.chars() {
        match c {
            // A face.
            '(' | '[' if before == ':' => {}
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        before = c;
    }
    open > 0
}

/// Whether this line ends in a sign that something must follow. Signs of marking (`**`, `--`, `==`) are none.
fn awaits_more(line: &str) -> bool {
    let mut ending = line.chars().rev();
    match (ending.next(), ending.next()) {
        (Some(','), _) => true,
        (Some(c), Some(before)) if "+-*/=\u{d7}\u{f7}".contains(c) => {
            before == ' ' && line.bytes().any(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

/// Whether the text ends in less than three digits behind a comma, where numbers above it have three: `88,000 copies. So he sold 88,00`.
fn is_half_a_number(text: &str) -> bool {
    let Some((before, digits)) = text.rsplit_once(',') else {
        return false;
    };
    let are_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let ends_in_digit = |s: &str| s.bytes().next_back().is_some_and(|b| b.is_ascii_digit());
    let grouped = || {
        let parts = before.split(',').zip(before.split(',').skip(1));
        parts.into_iter().any(|(left, right)| {
            let digits = right.bytes().take_while(u8::is_ascii_digit).count();
            ends_in_digit(left) && digits == 3
        })
    };
    (1..=2).contains(&digits.len()) && are_digits(digits) && ends_in_digit(before) && grouped()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off() {
        for text in [
            "That makes a total of 15 + 25 = <<15+2",
            "Katy used 120 * 7 / (7 + 13",
            "Here it is:\n```python\nprint(1)",
            "First the oven, then the flour,",
            "So 3 * 4 = ",
            "They sold 11x = 88,000 copies.\nSo Harald sold 88,00",
            "The options are [a, b",
        ] {
            assert!(breaks_off(text), "{text}");
        }
    }

    #[test]
    fn what_does_not() {
        for text in [
            "",
            "It is 42",
            "15 + 25 = <<15+25=40>>40 cups.\n#### 40\n",
            "```cpp\nstd::cout << 1;\n```",
            "std::cout << 1 << 2;",
            "a) red\nb) green",
            "Sounds fun :)",
            "I cannot, sorry :(",
            "**Answer: 5**",
            "Das macht 88,00",
            "It is 1,000.\n#### 1,000",
            "Title\n=====",
            "done --",
        ] {
            assert!(!breaks_off(text), "{text}");
        }
    }
}
