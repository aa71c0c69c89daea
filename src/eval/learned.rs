//! The learned scorer, measured: what the gateway would learn from a deployment's labels, from the rows it may see.
use super::{Row, Scorer};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tierway_layers::{
    cascade::{
        Asked, Beginning, Draft, Labelled, Model,
        signals::{self, Told},
    },
    classify::{self, Policy, TierClassifier},
    learn::Vector,
    names::{Names, Wish},
};
use tierway_services::{
    chat::{self, Operation, Prompt},
    dialect::Dialect,
    translate,
};

/// Learns route and cascade from rows; before it has learned anything, scores by what is shipped.
#[derive(Debug, Default)]
pub struct Learned {
    route: Option<Model>,
    cascade: Model,
    /// Rows are read once, however many folds there are. By set and id.
    seen: HashMap<(String, String), Arc<Seen>>,
    limit: Option<usize>,
}

/// A row as the models see it.
#[derive(Debug)]
struct Seen {
    route: Labelled,
    cascade: Option<Labelled>,
    /// How undemanding the shipped weights find the request, from 0 to 1.
    shipped: f64,
    /// The confidence in the draft before any label.
    unlabelled: Option<f64>,
}

impl Learned {
    /// Learns from at most this many rows of each fold: how a deployment fares that has only so many labels.
    #[must_use]
    pub fn from_at_most(limit: Option<usize>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    fn learn_from(&mut self, row: &Row) -> Arc<Seen> {
        let seen = self.see(row);
        self.seen
            .insert((row.set.clone(), row.id.clone()), seen.clone());
        seen
    }

    fn see(&self, row: &Row) -> Arc<Seen> {
        let known = self.seen.get(&(row.set.clone(), row.id.clone()));
        known.cloned().unwrap_or_else(|| Arc::new(Seen::of(row)))
    }
}

impl Scorer for Learned {
    fn fit(&mut self, train: &[&Row]) {
        // Rows come in their order in the file, which may be by subject.
        let limit = self
            .limit
            .unwrap_or(train.len())
            .clamp(1, train.len().max(1));
        let evenly = (0..limit).filter_map(|i| train.get(i * train.len() / limit));
        let train: Vec<&Row> = evenly.copied().collect();
        let seen: Vec<Arc<Seen>> = train.iter().map(|row| self.learn_from(row)).collect();
        let route: Vec<Labelled> = seen.iter().map(|s| s.route.clone()).collect();
        self.route = Some(Model::learn(&route));
        let cascade: Vec<Labelled> = seen.iter().filter_map(|s| s.cascade.clone()).collect();
        self.cascade = if cascade.len() == seen.len() {
            Model::learn(&cascade)
        } else {
            Model::prior()
        };
    }

    fn route(&self, row: &Row) -> f64 {
        let seen = self.see(row);
        match &self.route {
            Some(model) => model.confidence(&seen.route),
            None => seen.shipped,
        }
    }

    fn cascade(&self, row: &Row) -> Option<f64> {
        let seen = self.see(row);
        if self.route.is_none() {
            return seen.unlabelled;
        }
        Some(self.cascade.confidence(seen.cascade.as_ref()?))
    }
}

impl Seen {
    fn of(row: &Row) -> Self {
        let request = row.request.get().to_owned();
        let nothing = |row: &Row| Labelled {
            vector: Vector::default(),
            prior: 0.0,
            family: tierway_layers::cascade::Family::Prose,
            small: row.small.correct as f32,
            big: row.big.correct as f32,
        };
        let Ok(prompt) = Prompt::parse(
            Dialect::ChatCompletions,
            Operation::Generate,
            request.into(),
        ) else {
            return Self {
                route: nothing(row),
                cascade: None,
                shipped: 0.5,
                unlabelled: None,
            };
        };
        let answer = row.small.response.as_ref().and_then(|response| {
            translate::read_answer(Dialect::ChatCompletions, response.get().as_bytes())
        });
        let told = Told {
            p_true: row.signals.p_true,
            agreement: row.signals.sc3,
            ..Told::default()
        };
        let request = chat::Request::new(prompt.clone());
        let asked = Asked::new(&request);
        let draft = answer
            .as_ref()
            .map(|answer| Draft::new(answer, &request, Duration::ZERO).with(&asked));
        let unlabelled = draft.map(|draft| {
            let prior = signals::prior(&draft, &told);
            signals::unlabelled(&draft, prior, &told)
        });
        let cascade = draft.map(|draft| labelled(&draft, &told, nothing(row)));
        let policy = TierClassifier::new(Names::default().map("*", Wish::Auto));
        let decision = policy.classify(&request);
        let mut route = nothing(row);
        route.vector = classify::vector(&prompt).unwrap_or_default();
        route.vector.numbers.resize(classify::NUMBERS, f32::NAN);
        Self {
            route,
            cascade,
            shipped: decision.map_or(0.5, |d| 1.0 - f64::from(d.score)),
            unlabelled,
        }
    }
}

/// A row as the running cascade would have seen it, and the beginnings of its draft; `None` where the small model's answer is not known.
pub(crate) fn recorded(row: &Row) -> Option<(Labelled, Vec<Beginning>)> {
    let body = row.request.get().to_owned().into();
    let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body).ok()?;
    let response = row.small.response.as_ref()?.get();
    let answer = translate::read_answer(Dialect::ChatCompletions, response.as_bytes())?;
    let request = chat::Request::new(prompt);
    let asked = Asked::new(&request);
    let draft = Draft::new(&answer, &request, Duration::ZERO).with(&asked);
    let told = Told {
        p_true: row.signals.p_true,
        agreement: row.signals.sc3,
        ..Told::default()
    };
    let label = Labelled {
        vector: signals::see(&draft, &told),
        // As it will be when drafts are judged by what is learned: a promise about another score would be none.
        prior: signals::prior(&draft, &told),
        family: draft.family(),
        small: row.small.correct as f32,
        big: row.big.correct as f32,
    };
    Some((label, Beginning::all(&draft)))
}

/// What is seen of a draft, beside its judgement in `row`.
fn labelled(draft: &Draft<'_>, told: &Told, row: Labelled) -> Labelled {
    Labelled {
        vector: signals::see(draft, told),
        // Not what was believed of the question: that was learned, perhaps from these very rows.
        prior: signals::evidence(draft, told),
        family: draft.family(),
        ..row
    }
}
