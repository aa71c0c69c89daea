//! What stands between two blanks, and whether it is a word at all.

/// What stands between two blanks. Which kinds of bytes are in it is found while its end is looked for, and answers most questions
/// about it: what has no slash is no path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    kinds: u16,
}

/// Kinds of bytes, each a bit.
mod kind {
    pub(super) const LOWER: u16 = 1;
    pub(super) const UPPER: u16 = 1 << 1;
    pub(super) const DIGIT: u16 = 1 << 2;
    pub(super) const COLON: u16 = 1 << 3;
    pub(super) const SLASH: u16 = 1 << 4;
    pub(super) const POINT: u16 = 1 << 5;
    pub(super) const UNDERSCORE: u16 = 1 << 6;
    pub(super) const BRACKET: u16 = 1 << 7;
    pub(super) const OTHER: u16 = 1 << 8;
    pub(super) const FOREIGN: u16 = 1 << 9;
    pub(super) const BLANK: u16 = 1 << 10;

    static OF: [u16; 256] = {
        let mut of = [FOREIGN; 256];
        let mut byte = 0;
        while byte < 128 {
            of[byte as usize] = match byte {
                b'a'..=b'z' => LOWER,
                b'A'..=b'Z' => UPPER,
                b'0'..=b'9' => DIGIT,
                b':' => COLON,
                b'/' => SLASH,
                b'.' => POINT,
                b'_' => UNDERSCORE,
                b'(' => BRACKET,
                b'\t'..=b'\r' | b' ' => BLANK,
                _ => OTHER,
            };
            byte += 1;
        }
        of
    };

    pub(super) fn of(byte: u8) -> u16 {
        OF[usize::from(byte)]
    }
}

impl<'a> Chunk<'a> {
    /// What `text` begins with, up to a blank, and what follows.
    pub(super) fn first(text: &'a str) -> (Self, &'a str) {
        let bytes = text.as_bytes();
        let mut kinds = 0;
        let ends = |byte: &u8| {
            let kind = kind::of(*byte);
            kinds |= kind;
            kind & (kind::BLANK | kind::FOREIGN) != 0
        };
        let mut end = bytes.iter().position(ends).unwrap_or(bytes.len());
        if bytes.get(end).is_some_and(|byte| !byte.is_ascii()) {
            // Not every blank is ASCII.
            let rest = text.get(end..).unwrap_or_default();
            let rest = rest.split(char::is_whitespace).next().unwrap_or_default();
            kinds |= rest.bytes().fold(0, |kinds, byte| kinds | kind::of(byte));
            end += rest.len();
        }
        kinds &= !kind::BLANK;
        let (text, after) = text.split_at(end);
        (Self { text, kinds }, after)
    }

    const fn has(self, kinds: u16) -> bool {
        self.kinds & kinds != 0
    }

    /// Whether it is one word and nothing else, in lower case.
    pub(super) const fn is_plain(self) -> bool {
        self.kinds == kind::LOWER
    }

    /// Whether it is an address.
    pub(super) fn is_address(self) -> bool {
        self.has(kind::COLON) && self.has(kind::SLASH) && self.text.contains("://")
    }

    /// Whether a path or an identifier can be in it.
    const fn may_be_named(self) -> bool {
        self.has(kind::POINT | kind::SLASH | kind::UNDERSCORE | kind::COLON | kind::BRACKET)
            || (self.has(kind::LOWER) && self.has(kind::UPPER))
    }

    /// It without the signs around it, where a path or an identifier can be left then.
    pub(super) fn bare(self) -> Option<Self> {
        let sign = |c: char| !c.is_alphanumeric() && c != '/' && c != '_';
        self.may_be_named().then(|| Self {
            text: self.text.trim_matches(sign),
            kinds: self.kinds,
        })
    }

    /// Whether, bare, it is a file's path.
    pub(super) fn is_path(self) -> bool {
        const EXTENSIONS: &[&str] = &[
            "rs", "py", "ts", "tsx", "js", "jsx", "mjs", "go", "java", "kt", "swift", "c", "h",
            "cc", "cpp", "hpp", "cs", "rb", "php", "md", "txt", "toml", "json", "yaml", "yml",
            "html", "css", "scss", "sql", "sh", "tf", "xml", "csv", "lock", "vue", "svelte",
        ];
        let extension = self.has(kind::POINT)
            && self
                .text
                .split(':')
                .next()
                .and_then(|path| path.rsplit_once('.'))
                .is_some_and(|(stem, e)| !stem.is_empty() && EXTENSIONS.contains(&e));
        extension || self.has(kind::SLASH) && is_deep(self.text)
    }

    /// Whether, bare, it is a name out of a program: `snake_case`, `camelCase`, `a::b`, `f()`.
    pub(super) fn is_identifier(self) -> bool {
        let bytes = self.text.as_bytes();
        let humps = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
        (self.has(kind::UNDERSCORE) && bytes.contains(&b'_'))
            || (self.has(kind::COLON) && self.text.contains("::"))
            || (self.has(kind::BRACKET) && self.text.contains("()"))
            || (self.has(kind::UPPER) && bytes.windows(2).any(humps))
    }
}

/// Whether its slashes make it a path: one at its head, or two.
fn is_deep(text: &str) -> bool {
    let slashes = text.bytes().filter(|b| *b == b'/').count();
    slashes >= 2 || (slashes == 1 && text.starts_with('/') && text.len() > 1)
}
