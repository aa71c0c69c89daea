//! Reading what a text calculates: `8 + 2 * 14 = 36`, with words between, signs of currency and percent, and brackets.

/// Bytes of a text that are read.
const MAX_BYTES: usize = 16 * 1024;
/// Equations that are read.
const MOST: usize = 100;
/// Signs of one side of an equation; what is longer is none.
const LONGEST_SIDE: usize = 32;
/// Brackets in brackets.
const DEEPEST: usize = 8;

/// `operands, calculated = written`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Equation {
    /// The numbers on the left, as written.
    pub(super) operands: Vec<f64>,
    /// What the left side is.
    pub(super) value: f64,
    /// What the right side is said to be; where that is a calculation itself, what it comes to.
    pub(super) written: f64,
    /// Decimals of the most exact number on the right.
    decimals: i32,
    /// Whether the right side is a calculation.
    composed: bool,
}

/// A number or a sign.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    /// Its value, and how many decimals it is written to.
    Number(f64, i32),
    /// One of `+ - * /`.
    Operator(u8),
    Open,
    Close,
    Percent,
    Equals,
    /// Nothing is calculated across it.
    Break,
}

impl Equation {
    /// Whether both sides are the same, up to rounding and the place of a percent sign.
    pub(super) fn holds(&self) -> bool {
        [1.0, 100.0, 0.01]
            .iter()
            .any(|unit| self.is(self.value * unit))
    }

    fn is(&self, value: f64) -> bool {
        let apart = (value - self.written).abs();
        if !apart.is_finite() {
            // Nothing is what a division by nothing is.
            false
        } else if self.composed {
            // Both sides may have been rounded on the way.
            apart <= 0.011 * self.written.abs().max(1.0)
        } else if self.decimals == 0 && (value - value.round()).abs() < 1e-9 {
            apart < 1e-6 * value.abs().max(1.0)
        } else {
            apart <= 1e-9f64.mul_add(value.abs(), 1.001 * 0.1f64.powi(self.decimals))
        }
    }
}

/// The equations of a text.
pub(super) fn equations(text: &str) -> Vec<Equation> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for stretch in tokens.split(|t| *t == Token::Break) {
        let sides: Vec<&[Token]> = stretch.split(|t| *t == Token::Equals).collect();
        for pair in sides.windows(2) {
            if let [left, right] = pair
                && found.len() < MOST
            {
                found.extend(equation(left, right));
            }
        }
    }
    found
}

/// The numbers of a text, as written.
pub(super) fn numbers(text: &str) -> Vec<f64> {
    let number = |token: &Token| match token {
        Token::Number(value, _) => Some(*value),
        _ => None,
    };
    tokens(text).iter().filter_map(number).collect()
}

fn equation(left: &[Token], right: &[Token]) -> Option<Equation> {
    let left = left
        .get(left.len().saturating_sub(LONGEST_SIDE)..)
        .unwrap_or_default();
    // Words between numbers are not there any more, so what is calculated is the longest end that can be.
    let (value, operands) = (0..left.len()).find_map(|start| {
        let before = start.checked_sub(1).and_then(|at| left.get(at));
        if matches!(before, Some(Token::Operator(_) | Token::Open)) {
            return None;
        }
        let mut reader = Reader::new(left.get(start..)?);
        let value = reader.sum()?;
        (reader.rest().is_empty() && reader.operations > 0).then_some((value, reader.operands))
    })?;
    let mut reader = Reader::new(right);
    let written = reader.sum()?;
    if matches!(reader.rest().first(), Some(Token::Operator(_))) || value.is_nan() {
        return None;
    }
    Some(Equation {
        operands,
        value,
        written,
        decimals: reader.decimals,
        composed: reader.operations > 0,
    })
}

/// Reads a calculation from its left, the usual precedence.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    operations: usize,
    decimals: i32,
    operands: Vec<f64>,
}

