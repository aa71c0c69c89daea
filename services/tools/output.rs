use std::borrow::Cow;

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// Its words.
    pub text: String,
    /// Its images.
    pub images: Vec<Image>,
    /// Whether it failed; the words then say why.
    pub is_error: bool,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `image/png` or like.
    pub media_type: String,
    /// Its bytes in base64.
    pub data: String,
}

impl Output {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
    /// Words about what went wrong.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }
    /// With an image.
    #[must_use]
    pub fn with_image(mut self, media_type: impl Into<String>, data: impl Into<String>) -> Self {
        self.images.push(Image {
            media_type: media_type.into(),
            data: data.into(),
        });
        self
    }
    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        let images = self.images.iter().map(|i| i.data.len());
        self.text.len() + images.sum::<usize>()
    }
    /// With at most `most` bytes: images that do not fit are left out, and of a text that does not the middle, because its beginning says
    /// what it is and its end how it went. What is left out is said in its place.
    ///
    /// ```
    /// use tierway_services::tools::Output;
    /// let long = Output::text("a".repeat(1000) + &"z".repeat(1000));
    /// let short = long.bounded(600).text;
    /// assert!(short.len() <= 600 && short.starts_with("aaa") && short.ends_with("zzz"));
    /// assert!(short.contains("bytes left out"));
    /// ```
    #[must_use]
    pub fn bounded(mut self, most: usize) -> Self {
        if self.size() <= most {
            return self;
        }
        self.text = middle_out(&self.text, most).into_owned();
        let mut left = most - self.text.len().min(most);
        let before = self.images.len();
        self.images.retain(|image| {
            let fits = image.data.len() <= left;
            left -= if fits { image.data.len() } else { 0 };
            fits
        });
        if self.images.len() < before {
            self.text.push_str("\n[an image left out: too large]");
        }
        self
    }
}

/// Room for saying what is left out.
const NOTE: usize = 48;

fn middle_out(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let half = most.saturating_sub(NOTE) / 2;
    let mut head = half;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - half;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let (first, last) = (text.get(..head), text.get(tail..));
    format!(
        "{}\n[{} bytes left out]\n{}",
        first.unwrap_or_default(),
        tail - head,
        last.unwrap_or_default()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_says_so() {
        let text = "ü".repeat(500);
        let short = Output::text(text).bounded(200);
        assert!(short.text.len() <= 200 && short.text.contains("left out"));
        let seen = Output::text("see").with_image("image/png", "A".repeat(100));
        assert_eq!(seen.clone().bounded(103), seen);
        let unseen = seen.bounded(50);
        assert!(unseen.images.is_empty() && unseen.text.starts_with("see\n[an image"));
        assert!(
            Output::text("x".repeat(100))
                .bounded(0)
                .text
                .contains("100 bytes")
        );
    }
}
