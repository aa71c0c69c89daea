//! The size of an image, from its first bytes.

/// Width and height of a PNG, GIF, JPEG or WebP in base64; `None` for anything else.
pub(super) fn size(base64: &str) -> Option<(u32, u32)> {
    // A JPEG's size stands behind its thumbnails and colour profile; all others' within the first 30 bytes.
    const HEAD: usize = 128 * 1024;
    let base64 = base64.as_bytes();
    let head = decode(base64.get(..HEAD).unwrap_or(base64));
    match &head[..] {
        [
            0x89,
            b'P',
            b'N',
            b'G',
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            b'I',
            b'H',
            b'D',
            b'R',
            rest @ ..,
        ] => Some((be32(rest)?, be32(rest.get(4..)?)?)),
        [b'G', b'I', b'F', b'8', _, _, rest @ ..] => Some((le16(rest)?, le16(rest.get(2..)?)?)),
        [0xff, 0xd8, rest @ ..] => jpeg(rest),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            rest @ ..,
        ] => webp(rest),
        _ => None,
    }
}

fn jpeg(mut rest: &[u8]) -> Option<(u32, u32)> {
    loop {
        let [0xff, marker, after @ ..] = rest else {
            return None;
        };
        match marker {
            // Padding.
            0xff => rest = rest.get(1..)?,
            // A frame's header: length, precision, height, width.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let frame = after.get(3..)?;
                return Some((be16(frame.get(2..)?)?, be16(frame)?));
            }
            0x01 | 0xd0..=0xd7 => rest = after,
            // The image's data begins, or ends, and no frame has come.
            0xd9 | 0xda => return None,
            _ => rest = after.get(be16(after)?.max(2) as usize..)?,
        }
    }
}

fn webp(rest: &[u8]) -> Option<(u32, u32)> {
    let data = rest.get(8..)?;
    match rest.get(..4)? {
        b"VP8 " => {
            let at = data.get(6..)?;
            Some((le16(at)? & 0x3fff, le16(at.get(2..)?)? & 0x3fff))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(data.get(1..5)?.try_into().ok()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let le24 = |at: usize| {
                let b = data.get(at..at + 3)?;
                Some(u32::from_le_bytes([b[0], b[1], b[2], 0]) + 1)
            };
            Some((le24(4)?, le24(7)?))
        }
        _ => None,
    }
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}
fn be16(bytes: &[u8]) -> Option<u32> {
    Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?).into())
}
fn le16(bytes: &[u8]) -> Option<u32> {
    Some(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?).into())
}

/// Decodes base64 as far as it is some.
fn decode(base64: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in base64 {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_of_every_format() {
        for (name, data, size) in [
            ("png", "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAA=", (2, 3)),
            ("gif", "R0lGODlhAgADAIAAAA==", (2, 3)),
            (
                "jpeg",
                "/9j/4AAQSkZJRgABAQAAAQABAAD/wAARCAADAAIDASIA",
                (2, 3),
            ),
            ("webp", "UklGRhIAAABXRUJQVlA4TAYAAAAvAYAAAAA=", (2, 3)),
            (
                "webp lossy",
                "UklGRhoAAABXRUJQVlA4IA4AAAAwAQCdASoCAAMA",
                (2, 3),
            ),
            (
                "webp extended",
                "UklGRhoAAABXRUJQVlA4WAoAAAAAAAAAAQAAAgAA",
                (2, 3),
            ),
        ] {
            assert_eq!(super::size(data), Some(size), "{name}");
        }
        for none in [
            "",
            "!",
            "iVBORw0KGgo=",
            "/9j/",
            "/9j/2Q==",
            "UklGRhIAAABXRUJQ",
            "AAAA",
            "https://h/x.png",
        ] {
            assert_eq!(super::size(none), None, "{none}");
        }
    }
}
