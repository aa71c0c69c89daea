//! Passing over JSON.
use super::strings::string_end;

/// Where in a text the reading is. What is passed over has been checked to be JSON, by the same rules as `serde_json`'s; `None` is for
/// what is not.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal<'a> {
    /// With its quotes.
    pub(super) whole: &'a str,
    /// Whether it has a backslash in it.
    pub(super) escaped: bool,
}

impl<'a> Literal<'a> {
    /// What stands between the quotes.
    pub(super) fn inside(self) -> &'a str {
        let inside = self.whole.get(1..self.whole.len().saturating_sub(1));
        inside.unwrap_or_default()
    }
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, which is not passed over; `None` at the end.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Passes over this byte, white space before it aside.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        let next = self.peek()? == byte;
        self.at += usize::from(next);
        next.then_some(())
    }

    /// Passes over a string.
    pub(super) fn string(&mut self) -> Option<Literal<'a>> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at;
        let (end, escaped) = string_end(self.text.as_bytes(), start + 1)?;
        self.at = end;
        Some(Literal {
            whole: self.text.get(start..end)?,
            escaped,
        })
    }

    /// Passes over an object's key and its colon.
    pub(super) fn key(&mut self) -> Option<Literal<'a>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }

    /// Passes over a value, and gives it as it is written.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at)
    }

    /// Passes over a string that begins here.
    fn skip_string(&mut self) -> Option<()> {
        self.at = string_end(self.text.as_bytes(), self.at + 1)?.0;
        Some(())
    }

    fn skip_key(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.skip_string()?;
        self.expect(b':')
    }

    fn skip(&mut self) -> Option<()> {
        // What is open, the innermost in the lowest bit: 1 for an object.
        let (mut open, mut depth) = (0_u128, 0);
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let object = bracket == b'{';
                    if self.expect(if object { b'}' } else { b']' }).is_none() {
                        if depth == u128::BITS {
                            return None;
                        }
                        depth += 1;
                        open = open << 1 | u128::from(object);
                        if object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended, and with it whatever closes now.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let object = open & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                self.at += 1;
                open >>= 1;
                depth -= 1;
            }
        }
    }

    /// Passes over a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        let word = match self.byte()? {
            b't' => "true",
            b'f' => "false",
            b'n' => "null",
            _ => return self.number(),
        };
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte()? {
            // No other digit follows a leading zero.
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        (!self.byte().is_some_and(|b| b.is_ascii_digit())).then_some(())
    }

    /// Passes over one digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
