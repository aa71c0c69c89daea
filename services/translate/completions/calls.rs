//! Telling the tool calls of a stream apart.

/// The tool calls that have begun, in order.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// By what the stream means a call.
#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
}

impl Calls {
    /// Which call is meant, by its place. Indexes should tell, but some servers leave them out and some give each call the same; then a new id
    /// beside a name begins a new call.
    pub(super) fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> usize {
        let known = match index {
            Some(_) => self.0.iter().rposition(|c| c.index == index),
            None if !id.is_empty() => self.0.iter().rposition(|c| c.id == id),
            None if !name.is_empty() => None,
            None => self.0.len().checked_sub(1),
        };
        if let Some(place) = known
            && let Some(call) = self.0.get_mut(place)
        {
            let other = !id.is_empty() && !call.id.is_empty() && call.id != id;
            if !other || name.is_empty() {
                if call.id.is_empty() {
                    call.id.push_str(id);
                }
                return place;
            }
        }
        self.0.push(Call {
            index,
            id: id.to_owned(),
        });
        self.0.len() - 1
    }
}
