//! Whether two questions that sound alike ask the same.
//!
//! Embeddings put "the capital of Austria" beside "the capital of Australia", and a question beside its opposite. So likeness is only half
//! of a hit; the words have to agree too. Two texts differ where
//!
//! - either asks about a time that moves (`today`, `latest`, the weather): its answer of before is another's;
//! - either holds code or a link, and they are not the same in both;
//! - numbers differ, in figures or in words, or whatever has a digit in it;
//! - one denies more often than the other;
//! - one asks who, when, where, why, how, or how many, and the other does not;
//! - one speaks of what was or will be, and the other of what is;
//! - a word of weight stands in one and in the other neither itself nor a word for the same: names above all, of which no list is complete;
//! - the words of weight stand in another order, but for a genitive (`France's capital`) in a text that has no word of direction
//!   (`from`, `to`, `than`).
//!
//! Words without weight (articles, helpers, politeness) and endings (`-s`, `-ing`, `-ed`) do not count. The lists are of English; a text in another
//! language agrees only with one of the same words.
use super::lexicon::{AFTER, DENIALS, LIGHT, NUMBERS, REQUESTS, SAME, TIMELY};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

/// Why two questions are not taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// One asks about a time that moves.
    Time,
    /// Code, links or quotations differ.
    Code,
    /// Numbers differ.
    Number,
    /// One denies what the other does not.
    Negation,
    /// They are after another kind of thing.
    Aim,
    /// They speak of another time.
    Tense,
    /// Names, or other words of weight, differ.
    Word,
    /// The same words the other way round.
    Order,
}

impl Difference {
    /// The name in headers and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Code => "code",
            Self::Number => "number",
            Self::Negation => "negation",
            Self::Aim => "aim",
            Self::Tense => "tense",
            Self::Word => "word",
            Self::Order => "order",
        }
    }
}

/// Words around which direction matters; `to` where no verb is likely to follow.
const DIRECTIONS: &[&str] = &[
    "from", "into", "than", "before", "after", "by", "over", "onto", "under", "above", "below",
];
/// Contractions that are no genitives.
const CONTRACTED: &[(&str, &str)] = &[
    ("who's", "who is"),
    ("what's", "what is"),
    ("where's", "where is"),
    ("when's", "when is"),
    ("how's", "how is"),
    ("why's", "why is"),
    ("that's", "that is"),
    ("there's", "there is"),
    ("it's", "it is"),
    ("let's", "let us"),
];
/// Words that hang what follows on what they follow.
const LINKS: &[&str] = &["of", "in", "for", "on", "about", "with", "that", "which"];
/// Words behind which `one` is anybody.
const PERSONS: &[&str] = &[
    "can", "could", "does", "do", "should", "would", "may", "might", "must", "this", "that",
    "which", "any",
];
/// Words behind which `to` has a verb behind it.
const INFINITIVES: &[&str] = &[
    "how",
    "way",
    "ways",
    "want",
    "like",
    "need",
    "able",
    "used",
    "have",
    "going",
    "steps",
    "method",
    "best",
    "easiest",
    "where",
    "when",
    "what",
    "trying",
    "try",
    "safe",
    "possible",
    "approach",
    "guide",
    "instructions",
];

static LIGHT_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| LIGHT.iter().copied().collect());
static SAME_WORDS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let groups = SAME
        .iter()
        .filter_map(|group| Some((group, *group.first()?)));
    groups
        .flat_map(|(group, first)| group.iter().map(move |word| (stem(word), stem(first))))
        .collect()
});
static NUMBER_WORDS: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| NUMBERS.iter().copied().collect());

/// How two texts differ in what they ask, if they do.
///
/// ```
/// use tierway_layers::semantic_cache::{Difference, difference};
/// assert_eq!(difference("What is the capital of France?", "what's France's capital"), None);
/// assert_eq!(difference("The capital of Austria?", "The capital of Australia?"), Some(Difference::Word));
/// assert_eq!(difference("Who won the race?", "When was the race won?"), Some(Difference::Aim));
/// assert_eq!(difference("Convert 5 miles to km", "Convert 50 miles to km"), Some(Difference::Number));
/// ```
#[must_use]
pub fn difference(a: &str, b: &str) -> Option<Difference> {
    let (a, b) = (Read::of(a), Read::of(b));
    let differs = [
        (Difference::Time, a.timely || b.timely),
        (Difference::Code, a.code != b.code),
        (Difference::Number, a.numbers != b.numbers),
        (Difference::Negation, a.denials != b.denials),
        (Difference::Aim, a.aim != b.aim),
        (Difference::Tense, a.tense.differs(&b.tense, a.aim)),
        (Difference::Word, a.set() != b.set()),
        (Difference::Order, a.crosses(&b) && !a.may_turn(&b)),
    ];
    let found = differs.iter().find(|(_, differs)| *differs);
    found.map(|(difference, _)| *difference)
}

