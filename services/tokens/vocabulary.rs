//! `OpenAI`'s public vocabulary `o200k_base`, in a quarter of the bytes that it comes in.
//!
//! Byte pair encoding makes each token by joining two that were made before it, so that two ranks say what a token is: `o200k.bin` is the 256
//! tokens of one byte in the order of their ranks, then for each further token the ranks of its two parts, as LEB128. That is 0.8 MB where
//! the tokens themselves are 1.6 MB, and 3.6 MB in base64 with their ranks, as `tiktoken-rs` has them. Nothing of it is read, nor takes
//! memory, before a token is counted.
use std::sync::LazyLock;
use tiktoken_rs::{CoreBPE, O200K_BASE_PAT_STR};

/// See above. Written by the test `write`, from what `tiktoken-rs` has.
const PAIRS: &[u8] = include_bytes!("o200k.bin");
/// How many tokens are one byte each.
const BYTES: usize = 256;

static VOCABULARY: LazyLock<Option<CoreBPE>> = LazyLock::new(|| {
    let ranked = tokens(PAIRS)?.into_iter().zip(0..).collect();
    CoreBPE::new(ranked, std::iter::empty().collect(), O200K_BASE_PAT_STR).ok()
});

/// The vocabulary, loaded by the first to ask. It is always there: what is shipped can be read, as tests see.
pub(super) fn vocabulary() -> Option<&'static CoreBPE> {
    VOCABULARY.as_ref()
}

/// The tokens of `pairs` in the order of their ranks; none where a rank is not yet known, or `pairs` ends amid a token.
fn tokens(pairs: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (bytes, mut rest) = pairs.split_at_checked(BYTES)?;
    let mut tokens: Vec<Vec<u8>> = bytes.iter().map(|&byte| vec![byte]).collect();
    while !rest.is_empty() {
        let (left, right) = (rank(&mut rest)?, rank(&mut rest)?);
        let token = [tokens.get(left)?.as_slice(), tokens.get(right)?].concat();
        tokens.push(token);
    }
    Some(tokens)
}

/// The next number of `rest`, in LEB128.
fn rank(rest: &mut &[u8]) -> Option<usize> {
    let mut rank = 0;
    for shift in [0, 7, 14] {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        rank |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(rank);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tiktoken_rs::o200k_base_singleton;

    /// All tokens as `tiktoken-rs` has them.
    fn theirs() -> impl Iterator<Item = Vec<u8>> {
        // Past the last token and before the first special one is a rank that nothing has.
        (0..).map_while(|rank| o200k_base_singleton().decode_bytes(&[rank]).ok())
    }

    #[test]
    fn each_token_is_openais() {
        let ours = tokens(PAIRS).unwrap();
        assert_eq!(ours.len(), 199_998);
        assert!(ours.into_iter().eq(theirs()));
    }

    #[test]
    fn tokens_count_as_they_do_there() {
        for text in [
            "The quick brown fox, 3.14159 times.\n\n\tfn main() { println!(\"{}\", '\\u{1f600}'); }\r\n",
            "Größe \u{6f22}\u{5b57} \u{1f469}\u{200d}\u{1f4bb} e\u{301}\u{2028} <|endoftext|> I'll DON'T",
        ] {
            let ours = vocabulary().unwrap().encode_ordinary(text);
            assert_eq!(ours, o200k_base_singleton().encode_ordinary(text));
        }
    }

    #[test]
    fn what_is_cut_or_unknown_is_none() {
        let known: Vec<u8> = (0..=255).collect();
        let with = |tail: &[u8]| tokens(&[known.as_slice(), tail].concat());
        assert_eq!(with(&[]).unwrap().len(), 256);
        assert_eq!(with(&[0x61, 0x80 | 0x62, 0]).unwrap()[256], b"ab");
        for bad in [
            &[0x61][..],
            &[0x61, 0x80],
            &[0x61, 0x80, 0x02],
            &[0xff, 0xff, 0xff, 0],
        ] {
            assert!(with(bad).is_none(), "{bad:?}");
        }
        assert!(tokens(&known[..255]).is_none());
    }

    #[test]
    #[ignore = "writes o200k.bin anew, when tiktoken-rs has another vocabulary"]
    fn write() {
        let tokens: Vec<Vec<u8>> = theirs().collect();
        let ranks: HashMap<&[u8], usize> = tokens.iter().map(Vec::as_slice).zip(0..).collect();
        let mut pairs: Vec<u8> = tokens[..BYTES].concat();
        for token in &tokens[BYTES..] {
            // Of all ways to cut a token in two that were before it, the one that is shortest to say.
            let cut = |at| {
                let parts = [&token[..at], &token[at..]].map(|part| ranks.get(part).copied());
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                let made_before = parts.iter().all(|&part| part < ranks[token.as_slice()]);
                made_before.then(|| parts.into_iter().flat_map(leb128).collect::<Vec<u8>>())
            };
            pairs.extend(
                (1..token.len())
                    .filter_map(cut)
                    .min_by_key(Vec::len)
                    .unwrap(),
            );
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tokens/o200k.bin");
        std::fs::write(file, pairs).unwrap();
    }

    fn leb128(mut rank: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while rank > 0x7f {
            bytes.push((rank & 0x7f | 0x80).to_le_bytes()[0]);
            rank >>= 7;
        }
        bytes.push(rank.to_le_bytes()[0]);
        bytes
    }
}
