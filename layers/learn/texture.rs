//! What a text looks like, without reading its words for what they mean: lengths, numbers, signs, choices.
//!
//! These counts hold in any language and for any kind of text, so they are what transfers between deployments.

/// What a text looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texture {
    /// Bytes.
    pub(crate) bytes: u32,
    /// Lines.
    pub(crate) lines: u32,
    /// Words, whatever stands between blanks.
    pub(crate) words: u32,
    /// Words of over eight bytes.
    pub(crate) long_words: u32,
    /// Digits.
    pub(crate) digits: u32,
    /// Numbers.
    pub(crate) numbers: u32,
    /// The largest number of digits in one.
    pub(crate) widest: u32,
    /// Capital letters.
    pub(crate) capitals: u32,
    /// Signs of mathematics and logic.
    pub(crate) operators: u32,
    /// Brackets that open.
    pub(crate) brackets: u32,
    /// Full stops, exclamation and question marks that end a sentence.
    pub(crate) sentences: u32,
    /// Question marks.
    pub(crate) questions: u32,
    /// Commas and semicolons.
    pub(crate) commas: u32,
    /// Quotation marks and back quotes.
    pub(crate) quotes: u32,
    /// Percent and currency signs.
    pub(crate) units: u32,
    /// Bytes beyond ASCII.
    pub(crate) foreign: u32,
    /// Lines that begin as the choices of a question do: `A.`, `(b)`, `C:`.
    pub(crate) choices: u32,
}

/// Bytes that are looked at; what is longer has long been told by its beginning.
const MAX_BYTES: usize = 16 * 1024;

impl Texture {
    /// Counts a stretch of text.
    pub(crate) fn read(&mut self, text: &str) {
        let left = MAX_BYTES.saturating_sub(self.bytes as usize);
        let bytes = text.as_bytes();
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.bytes += bytes.len() as u32;
        let (mut in_word, mut digits_running, mut line) = (0_u32, 0_u32, 0_usize);
        let mut next = 0;
        while let Some(rest) = bytes.get(next..) {
            // Most of most texts, and none of what is counted.
            let plain = rest.iter().take_while(|b| b.is_ascii_lowercase()).count();
            if plain > 0 {
                in_word += plain as u32;
                digits_running = 0;
            }
            let at = next + plain;
            next = at + 1;
            let Some(byte) = bytes.get(at) else {
                break;
            };
            if *byte == b' ' {
                digits_running = 0;
                self.word(in_word);
                in_word = 0;
                continue;
            }
            match byte {
                b'0'..=b'9' => {
                    self.digits += 1;
                    digits_running += 1;
                    self.numbers += u32::from(digits_running == 1);
                    self.widest = self.widest.max(digits_running);
                }
                // A number goes on behind them.
                b',' | b'.' => {}
                _ => digits_running = 0,
            }
            match byte {
                b'\t' | b'\r' | b'\n' => {
                    self.word(in_word);
                    in_word = 0;
                    if *byte == b'\n' {
                        self.line(bytes.get(line..at).unwrap_or_default());
                        line = at + 1;
                    }
                    continue;
                }
                b'A'..=b'Z' => self.capitals += 1,
                b'+' | b'*' | b'/' | b'=' | b'<' | b'>' | b'^' | b'\\' | b'|' | b'~' => {
                    self.operators += 1;
                }
                b'(' | b'[' | b'{' => self.brackets += 1,
                b'.' | b'!' | b'?' => {
                    let ends = bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace);
                    self.sentences += u32::from(ends);
                    self.questions += u32::from(*byte == b'?');
                }
                b',' | b';' => self.commas += 1,
                b'"' | b'`' => self.quotes += 1,
                b'%' | b'$' => self.units += 1,
                128.. => self.foreign += 1,
                _ => {}
            }
            in_word += 1;
        }
        self.word(in_word);
        self.line(bytes.get(line..).unwrap_or_default());
    }

    const fn word(&mut self, bytes: u32) {
        if bytes > 0 {
            self.words += 1;
            self.long_words += (bytes > 8) as u32;
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"(").unwrap_or(line);
        if let [letter, b'.' | b')' | b':', b' ', ..] = line {
            self.choices += u32::from(matches!(letter, b'A'..=b'J' | b'a'..=b'j'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Texture {
        let mut texture = Texture::default();
        texture.read(text);
        texture
    }

    #[test]
    fn counts() {
        let t = of("What is 1,250 + 3.5% of $40?\nA. 12\n(b) none\n");
        assert_eq!((t.numbers, t.widest, t.units), (4, 4, 2));
        assert_eq!((t.questions, t.sentences, t.choices, t.lines), (1, 2, 2, 4));
        assert_eq!((t.operators, t.brackets, t.capitals), (1, 1, 2));
        assert_eq!(of("a bb  ccccccccc").long_words, 1);
        assert_eq!(of("\u{4f60}\u{597d}").foreign, 6);
    }

    #[test]
    fn pieces_of_a_text_add_up_and_the_end_of_a_long_one_is_left_out() {
        let mut twice = of("one two. ");
        twice.read("three?");
        assert_eq!((twice.words, twice.sentences), (3, 2));
        assert_eq!(of(&"ab ".repeat(100_000)).bytes as usize, MAX_BYTES);
    }
}
