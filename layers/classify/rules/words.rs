//! The words of risky work, and what part each may play. Whole words only; one may play several parts.
use super::super::table::Table;
use std::sync::LazyLock;

/// The parts that a word may play, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part(u32);

impl Part {
    /// Does something to a secret, whatever else the sentence is about.
    pub(super) const SECRET_VERB: Self = Self(1);
    /// Does something to a secret, unless it is about how something looks.
    pub(super) const SECRET_WEAK: Self = Self(1 << 1);
    /// A secret.
    pub(super) const SECRET: Self = Self(1 << 2);
    /// Says of which kind a key or a token is, so that it is a secret.
    pub(super) const KEY_KIND: Self = Self(1 << 3);
    /// A key, a token, a certificate: a secret if its kind says so.
    pub(super) const KEY: Self = Self(1 << 4);
    /// Moves money.
    pub(super) const PAY_VERB: Self = Self(1 << 5);
    /// Changes what moves money.
    pub(super) const PAY_WEAK: Self = Self(1 << 6);
    /// Money that moves, or who moves it.
    pub(super) const MONEY: Self = Self(1 << 7);
    /// Runs a migration.
    pub(super) const RUN: Self = Self(1 << 8);
    /// A migration.
    pub(super) const MIGRATION: Self = Self(1 << 9);
    /// Destroys or changes the shape of data.
    pub(super) const DROP: Self = Self(1 << 10);
    /// What data is kept in.
    pub(super) const TABLE: Self = Self(1 << 11);
    /// Moves data.
    pub(super) const MOVE: Self = Self(1 << 12);
    /// Data that may be moved or deleted.
    pub(super) const DATA: Self = Self(1 << 13);
    /// Deletes data.
    pub(super) const DELETE: Self = Self(1 << 14);
    /// Renames a table or a column.
    pub(super) const RENAME: Self = Self(1 << 15);
    /// Does something to a system that runs.
    pub(super) const PROD_VERB: Self = Self(1 << 16);
    /// The same, unless it is about how something looks.
    pub(super) const PROD_WEAK: Self = Self(1 << 17);
    /// The system that customers use.
    pub(super) const PROD: Self = Self(1 << 18);
    /// "live", which needs a system after it.
    pub(super) const LIVE: Self = Self(1 << 19);
    /// A system, after "live".
    pub(super) const SYSTEM: Self = Self(1 << 20);
    /// Says that the system does not work.
    pub(super) const DOWN: Self = Self(1 << 21);
    /// How something looks or reads, or a text to be written.
    pub(super) const LOOK: Self = Self(1 << 22);
    /// After an object it makes another thing of it: a payment icon, a production build.
    pub(super) const HEAD: Self = Self(1 << 23);
    /// Opens a question.
    pub(super) const QUESTION: Self = Self(1 << 24);
    /// Opens a question where a person who asks follows.
    pub(super) const MAYBE: Self = Self(1 << 25);
    /// Says nothing at the beginning of a sentence.
    pub(super) const FILLER: Self = Self(1 << 26);
    /// Before a verb it takes it back.
    pub(super) const NOT: Self = Self(1 << 27);
    /// Before a noun, so that what follows is no verb.
    pub(super) const ARTICLE: Self = Self(1 << 28);
    /// A table on a page or in a data frame, not in a database.
    pub(super) const SHEET: Self = Self(1 << 29);
    /// A production on a stage, in a field, or of a bundler.
    pub(super) const STAGE: Self = Self(1 << 30);

    /// Takes back what is done to what follows it, too.
    pub(super) const NEVER: Self = Self(1 << 31);

