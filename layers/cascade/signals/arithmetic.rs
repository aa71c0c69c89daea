//! Whether what a draft calculates is so.
//!
//! A small model that works through a problem writes its sums down: `3 x 60 = 180`. Each that can be read is done again. One that is wrong
//! is the plainest sign there is that the answer is, too.
use super::{log, share};

/// Their names.
pub(super) const NAMES: &[&str] = &[
    "sums",
    "wrong_sums",
    "wrong_share",
    "last_number",
    "last_is_whole",
    "last_is_negative",
];

/// The equations in `text`, how many of them are wrong, and what its last number looks like.
pub(super) fn read(text: &str) -> Vec<f32> {
    let (right, wrong) = check(text);
    let last = last_number(text);
    vec![
        log(right + wrong),
        log(wrong),
        share(wrong, right + wrong),
        last.map_or(f32::NAN, |n| (n.abs() as f32).ln_1p()),
        last.map_or(f32::NAN, |n| f32::from(u8::from(n.fract() == 0.0))),
        last.map_or(f32::NAN, |n| f32::from(u8::from(n < 0.0))),
    ]
}

/// A number or an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Number(f64),
    Operator(u8),
    Equals,
    /// Anything else: no sum goes across it.
    Other,
}

/// How many sums of two numbers are right, and how many wrong.
pub(super) fn check(text: &str) -> (usize, usize) {
    let tokens = tokens(text);
    let (mut right, mut wrong) = (0, 0);
    for window in tokens.windows(6) {
        let [
            before,
            Token::Number(a),
            Token::Operator(op),
            Token::Number(b),
            Token::Equals,
            Token::Number(c),
        ] = *window
        else {
            continue;
        };
        // The tail of a longer sum says nothing by itself.
        if matches!(before, Token::Operator(_)) {
            continue;
        }
        let result = match op {
            b'+' => a + b,
            b'-' => a - b,
            b'*' => a * b,
            _ => a / b,
        };
        // Written to two decimals, or of a percentage.
        let close = |x: f64| (x - c).abs() <= 0.011 * c.abs().max(1.0);
        if close(result) || close(result * 100.0) || close(result / 100.0) {
            right += 1;
        } else {
            wrong += 1;
        }
    }
    (right, wrong)
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = vec![Token::Other];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or(b' ');
        let token = match byte {
            b'0'..=b'9' => {
                let (number, length) = number(bytes.get(at..).unwrap_or_default());
                at += length;
                // A unit right behind a number belongs to it: 60m, 5%, 3rd.
                while bytes
                    .get(at)
                    .is_some_and(|b| b.is_ascii_alphabetic() && *b != b'x' || *b == b'%')
                {
                    at += 1;
                }
                tokens.push(Token::Number(number));
                continue;
            }
            b' ' | b'$' | b'(' | b')' | b',' => {
                at += 1;
                continue;
            }
            b'+' | b'*' | b'/' => Token::Operator(*byte),
            b'-' if next == b' ' || next.is_ascii_digit() => Token::Operator(b'-'),
            b'x' if !next.is_ascii_alphanumeric() || next.is_ascii_digit() => Token::Operator(b'*'),
            // The multiplication sign, in its two bytes.
            0xc3 if next == 0x97 => {
                at += 1;
                Token::Operator(b'*')
            }
            b'=' => Token::Equals,
            // A word between two numbers ("3 apples + 4 pears = 7") is passed over; a new sentence is not.
            b'a'..=b'z' | b'A'..=b'Z' => {
                at += 1;
                continue;
            }
            _ => Token::Other,
        };
        tokens.push(token);
        at += 1;
    }
    tokens
}

/// The number that begins here, and its bytes.
fn number(bytes: &[u8]) -> (f64, usize) {
    let inner = |at: usize| bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    let mut digits = String::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => digits.push(char::from(*byte)),
            b',' if inner(at) => {}
            b'.' if inner(at) && !digits.contains('.') => digits.push('.'),
            _ => break,
        }
        at += 1;
    }
    (digits.parse().unwrap_or(f64::NAN), at)
}

pub(in crate::cascade) fn last_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)?;
    let inside = |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b'.');
    let start = bytes
        .get(..end)?
        .iter()
        .rposition(|b| !inside(b))
        .map_or(0, |at| at + 1);
    let (value, _) = number(bytes.get(start..)?);
    let negative = start > 0 && bytes.get(start - 1) == Some(&b'-');
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_done_again() {
        for (text, right, wrong) in [
            ("So 3 x 60 = <<3*60=180>>180 meters.", 1, 0),
            ("3 * 60 = 190", 0, 1),
            ("$1,200 / 4 = $300", 1, 0),
            ("5 apples + 7 pears = 12 fruits; 12 - 4 = 9", 1, 1),
            ("20% of 50: 20 * 50 = 1000 and 0.2 * 50 = 10", 2, 0),
            ("1 + 2 + 3 = 6", 0, 0),
            ("x = 3 and y = 4", 0, 0),
            ("10 / 3 = 3.33", 1, 0),
            ("2 \u{d7} 3 = 6", 1, 0),
            ("7 / 0 = 1", 0, 1),
        ] {
            assert_eq!(check(text), (right, wrong), "{text}");
        }
    }

    #[test]
    fn the_last_number() {
        assert_eq!(last_number("#### 1,540\n"), Some(1540.0));
        assert_eq!(last_number("it is -3.5."), Some(-3.5));
        assert_eq!(last_number("none"), None);
    }
}
