//! Waiting for asynchronous work where there is no runtime yet.
use std::pin::Pin;
use tokio::runtime::Runtime;

/// Waits for `work` on `runtime`. On the heap, so that tokio's schedulers are compiled once, and not around each command.
pub(crate) fn wait<'a, T>(runtime: &Runtime, work: impl Future<Output = T> + 'a) -> T {
    let work: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(work);
    runtime.block_on(work)
}
