//! Passing over JSON.

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

// === strings ===

/// Where the string ends that has begun before `from`, its quote included, and whether it has a backslash in it.
#[inline]
pub(super) fn string_end(json: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut base = from;
    // Keys and the like are over before a block would pay.
    for _ in 0..2 {
        let Some(word) = json.get(base..)?.first_chunk::<8>() else {
            break;
        };
        match first_mark(u64::from_le_bytes(*word)) {
            8 => base += 8,
            mark if word.get(mark) == Some(&b'"') => return Some((base + mark + 1, false)),
            _ => break,
        }
    }
    long_string_end(json, base)
}

/// The same, by blocks.
fn long_string_end(json: &[u8], mut base: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        let mut next = base + 64;
        let last;
        let rest = json.get(base..)?;
        let block = match rest.first_chunk::<64>() {
            Some(block) => block,
            None if rest.is_empty() => return None,
            None => {
                last = padded(rest);
                &last
            }
        };
        let mut marks = marks(block);
        while marks != 0 {
            let at = marks.trailing_zeros() as usize;
            // The mask changes nothing, but tells the compiler that this is within the block.
            match block[at & 63] {
                b'"' => return Some((base + at + 1, escaped)),
                b'\\' => escaped = true,
                _ => return None,
            }
            // What an escape passes over ends nothing, be it in this block or in the next.
            let end = escape_end(json, base + at + 1)?;
            if end - base >= 64 {
                next = end;
                break;
            }
            marks &= u64::MAX << (end - base);
        }
        base = next;
    }
}

/// The last bytes of a text as a block. What fills it up is a control character, and so ends any string.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    if let Some(start) = block.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    block
}

/// The first byte of eight that is no plain text, the lowest being 0; 8 where all are. A byte is zero where subtracting one from it borrows
/// from its highest bit (Mycroft); what a borrow spills over into stands behind the first that is found.
const fn first_mark(word: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = word ^ (ONES * b'\\' as u64);
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let marks = (control | quote | backslash) & HIGHEST;
    marks.trailing_zeros() as usize / 8
}

/// Which bytes of a block are no plain text: quotes, backslashes and control characters. The first byte is the lowest bit.
///
/// Written so that compilers make vector instructions of it: no branch, no iterator that would cost where nothing is optimised.
fn marks(block: &[u8; 64]) -> u64 {
    /// Moves the lowest bits of eight bytes beside each other, into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut marked = [0; 64];
    let mut i = 0;
    while i < 64 {
        let byte = block[i];
        marked[i] = (byte == b'"') as u8 | (byte == b'\\') as u8 | (byte < b' ') as u8;
        i += 1;
    }
    let (words, _) = marked.as_chunks::<8>();
    let mut marks = 0;
    let mut i = 0;
    while i < 8 {
        marks |= (u64::from_le_bytes(words[i]).wrapping_mul(GATHER) >> 56) << (8 * i);
        i += 1;
    }
    marks
}

/// The characters that stand after a backslash alone.
const ESCAPES: [bool; 256] = {
    let letters = b"\"\\/bfnrt";
    let mut table = [false; 256];
    let mut i = 0;
    while i < letters.len() {
        table[letters[i] as usize] = true;
        i += 1;
    }
    table
};

/// The end of the escape whose backslash stands before `at`.
fn escape_end(json: &[u8], at: usize) -> Option<usize> {
    let letter = *json.get(at)?;
    if ESCAPES[usize::from(letter)] {
        return Some(at + 1);
    }
    let digits = json.get(at + 1..at + 5)?;
    (letter == b'u' && digits.iter().all(u8::is_ascii_hexdigit)).then_some(at + 5)
}