/// Whether an answer to this text may be another's at all: it is not about a time that moves.
pub(super) fn is_timeless(text: &str) -> bool {
    !Read::of(text).timely
}

/// What a text says, as far as it is compared.
struct Read {
    timely: bool,
    code: Vec<String>,
    numbers: Vec<String>,
    denials: usize,
    aim: &'static str,
    tense: Tense,
    /// Words of weight, in order.
    words: Vec<String>,
    /// Whether a word says in which direction.
    directed: bool,
    /// How many words hang others on what they follow, and how many do by a genitive: these put two words the other way round.
    links: [usize; 2],
    superlative: bool,
}

impl Read {
    fn of(text: &str) -> Self {
        let (code, prose) = code(text);
        let lower = prose.to_lowercase().replace('’', "'");
        let lower = CONTRACTED
            .iter()
            .fold(lower, |text, (short, long)| text.replace(short, long));
        let tokens: Vec<&str> = lower
            .split(|c: char| {
                !(c.is_alphanumeric()
                    || matches!(c, '\'' | '.' | '+' | '#' | '/' | '-' | '%' | '$' | '€'))
            })
            .map(|t| t.trim_matches(|c: char| matches!(c, '.' | '\'' | '-' | '/')))
            .filter(|t| !t.is_empty())
            .collect();
        let spaced = format!(" {} ", tokens.join(" "));
        let says = |phrase: &str| spaced.contains(&format!(" {phrase} "));
        let timely = TIMELY.iter().any(|phrase| says(phrase));
        let aim = AFTER
            .iter()
            .find(|(_, phrases)| phrases.iter().any(|p| says(p)));
        let mut read = Self {
            timely,
            code,
            numbers: Vec::new(),
            denials: 0,
            aim: aim.map_or("what", |(aim, _)| aim),
            tense: Tense::default(),
            words: Vec::new(),
            directed: false,
            links: [0, 0],
            superlative: false,
        };
        // A phrase that tells the aim has told what it has to tell.
        let phrase = aim.and_then(|(_, phrases)| phrases.iter().find(|p| says(p)));
        let told = phrase.filter(|phrase| phrase.contains(' '));
        let left = told.map_or(spaced.clone(), |told| {
            spaced.replacen(&format!(" {told} "), " ", 1)
        });
        let mut before = "";
        for token in left.split_whitespace() {
            read.directed |=
                DIRECTIONS.contains(&token) || (token == "to" && !INFINITIVES.contains(&before));
            read.superlative |= token.len() > 4 && token.ends_with("est");
            if LINKS.contains(&token) {
                read.links[0] += 1;
            }
            if token.ends_with("'s") {
                read.links[1] += 1;
            }
            read.token(token, before);
            before = token;
        }
        read.numbers.sort();
        read
    }

    fn token(&mut self, token: &str, before: &str) {
        if let Some(helper) = token.strip_suffix("n't") {
            self.denials += 1;
            self.tense.hear(helper);
            return;
        }
        let token = token.strip_suffix("'s").unwrap_or(token);
        self.tense.hear(token);
        if before.is_empty() && REQUESTS.contains(&token) {
            return;
        }
        if DENIALS.contains(&token) {
            self.denials += 1;
            return;
        }
        // One who asks for everybody is no number.
        let anybody = token == "one" && PERSONS.contains(&before);
        if let Some(number) = NUMBER_WORDS.get(token).filter(|_| !anybody) {
            self.numbers.push((*number).to_owned());
            return;
        }
        if token.contains(|c: char| c.is_ascii_digit() || c.is_numeric()) {
            self.numbers.push(token.replace(',', ""));
            return;
        }
        if LIGHT_WORDS.contains(token) {
            return;
        }
        let stem = stem(token);
        if LIGHT_WORDS.contains(&*stem) {
            return;
        }
        let word = SAME_WORDS.get(&stem).cloned().unwrap_or(stem);
        // Chinese and the like put no spaces between words.
        if word.chars().all(|c| ('\u{2e80}'..'\u{ac00}').contains(&c)) {
            self.words.extend(word.chars().map(String::from));
        } else {
            self.words.push(word);
        }
    }

