//! About how many tokens a text has, without a vocabulary.
//!
//! Bytes over four would claim too much here: what is left out is mostly indentation, of which many bytes make a token. So runs of a kind are
//! counted: letters and digits by their length, signs that stand together, and a run of spaces at once. On the results of
//! `tests/compress` what is left out is a twentieth more by `o200k_base` than by this.

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letters,
    Digits,
    Space,
    Signs,
    /// Beyond ASCII.
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' => Kind::Letters,
        '0'..='9' => Kind::Digits,
        c if c.is_whitespace() => Kind::Space,
        c if c.is_ascii() => Kind::Signs,
        _ => Kind::Other,
    }
}

/// About how many tokens `text` has.
pub(super) fn about(text: &str) -> u64 {
    // In halves of a token.
    let (mut halves, mut run) = (0, None);
    let mut end = |run: Option<(Kind, &str)>| {
        let Some((kind, piece)) = run else { return };
        let length = piece.len() as u64;
        halves += match kind {
            Kind::Letters => 1 + length.div_ceil(4),
            Kind::Digits => 2 * length.div_ceil(3),
            // One space goes with the word behind it.
            Kind::Space if piece == " " => 0,
            Kind::Space => 2,
            Kind::Signs => length + 1,
            Kind::Other => length,
        };
    };
    for (at, c) in text.char_indices() {
        let this = kind(c);
        match run {
            Some((before, _)) if before == this => {}
            _ => {
                end(run.map(|(kind, from)| (kind, text.get(from..at).unwrap_or_default())));
                run = Some((this, at));
            }
        }
    }
    end(run.map(|(kind, from)| (kind, text.get(from..).unwrap_or_default())));
    halves / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_indentation_is_one_token() {
        assert_eq!(
            about("{\n                    \"a\": 1}"),
            about("{\n \"a\": 1}")
        );
        assert_eq!(about(""), 0);
        assert_eq!(about("hello world"), 3);
    }
}