impl<'a> Reader<'a> {
    const fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            at: 0,
            depth: 0,
            operations: 0,
            decimals: 0,
            operands: Vec::new(),
        }
    }

    fn rest(&self) -> &'a [Token] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some((operator, other)) = self.operation(b"+-", Self::product) {
            value = if operator == b'+' {
                value + other
            } else {
                value - other
            };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        while let Some((operator, other)) = self.operation(b"*/", Self::factor) {
            value = if operator == b'*' {
                value * other
            } else {
                value / other
            };
        }
        Some(value)
    }

    /// One of these operators and what follows it, where both are there.
    fn operation(
        &mut self,
        operators: &[u8],
        operand: fn(&mut Self) -> Option<f64>,
    ) -> Option<(u8, f64)> {
        let Some(Token::Operator(operator)) = self.rest().first() else {
            return None;
        };
        if !operators.contains(operator) {
            return None;
        }
        let before = self.at;
        self.at += 1;
        let Some(value) = operand(self) else {
            self.at = before;
            return None;
        };
        self.operations += 1;
        Some((*operator, value))
    }

    fn factor(&mut self) -> Option<f64> {
        let mut value = match *self.rest().first()? {
            Token::Number(value, decimals) => {
                self.at += 1;
                self.operands.push(value);
                self.decimals = self.decimals.max(decimals);
                value
            }
            Token::Open if self.depth < DEEPEST => {
                self.at += 1;
                self.depth += 1;
                let value = self.sum()?;
                self.depth -= 1;
                (self.rest().first() == Some(&Token::Close)).then_some(())?;
                self.at += 1;
                value
            }
            _ => return None,
        };
        if self.rest().first() == Some(&Token::Percent) {
            self.at += 1;
            value /= 100.0;
        }
        Some(value)
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let most = MAX_BYTES.min(text.len());
    let end = (0..=most)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let text = text.get(..end).unwrap_or_default();
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let next = after.chars().next().unwrap_or(' ');
        let mut length = c.len_utf8();
        let fraction = c == '.' && next.is_ascii_digit() && !before.is_alphanumeric();
        match c {
            _ if c.is_ascii_digit() || fraction => {
                let (token, digits) = number(rest);
                tokens.push(token);
                let unit = word(rest.get(digits..).unwrap_or_default());
                // A unit right behind a number belongs to it: 60km. One letter is a variable: 3y.
                length = digits + if unit == "x" { 0 } else { unit.len() };
                if unit.len() == 1 && unit != "x" {
                    tokens.push(Token::Break);
                }
            }
            '+' | '*' | '/' => tokens.push(Token::Operator(c as u8)),
            '\u{d7}' => tokens.push(Token::Operator(b'*')),
            '\u{f7}' => tokens.push(Token::Operator(b'/')),
            '\u{2212}' => tokens.push(Token::Operator(b'-')),
            '-' if !before.is_alphabetic() && (next.is_ascii_digit() || " $(".contains(next)) => {
                tokens.push(Token::Operator(b'-'));
            }
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '=' => tokens.push(Token::Equals),
            '%' => tokens.push(Token::Percent),
            ' ' | '\t' | '$' | '\\' | '\u{20ac}' | '\u{a3}' => {}
            _ if c.is_alphabetic() => {
                let letters = word(rest);
                length = letters.len();
                if is_times(text, rest, letters) {
                    tokens.push(Token::Operator(b'*'));
                } else if letters.chars().count() == 1 && !"aAI".contains(letters) {
                    tokens.push(Token::Break);
                }
            }
            _ => tokens.push(Token::Break),
        }
        before = rest
            .get(..length)
            .and_then(|read| read.chars().next_back())
            .unwrap_or(' ');
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// Whether this `x`, at the beginning of `rest`, stands for "times".
fn is_times(text: &str, rest: &str, letters: &str) -> bool {
    let behind = rest.get(letters.len()..).unwrap_or_default();
    let ahead = text
        .get(..text.len() - rest.len())
        .unwrap_or_default()
        .trim_end_matches([' ', ')', '%']);
    letters.eq_ignore_ascii_case("x")
        && behind
            .trim_start_matches([' ', '$', '('])
            .starts_with(|c: char| c.is_ascii_digit())
        && ahead.ends_with(char::is_alphanumeric)
}

fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The number that begins here (`1,200.50`, `.5`), and its bytes.
fn number(text: &str) -> (Token, usize) {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let digits = bytes.get(from..).unwrap_or_default();
        digits.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut end = digits(0);
    while bytes.get(end) == Some(&b',') && digits(end + 1) == 3 {
        end += 4;
    }
    let mut decimals = 0;
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        decimals = digits(end + 1);
        end += 1 + decimals;
    }
    let plain: String = text.chars().take(end).filter(|c| *c != ',').collect();
    let decimals = i32::try_from(decimals).unwrap_or(i32::MAX);
    let value = plain.parse().unwrap_or(f64::NAN);
    (Token::Number(value, decimals), end.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (usize, usize) {
        let found = equations(text);
        let right = found.iter().filter(|e| e.holds()).count();
        (right, found.len() - right)
    }

    #[test]
    fn sums_are_done_again() {
        for (text, right, wrong) in [
            ("So 3 x 60 = <<3*60=180>>180 meters.", 1, 0),
            ("3 * 60 = 190", 0, 1),
            ("$1,200 / 4 = $300", 1, 0),
            ("5 apples + 7 pears = 12 fruits; 12 - 4 = 9", 1, 1),
            ("20% of 50: 20 * 50 = 1000 and 0.2 * 50 = 10", 2, 0),
            ("1 + 2 + 3 = 6", 1, 0),
            ("2 + 3 * 4 = 20", 0, 1),
            ("(2 + 3) * 4 = 20", 1, 0),
            ("8 x $5 x 60% = $24", 1, 0),
            ("22 + 4 x 12 = 22 + 48 = 70", 2, 0),
            ("x = 3 and y = 4", 0, 0),
            ("3y + 2 = 11, y - 5 = 10, 2x + 5 = 15", 0, 0),
            ("10 / 3 = 3.33", 1, 0),
            ("10 / 3 = 3.5", 0, 1),
            ("100 * $.5 = $50", 1, 0),
            ("2 \u{d7} 3 = 6 \\* 1", 1, 0),
            ("7 / 0 = 1", 0, 1),
            ("so 4 + = 3 and (2 + 3 = 5", 0, 0),
        ] {
            assert_eq!(check(text), (right, wrong), "{text}");
        }
    }

    #[test]
    fn operands_and_numbers() {
        let found = equations("he has 24 left, so 24 - (2 + 14) = 8");
        assert_eq!(
            found.first().map(|e| e.operands.clone()),
            Some(vec![24.0, 2.0, 14.0])
        );
        assert_eq!(numbers("1,200.5m and .5 of 3rd"), [1200.5, 0.5, 3.0]);
    }

    #[test]
    fn brackets_without_end_are_left_alone() {
        assert_eq!(check(&format!("{}1 = 1", "(".repeat(9_000))), (0, 0));
        assert_eq!(check(&"1 + 1 = 2 ".repeat(9_000)), (MOST, 0));
    }
}
