//! The words that say something about how much work an ask is.
//!
//! Whole words only: `author` is not `auth`, `administrator` not `admin`. A word's weight is what an ask is worth that consists of little
//! else, on the heuristic's scale from 0 to 100; what the scale means stands in [`heuristic`](super::heuristic).
use super::{table::Table, wants};
use std::sync::LazyLock;

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// "hi", "thanks".
    Greeting,
    /// "yes", "continue": goes on with what was asked before.
    Affirmation,
    /// Says nothing by itself.
    Filler,
    /// Opens a question.
    Question,
    /// "is", "are", "does", after a question word.
    Copula,
    /// Asks for work; of this weight.
    Verb(u8),
    /// Asks for an edit, which is as large as its object.
    Edit,
    /// An object that is small whatever is done to it.
    SmallObject,
    /// An object that is large.
    LargeObject,
    /// Says how far the work reaches.
    Scope,
    /// "port", which is work where an ask begins with it and a number elsewhere.
    Port,
    /// A piece of a program.
    Piece,
    /// Names a hard matter.
    Hard,
    /// Names mathematics.
    Math,
    /// Names a fault that hides: races, deadlocks, corruption.
    HiddenFault,
    /// "intermittent", "flaky".
    Elusive,
    /// "puzzle", "riddle".
    Puzzle,
    /// "prove", "disprove".
    Prove,
    /// "proof".
    Proof,
    /// "formal", "formally".
    Formal,
    /// "that", "by", "every": after "prove", what is to be proved.
    Claim,
    /// "derive".
    Derive,
    /// "show", which with "that" asks for a proof.
    Show,
    /// "root", which with "cause" asks for a diagnosis.
    Root,
    /// "cause", "causes".
    Cause,
    /// "security", "vulnerabilities".
    Security,
    /// "audit", "assessment".
    Audit,
    /// "threat", "attack".
    Threat,
    /// "model", "modeling".
    Model,
    /// "think", "reason".
    Think,
    /// "hard", "deeply", "step".
    Deeply,
    /// "ultrathink".
    Ultrathink,
    /// "first".
    First,
    /// "principles".
    Principles,
    /// "still".
    Still,
    /// "failing", "broken".
    Failing,
    /// "same", before a failure.
    Same,
}

