//! What is believed of a draft before any label has come.
//!
//! Put down by hand, from what holds in every published set: a token's probability, a model's own "true", the agreement of samples and the
//! plausibility of calls say most; sums that are wrong say much; the words of an answer say next to nothing, so they are left out. It is
//! a log-odds to start from, and no probability of anything until labels have calibrated it.
use super::{super::Draft, Told, arithmetic, broken, calls, logit, logprobs};
use crate::classify;
use tierway_services::chat::StopReason;

/// The log-odds of a draft of which nothing is known: what [`Vetoes`](crate::cascade::Vetoes) give one that nothing is wrong with.
const NOTHING_KNOWN: f32 = 2.2;

/// Weights on the log-odds of the thing itself.
const LOGPROB: f32 = 1.0;
const P_TRUE: f32 = 0.6;
/// Log-odds between no and full agreement, and between calls that make no sense and calls that make all.
const AGREEMENT: f32 = 3.0;
const PLAUSIBLE: f32 = 4.0;
/// For each sum that is wrong, of two at the most.
const WRONG_SUM: f32 = 2.0;
/// For each result that nothing goes on with, and each number in a sum that came from nowhere, of two at the most.
const LOOSE_RESULT: f32 = 0.7;
const INVENTED: f32 = 0.4;
/// Where no number of the question is used in any of the sums.
const UNUSED: f32 = 1.0;
/// An answer that was cut off, or breaks off though nothing says so.
const CUT: f32 = 3.0;
/// How much of what was believed of the question before stays: [`classify`]'s chance that a small model gets it right.
const QUESTION: f32 = 1.0;

/// How far, in log-odds, what is known of the question alone, or the look of a call, may move a draft of which nothing else is known.
const SWAY: f32 = 0.45;

/// The confidence in a draft before any label, from 0 to 1, made of its [`prior`].
///
/// Where the draft itself speaks (log-probabilities, samples, the model's own "true", a wrong sum, a cut end), it is the prior's probability.
/// Where it does not, the prior ranks but must not reject: that a question is hard, or that a call's arguments are not in the ask, is no
/// evidence against *this* answer, and no label has said yet how much it weighs. Such drafts have .85 to .93, in the prior's order, so that
/// the usual threshold keeps what is not broken.
#[must_use]
pub fn unlabelled(draft: &Draft<'_>, prior: f32, told: &Told) -> f64 {
    let answer = draft.answer();
    let speaks = !answer.logprobs.is_empty()
        || told.p_true.is_some()
        || told.agreement.is_some()
        || is_cut(draft)
        || sums(draft).wrong > 0;
    let odds = if speaks {
        prior
    } else {
        SWAY.mul_add(((prior - NOTHING_KNOWN) / 4.0).tanh(), NOTHING_KNOWN)
    };
    f64::from(crate::learn::sigmoid(odds))
}

/// The log-odds that the draft is good enough: what it shows of itself, and what was believed of the question before.
#[must_use]
pub fn prior(draft: &Draft<'_>, told: &Told) -> f32 {
    let shown = evidence(draft, told);
    // Tools are judged by their calls: a question says nothing more about those.
    if draft.request().body().facts().tool_count > 0 {
        return shown;
    }
    let chance = draft.asked(|asked| Some(classify::chance(asked.vector()?)));
    chance.map_or(shown, |chance| shown + QUESTION * logit(f64::from(chance)))
}

fn is_cut(draft: &Draft<'_>) -> bool {
    draft.answer().stop == Some(StopReason::MaxTokens) || broken(draft) == Some(true)
}

fn sums(draft: &Draft<'_>) -> arithmetic::Sums {
    draft.asked(|asked| arithmetic::sums(&draft.answer().text, asked.question()))
}

/// The part of [`prior`] that rests on the draft alone, and on nothing that was ever learned.
#[must_use]
pub fn evidence(draft: &Draft<'_>, told: &Told) -> f32 {
    let answer = draft.answer();
    let mut odds = 0.0;
    let mut known = false;
    let mut add = |weight: f32, value: f32| {
        if !value.is_nan() {
            odds += weight * value;
            known = true;
        }
    };
    let tokens = logprobs::read(&answer.logprobs);
    add(LOGPROB, tokens.first().copied().unwrap_or(f32::NAN));
    add(P_TRUE, told.p_true.map_or(f32::NAN, logit));
    add(
        AGREEMENT,
        told.agreement.map_or(f32::NAN, |a| a as f32 - 0.5),
    );
    let plausible = calls::plausibility(draft);
    add(PLAUSIBLE, plausible.map_or(f32::NAN, |p| p as f32 - 0.5));
    if !known {
        odds = NOTHING_KNOWN;
    }
    let sums = sums(draft);
    #[expect(clippy::cast_precision_loss, reason = "at most two")]
    let of = |weight: f32, count: usize| weight * count.min(2) as f32;
    odds -= of(WRONG_SUM, sums.wrong) + of(LOOSE_RESULT, sums.loose) + of(INVENTED, sums.invented);
    odds -= UNUSED * sums.unused.unwrap_or(0.0);
    if is_cut(draft) {
        odds -= CUT;
    }
    odds
}
