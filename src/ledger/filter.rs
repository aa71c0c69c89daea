//! Which calls a question is about.
use super::row::Statement;

/// Which calls a question is about. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this time on, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this conversation.
    pub session: Option<String>,
    /// On this side of a hold-out.
    pub holdout: Option<String>,
}

/// A condition, with what is bound to it.
pub(super) struct Asked {
    pub(super) text: String,
    bound: Vec<Bound>,
}

pub(super) enum Bound {
    Text(String),
    Number(i64),
}

impl Asked {
    pub(super) fn new(filter: &Filter) -> Self {
        Self::of(filter, "")
    }

    /// `table` is what stands before a column's name.
    pub(super) fn of(filter: &Filter, table: &str) -> Self {
        let mut asked = Self {
            text: "WHERE 1 = 1".to_owned(),
            bound: Vec::new(),
        };
        let number = |n: i64| Some(Bound::Number(n));
        let text = |text: &String| Some(Bound::Text(text.clone()));
        for (column, bound) in [
            ("at >=", filter.since.and_then(number)),
            ("at <", filter.until.and_then(number)),
            ("tenant =", filter.tenant.as_ref().and_then(text)),
            ("session =", filter.session.as_ref().and_then(text)),
            ("holdout =", filter.holdout.as_ref().and_then(text)),
        ] {
            if let Some(bound) = bound {
                asked.and(&format!("{table}{column}"), bound);
            }
        }
        asked
    }

    pub(super) fn and(&mut self, condition: &str, bound: Bound) {
        self.bound.push(bound);
        self.text += &format!(" AND {condition} ${}", self.bound.len());
    }

    pub(super) fn bind<'q>(self, question: Statement<'q>) -> Statement<'q> {
        let bind = |question: Statement<'q>, bound| match bound {
            Bound::Text(text) => question.bind(text),
            Bound::Number(n) => question.bind(n),
        };
        self.bound.into_iter().fold(question, bind)
    }
}