/// Words by what they say. One word stands once.
const WORDS: &[(Mark, &str)] = &[
    (
        Mark::Greeting,
        "hi hello hey yo sup thanks thank thx ty bye goodbye morning afternoon evening cheers welcome greetings howdy hallo",
    ),
    (
        Mark::Affirmation,
        "yes yep yeah yup sure ok okay k lgtm continue proceed ahead again retry resume go correct right exactly agreed \
         ja jep jo klar weiter mach genau si vale dale sigue adelante claro oui vas prossiga segue continua continuer continuez \
         avanti tak dalej da davai",
    ),
    (
        Mark::Filler,
        "please a an it the you u me my so now then and there do to just with on your i id im of for in can could would lets this these those at from but very much good great nice cool perfect no nope fine done",
    ),
    (Mark::Question, "what whats who whos when where which whose"),
    (Mark::Copula, "is are was were does did means mean"),
    (
        Mark::Verb(6),
        "say print echo list display rename bump capitalize capitalise uppercase lowercase sort format indent reformat run count open close commit push pull install tell define repeat spell save start stop restart",
    ),
    (
        Mark::Verb(14),
        "translate give find search check verify look locate confirm get fetch read lookup",
    ),
    (
        Mark::Verb(20),
        "how convert calculate compute suggest rephrase paraphrase reword shorten proofread draft extract",
    ),
    (
        Mark::Verb(26),
        "why generate write create document summarize summarise describe parse handle outline recommend wire hook figure",
    ),
    (
        Mark::Verb(29),
        "explain compare contrast review discuss support improve extend cover teach clarify walk",
    ),
    (
        Mark::Verb(33),
        "implement build develop debug solve analyze analyse analysis argue optimize optimise troubleshoot profile benchmark integrate critique justify speed",
    ),
    (
        Mark::Verb(36),
        "investigate evaluate assess plan propose diagnose automate parallelize parallelise modularize decouple prioritize",
    ),
    (
        Mark::Verb(39),
        "refactor refactoring restructure reorganize modernize",
    ),
    (
        Mark::Verb(47),
        "design redesign architect rearchitect migrate rewrite overhaul reimplement",
    ),
    (
        Mark::Edit,
        "add change update remove delete replace set move make fix insert append edit use put drop swap adjust tweak enable disable",
    ),
    (
        Mark::SmallObject,
        "typo typos comment comments import imports whitespace indentation newline semicolon label spelling field column parameter argument line lines button constant timeout value variable name version string text color colour title message flag icon width height margin padding font link url date readme changelog haiku joke limerick slogan tweet sentence greeting word words placeholder tooltip default getter setter docstring oneliner heading punctuation",
    ),
    (
        Mark::LargeObject,
        "architecture architectures platform app application subsystem framework engine backend infrastructure website protocol roadmap rfc fullstack saas dashboard database",
    ),
    (
        Mark::Scope,
        "entire whole across throughout everywhere codebase repository repo monolith project every all multiple modules files services packages crates components endpoints",
    ),
    (
        Mark::Hard,
        "distributed concurrency concurrent concurrently consensus scalable scalability horizontally sharding sharded replication replicated failover failure fault throughput transactional idempotent idempotency consistency consistent microservice microservices compiler interpreter scheduler kernel hypervisor cryptography cryptographic lockfree multithreaded crdt raft paxos mvcc allocator jit simd cuda orchestration orchestrator multitenant tenancy cqrs saga limiter backpressure downtime pipeline pipelines linearizable linearizability serializable tradeoffs bottleneck bottlenecks oauth scaling replicas websocket collector lexer parser",
    ),
    (
        Mark::Math,
        "theorem theorems lemma corollary conjecture irrational rational prime primes induction contradiction integral integrals integrable derivative eigenvalue eigenvalues eigenvector matrix matrices polynomial polynomials modulo congruence bijection injective surjective isomorphic isomorphism homomorphism topology manifold converges convergence diverges continuous differentiable asymptotic np reduction halting undecidable combinatorial permutation permutations probability expectation variance likelihood estimator posterior gradient gradients invariant invariants equation equations formula recurrence inequality bound bounds sqrt divisible integer integers finite infinite infinitely sum series closed",
    ),
    (
        Mark::HiddenFault,
        "race races deadlock deadlocks deadlocked livelock heisenbug corruption corrupted corrupts nondeterminism nondeterministic nondeterministically",
    ),
    (
        Mark::Elusive,
        "intermittent intermittently flaky sporadic sporadically leak leaks leaking sometimes occasionally segfault segfaults",
    ),
    (Mark::Port, "port"),
    (
        Mark::Piece,
        "function functions class classes component method script endpoint api query hooks module test tests",
    ),
    (
        Mark::Puzzle,
        "puzzle puzzles riddle knights knaves liar liars sudoku",
    ),
    (
        Mark::Prove,
        "prove disprove beweise beweisen widerlege demuestra demostrar prouve prouver dimostra dimostrare udowodnij",
    ),
    (Mark::Proof, "proof proofs"),
    (Mark::Formal, "formal formally rigorous rigorously"),
    (
        Mark::Claim,
        "dass que che that by or each if correctness termination whether",
    ),
    (Mark::Derive, "derive"),
    (Mark::Show, "show"),
    (Mark::Root, "root"),
    (Mark::Cause, "cause causes"),
    (
        Mark::Security,
        "security vulnerability vulnerabilities exploit exploits exploitable injection",
    ),
    (Mark::Audit, "audit pentest penetration assessment"),
    (Mark::Threat, "threat threats attack"),
    (Mark::Model, "model modeling modelling models surface"),
    (Mark::Think, "think reason"),
    (
        Mark::Deeply,
        "hard harder deeply carefully step longer intensely through thoroughly",
    ),
    (Mark::Ultrathink, "ultrathink megathink"),
    (Mark::First, "first"),
    (Mark::Principles, "principles"),
    (Mark::Still, "still"),
    (Mark::Same, "same"),
    (
        Mark::Failing,
        "failing fails fail broken not doesnt isnt wrong error errors crashes crashing",
    ),
];

/// What is known of a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) mark: Mark,
    /// What it says of [how much is wanted](wants).
    pub(super) wants: u32,
    /// Which word it is; the largest number where it is none of ours.
    pub(super) id: usize,
}

static TABLE: LazyLock<Table<(Mark, u32)>> = LazyLock::new(|| {
    let marks = WORDS.iter().map(|(mark, words)| ((*mark, 0), *words));
    let kinds = wants::WORDS.iter();
    let kinds = kinds.map(|(kinds, words)| ((Mark::None, *kinds), *words));
    Table::new(marks.chain(kinds), |(mark, kinds), (_, more)| {
        (mark, kinds | more)
    })
});

/// The longest word that says something.
pub(super) const LONGEST: usize = 20;

/// What is known of a word in lower case.
pub(super) fn look_up(word: &[u8]) -> Known {
    let ((mark, wants), id) = TABLE.find(word).unwrap_or(((Mark::None, 0), usize::MAX));
    Known { mark, wants, id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_once_and_fits() {
        for (mark, words) in WORDS {
            for word in words.split(' ') {
                assert_eq!(look_up(word.as_bytes()).mark, *mark, "{word}");
            }
        }
        for (word, _) in TABLE.words() {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            assert!(word.len() <= LONGEST && word.bytes().all(plain), "{word}");
        }
    }

    #[test]
    fn only_whole_words_count() {
        assert_eq!(look_up(b"prove").mark, Mark::Prove);
        for word in [
            "proves",
            "author",
            "administrator",
            "pathology",
            "approve",
            "prov",
            "",
        ] {
            assert_eq!(look_up(word.as_bytes()).mark, Mark::None, "{word}");
        }
    }
}
