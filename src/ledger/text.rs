//! Words and names in rows, shared with whoever said them: a row has some thirty, and is made while a call's last bytes wait.
use rusqlite::{ToSql, types::ToSqlOutput};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

/// A text that costs nothing to keep where it is one of a closed set of words, or a name that is in use elsewhere.
#[derive(Clone)]
pub struct Text(Kind);

#[derive(Clone)]
enum Kind {
    Word(&'static str),
    Name(Arc<str>),
    Own(String),
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        match &self.0 {
            Kind::Word(text) => text,
            Kind::Name(text) => text,
            Kind::Own(text) => text,
        }
    }
}

impl ToSql for Text {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        (**self).to_sql()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Kind::Word(""))
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Kind::Word(text))
    }
}
impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Kind::Name(text))
    }
}
impl From<&Arc<str>> for Text {
    fn from(text: &Arc<str>) -> Self {
        Self(Kind::Name(text.clone()))
    }
}
impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Kind::Own(text))
    }
}
impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}
impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Kind::Own(text) => text,
            Kind::Word(text) => text.to_owned(),
            Kind::Name(text) => text.as_ref().to_owned(),
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl Eq for Text {}
impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}
impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_it_comes_from_it_is_the_same_text() {
        let all = [
            Text::from("word"),
            Text::from("word".to_owned()),
            Text::from(Arc::from("word")),
            Text::from(Cow::Owned("word".to_owned())),
            serde_json::from_str(r#""word""#).unwrap(),
        ];
        for text in &all {
            assert_eq!((text, &**text), (&all[0], "word"));
            assert_eq!(serde_json::to_string(text).unwrap(), r#""word""#);
            assert_eq!(String::from(text.clone()), "word");
        }
    }
}
