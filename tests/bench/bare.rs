//! The yardstick: the least that a reverse proxy in hyper does. Bodies are streamed through, connections pooled, nothing is read.
use crate::upstream::listen;
use hyper::{Request, Uri, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use std::net::SocketAddr;

/// Serves until killed; the address is the first line on standard output.
pub(crate) fn serve(upstream: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
        let listener = listen().await;
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let client = client.clone();
            let forward = service_fn(move |mut request: Request<Incoming>| {
                let path = request.uri().path_and_query().unwrap().as_str();
                *request.uri_mut() = Uri::try_from(format!("http://{upstream}{path}")).unwrap();
                request.headers_mut().remove(header::HOST);
                client.request(request)
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), forward));
        }
    });
}
