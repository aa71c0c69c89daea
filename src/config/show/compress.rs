//! Prints what is done to tools' results.
use super::Sheet;
use tierway_layers::compress::Transformation;

impl Sheet<'_> {
    pub(super) fn compress(&mut self) {
        let compress = &self.loaded.config.compress;
        self.row("compress", "enabled", compress.enabled);
        for transformation in Transformation::ALL {
            let on = !compress.without.contains(&transformation);
            self.row("compress", transformation.as_str(), on);
        }
        self.end("[compress]");
    }
}
