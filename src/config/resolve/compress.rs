//! How tools' results are made smaller: one switch for each way.
use super::{
    super::{file, settings::Compress},
    Resolver,
};
use tierway_layers::compress::Transformation;

impl Resolver<'_, '_> {
    pub(super) fn compress(&mut self, typed: file::Compress) -> Compress {
        let enabled = self.take("compress.enabled", typed.enabled);
        let without = [
            (Transformation::Json, "compress.json", typed.json),
            (Transformation::Table, "compress.table", typed.table),
            (
                Transformation::Terminal,
                "compress.terminal",
                typed.terminal,
            ),
            (
                Transformation::Trailing,
                "compress.trailing",
                typed.trailing,
            ),
            (
                Transformation::Duplicate,
                "compress.duplicate",
                typed.duplicate,
            ),
        ]
        .into_iter()
        .filter_map(|(transformation, key, typed)| {
            (self.take(key, typed) == Some(false)).then_some(transformation)
        })
        .collect();
        Compress {
            enabled: enabled.unwrap_or(Compress::default().enabled),
            without,
        }
    }
}
