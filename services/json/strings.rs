//! Where a JSON string ends, looked for in 64 bytes at once.
//!
//! Most of a body is text, so this is what a long one costs. Nothing here branches on single bytes: texts have an escape every thirty bytes,
//! and a branch that is guessed wrongly costs as much as a whole block.

/// Bytes that are looked at together, the first in the lowest bit of a mask.
type Block = [u8; 64];

/// Where the string ends that has begun before `from`, its quote included, and whether it has a backslash in it.
#[inline]
pub(super) fn string_end(json: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut base = from;
    // Keys and the like are over before a block would pay.
    for _ in 0..2 {
        let Some(word) = json.get(base..)?.first_chunk::<8>() else {
            break;
        };
        match first_mark(u64::from_le_bytes(*word)) {
            8 => base += 8,
            mark if word.get(mark) == Some(&b'"') => return Some((base + mark + 1, false)),
            _ => break,
        }
    }
    long_string_end(json, base)
}

/// The same, by blocks.
fn long_string_end(json: &[u8], mut base: usize) -> Option<(usize, bool)> {
    let (mut escaped, mut carry) = (false, 0);
    loop {
        let last;
        let rest = json.get(base..)?;
        let block = match rest.first_chunk::<64>() {
            Some(block) => block,
            None if rest.is_empty() => return None,
            None => {
                last = padded(rest);
                &last
            }
        };
        // The rest of most long texts.
        if carry == 0 && masks::are_plain(block) {
            base += 64;
            continue;
        }
        let (quotes, backslashes) = (masks::equal(block, b'"'), masks::equal(block, b'\\'));
        let passed = passed_over(backslashes, &mut carry);
        let ends = quotes & !passed;
        // What stands before the first end; all of it where there is none.
        let within = ends.wrapping_sub(1) & !ends;
        if masks::at_most(block, 0x1f) & within != 0 {
            return None;
        }
        let letters = passed & within & !(quotes | backslashes);
        if letters != 0 && !are_escapes(json, base, block, letters) {
            return None;
        }
        escaped |= backslashes & within != 0;
        if ends != 0 {
            return Some((base + ends.trailing_zeros() as usize + 1, escaped));
        }
        base += 64;
    }
}

/// Which of the first 64 bytes are backslashes.
pub(super) fn backslashes(json: &[u8]) -> u64 {
    match json.first_chunk::<64>() {
        Some(block) => masks::equal(block, b'\\'),
        None => masks::equal(&padded(json), b'\\'),
    }
}

/// The last bytes of a text as a block. What fills it up is a control character, and so ends any string.
fn padded(rest: &[u8]) -> Block {
    let mut block = [0; 64];
    if let Some(start) = block.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    block
}

/// The first byte of eight that is no plain text, the lowest being 0; 8 where all are. A byte is zero where subtracting one from it borrows
/// from its highest bit (Mycroft); what a borrow spills over into stands behind the first that is found.
const fn first_mark(word: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = word ^ (ONES * b'\\' as u64);
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let marks = (control | quote | backslash) & HIGHEST;
    marks.trailing_zeros() as usize / 8
}

// === escapes ===

/// The bytes that stand behind a backslash which is not itself passed over. `carry` is whether the block before ended with one, and becomes
/// whether this one does.
///
/// Of a run of backslashes every second is passed over, counted from its first: adding the run to its first bit carries to where it ends, and
/// the parity of both ends tells which (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019).
const fn passed_over(backslashes: u64, carry: &mut u64) -> u64 {
    const EVEN: u64 = u64::MAX / 3;
    if backslashes == 0 {
        return std::mem::replace(carry, 0);
    }
    let backslashes = backslashes & !*carry;
    let behind = backslashes << 1 | *carry;
    let begun_odd = backslashes & !EVEN & !behind;
    let (ended, over) = begun_odd.overflowing_add(backslashes);
    *carry = over as u64;
    (EVEN ^ (ended << 1)) & behind
}

