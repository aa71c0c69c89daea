//! Words by what they say, each found in one look.

/// A fixed set of words in lower case, hashed with open addressing, so sparsely that a word that is none of them mostly ends at an
/// empty slot without having been compared with any.
pub(super) struct Table<T> {
    words: Vec<(&'static str, T)>,
    /// One more than the place of a word; 0 where none is. A power of two of them.
    slots: Vec<u16>,
}

/// The longest word that is found in any case.
pub(super) const LONGEST: usize = 16;

impl<T: Copy> Table<T> {
    /// Of the words in these lists, which blanks separate, with what those of a list say. What stands twice is put together by `join`.
    pub(super) fn new(
        lists: impl Iterator<Item = (T, &'static str)>,
        join: impl Fn(T, T) -> T,
    ) -> Self {
        let all = lists.flat_map(|(what, words)| words.split(' ').map(move |word| (word, what)));
        let mut words: Vec<(&str, T)> = all.collect();
        words.sort_by_key(|(word, _)| *word);
        words.dedup_by(|(word, later), (before, what)| {
            let same = word == before;
            if same {
                *what = join(*what, *later);
            }
            same
        });
        let mut slots = vec![0; (words.len() * 4).next_power_of_two()];
        let mask = slots.len() - 1;
        for (place, (word, _)) in (1..=u16::MAX).zip(&words) {
            let mut at = hash(word.as_bytes()) & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = place;
        }
        Self { words, slots }
    }

    /// What `word` says, and which of the words it is; `None` where it is none of them.
    pub(super) fn find(&self, word: &[u8]) -> Option<(T, usize)> {
        let mask = self.slots.len() - 1;
        let mut at = hash(word) & mask;
        loop {
            let place = usize::from(*self.slots.get(at)?).checked_sub(1)?;
            let (known, what) = self.words.get(place)?;
            if known.as_bytes() == word {
                return Some((*what, place));
            }
            at = (at + 1) & mask;
        }
    }

    /// What `word` says, however it is capitalized.
    pub(super) fn find_in_any_case(&self, word: &[u8]) -> Option<T> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        self.find(lower).map(|(what, _)| what)
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &[(&'static str, T)] {
        &self.words
    }
}

/// Of the length and the bytes at both ends, which tell most words apart.
fn hash(word: &[u8]) -> usize {
    let ends = match word {
        [_, _, _, _, ..] => {
            let word4 = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |b| u32::from_le_bytes(*b));
            u64::from(word4(word.first_chunk())) << 32 | u64::from(word4(word.last_chunk()))
        }
        [a, b, c] => u64::from(u32::from_le_bytes([*a, *b, *c, 0])),
        [a, b] => u64::from(u32::from_le_bytes([*a, *b, 0, 0])),
        [a] => u64::from(*a),
        [] => 0,
    };
    let hash = (ends ^ word.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_and_no_other() {
        let words: Vec<&'static str> = "a b ab ba abc a".split(' ').collect();
        let table = Table::new(words.iter().map(|w| (w.len(), *w)), |a, b| a * 10 + b);
        assert_eq!(table.words().len(), 5);
        for (place, (word, what)) in table.words().iter().enumerate() {
            assert_eq!(table.find(word.as_bytes()), Some((*what, place)));
        }
        assert_eq!(table.find(b"a").map(|(what, _)| what), Some(11));
        assert_eq!(table.find_in_any_case(b"aBc"), Some(3));
        assert_eq!(table.find_in_any_case(&[b'a'; LONGEST + 1]), None);
        for word in [&b""[..], b"c", b"ABC", b"abcd", b"\xff"] {
            assert_eq!(table.find(word), None);
        }
    }
}
