//! What is seen of thousands of texts, pinned: whoever makes the reading of asks faster finds out here whether it still reads the same.
use super::{Policy, Ruled, SideRequests, TierClassifier, heuristic, numbers::Ask, rules::Rule};
use crate::{names::Names, names::Wish, testing::ask};
use std::fmt::Write;

/// Words that mean something, and what stands around and in words.
const PIECES: &str = "the fix prove that still failing same error what is root cause security audit review threat model think hard formal \
    verify proof show derive first principles port 8080 one liner yes or no y n short answer quick check line 88 should be instead of third \
    time 5th every option neither tldr eli5 drop table users production deploy api key rotate refund payment icon migration live db down why \
    can we you not never whats ultrathink it please ok continue hi thanks Refactor REWRITE entire codebase snake_case a::b f() camelCase \
    README.md src/main.rs:3 https://x.y/z `x` \" \u{201c}a\u{201d} ' don\u{2019}t don't ` ``` ~~~ > + - * 1. 2) @@ diff -> => \u{2192} . ! ? ; , \
    = == }); ): < > </ ${ {{ [\" (\" ++ !( .get( a[0] f(x)=3x+2 12:30:55 ERROR Traceback at File const let SELECT <task> </task> <user_query> \
    </user_query> <system-reminder> </system-reminder> <file> </file> $0.00 3.5% 1,250 A. (b) roll back checkout git naïve für ИСПРАВЬ 重构 ไทย \
    \u{130}x ß ﬀ É １２ ½ ² \u{301} 🦀 averyveryverylongwordthatislongerthananywordthatisknown and then generate a title for this conversation";
const GAPS: &[&str] = &[
    " ", " ", " ", " ", " ", " ", ", ", ". ", "\n", "\n\n", "", "\r\n", "\t", "\u{a0}", "\n    ",
];

/// Texts of all lengths and kinds, the same ones each time.
fn texts() -> Vec<String> {
    let pieces: Vec<&str> = PIECES.split(' ').filter(|p| !p.is_empty()).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    };
    let text = |n: usize| {
        let words = 1 + below(if n.is_multiple_of(50) { 900 } else { 60 });
        let one = |_| [pieces[below(pieces.len())], GAPS[below(GAPS.len())]].concat();
        (0..words).map(one).collect()
    };
    (0..1500).map(text).collect()
}

/// All that is counted in `text`, as whole numbers: their logarithms are not the same on every machine to the last bit.
fn seen(text: &str) -> String {
    let mut ask = Ask::default();
    ask.read(text);
    let (f, w) = (&ask.features, &ask.features.wants);
    let words = [f.words, f.greetings, f.affirmations, f.fillers, f.tasks];
    let things = [f.small_objects, f.large_objects, f.pieces, f.scope, f.hard];
    let matters = [f.math, f.hidden_faults, f.elusive, f.puzzles, f.dense];
    let shown = [f.code_lines, f.paths, f.bullets, f.verb.into()];
    let wants = [w.brief, w.places, w.becomes, w.quoted, w.picks, w.times];
    let flags = [
        [f.definitional, f.definite, f.edit, f.error_loop, f.shows],
        [
            f.diff,
            f.trace,
            f.is_reply(),
            f.only_points(),
            f.is_small_talk(),
        ],
    ];
    let by_hand = heuristic::score(f);
    format!(
        "{words:?}{things:?}{matters:?}{shown:?}{wants:?}{flags:?}{:?}{:?}{:?}{:?}{:?}",
        f.phrase,
        f.grams.buckets(),
        ask.texture,
        by_hand.tier,
        by_hand.reason
    )
}

#[test]
fn what_is_seen_of_a_text_does_not_move() {
    let classifier = TierClassifier::new(Names::default().map("*", Wish::Auto));
    let policy = Ruled::new(SideRequests::new(classifier), Rule::built_in());
    let (mut counted, mut decided) = (blake3::Hasher::new(), String::new());
    for text in texts() {
        counted.update(seen(&text).as_bytes());
        let decision = policy.classify(&ask("auto", &text)).unwrap();
        let notes: Vec<_> = decision.notes.iter().map(|note| &note.name).collect();
        let _ = write!(decided, "{} {} {notes:?};", decision.tier, decision.reason);
    }
    let short = |hash: blake3::Hash| hash.to_hex()[..16].to_owned();
    let found = (
        short(counted.finalize()),
        short(blake3::hash(decided.as_bytes())),
    );
    // Where they are meant to move, the shipped weights are to be learned again, and then these.
    assert_eq!(
        (&*found.0, &*found.1),
        ("22485fd3c730d038", "d140518823cc7d42")
    );
}