/// Whether these bytes of a block make escapes with the backslashes before them.
fn are_escapes(json: &[u8], base: usize, block: &Block, letters: u64) -> bool {
    // Most are ends of lines.
    let mut letters = letters & !masks::equal(block, b'n');
    while letters != 0 {
        let at = letters.trailing_zeros() as usize;
        letters &= letters - 1;
        // The mask changes nothing, but tells the compiler that this is within the block.
        let is_escape = match block[at & 63] {
            b'/' | b'b' | b'f' | b'r' | b't' => true,
            b'u' => {
                let digits = json.get(base + at + 1..base + at + 5);
                digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            _ => false,
        };
        if !is_escape {
            return false;
        }
    }
    true
}

// === masks ===

/// With the vector instructions that every processor of this kind has. All of it is inlined come what may: a call costs more than what is done.
#[cfg(target_arch = "x86_64")]
mod masks {
    use super::Block;
    use safe_arch::{
        cmp_eq_mask_i8_m128i, load_unaligned_m128i, m128i, min_u8_m128i, move_mask_i8_m128i,
        set_splat_i8_m128i,
    };

    /// Whether no byte is a quote, a backslash or a control character.
    #[inline(always)]
    pub(super) fn are_plain(block: &Block) -> bool {
        let [a, b, c, d] = lanes(block);
        let marked = |lane| {
            let control = cmp_eq_mask_i8_m128i(min_u8_m128i(lane, all(0x1f)), lane);
            let quote = cmp_eq_mask_i8_m128i(lane, all(b'"'));
            cmp_eq_mask_i8_m128i(lane, all(b'\\')) | quote | control
        };
        move_mask_i8_m128i(marked(a) | marked(b) | marked(c) | marked(d)) == 0
    }

    /// The bytes that are this one.
    #[inline(always)]
    pub(super) fn equal(block: &Block, byte: u8) -> u64 {
        let ([a, b, c, d], byte) = (lanes(block), all(byte));
        let equal = |lane| cmp_eq_mask_i8_m128i(lane, byte);
        mask([equal(a), equal(b), equal(c), equal(d)])
    }

    /// The bytes up to this one.
    #[inline(always)]
    pub(super) fn at_most(block: &Block, most: u8) -> u64 {
        let ([a, b, c, d], most) = (lanes(block), all(most));
        let at_most = |lane| cmp_eq_mask_i8_m128i(min_u8_m128i(lane, most), lane);
        mask([at_most(a), at_most(b), at_most(c), at_most(d)])
    }

    #[inline(always)]
    fn all(byte: u8) -> m128i {
        set_splat_i8_m128i(byte.cast_signed())
    }

    #[inline(always)]
    fn lanes(block: &Block) -> [m128i; 4] {
        let (lanes, _) = block.as_chunks::<16>();
        let lane = |i: usize| load_unaligned_m128i(&lanes[i]);
        [lane(0), lane(1), lane(2), lane(3)]
    }

    #[inline(always)]
    fn mask([a, b, c, d]: [m128i; 4]) -> u64 {
        let bits = |lane| u64::from(move_mask_i8_m128i(lane).cast_unsigned());
        bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
    }
}

/// Written so that compilers make vector instructions of it: no branch, no iterator that would cost where nothing is optimised.
#[cfg(not(target_arch = "x86_64"))]
mod masks {
    use super::Block;

    /// Whether no byte is a quote, a backslash or a control character.
    #[inline]
    pub(super) fn are_plain(block: &Block) -> bool {
        let mut marked = 0;
        let mut i = 0;
        while i < 64 {
            let byte = block[i];
            marked |= (byte == b'"') as u8 | (byte == b'\\') as u8 | (byte < b' ') as u8;
            i += 1;
        }
        marked == 0
    }

    /// The bytes that are this one.
    #[inline]
    pub(super) fn equal(block: &Block, byte: u8) -> u64 {
        mask(block, |b| b == byte)
    }

    /// The bytes up to this one.
    #[inline]
    pub(super) fn at_most(block: &Block, most: u8) -> u64 {
        mask(block, |b| b <= most)
    }

    #[inline]
    fn mask(block: &Block, is: impl Fn(u8) -> bool) -> u64 {
        /// Moves the lowest bits of eight bytes beside each other, into the highest byte.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let mut marked = [0; 64];
        let mut i = 0;
        while i < 64 {
            marked[i] = u8::from(is(block[i]));
            i += 1;
        }
        let (words, _) = marked.as_chunks::<8>();
        let mut mask = 0;
        let mut i = 0;
        while i < 8 {
            mask |= (u64::from_le_bytes(words[i]).wrapping_mul(GATHER) >> 56) << (8 * i);
            i += 1;
        }
        mask
    }
}
