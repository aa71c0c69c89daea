//! Words, pairs of words and pieces of words, hashed into a fixed number of buckets.

/// How many buckets n-grams are hashed into. With 2^15, an ask of 40 words fills 2 % of them, so that two n-grams rarely meet.
pub const BUCKETS: usize = 1 << 15;

/// Words of one text that are read; what is longer has been told by its beginning.
const MAX_WORDS: u32 = 400;

/// Bytes of a word that are looked at.
const LONGEST: usize = 32;

/// More buckets than one word has: a piece of each length from each of its bytes, and its neighbours.
const ROOM: usize = 4 * LONGEST;

/// Bytes of a number's shape that are looked at.
const LONGEST_SHAPE: usize = 16;

/// Collects the n-grams of a text, each once. One allocation for all of them, none per word.
///
/// ```
/// use tierway_layers::learn::Ngrams;
/// let mut grams = Ngrams::default();
/// grams.word(b"refactor");
/// grams.word(b"it");
/// let found = grams.buckets().len();
/// grams.word(b"it"); // brings the pair "it it" alone
/// assert_eq!(grams.buckets().len(), found + 1);
/// ```
#[derive(Clone, Debug)]
pub struct Ngrams {
    /// Those that were found, and room for those that one word may bring.
    buckets: Vec<u32>,
    found: usize,
    seen: Box<Seen>,
    words: u32,
    previous: u64,
    /// The shape of the number before, until a word has come.
    shape: u64,
    seed: u64,
}

/// What has been added.
#[derive(Clone, Debug)]
struct Seen {
    /// A bit for each bucket.
    buckets: [u64; BUCKETS / 64],
    /// Hashes of words, each where its upper bits say, until another takes its place.
    words: [u64; 128],
}

impl Default for Ngrams {
    fn default() -> Self {
        Self {
            buckets: vec![0; 4 * ROOM],
            found: 0,
            seen: Box::new(Seen {
                buckets: [0; BUCKETS / 64],
                words: [0; 128],
            }),
            words: 0,
            previous: 0,
            shape: 0,
            seed: 0,
        }
    }
}

impl Ngrams {
    /// For texts of another kind, whose words mean something else: an answer's beside a question's.
    #[must_use]
    pub fn of_kind(kind: u8) -> Self {
        Self {
            seed: u64::from(kind).wrapping_mul(KIND),
            ..Self::default()
        }
    }

    /// Adds a word in lower case, or as much of it as is looked at: itself, with its neighbour on the left, and its pieces.
    pub fn word(&mut self, word: &[u8]) {
        if self.words == MAX_WORDS {
            return;
        }
        let word = word.get(..LONGEST).unwrap_or(word);
        self.words += 1;
        self.make_room();
        let whole = hash(START ^ self.seed, word);
        // A word that stood here before brings nothing of its own.
        let known = std::mem::replace(&mut self.seen.words[whole as usize >> 57], whole) == whole;
        if !known {
            self.add(whole);
        }
        // A word across a sentence's end is no neighbour, see `stop`.
        if self.previous != 0 {
            self.add(hash(self.previous ^ PAIR, word));
        }
        if self.shape != 0 {
            self.add(hash(self.shape ^ PAIR, word));
            self.shape = 0;
        }
        self.previous = whole;
        if !known {
            self.pieces(word);
        }
    }

    /// Adds the pieces of a word, of 3, then of 4, then of 5 bytes, its two ends counted as one each: they tell `migrat-` from `-grat-`,
    /// and survive another ending or a typing error.
    fn pieces(&mut self, word: &[u8]) {
        // Its ends, and zeros for the windows that reach beyond them.
        let mut ended = [0_u8; LONGEST + 4];
        let length = word.len().min(LONGEST);
        if let (Some(room), Some(word)) = (ended.get_mut(1..=length), word.get(..length)) {
            room.copy_from_slice(word);
        }
        // A longer piece goes on where the shorter one with the same beginning ended.
        let mut pieces = [[0; LONGEST]; 3];
        let [short, middle, long] = &mut pieces;
        let start = START ^ PART ^ self.seed;
        for at in 0..length {
            let mut hashed = fold(start, &[ended[at], ended[at + 1], ended[at + 2]]);
            short[at] = bucket(mix(hashed));
            hashed = fold(hashed, &[ended[at + 3]]);
            middle[at] = bucket(mix(hashed));
            hashed = fold(hashed, &[ended[at + 4]]);
            long[at] = bucket(mix(hashed));
        }
        for (less, pieces) in pieces.iter().enumerate() {
            let all = length.saturating_sub(less);
            self.add_all(pieces.get(..all).unwrap_or_default());
        }
    }

