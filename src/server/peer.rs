//! Tells the service who is at the other end.
use http::Request;
use std::{
    net::IpAddr,
    task::{Context, Poll},
};
use tower::Service;

/// The address at the other end of a request's connection, among its extensions. Behind a proxy it is the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Lays [`Peer`] into each request.
#[derive(Clone, Debug)]
pub(super) struct WithPeer<S> {
    pub(super) inner: S,
    pub(super) peer: IpAddr,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, mut req: Request<B>) -> S::Future {
        req.extensions_mut().insert(Peer(self.peer));
        self.inner.call(req)
    }
}