    /// Whether it plays one of these parts.
    pub(super) const fn is(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
    /// The objects among its parts: what a name that does nothing can still be about.
    pub(super) const fn only_object(self) -> Self {
        let objects = Self::SECRET
            .or(Self::KEY)
            .or(Self::KEY_KIND)
            .or(Self::MONEY)
            .or(Self::MIGRATION)
            .or(Self::TABLE)
            .or(Self::DATA)
            .or(Self::PROD)
            .or(Self::HEAD)
            .or(Self::LOOK);
        Self(self.0 & objects.0)
    }
    /// Without these.
    pub(super) const fn without(self, these: Self) -> Self {
        Self(self.0 & !these.0)
    }
    /// Either.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const WORDS: &[(Part, &str)] = &[
    (
        Part::SECRET_VERB,
        "rotate rotating revoke revoking leak leaked leaking leaks exposed compromised committed regenerate reissue encrypt decrypt rehash invalidate rollover",
    ),
    (
        Part::SECRET_WEAK,
        "replace move remove delete purge store migrate load inject renew hash scrub",
    ),
    (
        Part::SECRET,
        "secret secrets credential credentials password passwords passphrase apikey apikeys keystore",
    ),
    (
        Part::KEY_KIND,
        "api access private signing encryption ssh refresh bearer auth service gpg tls ssl webhook master deploy aws gcp azure stripe sendgrid github openai kms jwt root",
    ),
    (
        Part::KEY,
        "key keys token tokens certificate certificates cert certs",
    ),
    (
        Part::PAY_VERB,
        "charge refund bill reconcile settle debit capture pay",
    ),
    (
        Part::PAY_WEAK,
        "fix change implement integrate migrate process replace refactor rewrite retry",
    ),
    (
        Part::MONEY,
        "payment payments refund refunds charge charges billing invoice invoices payout payouts checkout stripe adyen paypal braintree klarna mollie ledger iban chargeback chargebacks payroll sepa",
    ),
    (
        Part::RUN,
        "run rerun apply execute revert rollback reset redo undo squash",
    ),
    (Part::MIGRATION, "migration migrations"),
    (Part::DROP, "drop truncate alter wipe purge"),
    (
        Part::TABLE,
        "table tables column columns schema schemas database databases db dbs collection collections",
    ),
    (Part::MOVE, "migrate backfill"),
    (
        Part::DATA,
        "rows row records database databases db data users customers tenants postgres mysql",
    ),
    (Part::DELETE, "delete erase"),
    (Part::RENAME, "rename"),
    (
        Part::PROD_VERB,
        "deploy redeploy rollback restart failover hotfix drain reboot terminate destroy purge wipe drop truncate scale",
    ),
    (
        Part::PROD_WEAK,
        "run apply delete change rename migrate push release ship revert restore patch replace upgrade fix switch flush clear kill stop execute remove update disable enable recreate",
    ),
    (Part::PROD, "prod production"),
    (Part::LIVE, "live"),
    (
        Part::SYSTEM,
        "db database cluster environment system site server servers customers",
    ),
    (
        Part::DOWN,
        "down broken failing crashing unreachable crashed erroring",
    ),
    (
        Part::LOOK,
        "typo typos comment comments docstring docstrings readme label labels icon icons placeholder placeholders heading headings headline tooltip tooltips wording grammar spelling spelled misspelled spelt css color colour font padding margin layout align aligned alignment haiku poem story essay song joke blog article tweet slogan quiz changelog docs documentation translate format formatting style styles styling caption copy",
    ),
    (
        Part::HEAD,
        "icon icons label labels page pages screen button buttons test tests mock mocks fixture fixtures tooltip heading title titles section link links image images story stories storybook enum parser lexer import imports header headers view views card cards field fields input inputs form column build builds code ready quality grade dependency dependencies rule rules mode bundle like value values line lines house team notes cost costs santa menu level sauce weapon number word message cell cells example examples hashing strength meter",
    ),
    (
        Part::QUESTION,
        "what whats who which when where why how is are does did was were should explain describe define difference",
    ),
    (Part::MAYBE, "can could would do will may"),
    (
        Part::FILLER,
        "so and ok okay hey hi hello please just btw quick short simple question pls then also now",
    ),
    (
        Part::NOT,
        "not never without don dont doesn shouldn avoid instead",
    ),
    (Part::NEVER, "not never don dont doesn avoid"),
    (
        Part::ARTICLE,
        "a an the this that these those our your my their its his her each every no any",
    ),
    (
        Part::SHEET,
        "dataframe pandas df csv excel spreadsheet html markdown ui grid polars numpy figma latex tailwind react vue dropdown footer sidebar shadow",
    ),
    (
        Part::STAGE,
        "theatre theater film films movie movies music video album stage play plays actors crop crops oil factory milk energy webpack vite rollup bundler sourcemap sourcemaps minify",
    ),
];

static TABLE: LazyLock<Table<Part>> = LazyLock::new(|| Table::new(WORDS.iter().copied(), Part::or));

/// The parts that `word` may play, in any case.
pub(super) fn part(word: &str) -> Part {
    TABLE.find_in_any_case(word.as_bytes()).unwrap_or_default()
}

/// The words that play one of these parts.
pub(super) fn all(any: Part) -> impl Iterator<Item = &'static str> {
    WORDS
        .iter()
        .filter(move |(part, _)| part.is(any))
        .flat_map(|(_, words)| words.split(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::table::LONGEST;

    #[test]
    fn words_play_all_their_parts_and_fit() {
        let mut words = TABLE.words().iter();
        assert!(words.all(|(word, _)| word.len() <= LONGEST));
        let drop = part("DROP");
        assert!(drop.is(Part::DROP) && drop.is(Part::PROD_VERB) && !drop.is(Part::TABLE));
        assert_eq!(part("author"), Part::default());
        assert_eq!(part(&"a".repeat(99)), Part::default());
    }
}
