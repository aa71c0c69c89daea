//! What the ledger keeps of a call.
//!
//! Money is in picodollars (10^-12 USD), times of day in milliseconds since 1970, times taken in microseconds, shares in millionths: whole
//! numbers all, which both databases hold exactly.
use super::text::Text;
use rusqlite::{Statement as SqliteStatement, ToSql};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row as _, any::AnyArguments, any::AnyRow, query::Query};
use std::sync::Mutex;
use tierway_services::chat::{Usage, Usd};

/// A statement of any database of `sqlx`'s, with what is bound to it.
pub(super) type Statement<'q> = Query<'q, Any, AnyArguments<'q>>;

/// What a column can hold.
trait Column: Sized + ToSql {
    /// What it holds that holds nothing, as SQL has it.
    const EMPTY: &'static str;
    fn is_empty(&self) -> bool;
    /// Binds it, by reference where that saves a copy.
    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q>;
    fn read(row: &AnyRow, column: &str) -> sqlx::Result<Self>;
}

impl Column for i64 {
    const EMPTY: &'static str = "0";
    fn is_empty(&self) -> bool {
        *self == 0
    }
    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
    fn read(row: &AnyRow, column: &str) -> sqlx::Result<Self> {
        row.try_get(column)
    }
}
impl Column for Option<i64> {
    const EMPTY: &'static str = "NULL";
    fn is_empty(&self) -> bool {
        self.is_none()
    }
    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
    fn read(row: &AnyRow, column: &str) -> sqlx::Result<Self> {
        row.try_get(column)
    }
}
impl Column for Text {
    const EMPTY: &'static str = "''";
    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }
    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(&**self)
    }
    fn read(row: &AnyRow, column: &str) -> sqlx::Result<Self> {
        Ok(row.try_get::<String, _>(column)?.into())
    }
}
impl Column for Option<Text> {
    const EMPTY: &'static str = "NULL";
    fn is_empty(&self) -> bool {
        self.is_none()
    }
    fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(self.as_deref())
    }
    fn read(row: &AnyRow, column: &str) -> sqlx::Result<Self> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.map(Text::from))
    }
}

/// Columns of a table, the first in the lowest bit.
pub(super) type Columns = u128;

/// A row of a table.
pub(super) trait Record {
    const TABLE: &'static str;
    /// The names of its columns, in order.
    const NAMES: &'static [&'static str];
    /// What each holds that holds nothing, as SQL has it.
    const EMPTY: &'static [&'static str];

    /// The columns that have held something in any row that this process has written.
    fn in_use() -> &'static Mutex<Columns>;
    /// The columns that hold something.
    fn filled(&self) -> Columns;
    /// Binds those columns.
    fn bind<'q>(&'q self, statement: Statement<'q>, columns: Columns) -> Statement<'q>;
    /// Binds those columns to a statement of SQLite's own, after its first so many places; returns how many are bound then. What is the same
    /// in the row that is bound there from before, if any, stays.
    fn put(
        &self,
        statement: &mut SqliteStatement<'_>,
        columns: Columns,
        place: usize,
        before: Option<&Self>,
    ) -> rusqlite::Result<usize>;
}

macro_rules! record {
    ($(#[$doc:meta])* $name:ident in $table:literal { $($(#[$of:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { $($(#[$of])* pub $field: $type,)* }

        impl $name {
            /// The names of its columns, in order.
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            pub(super) fn read(row: &AnyRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: Column::read(row, stringify!($field))?,)* })
            }
        }

        impl Record for $name {
            const TABLE: &'static str = $table;
            const NAMES: &'static [&'static str] = Self::COLUMNS;
            const EMPTY: &'static [&'static str] = &[$(<$type as Column>::EMPTY),*];

            fn in_use() -> &'static Mutex<Columns> {
                const { assert!(Self::COLUMNS.len() <= Columns::BITS as usize) };
                static IN_USE: Mutex<Columns> = Mutex::new(0);
                &IN_USE
            }
            fn filled(&self) -> Columns {
                let is_filled = [$(!self.$field.is_empty()),*];
                let bits = is_filled.into_iter().rev();
                bits.fold(0, |columns, is| columns << 1 | Columns::from(is))
            }
            fn bind<'q>(&'q self, statement: Statement<'q>, columns: Columns) -> Statement<'q> {
                let mut columns = (0..Columns::BITS).map(|place| columns >> place & 1 == 1);
                $(let statement = match columns.next() {
                    Some(true) => self.$field.bind(statement),
                    _ => statement,
                };)*
                statement
            }
            fn put(
                &self,
                statement: &mut SqliteStatement<'_>,
                columns: Columns,
                mut place: usize,
                before: Option<&Self>,
            ) -> rusqlite::Result<usize> {
                let mut columns = (0..Columns::BITS).map(|place| columns >> place & 1 == 1);
                $(if columns.next() == Some(true) {
                    place += 1;
                    if before.is_none_or(|before| before.$field != self.$field) {
                        statement.raw_bind_parameter(place, &self.$field)?;
                    }
                })*
                Ok(place)
            }
        }
    };
}

