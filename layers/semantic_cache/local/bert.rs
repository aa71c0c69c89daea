//! BERT's encoder (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", arXiv 1810.04805), one text at a time.
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    layer_norm_eps: f32,
    hidden_act: String,
}

pub(super) struct Bert {
    words: Array2<f32>,
    places: Array2<f32>,
    kind: Array1<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attended: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

struct Linear {
    /// As it is multiplied from the right.
    weight: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

// === impl Bert ===

impl Bert {
    pub(super) fn read(config: &[u8], weights: &[u8]) -> Result<Self, String> {
        let config: Config =
            serde_json::from_slice(config).map_err(|e| format!("config.json: {e}"))?;
        if config.hidden_act != "gelu" {
            return Err(format!(
                "hidden_act {}: only gelu is known",
                config.hidden_act
            ));
        }
        let weights =
            SafeTensors::deserialize(weights).map_err(|e| format!("model.safetensors: {e}"))?;
        let file = File {
            weights,
            epsilon: config.layer_norm_eps,
        };
        let kinds = file.matrix("embeddings.token_type_embeddings.weight")?;
        let layers =
            (0..config.num_hidden_layers).map(|i| file.layer(&format!("encoder.layer.{i}")));
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(heads) {
            return Err("num_attention_heads: do not divide hidden_size".to_owned());
        }
        let bert = Self {
            words: file.matrix("embeddings.word_embeddings.weight")?,
            places: file.matrix("embeddings.position_embeddings.weight")?,
            kind: kinds.row(0).to_owned(),
            norm: file.norm("embeddings.LayerNorm")?,
            layers: layers.collect::<Result<_, _>>()?,
            heads,
        };
        let wide = |m: &Array2<f32>| m.ncols() == config.hidden_size;
        if wide(&bert.words) && wide(&bert.places) && bert.kind.len() == config.hidden_size {
            Ok(bert)
        } else {
            Err("the weights are not of the size that config.json tells".to_owned())
        }
    }

    /// The mean of the tokens' last states, of length 1.
    pub(super) fn vector(&self, tokens: &[u32]) -> Vec<f32> {
        let tokens = tokens.get(..self.places.nrows()).unwrap_or(tokens);
        let mut state = Array2::zeros((tokens.len(), self.words.ncols()));
        for ((mut row, token), place) in state
            .rows_mut()
            .into_iter()
            .zip(tokens)
            .zip(self.places.rows())
        {
            let known = (*token as usize).min(self.words.nrows().saturating_sub(1));
            row += &self.words.row(known);
            row += &place;
            row += &self.kind;
        }
        self.norm.apply(&mut state);
        for layer in &self.layers {
            state = layer.apply(state, self.heads);
        }
        let mean = state.mean_axis(Axis(0)).unwrap_or_default();
        let length = mean.dot(&mean).sqrt().max(1e-12);
        (mean / length).to_vec()
    }
}

// === impl Layer ===

impl Layer {
    fn apply(&self, state: Array2<f32>, heads: usize) -> Array2<f32> {
        let (query, key, value) = (
            self.query.apply(&state),
            self.key.apply(&state),
            self.value.apply(&state),
        );
        let width = state.ncols() / heads;
        #[expect(clippy::cast_precision_loss, reason = "a width is a small number")]
        let scale = (width as f32).sqrt().recip();
        let mut seen = Array2::zeros(state.raw_dim());
        for head in 0..heads {
            let part = Slice::from(head * width..(head + 1) * width);
            let part_of = |m: &Array2<f32>| m.slice_axis(Axis(1), part).to_owned();
            let mut weights = part_of(&query).dot(&part_of(&key).t()) * scale;
            for mut row in weights.rows_mut() {
                let most = row.fold(f32::MIN, |most, x| most.max(*x));
                row.mapv_inplace(|x| (x - most).exp());
                let sum = row.sum();
                row /= sum;
            }
            seen.slice_axis_mut(Axis(1), part)
                .assign(&weights.dot(&part_of(&value)));
        }
        let mut attended = self.output.apply(&seen) + state;
        self.attended.apply(&mut attended);
        let mut wide = self.up.apply(&attended);
        wide.mapv_inplace(gelu);
        let mut out = self.down.apply(&wide) + attended;
        self.norm.apply(&mut out);
        out
    }
}

// === impl Linear, Norm ===

impl Linear {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        x.dot(&self.weight) + &self.bias
    }
}

impl Norm {
    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            let mean = row.mean().unwrap_or_default();
            row -= mean;
            let variance = row.dot(&row) / row.len().max(1) as f32;
            row /= (variance + self.epsilon).sqrt();
            row *= &self.weight;
            row += &self.bias;
        }
    }
}

/// x Phi(x), with the error function by formula 7.1.26 of Abramowitz and Stegun, "Handbook of Mathematical Functions" (error below 1.5e-7).
#[expect(
    clippy::cast_possible_truncation,
    reason = "back to where it came from"
)]
fn gelu(x: f32) -> f32 {
    const TERMS: [f64; 5] = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let x = f64::from(x);
    let z = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let erf = (1.0 - sum * (-z * z).exp()).copysign(x);
    (0.5 * x * (1.0 + erf)) as f32
}

// === reading ===

struct File<'a> {
    weights: SafeTensors<'a>,
    epsilon: f32,
}

impl File<'_> {
    fn numbers(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        // Some files name the whole model in front.
        let tensor = self
            .weights
            .tensor(name)
            .or_else(|_| self.weights.tensor(&format!("bert.{name}")))
            .map_err(|e| format!("model.safetensors: {name}: {e}"))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("model.safetensors: {name}: only f32 is read"));
        }
        let numbers = tensor
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b));
        Ok((tensor.shape().to_vec(), numbers.collect()))
    }

    fn matrix(&self, name: &str) -> Result<Array2<f32>, String> {
        let (shape, numbers) = self.numbers(name)?;
        let &[rows, columns] = &*shape else {
            return Err(format!("model.safetensors: {name}: not a matrix"));
        };
        let view = ArrayView2::from_shape((rows, columns), &numbers);
        Ok(view.map_err(|e| format!("{name}: {e}"))?.to_owned())
    }

    fn row(&self, name: &str) -> Result<Array1<f32>, String> {
        Ok(Array1::from_vec(self.numbers(name)?.1))
    }

    fn linear(&self, name: &str) -> Result<Linear, String> {
        let weight = self.matrix(&format!("{name}.weight"))?;
        Ok(Linear {
            // Laid out anew, so that it is read in its order.
            weight: weight.t().as_standard_layout().into_owned(),
            bias: self.row(&format!("{name}.bias"))?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm, String> {
        Ok(Norm {
            weight: self.row(&format!("{name}.weight"))?,
            bias: self.row(&format!("{name}.bias"))?,
            epsilon: self.epsilon,
        })
    }

    fn layer(&self, name: &str) -> Result<Layer, String> {
        let linear = |part: &str| self.linear(&format!("{name}.{part}"));
        let norm = |part: &str| self.norm(&format!("{name}.{part}"));
        Ok(Layer {
            query: linear("attention.self.query")?,
            key: linear("attention.self.key")?,
            value: linear("attention.self.value")?,
            output: linear("attention.output.dense")?,
            attended: norm("attention.output.LayerNorm")?,
            up: linear("intermediate.dense")?,
            down: linear("output.dense")?,
            norm: norm("output.LayerNorm")?,
        })
    }
}
