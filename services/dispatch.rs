//! The leaf.
/// The leaf.
#[derive(Clone, Debug)]
pub struct Dispatch(());