record! {
    /// A call.
    Call in "calls" {
        /// Its name here.
        id: Text,
        /// `call`; `shadow` for what was done beside calls; `mcp` for a tool that a caller ran at `/mcp`.
        kind: Text,
        /// When it began.
        at: i64,
        /// Its `x-request-id`.
        request_id: Option<Text>,
        /// For whom it was made; empty where no key told.
        tenant: Text,
        /// The name of the key by which it came, where one told.
        key_id: Option<Text>,
        /// The words that the key's owner wants to find here, separated by commas.
        tags: Option<Text>,
        /// Who called, where the client is known.
        client: Option<Text>,
        /// What it was for: `main`, `side`, `compaction`, `sub-agent`, ...
        class: Option<Text>,
        /// The conversation that it belongs to.
        session: Option<Text>,
        /// The caller's dialect.
        dialect: Text,
        /// What the caller wanted of it.
        operation: Text,
        /// 1 where a stream was asked for.
        stream: i64,
        /// The model that the caller named.
        requested_model: Option<Text>,
        /// The tier; `direct` where the caller chose the model, `none` where the call did not come that far.
        tier: Text,
        /// Why that tier.
        reason: Option<Text>,
        /// The provider that the tier is bound to,
        planned_provider: Option<Text>,
        /// and the model.
        planned_model: Option<Text>,
        /// The provider that answered, or should have; empty where the call did not come that far.
        provider: Text,
        /// The model that answered.
        model: Text,
        /// What became of it: `ok`, `cancelled`, ...
        outcome: Text,
        /// The answer's status.
        status: Option<i64>,
        /// What the prompt cache did.
        cache: Option<Text>,
        /// Whether the gateway marked what the provider is to cache.
        breakpoints: Option<Text>,
        /// What became of the conversation's model.
        affinity: Option<Text>,
        /// What the cascade did: `accepted`, `deferred`, `skipped`.
        cascade: Option<Text>,
        /// Why.
        cascade_reason: Option<Text>,
        /// How sure it was of the draft.
        confidence_ppm: Option<i64>,
        /// How sure it had to be.
        threshold_ppm: Option<i64>,
        /// The side of the hold-out: `gateway`, `baseline`.
        holdout: Option<Text>,
        /// Tokens of the answer that the caller got, whoever was paid for them and when: input that no cache served or stored,
        answer_input: i64,
        /// output, reasoning included,
        answer_output: i64,
        /// reasoning,
        answer_reasoning: i64,
        /// input that the provider's cache served,
        answer_cache_read: i64,
        /// input that it stored for its short term,
        answer_cache_write: i64,
        /// and for an hour.
        answer_cache_write_1h: i64,
        /// Tokens of all upstream calls together: input,
        input: i64,
        /// output,
        output: i64,
        /// reasoning (within output),
        reasoning: i64,
        /// input that caches served,
        cache_read: i64,
        /// and stored, for whatever time.
        cache_write: i64,
        /// About how many tokens of input were left out before the call went upstream.
        compressed: i64,
        /// 1 where some of these tokens are an estimate, because the provider did not count.
        estimated: i64,
        /// What all upstream calls cost whose price is known.
        cost: i64,
        /// 1 where the price of every token is known.
        priced: i64,
        /// Tokens whose price is not known.
        unpriced_tokens: i64,
        /// What the answer would have cost from the model that was asked for; the cost itself where that cannot be told.
        baseline: i64,
        /// 1 where it can.
        baseline_known: i64,
        /// Saved by a tier that is bound to a cheaper model,
        saved_tier: i64,
        /// by a draft that was kept,
        saved_cascade: i64,
        /// by the prompt cache,
        saved_prompt_cache: i64,
        /// by what the gateway had the provider cache,
        saved_provider_cache: i64,
        /// and by tokens left out.
        saved_compression: i64,
        /// Spent on top for a tier that is bound to a dearer model,
        extra_tier: i64,
        /// for drafts thrown away and calls repeated,
        extra_deferral: i64,
        /// for comparisons,
        extra_shadow: i64,
        /// and for what the gateway had the provider cache.
        extra_provider_cache: i64,
        /// From the call to the end of its answer.
        total_us: i64,
        /// From the call to the first piece of its answer's body.
        first_byte_us: Option<i64>,
        /// The user's own words, where they are kept.
        ask: Option<Text>,
    }
}

