//! What a program wrote for a terminal, as the terminal would have shown it: without colours, and with the last state of each progress bar.
//!
//! Only what stays within a line is played through: colours, carriage returns, backspaces, erasing to an end of the line, titles. A text that
//! moves between lines, or hides a link behind words, is left as it is.

/// What the terminal would show; `None` where that is the text itself, or cannot be told.
pub(super) fn shown(text: &str) -> Option<String> {
    if !text.contains(['\x1b', '\r', '\x08']) {
        return None;
    }
    let mut screen = Screen::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => screen.end_line(),
            '\r' => screen.column = 0,
            '\x08' => screen.column = screen.column.saturating_sub(1),
            '\x1b' => rest = screen.escape(rest.as_str())?.chars(),
            // A tab goes over what stands there, and how far depends on the terminal.
            '\t' if screen.column < screen.line.len() => return None,
            c => screen.put(c),
        }
    }
    screen.out.extend(&screen.line);
    (screen.out.len() < text.len()).then_some(screen.out)
}

#[derive(Default)]
struct Screen {
    out: String,
    line: Vec<char>,
    column: usize,
}

impl Screen {
    fn put(&mut self, c: char) {
        while self.line.len() < self.column {
            self.line.push(' ');
        }
        match self.line.get_mut(self.column) {
            Some(place) => *place = c,
            None => self.line.push(c),
        }
        self.column += 1;
    }

    fn end_line(&mut self) {
        self.out.extend(&self.line);
        self.out.push('\n');
        self.line.clear();
        self.column = 0;
    }

    /// Follows one escape sequence; gives what comes behind it.
    fn escape<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        match rest.as_bytes().first()? {
            b'[' => self.control(rest.get(1..)?),
            b']' => title(rest.get(1..)?),
            // Which characters are meant by the codes that follow.
            b'(' | b')' => rest.get(2..),
            _ => None,
        }
    }

    fn control<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let end = rest.find(|c: char| !matches!(c, ' '..='?'))?;
        let (given, behind) = (rest.get(..end)?, rest.get(end + 1..)?);
        match (rest.as_bytes().get(end)?, given) {
            (b'm', _) => {}
            (b'K', "" | "0") => self.line.truncate(self.column),
            (b'K', "1") => self
                .line
                .iter_mut()
                .take(self.column + 1)
                .for_each(|c| *c = ' '),
            (b'K', "2") => self.line.clear(),
            // The cursor shows or hides, text is pasted in brackets: nothing that stays.
            (b'h' | b'l', "?25" | "?7" | "?12" | "?2004" | "?2026") => {}
            _ => return None,
        }
        Some(behind)
    }
}

/// A window's title is no part of what is shown.
fn title(rest: &str) -> Option<&str> {
    let end = rest.find(['\x07', '\x1b'])?;
    let (said, behind) = rest.split_at(end);
    let kind = said.split(';').next()?;
    if !matches!(kind, "0" | "1" | "2") {
        return None;
    }
    behind
        .strip_prefix('\x07')
        .or_else(|| behind.strip_prefix("\x1b\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_a_terminal_would() {
        for (text, wanted) in [
            ("\x1b[1;32mok\x1b[0m test\x1b[m\n", Some("ok test\n")),
            ("  0%\r 50%\r100% done\nnext", Some("100% done\nnext")),
            ("long line\rshort", Some("shortline")),
            ("long line\r\x1b[Kshort", Some("short")),
            ("abc\x1b[2K\rx", Some("x")),
            ("a\r\nb\r\n", Some("a\nb\n")),
            ("ab\x08c", Some("ac")),
            ("\x1b]0;title\x07text", Some("text")),
            ("\x1b]2;title\x1b\\text", Some("text")),
            ("\x1b[?25lx\x1b[?25h\x1b(B", Some("x")),
            // nothing to be done, or nothing that can be known
            ("plain\ttext\n", None),
            ("two lines\n\x1b[1Aup", None),
            ("\x1b]8;;http://there\x1b\\link\x1b]8;;\x1b\\", None),
            ("abc\r\tx", None),
            ("cut off \x1b[3", None),
            ("cut off \x1b", None),
            ("\x1bé", None),
        ] {
            assert_eq!(shown(text).as_deref(), wanted, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic_and_once_is_enough(text in "(\\PC|\r|\n|\t|\x08|\x1b\\[[0-9;?]{0,3}[A-Za-z]|\x1b.){0,40}") {
            if let Some(once) = shown(&text) {
                proptest::prop_assert_eq!(shown(&once), None);
            }
        }
    }
}