    fn set(&self) -> BTreeMap<&str, usize> {
        let mut set = BTreeMap::new();
        for word in &self.words {
            set.insert(&**word, 1);
        }
        set
    }

    /// Whether the order of words may differ without turning what is said: one puts together what the other hangs on (`flu symptoms`), or something
    /// is the most (`the largest ocean`, `which ocean is the largest`).
    fn may_turn(&self, other: &Self) -> bool {
        let directed = self.directed || other.directed;
        let superlative = self.superlative && other.superlative;
        !directed && (superlative || self.links != other.links)
    }

    /// Whether two words that stand in one order here stand in the other there, by where each stands first.
    fn crosses(&self, other: &Self) -> bool {
        let place = |words: &[String], word: &str| words.iter().position(|w| w == word);
        let first = |(at, word): &(usize, &String)| place(&self.words, word) == Some(*at);
        let once = self.words.iter().enumerate().filter(first);
        let places: Vec<usize> = once
            .filter_map(|(_, word)| place(&other.words, word))
            .collect();
        !places.is_sorted()
    }
}

/// Which time a text speaks of, as far as its helpers tell.
#[derive(Default)]
struct Tense {
    was: bool,
    is: bool,
    will: bool,
    should: bool,
}

impl Tense {
    fn hear(&mut self, word: &str) {
        match word {
            "was" | "were" | "did" | "had" => self.was = true,
            "is" | "are" | "am" | "do" | "does" | "has" | "have" => self.is = true,
            "will" | "shall" => self.will = true,
            "should" | "must" => self.should = true,
            _ => {}
        }
    }

    fn differs(&self, other: &Self, aim: &str) -> bool {
        let past = |a: &Self, b: &Self| a.was && !b.was && b.is;
        past(self, other)
            || past(other, self)
            || self.will != other.will
            || (aim == "what" && self.should != other.should)
    }
}

/// A word without its ending.
fn stem(word: &str) -> String {
    let cut = |ending: &str, least: usize| {
        let rest = word.strip_suffix(ending)?;
        (rest.chars().count() >= least).then_some(rest)
    };
    if let Some(rest) = cut("ies", 2) {
        return format!("{rest}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(ending) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    if let Some(rest) = cut("ing", 3).or_else(|| cut("ed", 3)) {
        // sorting, sorted; baking, baked; running.
        let mut chars = rest.chars().rev();
        let (last, before) = (chars.next(), chars.next());
        let doubled = last == before && !matches!(last, Some('l' | 's' | 'e'));
        let rest = if doubled {
            rest.get(..rest.len() - 1)
        } else {
            None
        }
        .unwrap_or(rest);
        return rest.trim_end_matches('e').to_owned();
    }
    if !word.ends_with("ss")
        && !word.ends_with("us")
        && !word.ends_with("is")
        && let Some(rest) = cut("s", 3)
    {
        return rest.trim_end_matches('e').to_owned();
    }
    if word.chars().count() > 3 {
        return word.trim_end_matches('e').to_owned();
    }
    word.to_owned()
}

/// Code, links and quotations of a text, and what is left of it.
fn code(text: &str) -> (Vec<String>, String) {
    let (mut found, mut prose) = (Vec::new(), String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find(['`', '"', '“']) {
        let (before, from) = rest.split_at(at);
        let fence = if from.starts_with("```") {
            "```"
        } else if from.starts_with('`') {
            "`"
        } else if from.starts_with('"') {
            "\""
        } else {
            "“"
        };
        let close = if fence == "“" { "”" } else { fence };
        let inside = from.get(fence.len()..).unwrap_or_default();
        let Some(end) = inside.find(close) else { break };
        prose.push_str(before);
        prose.push(' ');
        found.push(inside.get(..end).unwrap_or_default().trim().to_owned());
        rest = inside.get(end + close.len()..).unwrap_or_default();
    }
    prose.push_str(rest);
    let mut kept = String::with_capacity(prose.len());
    for token in prose.split_whitespace() {
        let is_code = token.contains("://")
            || token.contains(['{', '}', '=', '<', '>', '\\', '_', '@', '|', '*', '^', '~'])
            || token.contains("()")
            || (token.starts_with('/') && token.len() > 1)
            || token.starts_with("--");
        if is_code {
            found.push(token.trim_end_matches(['.', ',', '?', '!']).to_owned());
        } else {
            kept.push_str(token);
            kept.push(' ');
        }
    }
    found.sort();
    (found, kept)
}