    /// Adds the words of `text`, in any script: lower case, apostrophes left out, numbers as what they are rather than which. A number's
    /// shape (how many digits, a decimal point, a currency or percent sign: `$0.00`) is added beside it.
    pub fn words(&mut self, text: &str) {
        for chunk in text.split_whitespace() {
            self.chunk(chunk);
        }
    }

    /// Adds the words of what stands between two blanks.
    pub(crate) fn chunk(&mut self, chunk: &str) {
        if self.words == MAX_WORDS {
            return;
        }
        if chunk.bytes().any(|b| b.is_ascii_digit()) {
            self.shape(chunk);
        }
        let mut word = [0_u8; LONGEST];
        let mut len = 0;
        if chunk.is_ascii() {
            for byte in chunk.bytes() {
                if byte.is_ascii_alphanumeric() {
                    if let Some(room) = word.get_mut(len) {
                        *room = byte.to_ascii_lowercase();
                        len += 1;
                    }
                } else if byte != b'\'' {
                    self.flush(word.get(..len));
                    len = 0;
                }
            }
        } else {
            for c in chunk.chars() {
                if c.is_alphanumeric() && !is_dense(c) {
                    for c in c.to_lowercase() {
                        if let Some(room) = word.get_mut(len..len + c.len_utf8()) {
                            len += c.encode_utf8(room).len();
                        }
                    }
                } else if c != '\'' {
                    self.flush(word.get(..len));
                    len = 0;
                    if is_dense(c) {
                        self.word(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
            }
        }
        self.flush(word.get(..len));
    }

    /// Adds the shape of a chunk that holds digits: itself, with the word before it, and its pieces.
    fn shape(&mut self, chunk: &str) {
        let edge = |c: char| ".,?!;:()\"'*".contains(c);
        let mut shape = [0_u8; LONGEST_SHAPE];
        let bytes = chunk.trim_matches(edge).bytes().take(LONGEST_SHAPE);
        let mut length = 0;
        for (room, byte) in shape.iter_mut().zip(bytes) {
            *room = if byte.is_ascii_digit() {
                b'0'
            } else {
                byte.to_ascii_lowercase()
            };
            length += 1;
        }
        let shape = shape.get(..length).unwrap_or_default();
        self.make_room();
        let whole = hash(START ^ SHAPE ^ self.seed, shape);
        self.add(whole);
        if self.previous != 0 {
            self.add(hash(self.previous ^ PAIR, shape));
        }
        self.pieces(shape);
        self.shape = whole;
    }

    fn flush(&mut self, word: Option<&[u8]>) {
        match word.unwrap_or_default() {
            [] => {}
            digits if digits.iter().all(u8::is_ascii_digit) => self.mark("number"),
            word => self.word(word),
        }
    }

    /// Adds a mark that is no word (a path, a number, a block of code), so that its neighbours are seen beside it.
    pub fn mark(&mut self, mark: &'static str) {
        if self.words < MAX_WORDS {
            self.make_room();
            let whole = hash(START ^ MARK ^ self.seed, mark.as_bytes());
            self.add(whole);
            self.previous = whole;
        }
    }

    /// What follows does not belong to what came before.
    pub const fn stop(&mut self) {
        self.previous = 0;
        self.shape = 0;
    }

    /// The buckets so far.
    #[must_use]
    pub fn buckets(&self) -> &[u32] {
        self.buckets.get(..self.found).unwrap_or_default()
    }

    /// The buckets, in the order of their first occurrence.
    #[must_use]
    pub fn into_buckets(mut self) -> Vec<u32> {
        self.buckets.truncate(self.found);
        self.buckets
    }

    fn add(&mut self, hash: u64) {
        self.add_all(&[bucket(hash)]);
    }

    /// Adds those that are not there yet. What is there already is written too, and then written over by what comes next: so there is
    /// nothing for the processor to guess.
    fn add_all(&mut self, buckets: &[u16]) {
        let seen = &mut self.seen.buckets;
        let room = self.buckets.get_mut(self.found..).unwrap_or_default();
        let mut new = 0;
        for bucket in buckets {
            if let Some(room) = room.get_mut(new) {
                *room = u32::from(*bucket);
            }
            let (word, bit) = (usize::from(*bucket) % BUCKETS / 64, bucket % 64);
            let before = seen[word];
            seen[word] = before | 1 << bit;
            new += usize::from(before >> bit & 1 == 0);
        }
        self.found += new;
    }

    /// Makes room for what a word brings.
    fn make_room(&mut self) {
        if self.buckets.len() < self.found + ROOM {
            self.buckets.resize(2 * self.buckets.len(), 0);
        }
    }
}

/// Where what hashes so belongs. The upper half of a hash is the better mixed one.
const fn bucket(hash: u64) -> u16 {
    (hash >> 40) as u16 % BUCKETS as u16
}

/// Whether `c` is of a script that sets no blanks between words, so that each sign is read as a word.
const fn is_dense(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

const START: u64 = 0xcbf2_9ce4_8422_2325;
const PAIR: u64 = 0x9e37_79b9_7f4a_7c15;
const PART: u64 = 0x5851_f42d_4c95_7f2d;
const KIND: u64 = 0xd6e8_feb8_6659_fd93;
const SHAPE: u64 = 0x8cb9_2ba7_2f3d_8dd7;
const MARK: u64 = 0x2545_f491_4f6c_dd1d;

/// FNV-1a in 64 bits (Fowler, Noll, Vo), then mixed once: the same on every machine, for weights are shipped by bucket.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    mix(fold(start, bytes))
}

fn fold(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

const fn mix(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(PAIR) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grams(text: &str) -> Vec<u32> {
        let mut grams = Ngrams::default();
        grams.words(text);
        let mut buckets = grams.into_buckets();
        buckets.sort_unstable();
        buckets
    }

    #[test]
    fn each_once_and_by_neighbourhood() {
        assert_eq!(grams("a b"), grams("a b"));
        assert_ne!(grams("a b c"), grams("b a c"));
        let (once, thrice) = (grams("fix it"), grams("fix it fix it"));
        assert_eq!(thrice.len(), once.len() + 1); // "it fix"
        assert!(once.iter().all(|bucket| thrice.contains(bucket)));
    }

    #[test]
    fn words_share_their_pieces() {
        let shared = |a: &str, b: &str| {
            let b = grams(b);
            grams(a).iter().filter(|g| b.contains(g)).count()
        };
        assert!(shared("migration", "migrations") >= 6);
        assert_eq!(shared("cat", "dog"), 0);
    }

    #[test]
    fn words_of_any_script() {
        assert_eq!(grams("Don't stop"), grams("dont STOP"));
        assert_eq!(grams("12 apples"), grams("47 apples"));
        assert_eq!(grams("\u{c9}t\u{c9}"), grams("\u{e9}t\u{e9}"));
        // Two signs, their pair, and the pieces of each between its ends.
        assert_eq!(grams("\u{91cd}\u{6784}").len(), 15);
    }

    #[test]
    fn a_number_is_told_by_its_shape() {
        let shared = |a: &str, b: &str| {
            let b = grams(b);
            grams(a).iter().filter(|g| b.contains(g)).count()
        };
        assert_ne!(grams("12 apples"), grams("7 apples"));
        assert_eq!(grams("pays $1.50."), grams("pays $3.25,"));
        assert!(shared("pays $1.50", "pays $9.99") > shared("pays $1.50", "pays 150"));
    }

    #[test]
    fn a_long_text_is_told_by_its_beginning() {
        let long = (0..5_000).map(|i| format!("w{i}")).collect::<Vec<_>>();
        assert_eq!(grams(&long.join(" ")), grams(&long[..400].join(" ")));
    }

    // Shipped weights are by bucket: were these to move, all of them would mean something else.
    #[test]
    fn buckets_do_not_move() {
        let expected = [
            928, 1193, 3234, 4058, 5089, 5289, 5672, 6457, 6882, 11159, 12217, 14379, 16055, 16170,
            16971, 22264, 22551, 22772, 23356, 24923, 26358, 29699, 30414, 31139, 31940, 32064,
            32244,
        ];
        assert_eq!(grams("refactor it"), expected);
    }
}