record! {
    /// An upstream call.
    Attempt in "attempts" {
        /// The call for which it was made.
        call_id: Text,
        /// Its place among the upstream calls of that one, from 0, in the order in which they ended.
        nth: i64,
        /// When that one began.
        at: i64,
        /// Who was asked: `only`, `small`, `big`, `judge`, `shadow`.
        role: Text,
        /// What came of it: `answer`, `rejected_draft`, `verification`, `shadow`, `retried`, `tool_round`, `hedge_loser`, `cancelled`, `failed`.
        part: Text,
        /// The provider.
        provider: Text,
        /// The model.
        model: Text,
        /// How it ended: `complete`, `status`, `failed`, `cancelled`.
        ended: Text,
        /// With which status, where that was an error.
        status: Option<i64>,
        /// Input that no cache served or stored.
        input: i64,
        /// Output, reasoning included.
        output: i64,
        /// Reasoning.
        reasoning: i64,
        /// Input that the provider's cache served,
        cache_read: i64,
        /// that it stored for its short term,
        cache_write: i64,
        /// and for an hour.
        cache_write_1h: i64,
        /// 1 where the tokens are our estimate.
        estimated: i64,
        /// 1 where the cost is the provider's own word.
        reported: i64,
        /// What it cost; nothing where it used no tokens or nobody knows their price.
        cost: Option<i64>,
        /// From its beginning to the first byte of its answer's body.
        first_byte_us: Option<i64>,
        /// From its beginning to its end.
        total_us: i64,
    }
}

record! {
    /// A tool that was run, or was not.
    ToolRun in "tool_runs" {
        /// The call for which it was run.
        call_id: Text,
        /// Its place among the tools that were run for that one, from 0.
        nth: i64,
        /// When it began.
        at: i64,
        /// Whose tool it is.
        server: Text,
        /// The tool.
        tool: Text,
        /// What became of it: `ok`, `error`, `unconfirmed`, `abandoned`.
        outcome: Text,
        /// The bytes of its arguments,
        sent: i64,
        /// and of its answer.
        got: i64,
        /// From its beginning to its end.
        total_us: i64,
    }
}

/// A call with its upstream calls, as it is written and exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// Its upstream calls.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// The tools that were run for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_runs: Vec<ToolRun>,
}

impl Call {
    /// The tokens of the answer that the caller got.
    #[must_use]
    pub fn answer(&self) -> Usage {
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        Usage {
            input: count(self.answer_input),
            output: count(self.answer_output),
            cache_read: count(self.answer_cache_read),
            cache_write: count(self.answer_cache_write),
            cache_write_1h: count(self.answer_cache_write_1h),
            reasoning: count(self.answer_reasoning),
            ..Usage::default()
        }
    }
}

/// An amount as it is kept. One over nine million dollars is kept as that.
pub(super) fn pico(usd: Usd) -> i64 {
    i64::try_from(usd.picodollars()).unwrap_or(i64::MAX)
}
