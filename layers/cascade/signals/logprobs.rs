//! How sure a model was of its own tokens.
use tierway_services::chat::Logprob;

/// Tokens over which the mean is taken to find the worst stretch.
const WINDOW: usize = 8;

/// Mean, worst stretch, least, first, sum, and margin over the runner-up; NaN where nothing was told. Quantiles and stretches beside the
/// mean, because a sum favours short answers (Gupta et al., *Language Model Cascades: Token-level Uncertainty and Beyond*, ICLR 2024).
pub(super) fn read(logprobs: &[Logprob]) -> Vec<f32> {
    // White space and punctuation are always likely.
    let content = |l: &&Logprob| l.token.chars().any(char::is_alphanumeric);
    let values: Vec<f64> = logprobs
        .iter()
        .filter(content)
        .map(|l| l.logprob.clamp(-30.0, 0.0))
        .collect();
    if values.is_empty() {
        return vec![f32::NAN; 6];
    }
    #[expect(clippy::cast_precision_loss, reason = "tokens of one answer")]
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let worst = values
        .windows(WINDOW.min(values.len()))
        .map(mean)
        .fold(0.0, f64::min);
    let least = values.iter().copied().fold(0.0, f64::min);
    let margins: Vec<f64> = logprobs
        .iter()
        .filter_map(|l| Some(l.logprob - l.runner_up?))
        .collect();
    let margin = if margins.is_empty() {
        f64::NAN
    } else {
        margins.iter().copied().fold(f64::INFINITY, f64::min)
    };
    let first = values.first().copied().unwrap_or(f64::NAN);
    // As log-odds: near certainty, where answers differ most, a probability hardly moves.
    let odds = |logprob: f64| super::logit(logprob.exp());
    vec![
        odds(mean(&values)),
        odds(worst),
        odds(least),
        odds(first),
        values.iter().sum::<f64>().max(-60.0) as f32,
        margin as f32,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(token: &str, logprob: f64) -> Logprob {
        Logprob {
            token: token.to_owned(),
            logprob,
            runner_up: Some(logprob - 1.0),
        }
    }

    #[test]
    fn surer_tokens_read_higher() {
        let (sure, unsure) = (read(&[token("A", -0.01)]), read(&[token("A", -1.0)]));
        assert!(sure[0] > unsure[0] && sure[3] > unsure[3] && (sure[5] - 1.0).abs() < 1e-6);
        assert!(read(&[]).iter().all(|n| n.is_nan()));
        // Blanks do not make it surer.
        assert_eq!(read(&[token("A", -1.0), token(" ", 0.0)])[..5], unsure[..5]);
    }
}
